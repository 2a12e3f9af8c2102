"""Passes timed on a device."""
