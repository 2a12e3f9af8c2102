"""What equal nodes have in common: the analysis gives equal layers one record of costs, and rules run once for each."""

from __future__ import annotations

from functools import cached_property

from ...aliasing import placements
from ...graph import GIVEN, Node
from ...ops.base import Op, Placement, Tensors
from ...precision import Precision
from ...tensor import FLOATING, Weight
from ..layers import Cost


class NodeKind:
    """The nodes that share a record of costs, and so an op on equal inputs.

    ``own``: the inputs that the op's rules see, without weights that are values of the graph. ``sizes``: bytes of each
    output. ``placed``: where each output lives. ``parameters``: those that it uses, its own or another node's.
    ``copied``: for each input, whether mixed precision gives the op a copy of it in another dtype.

    Args:
        node: the first of the nodes. ``cost``: their record.
        train: whether the network is in training mode.
        given: the inputs before mixed precision casts them.
    """

    def __init__(self, node: Node, cost: Cost, train: bool, given: Tensors, precision: Precision) -> None:
        self.op: Op = node.op
        self.cost = cost
        self.own: Tensors = node.own_inputs(cost.inputs)
        self.sizes = tuple([output.bytes for output in cost.outputs])
        self.placed: tuple[Placement, ...] = placements(node.op, self.own, train)
        weights = () if node.owner == GIVEN else node.op.weights()
        self.parameters: tuple[Weight, ...] = tuple([weight for weight in weights if weight.kind == "parameter"])
        self.copied = precision.copied(node.op.autocast, given)

    @cached_property
    def copied_bytes(self) -> int:
        """Bytes of the copies in another dtype that mixed precision makes of the inputs."""
        return sum([x.bytes for x, copied in zip(self.cost.inputs, self.copied, strict=True) if copied])

    @cached_property
    def reached(self) -> tuple[bool, ...]:
        """For each output, whether it needs a gradient if an input or a parameter does."""
        passes = self.op.passes_gradient
        return tuple([passes and output.dtype in FLOATING for output in self.cost.outputs])

    @cached_property
    def passed_on(self) -> tuple[bool, ...]:
        """For each input, whether its gradient is that of the only result, so that nothing is allocated for it."""
        return self.op.gradient_in_result(self.cost.inputs, self.cost.outputs)
