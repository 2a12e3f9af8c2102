"""Sums over a report's layers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..ops.base import GROUPS
from .records import SUMMED, Cost, GroupTotals, Totals

if TYPE_CHECKING:
    from .records import LayerRecord, Report


def _distinct(layers: Iterable[LayerRecord]) -> dict[tuple[str, int], list[object]]:
    """Equal layers share one cost record: {(group, identity): [cost, how many]}."""
    found: dict[tuple[str, int], list[object]] = {}
    for layer in layers:
        key = (layer.node.op.group, id(layer.cost))
        entry = found.get(key)
        if entry is None:
            found[key] = [layer.cost, 1]
        else:
            entry[1] += 1  # type: ignore[operator]
    return found


def totals(report: Report) -> Totals:
    """Sums of every additive quantity, and the depth."""
    sums = dict.fromkeys(SUMMED, 0)
    kinds: dict[str, int] = {}
    for cost, times in _distinct(report.layers).values():
        assert isinstance(cost, Cost) and isinstance(times, int)
        for quantity in SUMMED:
            sums[quantity] += getattr(cost, quantity) * times
        for kind, number in cost.flops_by_kind.items():
            kinds[kind] = kinds.get(kind, 0) + number * times
    shapes = report.settings.input_shapes
    return Totals(
        **sums,
        flops_by_kind=kinds,
        input_bytes=input_bytes(report),
        layers=len(report.layers),
        depth=depth(report) if shapes else 0,
    )


def input_bytes(report: Report) -> int:
    """Bytes of the network's inputs at this batch and dtype."""
    from ..graph import FLOATING, Tensor
    from .costs import AMP

    floating = "float32" if report.settings.dtype in AMP else report.settings.dtype
    return sum(
        Tensor(
            report.settings.input_shapes[name], floating if tensor.dtype in FLOATING else tensor.dtype
        ).bytes
        for name, tensor in report.graph.inputs
    )


def breakdown(report: Report) -> dict[str, GroupTotals]:
    """Sums by group."""
    sums = {group: [0, 0, 0, 0, 0] for group in GROUPS}
    for (group, _), (cost, times) in _distinct(report.layers).items():
        assert isinstance(cost, Cost) and isinstance(times, int)
        row = sums[group]  # type: ignore[index]
        row[0] += cost.params * times
        row[1] += cost.macs * times
        row[2] += cost.flops * times
        row[3] += cost.activation_bytes * times
        row[4] += times
    return {group: GroupTotals(*row) for group, row in sums.items()}


def depth(report: Report) -> int:
    """Convolutions and linear layers with weights on the longest path, as the papers count "layers"."""
    reached: list[int] = []
    for layer in report.layers:
        before = max((reached[source] for source, _ in layer.node.inputs if source >= 0), default=0)
        reached.append(before + (layer.group in ("conv", "fc") and layer.cost.macs > 0))
    return max(reached, default=0)
