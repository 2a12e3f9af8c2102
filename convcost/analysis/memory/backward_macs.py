"""The multiply-accumulates of a backward pass: a product for each gradient, as large as that of the forward pass."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .storages import Storages


class TrainingMacs(msgspec.Struct, frozen=True):
    """Multiply-accumulates of one training step, by pass.

    ``input_gradient``: gradients of what layers read; those of the network's inputs are not wanted and not counted.
    ``weight_gradient``: gradients of parameters. ``recomputed``: checkpointed blocks once more.
    """

    forward: int
    input_gradient: int
    weight_gradient: int
    recomputed: int = 0

    @property
    def passes(self) -> tuple[int, ...]:
        """Those of each pass, in the order of the fields."""
        return self.forward, self.input_gradient, self.weight_gradient, self.recomputed

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.passes)

    @property
    def flops(self) -> int:
        """2 for each multiply-accumulate; other operations of a backward pass are not counted."""
        return 2 * self.total


def training_macs(storages: Storages, times: Sequence[int], segments: tuple[tuple[int, int], ...] = ()) -> TrainingMacs:
    """What a step of a network in training multiplies and adds; ``times`` says how often each node stands in it."""
    needs = storages.needs
    forward = inputs = weights = 0
    for position, (node, kind) in enumerate(zip(storages.graph.nodes, storages.kinds, strict=True)):
        macs = kind.cost.macs * times[position]
        if not macs:
            continue
        forward += macs
        if True not in needs[position]:
            continue
        wanted = [needs[source][output] for source, output in node.inputs]
        own = len(kind.own)
        inputs += macs * sum(wanted[:own])
        weights += macs * (bool(kind.learned) or True in wanted[own:])  # its own, or values of the graph
    again = sum(storages.costs[position].macs for start, end in segments for position in range(start, end + 1))
    return TrainingMacs(forward, inputs, weights, again)
