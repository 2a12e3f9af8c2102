"""Charts as plotly figures, for notebooks and scripts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import MissingExtraError, UsageError, alternatives
from . import CHARTS, ComparisonRecords, NetworkRecords, roofline_chart
from .style import Chart, safe


def plot(record: Any, key: str, times_ns: Mapping[str, float] | None = None) -> Any:
    """A chart of a report, a comparison or a roofline as a ``plotly.graph_objects.Figure``.

    Args:
        record: the ``Report``, ``Comparison`` or ``Roofline``.
        key: of ``CHARTS``; a roofline is its own chart.
        times_ns: of a roofline, measured time of each layer by its name, in nanoseconds.

    Raises:
        UsageError: an unknown chart, or one that this record cannot give.
        MissingExtraError: plotly is not installed.
    """
    kind = type(record).__name__
    if kind == "Roofline":
        return figure(roofline_chart(record.layers, record.ceilings, times_ns), key)
    records = ComparisonRecords(record.reports) if kind == "Comparison" else NetworkRecords(record)
    known = [each.key for each in CHARTS.values() if each.of is type(records)]
    if key not in known:
        raise UsageError(f"unknown chart {key!r}{alternatives(key, known)}")
    return figure(CHARTS[key].drawn(records), key)


def figure(chart: Chart, key: str) -> Any:
    """A chart as plotly's figure; its views become buttons above it. ``key`` is its name in the message.

    Raises:
        UsageError: the chart has no figure.
        MissingExtraError: plotly is not installed.
    """
    if chart.figure is None:
        raise UsageError(f"no chart {key!r}: {chart.missing}")
    try:
        from plotly import graph_objects
    except ImportError:
        raise MissingExtraError('plot needs plotly, which is not installed: pip install "convcost[charts]"') from None
    title = {"text": safe(chart.title), "subtitle": {"text": safe(chart.note)}, "x": 0, "xref": "paper"}
    layout = {**chart.figure["layout"], "title": title, "template": "plotly_white"}
    layout["height"] += 110
    layout["margin"] = {**layout["margin"], "t": layout["margin"]["t"] + 110}
    if chart.views:
        buttons = [{"label": view.label, "method": "update", "args": _update(view.traces, view.layout)}
                   for view in chart.views]  # fmt: skip
        layout["updatemenus"] = [
            {"type": "buttons", "direction": "right", "x": 1, "xanchor": "right", "y": 1.0, "yanchor": "bottom",
             "pad": {"b": 50}, "buttons": buttons}
        ]  # fmt: skip
    return graph_objects.Figure({"data": chart.figure["data"], "layout": layout})


def _update(traces: tuple[dict[str, Any], ...], layout: dict[str, Any]) -> list[dict[str, Any]]:
    """Changes per trace in plotly's form: for every attribute a list with one value to a trace."""
    keys = traces[0] if traces else {}
    return [{key: [trace[key] for trace in traces] for key in keys}, layout]
