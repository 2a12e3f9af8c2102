"""A network's parameters and buffers, tensor by tensor."""

from __future__ import annotations

import msgspec

from ...graph import ITEM_BYTES, OWN
from ..costs import AMP
from ..records import Report


class Held(msgspec.Struct, frozen=True, gc=False):
    """A parameter or buffer: its full name, kind, scalars and dtype."""

    name: str
    kind: str
    elements: int
    dtype: str
    node: int

    @property
    def bytes(self) -> int:
        """Bytes of its values."""
        return self.elements * ITEM_BYTES[self.dtype]


def weights(report: Report) -> list[Held]:
    """Every distinct tensor, in the order of the layers."""
    dtype = "float32" if report.settings.dtype in AMP else report.settings.dtype
    return [
        Held(f"{node.name}.{weight.name}", weight.kind, weight.elements, weight.dtype or dtype, position)
        for position, node in enumerate(report.graph.nodes)
        if node.owner == OWN
        for weight in node.op.weights()
    ]
