"""Sums over the layers of a network: the totals, and the same for each group. A summed quantity is listed in SUMMED."""

from __future__ import annotations

from collections.abc import Sequence

from ..graph import Graph
from ..ops.base import GROUPS
from .layers import SUMMED, Cost
from .records import GroupTotals, Totals
from .settings import Settings

_OF_GROUPS = tuple(key for key in GroupTotals.__struct_fields__ if key in SUMMED)

Distinct = Sequence[tuple[Cost, int]]
"""The distinct costs of a network, each with the number of layers that have this cost."""


def totals(graph: Graph, settings: Settings, costs: Sequence[Cost], distinct: Distinct) -> Totals:
    """The sums of all additive quantities, the number of layers, the depth and the bytes of the inputs."""
    sums = dict.fromkeys(SUMMED, 0)
    kinds: dict[str, int] = {}
    for cost, times in distinct:
        for quantity in SUMMED:
            sums[quantity] += getattr(cost, quantity) * times
        for kind, number in cost.flops_by_kind.items():
            kinds[kind] = kinds.get(kind, 0) + number * times
    return Totals(
        **sums,
        flops_by_kind=kinds,
        input_bytes=sum(x.bytes for x in settings.input_tensors(graph)),
        layers=len(costs),
        depth=graph.depth,
    )


def breakdown(distinct: Distinct) -> dict[str, GroupTotals]:
    """The sums for each group, with zeros for a group without layers."""
    sums = {group: dict.fromkeys(GroupTotals.__struct_fields__, 0) for group in GROUPS}
    for cost, times in distinct:
        row = sums[cost.group]
        for quantity in _OF_GROUPS:
            row[quantity] += getattr(cost, quantity) * times
        row["layers"] += times
    return {group: GroupTotals(**row) for group, row in sums.items()}
