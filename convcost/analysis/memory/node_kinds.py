"""What nodes have in common: the analysis gives equal layers one record of costs, and rules are asked once for each."""

from __future__ import annotations

from functools import cached_property

from ...aliasing import placements
from ...graph import GIVEN, Node
from ...ops.base import Op, Placement, Tensors
from ...tensor import FLOATING, Weight
from ..layers import Cost

_PASSED_ON = frozenset(("add", "sub", "contiguous"))
"""Ops whose gradient is that of their result."""


class Kind:
    """The nodes that share a record of costs, and so an op on equal inputs.

    ``own``: the inputs that the op's rules see, without weights that are values of the graph. ``sizes``: bytes of each
    output. ``placed``: where each output lives. ``learned``: the parameters that it uses, its own or another node's.
    """

    def __init__(self, node: Node, cost: Cost, train: bool) -> None:
        self.op: Op = node.op
        self.cost = cost
        given = node.owner == GIVEN
        self.own: Tensors = cost.inputs[: node.op.arity[0]] if given else cost.inputs
        self.sizes = tuple([output.bytes for output in cost.outputs])
        self.placed: tuple[Placement, ...] = placements(node.op, self.own, train)
        weights = () if given else node.op.weights()
        self.learned: tuple[Weight, ...] = tuple([weight for weight in weights if weight.kind == "parameter"])

    @cached_property
    def reached(self) -> tuple[bool, ...]:
        """For each output, whether it needs a gradient where an input or a parameter does."""
        passes = self.op.passes_gradient
        return tuple([passes and output.dtype in FLOATING for output in self.cost.outputs])

    @cached_property
    def passed_on(self) -> tuple[bool, ...]:
        """For each input, whether its gradient lies in that of the only result, so that nothing is allocated for it."""
        op, inputs, result = self.op, self.cost.inputs, self.cost.outputs[0]
        if op.op == "concat":
            return (True,) * len(inputs)
        if op.op in _PASSED_ON:
            return tuple([x.shape == result.shape and not (op.op == "sub" and k) for k, x in enumerate(inputs)])
        # A view of all of its input is read back in another way; a view of a part gets zeros around it.
        view = placements(op, inputs, True)[0].kind == "view"
        return tuple([view and x.elements == result.elements for x in inputs])
