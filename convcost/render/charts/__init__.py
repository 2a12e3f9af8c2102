"""The charts, one row each in ``CHARTS``; add a chart there or with ``register_chart``.

A chart is a plotly figure as plain dicts, so plotly is not needed to make it. ``report.plot(key)``, the pages, and
``convcost report --format svg --chart key`` show the charts of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from .layers import layers_chart
from .memory import MemoryRun, memory_chart
from .networks import bubble_chart, depth_chart, throughput_chart, totals_chart
from .roofline import roofline_chart
from .split import split_chart
from .style import Chart, View
from .svg.layers import bars
from .svg.networks import circles, years
from .svg.stacks import stacks
from .tree import tree_chart

if TYPE_CHECKING:
    from ...analysis.report import Report
    from ...analysis.roofline import Roofline


class NetworkRecords(msgspec.Struct, frozen=True):
    """The records that the charts of one network draw.

    ``runs``: memory over time, for each mode. ``times_ns``: measured time of each layer by name, in ns.
    """

    report: Report
    runs: Sequence[MemoryRun] = ()
    roofline: Roofline | None = None
    times_ns: Mapping[str, int] = {}


class ComparisonRecords(msgspec.Struct, frozen=True):
    """The records that the charts of several networks draw. ``throughput``: as for ``throughput_chart``."""

    reports: Sequence[Report]
    throughput: Mapping[str, Sequence[tuple[int, float]]] = {}


class ChartKind(msgspec.Struct, frozen=True):
    """A row of the table of charts.

    ``of``: ``NetworkRecords`` or ``ComparisonRecords``, what ``draw`` takes. ``svg``: makes an SVG picture of a title
    and the chart's figure; without it the chart is not among those of ``--chart``.
    """

    key: str
    title: str
    of: type
    draw: Callable[[Any], Chart]
    svg: Callable[[str, dict[str, Any]], str] | None = None

    def drawn(self, records: NetworkRecords | ComparisonRecords) -> Chart:
        """The chart of these records under its key and title."""
        chart = self.draw(records)
        return msgspec.structs.replace(chart, key=self.key, title=chart.title or self.title)


def _roofline(records: NetworkRecords) -> Chart:
    if records.roofline is None:
        return Chart(missing="no GPU was given")
    return roofline_chart(records.roofline.layers, records.roofline.ceilings, records.times_ns)


CHARTS = {
    row.key: row
    for row in (
        ChartKind("layers", "Costs by layer", NetworkRecords, lambda records: layers_chart(records.report), bars),
        ChartKind("split", "Convolutions and fully connected layers", NetworkRecords,
                  lambda records: split_chart(records.report), stacks),
        ChartKind("tree", "Costs by block", NetworkRecords,
                  lambda records: tree_chart(records.report, records.times_ns)),
        ChartKind("memory", "Memory over one step", NetworkRecords, lambda records: memory_chart(*records.runs)),
        ChartKind("roofline", "Roofline", NetworkRecords, _roofline),
        ChartKind("bubble", "Error against MACs", ComparisonRecords, lambda records: bubble_chart(records.reports),
                  circles),
        ChartKind("depth", "Depth and error by year", ComparisonRecords, lambda records: depth_chart(records.reports),
                  years),
        ChartKind("totals", "Totals by group", ComparisonRecords, lambda records: totals_chart(records.reports),
                  stacks),
        ChartKind("throughput", "Throughput by batch size", ComparisonRecords,
                  lambda records: throughput_chart(records.throughput)),
    )
}  # fmt: skip
"""The charts by key, in the order of a page. ``register_chart`` adds to them."""


def register_chart(
    key: str,
    title: str,
    draw: Callable[[Any], Chart],
    of: type = NetworkRecords,
    svg: Callable[[str, dict[str, Any]], str] | None = None,
) -> None:
    """Add a chart: ``report.plot(key)`` and the pages then show it, and ``--chart key`` if it has an ``svg``.

    Args:
        key: the name of the chart, in lower case.
        title: the heading of the chart.
        draw: takes ``NetworkRecords`` (or ``ComparisonRecords``) and returns a ``Chart``.
        of: which of the two; a chart of several networks is shown by ``comparison.plot(key)``.
        svg: ``svg(title, figure)`` returns an SVG picture as text.
    """
    CHARTS[key] = ChartKind(key, title, of, draw, svg)


def charts_of(records: NetworkRecords | ComparisonRecords) -> tuple[Chart, ...]:
    """All charts of one network or of several, in the order of a page. Charts without data have ``missing`` set."""
    return tuple(kind.drawn(records) for kind in CHARTS.values() if kind.of is type(records))


def pictured(of: type | None = None) -> list[str]:
    """The keys of the charts that can be drawn as SVG: all of them, or those of one kind of records."""
    return [kind.key for kind in CHARTS.values() if kind.svg and of in (None, kind.of)]


def picture(chart: Chart) -> str | None:
    """The chart as an SVG picture; None if it has no figure, or there are no pictures of its kind."""
    svg = CHARTS[chart.key].svg
    return None if chart.figure is None or svg is None else svg(chart.title, chart.figure)


__all__ = [
    "CHARTS",
    "Chart",
    "ChartKind",
    "ComparisonRecords",
    "MemoryRun",
    "NetworkRecords",
    "View",
    "bubble_chart",
    "charts_of",
    "depth_chart",
    "layers_chart",
    "memory_chart",
    "picture",
    "pictured",
    "register_chart",
    "roofline_chart",
    "split_chart",
    "throughput_chart",
    "totals_chart",
    "tree_chart",
]
