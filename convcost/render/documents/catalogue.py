"""Document of the shipped architectures (``convcost list``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from ..sheet import Column, Document, Line, Paragraph, Sheet

if TYPE_CHECKING:
    from ...analysis.report import Report


class Entry(msgspec.Struct, frozen=True):
    """One architecture: names, year of its reference, input shapes without the batch, parameters and MACs."""

    name: str
    title: str
    family: str
    year: int | None
    input_shapes: dict[str, tuple[int, ...]]
    params: int
    macs: int


def entry(report: Report) -> Entry:
    """The entry of one network."""
    about, totals = report.about, report.totals
    inputs = {name: shape[1:] for name, shape in report.settings.input_shapes.items()}
    return Entry(
        about.name,
        about.title,
        about.family,
        about.year,
        inputs,
        totals.params,
        totals.macs,
    )


def catalogue_document(entries: Sequence[Entry]) -> Document:
    """The table of entries, with families ordered by their first year."""
    first: dict[str, int] = {}
    for item in entries:
        first[item.family] = min(first.get(item.family, 9999), item.year or 9999)
    ordered = sorted(entries, key=lambda item: (first[item.family], item.family, item.year or 9999))
    columns = (
        Column("name", "Name"), Column("family", "Family"), Column("year", "Year", "plain"),
        Column("input", "Input", "shape"), Column("params", "Params", "count"), Column("macs", "MACs", "count"),
    )  # fmt: skip
    lines = tuple(
        Line((e.name, e.family, e.year, next(iter(e.input_shapes.values())), e.params, e.macs)) for e in ordered
    )
    count = f"{len(lines)} architecture{'' if len(lines) == 1 else 's'}; batch 1. To see one: convcost analyze NAME."
    return Document((Sheet("", columns, lines), Paragraph(count)))
