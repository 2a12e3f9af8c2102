"""The tree of blocks as a treemap, by any of several quantities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ... import units
from ..blocks import LayerBlock, block_tree, is_wrapper, main_group
from .style import COLOURS, GREY, Chart, View, ink, label, layout, safe

if TYPE_CHECKING:
    from ...analysis.report import Report

_VIEWS = (
    ("parameters", "params", "count"),
    ("MACs", "macs", "count"),
    ("activation memory", "activation_bytes", "bytes"),
    ("bytes moved", "traffic", "bytes"),
)
MAX_LEVELS = 4
"""Levels that plotly draws, including the network; deeper levels are shown after zooming in."""


class Box(NamedTuple):
    """A box of the treemap: its parent's position (-1: none), its block, its group and its sums."""

    parent: int
    block: LayerBlock
    group: str
    sums: dict[str, int]


def tree_chart(report: Report, times_ns: Mapping[str, int] | None = None) -> Chart:
    """Areas are shares of the chosen quantity; a click enters a block.

    Args:
        times_ns: measured time of each layer by its name, in nanoseconds, for a further view.
    """
    boxes: list[Box] = []
    _gather(report, block_tree(report), -1, boxes, times_ns or {})
    sums = [box.sums for box in boxes]
    views = [view for view in _VIEWS if sums[0][view[1]]]
    if times_ns:
        views.append(("time", "time_ns", "ns"))
    if not views:
        return Chart(missing="the network has no parameters, MACs or activations")
    looks = []
    for name, key, unit in views:
        whole = sums[0][key]
        values = [found[key] for found in sums]
        told = [f"{_text(value, unit)}<br>{safe(units.share(value, whole))}" for value in values]
        exact = "bytes" if unit == "bytes" else "ns" if unit == "ns" else name
        # JavaScript numbers are inexact above 2^53.
        large = {"hovertext": [f"{value:,}" for value in values]} if whole > 2**53 else {}
        shown = "%{hovertext}" if large else "%{value:,}"
        hover = f"<b>%{{label}}</b><br>{shown} {exact}<br>%{{text}} of {name}<extra></extra>"
        looks.append(View(name, ({"values": values, "text": told, "hovertemplate": hover, **large},)))
    frames = {box.parent for box in boxes}
    colours = [_colour(box.group, own in frames) for own, box in enumerate(boxes)]
    inks = [GREY if own in frames else ink(COLOURS[box.group]) for own, box in enumerate(boxes)]
    trace: dict[str, Any] = {
        "type": "treemap",
        "branchvalues": "total",
        "ids": [str(own) for own in range(len(boxes))],
        "parents": ["" if box.parent < 0 else str(box.parent) for box in boxes],
        "labels": [label(box.block.title) for box in boxes],
        "customdata": [box.group for box in boxes],
        "texttemplate": "<b>%{label}</b><br>%{text}",
        "insidetextfont": {"size": 12, "color": inks},
        "marker": {
            "colors": colours,
            "line": {"width": 1, "color": "rgba(255,255,255,0.5)"},
            "pad": {"t": 20, "l": 2, "r": 2, "b": 2},
        },
        "tiling": {"pad": 1, "squarifyratio": 1.2},
        "pathbar": {"visible": True, "thickness": 22, "textfont": {"color": GREY}},
        "maxdepth": MAX_LEVELS,
        **looks[0].traces[0],
    }
    found = layout(460)
    found["uniformtext"] = {"minsize": 10, "mode": "hide"}
    found["margin"] = {"l": 4, "r": 4, "t": 4, "b": 4}
    note = (
        "The area of a box is its share of the network. Click a block to zoom in, click the outermost box to zoom out."
    )
    return Chart(note, {"data": [trace], "layout": found}, tuple(looks))


def _gather(
    report: Report, block: LayerBlock, parent: int, boxes: list[Box], times_ns: Mapping[str, int]
) -> dict[str, int]:
    """Append the boxes of a block and its contents; returns the sums of the block."""
    own = len(boxes)
    layers = report.layers[block.start : block.stop]
    sums = {key: 0 for _, key, _ in _VIEWS} | {"time_ns": 0}
    boxes.append(Box(parent, block, main_group(layers), sums))
    if block.children and not is_wrapper(layers):
        for child in block.children:
            for key, value in _gather(report, child, own, boxes, times_ns).items():
                sums[key] += value
        return sums
    for layer in layers:
        for key in ("params", "macs", "activation_bytes"):
            sums[key] += getattr(layer, key)
        sums["traffic"] += layer.bytes_read + layer.bytes_written
        sums["time_ns"] += times_ns.get(layer.name, 0)
    return sums


def _colour(group: str, frame: bool) -> str:
    """The colour of a group, faint for a box that contains others."""
    colour = COLOURS[group]
    if not frame:
        return colour
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"


def _text(value: int, unit: str) -> str:
    if unit == "ns":
        return f"{value:,} ns"
    return units.size(value) if unit == "bytes" else units.count(value)
