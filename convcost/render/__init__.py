"""Records to text: documents/ makes tables of records, formats/ writes them, charts/ draws, page/ makes HTML pages."""

from __future__ import annotations

from typing import IO

from ..errors import UsageError, alternatives
from .formats import FORMATS
from .sheet import Document


def render(document: Document, format: str, out: IO[str], units: str = "iec") -> None:
    """Write a document in one of the formats that write documents.

    Raises:
        UsageError: there is no such format.
    """
    names = [row.name for row in FORMATS.values() if row.form in ("document", "rows")]
    if format not in names:
        raise UsageError(f"unknown format {format!r}{alternatives(format, names)}")
    FORMATS[format].render(document, out, units)
