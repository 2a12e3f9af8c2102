"""The version of convcost, stated only here."""

__version__ = "0.1.0"
