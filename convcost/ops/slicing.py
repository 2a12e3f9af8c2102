"""Ops that slice, pad or roll their input: chunk, split, select, narrow, crop, padding, roll. Source: PyTorch."""

from __future__ import annotations

from typing import Any, ClassVar

from ..errors import OpError
from ..tensor import Shape, Tensor
from ..units import shape as times
from .base import (
    NOTHING,
    POINT,
    UNKNOWN,
    Counts,
    Margins,
    NonNegative,
    Op,
    Positive,
    Reach,
    Sizes,
    Tensors,
    register,
)
from .layout import View, axis
from .windows import need_rank, spread

MAX_PARTS = 1_000


class _Slices(View, frozen=True, kw_only=True):
    """Consecutive parts of one dimension, one output each. Keyword-only, so that ``dim`` is the last field."""

    within_attention = False

    dim: int = 1

    def _sizes(self, size: int) -> Shape:
        raise NotImplementedError

    def outputs(self, inputs: Tensors) -> Tensors:
        shape, dtype = inputs[0].shape, inputs[0].dtype
        at = axis(self.op, shape, self.dim)
        return tuple(Tensor((*shape[:at], part, *shape[at + 1 :]), dtype) for part in self._sizes(shape[at]))

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return POINT if axis(self.op, inputs[0].shape, self.dim) < 2 else UNKNOWN


@register
class Chunk(_Slices, frozen=True):
    """Divides dimension ``dim`` (default 1) into ``chunks`` parts of ceil(size / chunks), the last one smaller.

    As in torch.chunk there can be fewer parts: 6 values in 4 chunks are 2, 2, 2.
    """

    op = "chunk"
    method = "chunk"

    chunks: Positive

    def _sizes(self, size: int) -> Shape:
        return _pieces(self.op, size, -(-size // self.chunks))

    def warnings(self, inputs: Tensors) -> tuple[str, ...]:
        number, size = len(self.outputs(inputs)), inputs[0].shape[self.dim]
        if number == self.chunks:
            return ()
        return (f"dimension {self.dim} of size {size} is divided into {number} chunks, not into {self.chunks}",)


@register
class Split(_Slices, frozen=True):
    """Divides dimension ``dim`` (default 1) into parts of a size, the last one smaller, or into a list of sizes."""

    op = "split"

    sections: Sizes

    def _sizes(self, size: int) -> Shape:
        if isinstance(self.sections, int):
            return _pieces(self.op, size, self.sections)
        if sum(self.sections) != size:
            parts = " + ".join(map(str, self.sections))
            raise OpError(f"{self.op}: {parts} = {sum(self.sections)}, but dimension {self.dim} has size {size}")
        return self.sections

    def to_torch(self) -> Any:
        from .torch_modules.layers import Method

        return Method("split", {"split_size": self.sections, "dim": self.dim})


def _pieces(op: str, size: int, step: int) -> Shape:
    if (number := -(-size // step)) > MAX_PARTS:
        raise OpError(f"{op}: {size:,} in parts of {step:,} makes {number:,} outputs, at most {MAX_PARTS:,} allowed")
    return tuple(min(step, size - start) for start in range(0, size, step))


@register
class Select(View, frozen=True):
    """Takes one index of ``dim`` and removes the dimension: (N, L, C) -> (N, C) for dim 1. Source: torch.select."""

    op = "select"
    method = "select"

    dim: int
    index: int

    def _shape(self, shape: Shape) -> Shape:
        at = axis(self.op, shape, self.dim)
        if not -shape[at] <= self.index < shape[at]:
            raise OpError(
                f"{self.op}: index {self.index} is out of range for dimension {at} of {times(shape)}, "
                f"which has size {shape[at]}"
            )
        return shape[:at] + shape[at + 1 :]

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return UNKNOWN


@register
class Narrow(View, frozen=True):
    """Takes ``length`` indices of dimension ``dim`` from ``start`` (negative: from the end). Source: torch.narrow."""

    op = "narrow"
    method = "narrow"

    dim: int
    start: int
    length: Positive

    def _shape(self, shape: Shape) -> Shape:
        at = axis(self.op, shape, self.dim)
        start = self.start + (shape[at] if self.start < 0 else 0)
        if not 0 <= start <= shape[at] - self.length:
            raise OpError(
                f"{self.op}: start {self.start} and length {self.length} exceed dimension {at} of {times(shape)}, "
                f"which has size {shape[at]}"
            )
        return (*shape[:at], self.length, *shape[at + 1 :])

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        shape = inputs[0].shape
        at = axis(self.op, shape, self.dim)
        if at < 2:
            return POINT
        start = self.start % shape[at]
        return _shifted(tuple(-start if position == at else 0 for position in range(2, len(shape))))


def _shifted(before: Shape) -> Reach:
    """Each output position reads the one input position at a fixed offset."""
    ones = (1,) * len(before)
    return Reach("window", ones, ones, before)


class _ZeroPad(Op, frozen=True):
    """Pads the spatial dimensions of (N, C, *spatial) with zeros.

    ``padding`` is one number for all sides, or PyTorch's list: before and after, from the last dimension to the first.
    """

    keeps = NOTHING
    rank: ClassVar[int]

    padding: Margins

    def _margins(self) -> tuple[Shape, Shape]:
        """The padding before and after each spatial dimension, from the first to the last."""
        if isinstance(self.padding, int):
            return (self.padding,) * self.rank, (self.padding,) * self.rank
        if len(self.padding) != 2 * self.rank:
            raise OpError(f"{self.op}: padding has {len(self.padding)} entries, expected {2 * self.rank} or one number")
        return self.padding[-2::-2], self.padding[::-2]

    def check(self, inputs: Tensors) -> None:
        need_rank(self.op, inputs[0], self.rank)
        self._margins()

    def outputs(self, inputs: Tensors) -> Tensors:
        x = inputs[0]
        sizes = (sum(parts) for parts in zip(x.shape[2:], *self._margins(), strict=True))
        return (Tensor((*x.shape[:2], *sizes), x.dtype),)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {}

    def launches(self, inputs: Tensors, train: bool) -> int:
        # Fill the output with zeros and copy the input; without padding only the copy.
        return 2 if self.outputs(inputs) != inputs else 1

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return _shifted(self._margins()[0])


@register
class ZeroPad1d(_ZeroPad, frozen=True):
    """Pads (N, C, L) with zeros: (N, C, L + before + after)."""

    op = "zero_pad1d"
    nn_class = "ZeroPad1d"
    rank = 1


@register
class ZeroPad2d(_ZeroPad, frozen=True):
    """Pads (N, C, H, W) with zeros; a list is left, right, top, bottom."""

    op = "zero_pad2d"
    nn_class = "ZeroPad2d"
    rank = 2


@register
class ZeroPad3d(_ZeroPad, frozen=True):
    """Pads (N, C, D, H, W) with zeros; a list is left, right, top, bottom, front, back."""

    op = "zero_pad3d"
    nn_class = "ZeroPad3d"
    rank = 3


@register
class Pad(Op, frozen=True):
    """Pads any dimensions but the batch with zeros: before and after, from the last dimension on. Source: F.pad.

    ``[0, 0, 0, 0, 8, 8]`` adds 8 channels of zeros before and after those of (N, C, H, W), as in the parameter-free
    shortcut of the ResNet paper (option A).
    """

    op = "pad"
    keeps = NOTHING

    padding: tuple[NonNegative, ...]

    def check(self, inputs: Tensors) -> None:
        shape = inputs[0].shape
        if len(self.padding) % 2 or len(self.padding) > 2 * (len(shape) - 1):
            raise OpError(
                f"{self.op}: padding has {len(self.padding)} entries; {times(shape)} takes two for each dimension "
                f"from the last on, at most {2 * (len(shape) - 1)}"
            )

    def outputs(self, inputs: Tensors) -> Tensors:
        shape = inputs[0].shape
        kept = len(shape) - len(self.padding) // 2
        pairs = zip(shape[kept:], self.padding[-2::-2], self.padding[::-2], strict=True)
        return (Tensor((*shape[:kept], *(size + before + after for size, before, after in pairs)), inputs[0].dtype),)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {}

    def launches(self, inputs: Tensors, train: bool) -> int:
        return 2  # fill the output with zeros, copy the input

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        spatial = len(inputs[0].shape) - 2
        before = (*(0 for _ in range(spatial)), *self.padding[-2::-2])
        return _shifted(before[len(before) - spatial :])

    def to_torch(self) -> Any:
        from .torch_modules import layers

        return layers.Pad(self.padding)


@register
class Crop(View, frozen=True):
    """Crops the spatial dimensions of (N, C, *spatial) to ``size``, at the centre or at ``offset``.

    With two inputs the size is that of the second one, as in U-Net's copy and crop (arXiv 1505.04597). A centre crop
    starts at floor((N - size) / 2).
    """

    op = "crop"
    arity = (1, 2)

    offset: Margins | None = None
    size: Sizes | None = None

    def _window(self, inputs: Tensors) -> tuple[Shape, Shape]:
        """Offset and size for each spatial dimension."""
        shape = inputs[0].shape
        rank = len(shape) - 2
        if rank < 1:
            raise OpError(
                f"{self.op} needs (N, C, ...) with spatial dimensions, got {len(shape)} dimensions: {times(shape)}"
            )
        if (self.size is None) == (len(inputs) == 1):
            number = "neither" if self.size is None else "both"
            raise OpError(f"{self.op} takes its size from the field size or from a second input, got {number}")
        size = inputs[1].shape[2:] if self.size is None else spread(self.size, rank, f"{self.op}: size")
        if len(size) != rank:
            raise OpError(f"{self.op}: {times(inputs[1].shape)} and {times(shape)} differ in the number of dimensions")
        if self.offset is None:
            offset = tuple((have - want) // 2 for have, want in zip(shape[2:], size, strict=True))
        else:
            offset = spread(self.offset, rank, f"{self.op}: offset")
        for at, (have, start, want) in enumerate(zip(shape[2:], offset, size, strict=True), 2):
            if want > have or start + want > have:
                crop = f"{want} from offset {start}" if self.offset is not None else f"{want}"
                raise OpError(f"{self.op}: dimension {at} of {times(shape)} is too small for a crop of {crop}")
        return offset, size

    def outputs(self, inputs: Tensors) -> Tensors:
        return (Tensor((*inputs[0].shape[:2], *self._window(inputs)[1]), inputs[0].dtype),)

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return _shifted(tuple(-start for start in self._window(inputs)[0]))

    def to_torch(self) -> Any:
        from .torch_modules import layers

        return layers.Crop(self.offset, self.size)


@register
class Roll(Op, frozen=True):
    """Shifts values by ``shifts`` along ``dims``, with wrap-around at the ends. Source: torch.roll."""

    op = "roll"
    keeps = NOTHING
    method = "roll"

    shifts: int | tuple[int, ...]
    dims: int | tuple[int, ...]

    def _dims(self) -> tuple[int, ...]:
        return (self.dims,) if isinstance(self.dims, int) else self.dims

    def check(self, inputs: Tensors) -> None:
        shifts = 1 if isinstance(self.shifts, int) else len(self.shifts)
        if shifts != len(self._dims()) or not shifts:
            raise OpError(f"{self.op} needs one shift for each dimension, got {shifts} for {len(self._dims())}")
        for dim in self._dims():
            axis(self.op, inputs[0].shape, dim)

    def outputs(self, inputs: Tensors) -> Tensors:
        return (inputs[0],)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {}

    def launches(self, inputs: Tensors, train: bool) -> int:
        return len(self._dims())  # one kernel per dimension

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return UNKNOWN
