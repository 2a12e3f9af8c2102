"""A network's parameters and buffers, tensor by tensor."""

from __future__ import annotations

import msgspec

from ...graph import OWN
from ...ops.base import Op
from ...tensor import ITEM_BYTES
from ..report import Report


class WeightTensor(msgspec.Struct, frozen=True, gc=False):
    """A parameter or buffer: full name, kind, scalars, dtype, bytes, and the position of the node that owns it."""

    name: str
    kind: str
    elements: int
    dtype: str
    bytes: int
    node: int


def weight_tensors(report: Report) -> list[WeightTensor]:
    """Every distinct parameter and buffer, in the order of the layers."""
    stored = report.settings.precision.stored
    known: dict[int, list[tuple[str, str, int, str, int]]] = {}  # by the identity of the op, which equal layers share

    def tensors(op: Op) -> list[tuple[str, str, int, str, int]]:
        if id(op) not in known:
            rows = known[id(op)] = []
            for weight in op.weights():
                dtype, elements = weight.dtype or stored, weight.elements
                rows.append((f".{weight.name}", weight.kind, elements, dtype, elements * ITEM_BYTES[dtype]))
        return known[id(op)]

    return [
        WeightTensor(node.name + name, kind, elements, dtype, size, position)
        for position, node in enumerate(report.graph.nodes)
        if node.owner == OWN
        for name, kind, elements, dtype, size in tensors(node.op)
    ]
