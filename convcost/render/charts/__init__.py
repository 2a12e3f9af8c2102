"""Charts as functions of records. Each gives plotly's figure as plain dicts, so that none needs plotly to be made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .layers import layers_chart
from .memory import memory_chart
from .networks import bubble_chart, depth_chart, throughput_chart, totals_chart
from .roofline import roofline_chart
from .split import split_chart
from .style import Chart, View
from .tree import tree_chart

if TYPE_CHECKING:
    from ...analysis.report import Report

NO_MEMORY = "there is no record of its memory over time"
NO_ROOFLINE = "there is no record of a device"


def report_charts(
    report: Report,
    memory: Chart | None = None,
    roofline: Chart | None = None,
    times_ns: Mapping[str, int] | None = None,
) -> tuple[Chart, ...]:
    """The charts of one network, in the order of a page.

    A report holds no memory over time, no device and no measurements: charts of such records are handed in, and where
    there are none a chart without a figure says so.

    Args:
        memory: from ``memory_chart``. ``roofline``: from ``roofline_chart``.
        times_ns: measured time of each layer by its name: a further view of the treemap.
    """
    return (
        layers_chart(report),
        split_chart(report),
        tree_chart(report, times_ns),
        memory or Chart("memory", "Memory over one step", missing=NO_MEMORY),
        roofline or Chart("roofline", "Roofline", missing=NO_ROOFLINE),
    )


def network_charts(
    reports: Sequence[Report], measured: Mapping[str, Sequence[tuple[int, float]]] | None = None
) -> tuple[Chart, ...]:
    """The charts of several networks, in the order of a page; ``measured`` as ``throughput_chart`` takes it."""
    return (
        bubble_chart(reports),
        depth_chart(reports),
        totals_chart(reports),
        throughput_chart(measured or {}),
    )


__all__ = [
    "Chart",
    "View",
    "bubble_chart",
    "depth_chart",
    "layers_chart",
    "memory_chart",
    "network_charts",
    "report_charts",
    "roofline_chart",
    "split_chart",
    "throughput_chart",
    "totals_chart",
    "tree_chart",
]
