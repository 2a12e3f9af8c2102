"""A network's parameters and buffers, tensor by tensor."""

from __future__ import annotations

import msgspec

from ...graph import ITEM_BYTES, OWN
from ..costs import AMP
from ..records import Report


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
    own_dtype = "float32" if report.settings.dtype in AMP else report.settings.dtype
    known: dict[int, list[tuple[str, str, int, str, int]]] = {}  # by the identity of the op: equal layers share one
    found = []
    for position, node in enumerate(report.graph.nodes):
        if node.owner != OWN:
            continue
        if id(node.op) not in known:
            tensors = known[id(node.op)] = []
            for weight in node.op.weights():
                dtype, elements = weight.dtype or own_dtype, weight.elements
                tensors.append((weight.name, weight.kind, elements, dtype, elements * ITEM_BYTES[dtype]))
        for name, kind, elements, dtype, size in known[id(node.op)]:
            found.append(Held(f"{node.name}.{name}", kind, elements, dtype, size, position))
    return found
