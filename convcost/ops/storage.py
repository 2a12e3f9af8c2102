"""Which values share memory: views and in-place results live in the storage of what they came from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from ..graph import Node, Reference, Tensor
from .base import Op, Placement


@lru_cache(maxsize=65536)
def placements(op: Op, inputs: tuple[Tensor, ...], train: bool) -> tuple[Placement, ...]:
    """``op.placement``, remembered: networks repeat themselves."""
    return op.placement(inputs, train)


def overwritten(
    nodes: Sequence[Node],
    tensors: Sequence[tuple[Tensor, ...]],
    inputs: Sequence[Tensor],
    outputs: Sequence[Reference],
) -> tuple[Node | None, Node] | None:
    """The first node that reads a value which an earlier in-place op has overwritten, and that op.

    The reader is None if the overwritten value is an output of the network. Checked as evaluated and as trained, since
    dropout shares its input's memory only in evaluation. None if there is no such clash.
    """
    if not any(getattr(node.op, "inplace", False) for node in nodes):
        return None
    for train in (False, True):
        storage: dict[Reference, Reference] = {(-1 - k, 0): (-1 - k, 0) for k in range(len(inputs))}
        written: dict[Reference, int] = {}  # storage -> position of its last in-place write
        for position, node in enumerate(nodes):
            arriving = []
            for reference in node.inputs:
                if written.get(storage[reference], -1) > reference[0]:
                    return node, nodes[written[storage[reference]]]
                source, output = reference
                arriving.append(tensors[source][output] if source >= 0 else inputs[-1 - source])
            for output, placement in enumerate(placements(node.op, tuple(arriving), train)):
                if placement.kind == "fresh" or placement.input < 0:
                    storage[position, output] = (position, output)
                else:
                    home = storage[node.inputs[placement.input]]
                    storage[position, output] = home
                    if placement.kind == "in_place":
                        written[home] = position
        for reference in outputs:
            if written.get(storage[reference], -1) > reference[0]:
                return None, nodes[written[storage[reference]]]
    return None
