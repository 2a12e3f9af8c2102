"""Document of a roofline: the bound, its layers and groups, the peak rates, and the assumptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ... import units
from ..sheet import Column, Curve, Document, Line, Paragraph, Sheet
from .fold import folded

if TYPE_CHECKING:
    from ...analysis.roofline import Bounds, LayerBound, Roof, Roofline

Parts = list[Paragraph | Sheet | Curve]

ROOFS: Mapping[Roof, str] = {
    "conv": "convolutions", "matmul": "matrix products", "vector": "other operations",
}  # fmt: skip
"""The operations that each rate applies to, in words."""

_QUANTITIES = (
    Column("intensity", "FLOPs/B", "number"), Column("compute_ns", "Compute", "duration"),
    Column("memory_ns", "Memory", "duration"), Column("bound_ns", "Bound", "duration"),
)  # fmt: skip
_LIMIT = Column("limit", "Limit", "word")
_NAMES = {"conv": "Convolutions", "fc": "Fully connected layers", "attention": "Attention"}


def roofline_document(roofline: Roofline) -> Document:
    """The document of a roofline record."""
    return Document(tuple(roofline_parts(roofline)))


def roofline_parts(
    roofline: Roofline,
    style: str = "iec",
    depth: int | None = None,
    order: Sequence[int] | None = None,
    plain: bool = False,
) -> Parts:
    """Headline, layers, groups, peak rates, and the assumptions of the bound.

    Args:
        depth: collapse blocks below this level; None: as deep as fits.
        order: positions of layers, which are then listed in this order without blocks.
        plain: percentages instead of bars.
    """
    found: Parts = [Paragraph(headline(roofline, style), "headline")]
    found += [Paragraph(text) for text in contrast(roofline)]
    found += [layer_sheet(roofline, depth, order, plain), group_sheet(roofline), ceiling_sheet(roofline)]
    return found + [Paragraph(text) for text in meaning(roofline)]


def headline(roofline: Roofline, style: str = "iec") -> str:
    """The bound in one sentence."""
    settings, speed = roofline.settings, roofline.samples_per_s
    where = f"{roofline.title} on {roofline.ceilings.device} (batch {settings.batch:,}, {settings.dtype})"
    if speed is None:
        return f"{where}: no layer has arithmetic or memory traffic."
    return (
        f"{where}: a forward pass takes at least {units.duration(roofline.bound_ns, style)}, "
        f"at most {units.number(speed) if speed < 1000 else f'{speed:,.0f}'} samples per second. "
        "This is a bound, not a prediction."
    )


def contrast(roofline: Roofline) -> list[str]:
    """Shares of parameters, MACs and time by group. They are usually in different layers."""
    totals = roofline.totals
    if not totals.bound_ns:
        return []
    by_compute = units.share(totals.compute_limited_ns, totals.bound_ns)
    by_memory = units.share(totals.bound_ns - totals.compute_limited_ns, totals.bound_ns)
    said = [f"{by_memory} of the bound is in layers limited by memory, {by_compute} in layers limited by arithmetic."]
    for group, name in _NAMES.items():
        found = roofline.by_group[group]  # type: ignore[index]
        if found.macs:
            said.append(
                f"{name}: {units.share(found.params, totals.params) or '0%'} of the parameters, "
                f"{units.share(found.macs, totals.macs)} of the MACs, "
                f"{units.share(found.bound_ns, totals.bound_ns)} of the bound."
            )
    return [" ".join(said)]


def layer_sheet(
    roofline: Roofline, depth: int | None = None, order: Sequence[int] | None = None, plain: bool = False
) -> Sheet:
    """The bound of each layer, nested by block, or for the positions in ``order``."""
    columns = (Column("name", "Layer"), *_QUANTITIES, Column("bound%", "", "share", not plain), _LIMIT)
    layers, whole = roofline.layers, roofline.totals

    def line(name: str, found: LayerBound | Bounds, level: int = 0, kind: str = "") -> Line:
        return Line((name, *_cells(found), (found.bound_ns, whole.bound_ns), found.limit), level, kind)

    lines = []
    if order is not None:
        lines = [line(layers[place].name, layers[place], 0, layers[place].group) for place in order]
    else:
        for fold in folded([layer.path for layer in layers], depth):
            inside = layers[fold.start : fold.stop]
            kind = inside[0].group if fold.leaf else "block"
            lines.append(line(fold.segment, roofline.summed(inside), fold.level, kind))
    return Sheet("Roofline", columns, tuple(lines), line("total", whole, kind="total"))


def _cells(found: LayerBound | Bounds) -> list[Any]:
    return [getattr(found, column.key) for column in _QUANTITIES]


def group_sheet(roofline: Roofline) -> Sheet:
    """Parameters, MACs and the bound by group."""
    columns = (
        Column("group", "Group"), Column("params", "Params", "count"), Column("params%", "", "share"),
        Column("macs", "MACs", "count"), Column("macs%", "", "share"), _QUANTITIES[0], _QUANTITIES[-1],
        Column("bound%", "", "share"), _LIMIT,
    )  # fmt: skip
    totals = roofline.totals

    def line(name: str, found: Bounds, kind: str) -> Line:
        cells = (
            found.params, (found.params, totals.params), found.macs, (found.macs, totals.macs), found.intensity,
            found.bound_ns, (found.bound_ns, totals.bound_ns), found.limit,
        )  # fmt: skip
        return Line((name, *cells), kind=kind)

    lines = [line(group, found, group) for group, found in roofline.by_group.items() if found.layers]
    return Sheet("The bound by group", columns, tuple(lines), line("total", totals, "total"))


def ceiling_sheet(roofline: Roofline) -> Sheet:
    """The peak rates that the bound is computed with, and their origin."""
    columns = (
        Column("ceiling", "Peak rate"), Column("rate", "Per second", "rate"), Column("ridge", "Ridge point", "number"),
        Column("figure", "Origin"),
    )  # fmt: skip
    ceilings = roofline.ceilings
    lines = [
        Line((name, int(ceilings.rate(roof)), ceilings.ridge(roof), ceilings.words.get(f"{roof}_flops_per_s", "")))
        for roof, name in ROOFS.items()
    ]
    lines.append(Line(("memory", int(ceilings.bytes_per_s), None, ceilings.words.get("bytes_per_s", ""))))
    return Sheet("", columns, tuple(lines))


def meaning(roofline: Roofline) -> list[str]:
    """What the numbers mean and where the peak rates come from."""
    sources = dict.fromkeys(filter(None, roofline.ceilings.sources.values()))
    lines = [
        "The bound of a layer is the larger of Compute and Memory; the bound of a network is the sum over its layers. "
        "FLOPs/B: FLOPs per byte of memory traffic; above the ridge point, arithmetic is the limit."
    ]
    if sources:
        lines.append(f"Source of the peak rates (FLOPs and bytes per second): {'; '.join(sources)}.")
    return lines + list(roofline.assumptions)


def with_bounds(sheet: Sheet, roofline: Roofline) -> Sheet:
    """A flat table of layers with the roofline's columns appended."""
    by_name = {layer.name: layer for layer in roofline.layers}
    columns = (*sheet.columns, *_QUANTITIES, _LIMIT)
    lines = [
        Line((*line.cells, *_cells(by_name[line.cells[0]]), by_name[line.cells[0]].limit), line.level, line.kind)
        for line in sheet.lines
    ]
    return Sheet(sheet.title, columns, tuple(lines))
