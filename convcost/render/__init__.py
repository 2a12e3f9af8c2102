"""Records to text. A renderer is a module with ``render(document, out, units)``; its name is the ``--format``."""

from __future__ import annotations

from typing import IO

from ..errors import UsageError, nearest
from .sheet import Document

FORMATS = ("table", "markdown", "json", "csv")


def render(document: Document, format: str, out: IO[str], units: str = "iec") -> None:
    """Write a document in one of the formats; a renderer is imported when it is wanted.

    Raises:
        UsageError: an unknown format.
    """
    from importlib import import_module

    if format not in FORMATS or format == "json":
        raise UsageError(f"unknown format {format!r}{nearest(format, FORMATS)} (allowed: {', '.join(FORMATS)})")
    import_module(f".formats.{format}", __name__).render(document, out, units)
