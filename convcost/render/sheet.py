"""What renderers show: a document of sentences and sheets. Values stay raw; a column's unit says how to print them."""

from __future__ import annotations

from typing import Any

import msgspec

from .. import units


class Column(msgspec.Struct, frozen=True):
    """A column: how it is headed and how its values are shown.

    ``unit``: "text" (may be broken into lines), "word" (may not), "count", "bytes", "rate" (of anything in a second),
    "share" (a (part, whole) pair; as a bar where ``bar`` is set and the format can draw), "shape", "percent" (of a
    hundred), "ratio", "delta" and "delta_bytes" (with a sign), "duration" (nanoseconds), "number" (a few digits), or
    "plain" (a number as it is).
    """

    key: str
    heading: str
    unit: str = "text"
    bar: bool = False


class Line(msgspec.Struct, frozen=True):
    """A row of raw values, in the order of the sheet's columns.

    ``level`` is its nesting, ``kind`` colours it; ``best`` are the positions of cells that stand out.
    """

    cells: tuple[Any, ...]
    level: int = 0
    kind: str = ""
    best: tuple[int, ...] = ()


class Sheet(msgspec.Struct, frozen=True):
    """A table: ``total`` is its last line, set apart."""

    title: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    total: Line | None = None


class Paragraph(msgspec.Struct, frozen=True):
    """One or more sentences.

    ``kind``: "title", "section", "headline", "note", "warning", "error", "command", or "picture": the text says what is
    on it, and ``path`` where it is.
    """

    text: str
    kind: str = "note"
    path: str = ""

    @property
    def marked(self) -> str:
        """The text; a warning says that it is one."""
        return f"warning: {self.text}" if self.kind == "warning" else self.text


class Curve(msgspec.Struct, frozen=True):
    """Values in order of execution, drawn small where a format can: ``said`` are the words beside it."""

    label: str
    values: tuple[int, ...]
    said: str = ""


class Document(msgspec.Struct, frozen=True):
    """Sentences, sheets and curves in the order in which they are shown."""

    parts: tuple[Paragraph | Sheet | Curve, ...]

    def apart(self, position: int) -> bool:
        """Whether an empty line sets a part apart: sheets, headlines, and what is of another kind than before."""
        if not position:
            return False
        part = self.parts[position]
        headline = isinstance(part, Paragraph) and part.kind == "headline"
        return headline or isinstance(part, Sheet) or type(part) is not type(self.parts[position - 1])


def text_of(value: Any, unit: str, style: str) -> str:
    """A raw value as text, by its column's unit and the user's ``--units`` style."""
    if value is None:
        return ""
    if unit == "count":
        return units.count(value, style)
    if unit == "bytes":
        return units.size(value, style)
    if unit == "rate":
        return units.rate(value, style)
    if unit == "share":
        return units.share(*value)
    if unit == "shape":
        return units.shape(value)
    if unit == "percent":
        return f"{value}%"  # with the digits that were published
    if unit == "duration":
        return units.duration(value, style)
    if unit == "number":
        return units.number(value)
    if unit == "ratio":
        return units.ratio(value)
    if unit.startswith("delta"):
        return units.delta(value, style, unit == "delta_bytes")
    return str(value)
