"""Which values share memory: a view or in-place result uses the storage of its input.

This file knows no single op; each op declares the memory of its outputs in ``Op.placement``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain

from .graph import Node, Reference
from .ops.base import Op, Placement
from .tensor import Tensor


@lru_cache(maxsize=65536)
def placements(op: Op, inputs: tuple[Tensor, ...], train: bool) -> tuple[Placement, ...]:
    """``op.placement``, cached because networks repeat layers."""
    return op.placement(inputs, train)


def overwritten(
    nodes: Sequence[Node],
    tensors: Sequence[tuple[Tensor, ...]],
    inputs: Sequence[Tensor],
    outputs: Sequence[Reference],
) -> tuple[Node | None, Node] | None:
    """The first node that reads a value which an earlier in-place op has overwritten, and that op.

    The reader is None if the overwritten value is an output of the network. Both evaluation and training are checked,
    since dropout shares its input's memory only in evaluation. None if no overwritten value is read.
    """
    readers = Counter(chain.from_iterable([node.inputs for node in nodes]))
    readers.update(outputs)
    for node in nodes:
        if not getattr(node.op, "inplace", False):
            continue
        source = node.inputs[0]
        if readers[source] == 1 and source[0] >= 0 and type(nodes[source[0]].op).placement is Op.placement:
            continue  # most in-place ops are the only reader of a fresh output
        if not _alone(nodes, tensors, inputs, readers, source):
            return _first_clash(nodes, tensors, inputs, outputs)
    return None


def _alone(
    nodes: Sequence[Node],
    tensors: Sequence[tuple[Tensor, ...]],
    inputs: Sequence[Tensor],
    readers: Mapping[Reference, int],
    reference: Reference,
) -> bool:
    """True if a single chain of ops uses the memory of ``reference``, which is the common case and quick to check."""
    while readers[reference] == 1:
        position, output = reference
        if position < 0:
            return True
        node = nodes[position]
        node_inputs = tuple([tensors[n][k] if n >= 0 else inputs[-1 - n] for n, k in node.inputs])
        if len(tensors[position]) > 1:
            return False
        shared = _shared_inputs(node.op, node_inputs, output)
        if not shared:
            return True
        if len(shared) > 1 or min(shared) < 0:
            return False
        reference = node.inputs[min(shared)]
    return False


@lru_cache(maxsize=65536)
def _shared_inputs(op: Op, inputs: tuple[Tensor, ...], output: int) -> frozenset[int]:
    """The inputs whose memory an output shares in evaluation or in training."""
    in_each_mode = [placements(op, inputs, train)[output] for train in (False, True)]
    return frozenset(placement.input for placement in in_each_mode if placement.kind != "fresh")


def _first_clash(
    nodes: Sequence[Node], tensors: Sequence[tuple[Tensor, ...]], inputs: Sequence[Tensor], outputs: Sequence[Reference]
) -> tuple[Node | None, Node] | None:
    for train in (False, True):
        storage: dict[Reference, Reference] = {(-1 - k, 0): (-1 - k, 0) for k in range(len(inputs))}
        written: dict[Reference, int] = {}  # storage -> position of its last in-place write
        for position, node in enumerate(nodes):
            node_inputs = []
            for reference in node.inputs:
                if written.get(storage[reference], reference[0]) > reference[0]:
                    return node, nodes[written[storage[reference]]]
                source, output = reference
                node_inputs.append(tensors[source][output] if source >= 0 else inputs[-1 - source])
            for output, placement in enumerate(placements(node.op, tuple(node_inputs), train)):
                if placement.kind == "fresh" or placement.input < 0:
                    storage[position, output] = (position, output)
                else:
                    shared = storage[node.inputs[placement.input]]
                    storage[position, output] = shared
                    if placement.kind == "in_place":
                        written[shared] = position
        for reference in outputs:
            if written.get(storage[reference], reference[0]) > reference[0]:
                return None, nodes[written[storage[reference]]]
    return None
