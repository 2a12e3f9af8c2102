"""The version of convcost."""

__version__ = "0.1.0"
