"""Which gradients a backward pass allocates, and which lie in those of a result."""

from __future__ import annotations

from ...ops.base import Op, Tensors
from ...ops.storage import placements

_PASSED_ON = frozenset(("add", "sub", "contiguous"))
"""Ops whose gradient is that of their result."""


def passed_on(op: Op, k: int, inputs: Tensors, outputs: Tensors) -> bool:
    """True if the gradient of input ``k`` lies in the gradient of the result, so that nothing is allocated for it."""
    x, y = inputs[k], outputs[0]
    if op.op == "concat":
        return True
    if op.op in _PASSED_ON:
        return x.shape == y.shape and not (op.op == "sub" and k)
    # A view of all of its input is read back in another way; a view of a part gets zeros around it.
    return x.elements == y.elements and placements(op, inputs, True)[0].kind == "view"
