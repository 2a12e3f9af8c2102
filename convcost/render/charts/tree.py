"""The tree of blocks as a treemap, by any of several quantities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ... import units
from ..blocks import Block, tree
from .style import COLOURS, Chart, View, label, layout, safe

if TYPE_CHECKING:
    from ...analysis.records import Report

_VIEWS = (
    ("parameters", "params", "count"),
    ("MACs", "macs", "count"),
    ("activation memory", "activation_bytes", "bytes"),
    ("bytes moved", "traffic", "bytes"),
)
_BLOCK = "rgba(139, 147, 161, 0.16)"


def tree_chart(report: Report, times_ns: Mapping[str, int] | None = None) -> Chart:
    """Areas are shares of the chosen quantity; a click enters a block.

    Args:
        times_ns: measured time of each layer by its name, in nanoseconds, where there is one: a further view.
    """
    rows: list[tuple[int, int, Block, dict[str, int]]] = []
    _gather(report, tree(report), -1, rows, times_ns or {})
    views = [view for view in _VIEWS if rows[0][3][view[1]]]
    if times_ns:
        views.append(("time", "time_ns", "ns"))
    if not views:
        return Chart("tree", "Block by block", missing="the network counts nothing")
    looks = []
    for name, key, unit in views:
        whole = rows[0][3][key]
        values = [row[3][key] for row in rows]
        hover = [f"{safe(_text(value, unit))}, {units.share(value, whole)} of {name}" for value in values]
        looks.append(View(name, ({"values": values, "text": hover},)))
    trace: dict[str, Any] = {
        "type": "treemap",
        "branchvalues": "total",
        "ids": [str(own) for own, _, _, _ in rows],
        "parents": ["" if parent < 0 else str(parent) for _, parent, _, _ in rows],
        "labels": [_label(block) for _, _, block, _ in rows],
        "hovertemplate": "<b>%{label}</b><br>%{text}<extra></extra>",
        "texttemplate": "<b>%{label}</b><br>%{text}",
        "textfont": {"size": 12},
        "marker": {
            "colors": [_BLOCK if block.children else COLOURS[report.layers[block.start].group]
                       for _, _, block, _ in rows],
            "line": {"width": 1, "color": "rgba(255,255,255,0.6)"},
            "pad": {"t": 20, "l": 2, "r": 2, "b": 2},
        },
        "tiling": {"pad": 1, "squarifyratio": 1.2},
        "pathbar": {"visible": True, "thickness": 22},
        "maxdepth": 4,
        **looks[0].traces[0],
    }  # fmt: skip
    found = layout(460)
    found["margin"] = {"l": 4, "r": 4, "t": 4, "b": 4}
    note = "Areas add up to the whole network. A click goes into a block, a click on the bar above goes back."
    return Chart("tree", "Block by block", note, {"data": [trace], "layout": found}, tuple(looks))


def _gather(
    report: Report,
    block: Block,
    parent: int,
    rows: list[tuple[int, int, Block, dict[str, int]]],
    times_ns: Mapping[str, int],
) -> dict[str, int]:
    own = len(rows)
    sums = {key: 0 for _, key, _ in _VIEWS} | {"time_ns": 0}
    rows.append((own, parent, block, sums))
    if block.children:
        for child in block.children:
            for key, value in _gather(report, child, own, rows, times_ns).items():
                sums[key] += value
    elif block.stop > block.start:
        layer = report.layers[block.start]
        sums["params"], sums["macs"], sums["activation_bytes"] = layer.params, layer.macs, layer.activation_bytes
        sums["traffic"] = layer.bytes_read + layer.bytes_written
        sums["time_ns"] = times_ns.get(layer.name, 0)
    return sums


def _label(block: Block) -> str:
    return label(block.label) + (f" × {block.times}" if block.times else "")


def _text(value: int, unit: str) -> str:
    if unit == "ns":
        return f"{value:,} ns"
    return f"{units.size(value)} ({value:,} B)" if unit == "bytes" else f"{units.count(value)} ({value:,})"
