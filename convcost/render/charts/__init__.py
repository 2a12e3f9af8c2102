"""Charts as functions of records. Each gives plotly's figure as plain dicts, so that none needs plotly to be made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .layers import layers_chart
from .memory import memory_chart
from .networks import bubble_chart, depth_chart, throughput_chart, totals_chart
from .roofline import roofline_chart
from .split import split_chart
from .style import Chart, View
from .tree import tree_chart

if TYPE_CHECKING:
    from ...analysis.records import Report

NO_MEMORY = "there is no record of its memory over time"
NO_PROFILE = "there are no measured records"
NO_ROOFLINE = "there is no record of a device"


def report_charts(report: Report) -> tuple[Chart, ...]:
    """The charts of one network, in the order of a page.

    The last are left out with their reason: they draw records that a report does not hold. Whoever has such records
    puts ``memory_chart`` or ``roofline_chart`` in their place.
    """
    return (
        layers_chart(report),
        split_chart(report),
        tree_chart(report),
        Chart("memory", "Memory over one step", missing=NO_MEMORY),
        Chart("roofline", "Roofline", missing=NO_ROOFLINE),
    )


def network_charts(reports: Sequence[Report]) -> tuple[Chart, ...]:
    """The charts of several networks, in the order of a page."""
    return (
        bubble_chart(reports),
        depth_chart(reports),
        totals_chart(reports),
        throughput_chart({}),
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
