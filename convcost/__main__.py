"""Runs the command line: ``python -m convcost``."""

from .cli import main

main()
