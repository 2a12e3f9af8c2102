"""The tree of blocks as a treemap, by any of several quantities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ... import units
from ..blocks import Block, is_wrapper, tree
from .style import COLOURS, GREY, Chart, View, ink, label, layout, safe

if TYPE_CHECKING:
    from ...analysis.report import Report

_VIEWS = (
    ("parameters", "params", "count"),
    ("MACs", "macs", "count"),
    ("activation memory", "activation_bytes", "bytes"),
    ("bytes moved", "traffic", "bytes"),
)
_FAINT = 0.15

MAX_BOXES = 160
"""Boxes drawn at once: deeper levels show when a reader goes into a block."""

Row = tuple[int, Block, bool, str, dict[str, int]]
"""(parent or -1, block, whether something is drawn inside it, its group, its sums)."""


def tree_chart(report: Report, times_ns: Mapping[str, int] | None = None) -> Chart:
    """Areas are shares of the chosen quantity; a click enters a block.

    Args:
        times_ns: measured time of each layer by its name, in nanoseconds, where there is one: a further view.
    """
    rows: list[Row] = []
    _gather(report, tree(report), -1, rows, times_ns or {})
    sums = [row[4] for row in rows]
    views = [view for view in _VIEWS if sums[0][view[1]]]
    if times_ns:
        views.append(("time", "time_ns", "ns"))
    if not views:
        return Chart("tree", "Block by block", missing="the network counts nothing")
    looks = []
    for name, key, unit in views:
        whole = sums[0][key]
        values = [found[key] for found in sums]
        told = [f"{_text(value, unit)}<br>{safe(units.share(value, whole))}" for value in values]
        exact = "bytes" if unit == "bytes" else "ns" if unit == "ns" else name
        # A script's numbers begin to round at 2^53.
        large = {"hovertext": [f"{value:,}" for value in values]} if whole > 2**53 else {}
        shown = "%{hovertext}" if large else "%{value:,}"
        hover = f"<b>%{{label}}</b><br>{shown} {exact}<br>%{{text}} of {name}<extra></extra>"
        looks.append(View(name, ({"values": values, "text": told, "hovertemplate": hover, **large},)))
    depth, framing = _framing(rows)
    trace: dict[str, Any] = {
        "type": "treemap",
        "branchvalues": "total",
        "ids": [str(own) for own in range(len(rows))],
        "parents": ["" if parent < 0 else str(parent) for parent, *_ in rows],
        "labels": [_label(block) for _, block, *_ in rows],
        "customdata": [group for _, _, _, group, _ in rows],
        "texttemplate": "<b>%{label}</b><br>%{text}",
        "insidetextfont": {
            "size": 12,
            "color": [GREY if frame else ink(COLOURS[row[3]]) for row, frame in zip(rows, framing, strict=True)],
        },
        "marker": {
            "colors": [_colour(row[3], frame) for row, frame in zip(rows, framing, strict=True)],
            "line": {"width": 1, "color": "rgba(255,255,255,0.5)"},
            "pad": {"t": 20, "l": 2, "r": 2, "b": 2},
        },
        "tiling": {"pad": 1, "squarifyratio": 1.2},
        "pathbar": {"visible": True, "thickness": 22, "textfont": {"color": GREY}},
        "maxdepth": depth,
        **looks[0].traces[0],
    }
    found = layout(460)
    found["uniformtext"] = {"minsize": 10, "mode": "hide"}
    found["margin"] = {"l": 4, "r": 4, "t": 4, "b": 4}
    note = "Areas add up to the whole network. A click goes into a block, a click on the outermost box goes back."
    return Chart("tree", "Block by block", note, {"data": [trace], "layout": found}, tuple(looks))


def _gather(report: Report, block: Block, parent: int, rows: list[Row], times_ns: Mapping[str, int]) -> dict[str, int]:
    own = len(rows)
    layers = report.layers[block.start : block.stop]
    inner = bool(block.children) and not is_wrapper(layers)
    weightiest = max(layers, key=lambda layer: (layer.macs, layer.params), default=None)
    sums = {key: 0 for _, key, _ in _VIEWS} | {"time_ns": 0}
    rows.append((parent, block, inner, weightiest.group if weightiest else "other", sums))
    if inner:
        for child in block.children:
            for key, value in _gather(report, child, own, rows, times_ns).items():
                sums[key] += value
    else:
        for layer in layers:
            for key in ("params", "macs", "activation_bytes"):
                sums[key] += getattr(layer, key)
            sums["traffic"] += layer.bytes_read + layer.bytes_written
            sums["time_ns"] += times_ns.get(layer.name, 0)
    return sums


def _framing(rows: list[Row]) -> tuple[int, list[bool]]:
    """How many levels are drawn at once, and which boxes are frames around others then."""
    level: list[int] = []
    for parent, *_ in rows:
        level.append(level[parent] + 1 if parent >= 0 else 1)
    deepest = max(level)
    depth = next((d for d in range(deepest, 2, -1) if sum(own <= d for own in level) <= MAX_BOXES), min(2, deepest))
    return depth, [inner and own < depth for (_, _, inner, _, _), own in zip(rows, level, strict=True)]


def _colour(group: str, frame: bool) -> str:
    """A group's colour, faint where smaller boxes lie inside."""
    colour = COLOURS[group]
    if not frame:
        return colour
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{_FAINT})"


def _label(block: Block) -> str:
    return label(block.label) + (f" × {block.times}" if block.times else "")


def _text(value: int, unit: str) -> str:
    if unit == "ns":
        return f"{value:,} ns"
    return units.size(value) if unit == "bytes" else units.count(value)
