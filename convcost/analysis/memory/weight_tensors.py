"""A network's parameters and buffers, tensor by tensor."""

from __future__ import annotations

import msgspec

from ...graph import OWN
from ...ops.base import Op
from ...tensor import ITEM_BYTES
from ..report import Report


class Held(msgspec.Struct, frozen=True, gc=False):
    """A parameter or buffer of a node: its full name, kind, scalars, dtype and bytes."""

    name: str
    kind: str
    elements: int
    dtype: str
    bytes: int
    node: int


def weights(report: Report) -> list[Held]:
    """Every distinct tensor, in the order of the layers."""
    stored = report.settings.precision.stored
    known: dict[int, list[tuple[str, str, int, str, int]]] = {}  # by the identity of the op: equal layers share one

    def tensors(op: Op) -> list[tuple[str, str, int, str, int]]:
        if id(op) not in known:
            found = known[id(op)] = []
            for weight in op.weights():
                dtype, elements = weight.dtype or stored, weight.elements
                found.append((f".{weight.name}", weight.kind, elements, dtype, elements * ITEM_BYTES[dtype]))
        return known[id(op)]

    return [
        Held(node.name + name, kind, elements, dtype, size, position)
        for position, node in enumerate(report.graph.nodes)
        if node.owner == OWN
        for name, kind, elements, dtype, size in tensors(node.op)
    ]
