"""The data that a page's script reads: columns of layers, arithmetic, diagram and charts, without duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ... import units
from ..charts import Chart
from ..charts.style import COLOURS, ink
from ..documents.analysis import short_fields
from ..documents.explanation import step_cells
from .diagram import diagram

if TYPE_CHECKING:
    from ...analysis.explain import Explanation
    from ...analysis.layers import LayerRecord
    from ...analysis.report import Report

QUANTITIES = (
    "params", "buffers", "macs", "flops", "activation_bytes", "weight_bytes", "bytes_read", "bytes_written",
)  # fmt: skip
"""Quantities of a layer that a page shows; a block shows their sums."""


class Numbers:
    """Distinct integers in ascending order with their texts; the page refers to them by index.

    So numbers are formatted in Python only, are exact whatever their size, and sort by index.
    """

    def __init__(self, values: Iterable[int]) -> None:
        self.values = sorted(set(values))
        self._place = {value: place for place, value in enumerate(self.values)}

    def __getitem__(self, value: int) -> int:
        return self._place[value]

    def texts(self) -> dict[str, list[str]]:
        """Every digit, as a count, and as a size."""
        return {
            "raw": [str(value) for value in self.values],
            "exact": [units.count(value, "raw") for value in self.values],
            "count": [units.count(value) for value in self.values],
            "bytes": [units.size(value) for value in self.values],
        }


def layer_data(report: Report, explanations: Sequence[Explanation]) -> dict[str, Any]:
    """Layers, blocks and arithmetic of one network."""
    drawn = diagram(report)
    running = _running_sums(report.layers)
    sums = [
        [running[block["stop"]][k] - running[block["start"]][k] for k in range(len(QUANTITIES))]
        for block in drawn["blocks"]
    ]
    numbers = Numbers(value for row in sums for value in row)
    for block, row in zip(drawn["blocks"], sums, strict=True):
        block["sums"] = [numbers[value] for value in row]
    steps: dict[tuple[str, ...], int] = {}
    told = [[steps.setdefault(step_cells(step), len(steps)) for step in found.steps] for found in explanations]
    return {
        "quantities": QUANTITIES,
        "numbers": numbers.texts(),
        "colours": COLOURS,
        "inks": {group: ink(colour) for group, colour in COLOURS.items()},
        "layers": _columns(report, numbers),
        "told": told,
        "steps": list(steps),
        "diagram": drawn,
    }


def _running_sums(layers: Sequence[LayerRecord]) -> list[list[int]]:
    found = [[0] * len(QUANTITIES)]
    for layer in layers:
        found.append([sum_ + getattr(layer, key) for sum_, key in zip(found[-1], QUANTITIES, strict=True)])
    return found


def _columns(report: Report, numbers: Numbers) -> dict[str, list[Any]]:
    layers = report.layers
    text: dict[str, list[Any]] = {
        "name": [layer.name for layer in layers],
        "op": [layer.op for layer in layers],
        "group": [layer.group for layer in layers],
        "fields": [short_fields(layer) for layer in layers],
        "input": [" + ".join(map(units.shape, layer.input_shapes)) for layer in layers],
        "output": [", ".join(map(units.shape, layer.output_shapes)) for layer in layers],
        "field": [_field(layer) for layer in layers],
        "shares": [layer.shares for layer in layers],
    }
    sources = [[source for source, _ in layer.node.inputs] for layer in layers]
    return {
        **text,
        "sources": sources,
        **{key: [numbers[getattr(layer, key)] for layer in layers] for key in QUANTITIES},
    }


def _field(layer: LayerRecord) -> str:
    field = layer.receptive_field
    return "" if field is None else "all" if field.whole else units.shape(field.size)


def chart_data(charts: Sequence[Chart]) -> list[dict[str, Any]]:
    """The charts that have a figure, in the form that the script reads."""
    return [
        {
            "key": chart.key,
            "figure": _without_first_view(chart),
            "views": [{"label": view.label, "traces": view.traces, "layout": view.layout} for view in chart.views],
        }
        for chart in charts
        if chart.figure is not None
    ]


def _without_first_view(chart: Chart) -> dict[str, Any] | None:
    """The figure without the attributes that its first view repeats; the script adds them again."""
    if chart.figure is None or not chart.views or not chart.views[0].traces:
        return chart.figure
    traces = [
        {key: value for key, value in trace.items() if key not in first}
        for trace, first in zip(chart.figure["data"], chart.views[0].traces, strict=True)
    ]
    return {**chart.figure, "data": traces}
