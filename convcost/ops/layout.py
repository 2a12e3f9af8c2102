"""Ops that merge, split or reorder dimensions, mostly as views. Source: PyTorch's views."""

from __future__ import annotations

from math import prod
from typing import Annotated, Any

import msgspec

from ..errors import OpError
from ..tensor import Shape, Tensor
from ..units import shape as times
from .base import (
    FRESH,
    MERGE,
    NOTHING,
    POINT,
    UNKNOWN,
    VIEW,
    Counts,
    ExplanationStep,
    Op,
    Placement,
    Positive,
    Reach,
    Tensors,
    register,
)

SizeOrInfer = Annotated[int, msgspec.Meta(ge=-1)]


def axis(op: str, shape: Shape, dim: int) -> int:
    """``dim`` as a non-negative index. Raises OpError if ``shape`` has no such dimension."""
    if not -len(shape) <= dim < len(shape):
        raise OpError(f"{op}: there is no dimension {dim} in {times(shape)}, which has {len(shape)} dimensions")
    return dim % len(shape)


def fill(op: str, sizes: Shape, elements: int, of: str) -> Shape:
    """``sizes`` with -1 replaced so that their product is ``elements``; ``of`` names the reshaped part in messages."""
    if sizes.count(-1) > 1:
        raise OpError(f"{op}: only one size can be inferred (-1), got {times(sizes)}")
    known = prod(size for size in sizes if size != -1)
    if (elements % known if -1 in sizes and known else elements - known) or not known:
        raise OpError(f"{op}: {of} has {elements:,} elements, which cannot be reshaped to {times(sizes)} ({known:,})")
    return tuple(elements // known if size == -1 else size for size in sizes)


class View(Op, frozen=True):
    """Base of the ops without work, whose outputs are views of the input."""

    keeps = NOTHING
    within_attention = True

    def outputs(self, inputs: Tensors) -> Tensors:
        return (Tensor(self._shape(inputs[0].shape), inputs[0].dtype),)

    def _shape(self, shape: Shape) -> Shape:
        """The shape of the output. Raises OpError if the op does not accept the input's shape."""
        raise NotImplementedError

    def check(self, inputs: Tensors) -> None:
        self.outputs(inputs)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {}

    def placement(self, inputs: Tensors, train: bool) -> tuple[Placement, ...]:
        return (VIEW,) * len(self.outputs(inputs))

    def reads(self, inputs: Tensors, outputs: Tensors) -> int:
        return 0

    def launches(self, inputs: Tensors, train: bool) -> int:
        return 0


@register
class Identity(View, frozen=True):
    """Returns its input unchanged. Source: nn.Identity."""

    op = "identity"
    nn_class = "Identity"

    def _shape(self, shape: Shape) -> Shape:
        return shape


@register
class Flatten(View, frozen=True):
    """Merges the dimensions start_dim to end_dim, by default all but the batch: (N, C, H, W) -> (N, C*H*W).

    Counted as a view. PyTorch copies an input that was permuted; strides are not modelled.
    """

    op = "flatten"
    nn_class = "Flatten"

    start_dim: int = 1
    end_dim: int = -1

    def _range(self, shape: Shape) -> tuple[int, int]:
        start, end = axis(self.op, shape, self.start_dim), axis(self.op, shape, self.end_dim)
        if start > end:
            raise OpError(f"{self.op}: start_dim {self.start_dim} comes after end_dim {self.end_dim} in {times(shape)}")
        return start, end

    def _shape(self, shape: Shape) -> Shape:
        start, end = self._range(shape)
        return (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :])

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        start, end = self._range(inputs[0].shape)
        if start == end:
            return POINT
        return MERGE if end >= 2 else UNKNOWN

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        shape = inputs[0].shape
        start, end = self._range(shape)
        names = {3: "NCL", 4: "NCHW", 5: "NCDHW"}.get(len(shape))
        formula = "*".join(names[start : end + 1]) if names else f"dimensions {start} to {end}"
        return (
            ExplanationStep("features", formula, "*".join(map(str, shape[start : end + 1])), outputs[0].shape[start]),
        )


@register
class Unflatten(View, frozen=True):
    """Splits dimension ``dim`` into ``sizes``, of which one can be -1: (N, 12, L) -> (N, 3, 4, L). nn.Unflatten."""

    op = "unflatten"
    method = "unflatten"

    dim: int
    sizes: tuple[SizeOrInfer, ...]

    def _shape(self, shape: Shape) -> Shape:
        at = axis(self.op, shape, self.dim)
        return (
            *shape[:at],
            *fill(self.op, self.sizes, shape[at], f"dimension {at} of {times(shape)}"),
            *shape[at + 1 :],
        )

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return UNKNOWN


@register
class Reshape(View, frozen=True):
    """Changes the shape; 0 keeps the dimension at that position, and one size can be -1 (inferred).

    ``shape: [0, -1]`` keeps the batch. Counted as a view. PyTorch copies an input that was permuted; strides are not
    modelled.
    """

    op = "reshape"

    shape: tuple[SizeOrInfer, ...]

    def _shape(self, shape: Shape) -> Shape:
        if 0 in self.shape[len(shape) :]:
            at = self.shape.index(0, len(shape))
            raise OpError(
                f"{self.op}: there is no dimension {at} to keep in {times(shape)}, which has {len(shape)} dimensions"
            )
        sizes = tuple(shape[at] if size == 0 else size for at, size in enumerate(self.shape))
        return fill(self.op, sizes, prod(shape), times(shape))

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        before, after = inputs[0].shape, outputs[0].shape
        if before[2:] == after[2:]:
            return POINT
        return MERGE if len(after) < len(before) else UNKNOWN

    def to_torch(self) -> Any:
        from .torch_modules import layers

        return layers.Reshape(self.shape)


@register
class Permute(View, frozen=True):
    """Reorders all dimensions: output dimension i is input dimension dims[i]. Source: torch.permute."""

    op = "permute"
    method = "permute"

    dims: tuple[int, ...]

    def _dims(self, shape: Shape) -> Shape:
        dims = tuple(axis(self.op, shape, dim) for dim in self.dims)
        if sorted(dims) != list(range(len(shape))):
            raise OpError(
                f"{self.op}: dims must name each of the {len(shape)} dimensions of {times(shape)} once, "
                f"got {list(self.dims)}"
            )
        return dims

    def _shape(self, shape: Shape) -> Shape:
        return tuple(shape[dim] for dim in self._dims(shape))

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return Reach("permute", dims=self._dims(inputs[0].shape))


@register
class Transpose(View, frozen=True):
    """Swaps the dimensions dim0 and dim1. Source: torch.transpose."""

    op = "transpose"
    method = "transpose"

    dim0: int
    dim1: int

    def _dims(self, shape: Shape) -> Shape:
        dims = list(range(len(shape)))
        first, second = axis(self.op, shape, self.dim0), axis(self.op, shape, self.dim1)
        dims[first], dims[second] = second, first
        return tuple(dims)

    def _shape(self, shape: Shape) -> Shape:
        return tuple(shape[dim] for dim in self._dims(shape))

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return Reach("permute", dims=self._dims(inputs[0].shape))


@register
class ChannelShuffle(Op, frozen=True):
    """Interleaves the channels of ``groups`` groups, (N, C, ...) -> (N, C, ...): a copy. Source: arXiv 1707.01083.

    With one group, or one channel per group, the order does not change and the output is a view (PyTorch copies on the
    CPU).
    """

    op = "channel_shuffle"
    keeps = NOTHING
    nn_class = "ChannelShuffle"

    groups: Positive

    def check(self, inputs: Tensors) -> None:
        shape = inputs[0].shape
        if len(shape) < 3:
            raise OpError(
                f"{self.op} needs (N, C, ...) with spatial dimensions, got {len(shape)} dimensions: {times(shape)}"
            )
        if shape[1] % self.groups:
            raise OpError(f"{self.op}: {shape[1]} channels cannot be divided into {self.groups} groups")

    def outputs(self, inputs: Tensors) -> Tensors:
        return (inputs[0],)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {}

    def placement(self, inputs: Tensors, train: bool) -> tuple[Placement, ...]:
        return (VIEW,) if self._keeps_order(inputs[0]) else (FRESH,)

    def _keeps_order(self, x: Tensor) -> bool:
        return self.groups in (1, x.shape[1])

    def reads(self, inputs: Tensors, outputs: Tensors) -> int:
        return 0 if self._keeps_order(inputs[0]) else inputs[0].bytes

    def launches(self, inputs: Tensors, train: bool) -> int:
        return 0 if self._keeps_order(inputs[0]) else 1
