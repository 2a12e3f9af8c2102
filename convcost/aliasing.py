"""Which tensors share storage: a view and the result of an in-place op use the storage of their input.

What each op does with the storage of its inputs is declared on the op (``Op.placement``), not here.
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
    """Find the first node that reads a tensor after an in-place op has overwritten it.

    Both evaluation and training are checked, because dropout shares its input's storage only in evaluation.

    Args:
        nodes: the nodes of a network in order of execution.
        tensors: the output tensors of each node.
        inputs: the input tensors of the network.
        outputs: references to the outputs of the network.

    Returns:
        ``(reader, writer)``: the node that reads, or None if an output of the network is overwritten, and the in-place
        node. None if no tensor is read after it is overwritten.
    """
    readers = Counter(chain.from_iterable([node.inputs for node in nodes]))
    readers.update(outputs)
    for node in nodes:
        if not getattr(node.op, "inplace", False):
            continue
        source = node.inputs[0]
        if readers[source] == 1 and source[0] >= 0 and type(nodes[source[0]].op).placement is Op.placement:
            continue  # the only reader of a newly allocated output, the most frequent case
        if not _read_once(nodes, tensors, inputs, readers, source):
            return _first_conflict(nodes, tensors, inputs, outputs)
    return None


def _read_once(
    nodes: Sequence[Node],
    tensors: Sequence[tuple[Tensor, ...]],
    inputs: Sequence[Tensor],
    readers: Mapping[Reference, int],
    reference: Reference,
) -> bool:
    """True if only one chain of ops reads the storage behind ``reference``. Cheap, and true in most networks."""
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
    """The numbers of the inputs whose storage an output shares, in evaluation or in training."""
    both_modes = [placements(op, inputs, train)[output] for train in (False, True)]
    return frozenset(placement.input for placement in both_modes if placement.kind != "fresh")


def _first_conflict(
    nodes: Sequence[Node], tensors: Sequence[tuple[Tensor, ...]], inputs: Sequence[Tensor], outputs: Sequence[Reference]
) -> tuple[Node | None, Node] | None:
    for train in (False, True):
        storage: dict[Reference, Reference] = {(-1 - k, 0): (-1 - k, 0) for k in range(len(inputs))}
        last_write: dict[Reference, int] = {}  # storage -> position of the last in-place op that writes to it
        for position, node in enumerate(nodes):
            node_inputs = []
            for reference in node.inputs:
                if last_write.get(storage[reference], reference[0]) > reference[0]:
                    return node, nodes[last_write[storage[reference]]]
                source, output = reference
                node_inputs.append(tensors[source][output] if source >= 0 else inputs[-1 - source])
            for output, placement in enumerate(placements(node.op, tuple(node_inputs), train)):
                if placement.kind == "fresh" or placement.input < 0:
                    storage[position, output] = (position, output)
                else:
                    shared = storage[node.inputs[placement.input]]
                    storage[position, output] = shared
                    if placement.kind == "in_place":
                        last_write[shared] = position
        for reference in outputs:
            if last_write.get(storage[reference], reference[0]) > reference[0]:
                return None, nodes[last_write[storage[reference]]]
    return None
