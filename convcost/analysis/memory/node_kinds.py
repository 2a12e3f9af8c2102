"""What nodes have in common: the analysis gives equal layers one record of costs, and rules are asked once for each."""

from __future__ import annotations

from functools import cached_property

from ...aliasing import placements
from ...graph import GIVEN, Node
from ...ops.base import Op, Placement, Tensors
from ...tensor import FLOATING, Weight
from ..layers import Cost


class Kind:
    """The nodes that share a record of costs, and so an op on equal inputs.

    ``own``: the inputs that the op's rules see, without weights that are values of the graph. ``sizes``: bytes of each
    output. ``placed``: where each output lives. ``learned``: the parameters that it uses, its own or another node's.
    """

    def __init__(self, node: Node, cost: Cost, train: bool) -> None:
        self.op: Op = node.op
        self.cost = cost
        self.own: Tensors = node.own_inputs(cost.inputs)
        self.sizes = tuple([output.bytes for output in cost.outputs])
        self.placed: tuple[Placement, ...] = placements(node.op, self.own, train)
        weights = () if node.owner == GIVEN else node.op.weights()
        self.learned: tuple[Weight, ...] = tuple([weight for weight in weights if weight.kind == "parameter"])

    @cached_property
    def reached(self) -> tuple[bool, ...]:
        """For each output, whether it needs a gradient where an input or a parameter does."""
        passes = self.op.passes_gradient
        return tuple([passes and output.dtype in FLOATING for output in self.cost.outputs])

    @cached_property
    def passed_on(self) -> tuple[bool, ...]:
        """For each input, whether its gradient lies in that of the only result, so that nothing is allocated for it."""
        return self.op.gradient_in_result(self.cost.inputs, self.cost.outputs)
