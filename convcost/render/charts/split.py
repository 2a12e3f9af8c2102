"""Shares of parameters, MACs, FLOPs and activations by group of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import units
from .style import COLOURS, NAMES, Chart, axis, ink, layout, safe

if TYPE_CHECKING:
    from ...analysis.report import Report

_ROWS = (("params", "parameters"), ("macs", "MACs"), ("flops", "FLOPs"), ("activation_bytes", "activations"))
_WIDE = 7
"""Smallest share, in percent, that has room for its text."""


def split_chart(report: Report) -> Chart:
    """One bar per quantity, each 100% long, divided by group."""
    rows = [(key, name) for key, name in _ROWS if getattr(report.totals, key)]
    if not rows:
        return Chart(missing="the network has no parameters, MACs or activations")
    traces: list[dict[str, Any]] = []
    for group, part in report.breakdown.items():
        if not any(getattr(part, key) for key, _ in rows):
            continue
        pairs = [(getattr(part, key), getattr(report.totals, key)) for key, _ in rows]
        shares = [100 * value / whole for value, whole in pairs]
        said = [safe(units.share(*pair)) for pair in pairs]
        traces.append({
            "type": "bar",
            "orientation": "h",
            "name": NAMES.get(group, group),
            "y": [name for _, name in rows],
            "x": shares,
            "text": [text if share >= _WIDE else "" for text, share in zip(said, shares, strict=True)],
            "textposition": "inside",
            "insidetextanchor": "middle",
            "textangle": 0,
            "insidetextfont": {"size": 12, "color": ink(COLOURS[group])},
            "hovertext": [
                f"<b>{NAMES.get(group, group)}</b>: {text} of {name}<br>{value:,} of {whole:,}"
                + (f" bytes = {units.size(value)}" if name == "activations" else "")
                for text, (value, whole), (_, name) in zip(said, pairs, rows, strict=True)
            ],
            "hoverinfo": "text",
            "marker": {"color": COLOURS[group], "line": {"width": 0}},
        })  # fmt: skip
    found = layout(230, barmode="stack", bargap=0.35)
    found["margin"] = {"l": 88, "r": 24, "t": 36, "b": 32}
    found["uniformtext"] = {"minsize": 10, "mode": "hide"}  # hides text that would be too small to read
    found["legend"]["traceorder"] = "normal"
    found["xaxis"] = axis("", range=[0, 100], ticksuffix="%", tick0=0, dtick=25, automargin=False)
    found["yaxis"] = axis("", autorange="reversed", showgrid=False)
    return Chart(
        "Each bar is 100% of the network; colours are groups of layers.",
        {"data": traces, "layout": found},
    )
