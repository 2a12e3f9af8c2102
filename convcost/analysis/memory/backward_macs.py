"""The multiply-accumulates of a backward pass: a product for each gradient, as large as that of the forward pass."""

from __future__ import annotations

import msgspec

from .checkpoint_blocks import NodeRange
from .storages import Storages


class TrainingMacs(msgspec.Struct, frozen=True):
    """Multiply-accumulates of one training step, by pass.

    ``input_gradient``: gradients of what layers read; those of the network's inputs are not needed and not counted.
    ``weight_gradient``: gradients of parameters. ``recomputed``: checkpointed blocks, which run once more.
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


def training_macs(storages: Storages, checkpointed: tuple[NodeRange, ...] = ()) -> TrainingMacs:
    """The multiply-accumulates of a training step; ``checkpointed`` blocks run twice."""
    needs = storages.needs
    forward = inputs = weights = 0
    for position, (node, kind) in enumerate(zip(storages.graph.nodes, storages.kinds, strict=True)):
        macs = kind.cost.macs
        if not macs:
            continue
        forward += macs
        if True not in needs[position]:
            continue
        needed = [needs[source][output] for source, output in node.inputs]
        own = len(kind.own)
        inputs += macs * sum(needed[:own])
        weights += macs * (bool(kind.parameters) or True in needed[own:])  # its own, or values of the graph
    again = sum(storages.costs[position].macs for start, end in checkpointed for position in range(start, end + 1))
    return TrainingMacs(forward, inputs, weights, again)
