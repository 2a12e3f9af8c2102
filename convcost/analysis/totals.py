"""Sums over a report's layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..graph import FLOATING, Tensor
from ..ops.base import GROUPS
from .layers import SUMMED
from .records import GroupTotals, Totals

if TYPE_CHECKING:
    from .records import Report


def totals(report: Report) -> Totals:
    """Sums of every additive quantity, and the depth."""
    sums = dict.fromkeys(SUMMED, 0)
    kinds: dict[str, int] = {}
    for cost, times in report.distinct:
        for quantity in SUMMED:
            sums[quantity] += getattr(cost, quantity) * times
        for kind, number in cost.flops_by_kind.items():
            kinds[kind] = kinds.get(kind, 0) + number * times
    return Totals(
        **sums,
        flops_by_kind=kinds,
        input_bytes=sum(x.bytes for x in input_tensors(report)),
        layers=len(report.costs),
        depth=report.graph.depth,
    )


def input_tensors(report: Report) -> tuple[Tensor, ...]:
    """The network's inputs at this batch and dtype."""
    from .costs import AMP

    floating = "float32" if report.settings.dtype in AMP else report.settings.dtype
    return tuple(
        [
            Tensor(report.settings.input_shapes[name], floating if tensor.dtype in FLOATING else tensor.dtype)
            for name, tensor in report.graph.inputs
        ]
    )


def breakdown(report: Report) -> dict[str, GroupTotals]:
    """Sums by group."""
    sums = {group: [0, 0, 0, 0, 0] for group in GROUPS}
    for cost, times in report.distinct:
        row = sums[cost.group]
        row[0] += cost.params * times
        row[1] += cost.macs * times
        row[2] += cost.flops * times
        row[3] += cost.activation_bytes * times
        row[4] += times
    return {group: GroupTotals(*row) for group, row in sums.items()}
