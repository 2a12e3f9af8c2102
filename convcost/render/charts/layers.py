"""Parameters, multiply-accumulates and activation memory of every layer, in order of execution."""

from __future__ import annotations

from collections.abc import Sequence
from html import unescape
from typing import TYPE_CHECKING, Any

from ... import units
from .style import COLOURS, NAMES, Chart, View, arithmetic, axis, label, layout

if TYPE_CHECKING:
    from ...analysis.layers import LayerRecord
    from ...analysis.report import Report

QUANTITIES = (
    ("params", "parameters", "params"),
    ("macs", "MACs", "MACs"),
    ("activation_bytes", "activation bytes", "output memory"),
)
"""(field of the record, title of the axis, label of the explanation step)."""

_DOMAINS = ((0.70, 1.0), (0.35, 0.65), (0.0, 0.30))
MAX_TICKS, MAX_NAME = 40, 18


def layers_chart(report: Report) -> Chart:
    """Three rows of bars over the same layers."""
    shown = [layer for layer in report.layers if any(getattr(layer, key) for key, _, _ in QUANTITIES)]
    if not shown:
        return Chart(missing="no layer has parameters, MACs or activations")
    told = arithmetic()
    traces: list[dict[str, Any]] = []
    groups = [group for group in COLOURS if any(layer.group == group for layer in shown)]
    for row, (key, unit, step) in enumerate(QUANTITIES, start=1):
        for group in groups:
            own = [(place, layer) for place, layer in enumerate(shown, start=1) if layer.group == group]
            own = [(place, layer) for place, layer in own if getattr(layer, key)]
            if not own:
                continue
            traces.append({
                "type": "bar",
                "name": NAMES.get(group, group),
                "legendgroup": group,
                "showlegend": not any(trace["legendgroup"] == group for trace in traces),
                "x": [place for place, _ in own],
                "y": [getattr(layer, key) for _, layer in own],
                "hovertext": [_hover(layer, key, unit, told(layer, step)) for _, layer in own],
                "hoverinfo": "text",
                "textposition": "none",
                "marker": {"color": COLOURS[group], "line": {"width": 0}},
                "yaxis": f"y{row}" if row > 1 else "y",
            })  # fmt: skip
    figure = {"data": traces, "layout": _layout(shown)}
    linear = {f"{axis}.type": "linear" for axis in ("yaxis", "yaxis2", "yaxis3")}
    return Chart(
        "Layers in order of execution. Hover over a bar for the exact number and its arithmetic.",
        figure,
        (View("linear", layout=linear), View("logarithmic", layout=dict.fromkeys(linear, "log"))),
    )


def _hover(layer: LayerRecord, key: str, unit: str, steps: str) -> str:
    value = getattr(layer, key)
    size = f" = {units.size(value)}" if key == "activation_bytes" else ""
    shape = units.shape(layer.output_shapes[0])
    text = f"<b>{label(layer.name)}</b> {layer.op}, {shape}<br>{value:,} {unit}{size}"
    return text + (f"<br>= {label(steps, 120)}" if steps else "")


def _layout(shown: Sequence[LayerRecord]) -> dict[str, Any]:
    count = len(shown)
    step = -(-count // MAX_TICKS)
    places = list(range(1, count + 1, step))
    names = [label(_place(shown[place - 1].name), MAX_NAME) for place in places]
    longest = max(len(unescape(name)) for name in names)
    found = layout(540, bargap=0.18 if count < 150 else 0, hovermode="closest")
    # With automatic margins, plotly draws the chart twice.
    found["margin"] = {"l": 64, "r": 16, "t": 36, "b": 20 + 5 * longest}
    found["xaxis"] = axis(
        "",
        range=[0.4, count + 0.6],
        tickvals=places,
        ticktext=names,
        automargin=False,
        tickangle=-60,
        anchor="y3",
        showgrid=False,
        tickfont={"size": 10},
    )
    for row, ((_, unit, _), domain) in enumerate(zip(QUANTITIES, _DOMAINS, strict=True), start=1):
        suffix = {"ticksuffix": "B"} if unit.endswith("bytes") else {}
        found[f"yaxis{row}" if row > 1 else "yaxis"] = axis(
            unit, domain=list(domain), anchor="x", tickformat="~s", nticks=5, automargin=False, **suffix
        )
    return found


def _place(name: str) -> str:
    """The name of the block instead of its only convolution: conv1_1 for conv1_1.conv2d_1."""
    *blocks, last = name.split(".")
    return ".".join(blocks) if blocks and last.endswith("_1") else name
