"""Charts as plotly figures, for notebooks and scripts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ...errors import MissingExtraError, UsageError, nearest
from . import network_charts, report_charts, roofline_chart
from .style import Chart, safe

if TYPE_CHECKING:
    from ...analysis.roofline import Roofline


def plot(record: Any, chart: str, **options: Any) -> Any:
    """A chart of a report, a comparison or a roofline as a figure; see ``figure``."""
    return figure(_CHARTS[type(record).__name__](record, **options), chart)


def _of_roofline(roofline: Roofline, times_ns: Mapping[str, float] | None = None) -> tuple[Chart, ...]:
    return (roofline_chart(roofline.layers, roofline.ceilings, times_ns),)


_CHARTS: dict[str, Callable[..., tuple[Chart, ...]]] = {
    "Report": report_charts,
    "Comparison": lambda comparison: network_charts(comparison.reports),
    "Roofline": _of_roofline,
}
"""The charts of each kind of record."""


def figure(charts: tuple[Chart, ...], key: str) -> Any:
    """One of the charts as a ``plotly.graph_objects.Figure``; its views become buttons above it.

    Raises:
        UsageError: an unknown chart, or one that these records cannot give.
        MissingExtraError: plotly is not installed.
    """
    by_key = {chart.key: chart for chart in charts}
    if key not in by_key:
        raise UsageError(f"unknown chart {key!r}{nearest(key, by_key)} (allowed: {', '.join(by_key)})")
    chart = by_key[key]
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
