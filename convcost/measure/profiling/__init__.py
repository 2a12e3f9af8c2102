"""Measures the run time of a network's passes and layers on a device. ``profile.py`` is the entry point."""
