"""The catalogue of shipped architectures as a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from ..sheet import Column, Document, Line, Paragraph, Sheet

if TYPE_CHECKING:
    from ...analysis.report import Report


class Entry(msgspec.Struct, frozen=True):
    """One architecture: names, year of its reference, input without the batch, parameters and multiply-accumulates."""

    name: str
    title: str
    family: str
    year: int | None
    input_shapes: dict[str, tuple[int, ...]]
    params: int
    macs: int


def entry(report: Report) -> Entry:
    """What the catalogue says of one network."""
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
    """The catalogue, families in the order of their first year."""
    first: dict[str, int] = {}
    for found in entries:
        first[found.family] = min(first.get(found.family, 9999), found.year or 9999)
    ordered = sorted(entries, key=lambda found: (first[found.family], found.family, found.year or 9999))
    columns = (
        Column("name", "Name"), Column("family", "Family"), Column("year", "Year", "plain"),
        Column("input", "Input", "shape"), Column("params", "Params", "count"), Column("macs", "MACs", "count"),
    )  # fmt: skip
    lines = tuple(
        Line((e.name, e.family, e.year, next(iter(e.input_shapes.values())), e.params, e.macs)) for e in ordered
    )
    count = f"{len(lines)} architecture{'' if len(lines) == 1 else 's'}; batch 1. convcost analyze NAME shows one."
    return Document((Sheet("", columns, lines), Paragraph(count)))
