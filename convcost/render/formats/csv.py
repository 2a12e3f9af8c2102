"""The sheet of a document as comma-separated values: raw integers, one heading line."""

from __future__ import annotations

import csv
from typing import IO, Any

from ..sheet import Document, Sheet


def render(document: Document, out: IO[str], units: str = "raw") -> None:
    """Write the first sheet of the document. ``units`` changes nothing: values are raw."""
    sheet = next(part for part in document.parts if isinstance(part, Sheet))
    writer = csv.writer(out, lineterminator="\n")
    kept = [position for position, column in enumerate(sheet.columns) if column.unit != "share"]
    writer.writerow([sheet.columns[position].key for position in kept])
    for line in sheet.lines:
        writer.writerow([_raw(line.cells[position]) for position in kept])


def _raw(value: Any) -> Any:
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return "" if value is None else value
