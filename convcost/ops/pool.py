"""Pooling by sliding windows, and average pooling to an output size. Source: PyTorch's nn.*Pool*; LeCun et al. 1998."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar, cast

import msgspec

from ..errors import OpError
from ..tensor import Shape, Tensor, Weight
from ..units import shape as times
from .base import (
    FRESH,
    GLOBAL,
    INPUT,
    NOTHING,
    UNKNOWN,
    Counts,
    ExplanationStep,
    Kernels,
    Margins,
    Op,
    Placement,
    Positive,
    Reach,
    Saved,
    Sizes,
    Tensors,
    register,
)
from .flop_counts import PER_ELEMENT
from .windows import (
    Window,
    adaptive_reads,
    need_fit,
    need_rank,
    positions,
    size_steps,
    spread,
    unread_warnings,
    window,
    window_reach,
)


class Pooling(Op, frozen=True):
    """Base of all pooling ops: each output value is reduced from values of one channel."""

    group = "pool"
    keeps = INPUT
    counted: ClassVar[str] = "max_pool"
    """The key of its row in ``PER_ELEMENT``."""

    def _values(self, inputs: Tensors, outputs: Tensors) -> int:
        """Values read by all windows together; a value in several windows counts several times."""
        return inputs[0].elements

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        row = PER_ELEMENT[self.counted]
        return {row.kind: row.count(self._values(inputs, outputs), outputs[0].elements)}


class _Window(Pooling, frozen=True):
    """Pooling by a sliding window over (N, C, *spatial); the stride defaults to the kernel size.

    Padding in a window counts as values, and so do the positions that ``ceil_mode`` adds at the end.
    """

    rank: ClassVar[int]

    kernel_size: Sizes
    stride: Sizes | None = None

    def _each(self, field: str, default: int = 0) -> Shape:
        return spread(cast("int | Shape", getattr(self, field, default)), self.rank, field)

    @property
    def _kernel(self) -> Shape:
        return self._each("kernel_size")

    @property
    def _window(self) -> Window:
        stride = self.kernel_size if self.stride is None else self.stride
        return window(self.rank, self.kernel_size, stride, self._each("padding"), self._each("dilation", 1))

    @property
    def _ceil(self) -> bool:
        return bool(getattr(self, "ceil_mode", False))

    def _spatial(self, x: Tensor) -> Shape:
        return tuple(
            positions(size, axis.extent, axis.stride, 2 * axis.before, self._ceil, axis.before)
            for size, axis in zip(x.shape[2:], self._window, strict=True)
        )

    def bind(self, inputs: Tensors) -> Op:
        need_rank(self.op, inputs[0], self.rank)
        for axis in self._window:
            if axis.before > axis.kernel // 2:
                raise OpError(
                    f"{self.op}: padding {axis.before} is more than half of the kernel size {axis.kernel}; "
                    f"PyTorch allows at most {axis.kernel // 2}"
                )
        return msgspec.structs.replace(self, stride=self.kernel_size) if self.stride is None else self

    def check(self, inputs: Tensors) -> None:
        need_rank(self.op, inputs[0], self.rank)
        # With ceil_mode the only window may be larger than the padded input.
        if not self._ceil or min(self._spatial(inputs[0])) < 1:
            need_fit(self.op, inputs[0], self._window)

    def outputs(self, inputs: Tensors) -> Tensors:
        x = inputs[0]
        return (Tensor((*x.shape[:2], *self._spatial(x)), x.dtype),)

    def _values(self, inputs: Tensors, outputs: Tensors) -> int:
        return outputs[0].elements * prod(self._kernel)

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return window_reach(self._window)

    def warnings(self, inputs: Tensors) -> tuple[str, ...]:
        return unread_warnings(inputs[0], self._window, self._spatial(inputs[0]))

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        return size_steps(inputs[0], outputs[0], self._window, self._ceil)


class _MaxPool(_Window, frozen=True):
    """Max pooling; with ``return_indices`` the second output holds the index of each maximum."""

    padding: Margins = 0
    dilation: Sizes = 1
    ceil_mode: bool = False
    return_indices: bool = False

    def outputs(self, inputs: Tensors) -> Tensors:
        (y,) = super().outputs(inputs)
        return (y, Tensor(y.shape, "int64")) if self.return_indices else (y,)

    def placement(self, inputs: Tensors, train: bool) -> tuple[Placement, ...]:
        return (FRESH,) * (1 + self.return_indices)

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        return with_indices(outputs)

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        return indices_bytes(outputs)


def indices_bytes(outputs: Tensors) -> int:
    """Bytes of the indices, which max pooling always computes; 0 if they are an output."""
    return 0 if len(outputs) > 1 else 8 * outputs[0].elements


def with_indices(outputs: Tensors) -> Saved:
    """The tensors that autograd saves for max pooling: the input and the indices, which are always computed."""
    returned = len(outputs) > 1
    return Saved(inputs=(0,), outputs=(1,) * returned, extra=() if returned else (Tensor(outputs[0].shape, "int64"),))


class _AvgPool(_Window, frozen=True):
    """Average pooling; ``count_include_pad`` changes the values but not the cost."""

    counted = "avg_pool"

    padding: Margins = 0
    ceil_mode: bool = False
    count_include_pad: bool = True


@register
class MaxPool1d(_MaxPool, frozen=True):
    """1-D max pooling: (N, C, L) -> (N, C, L')."""

    op = "max_pool1d"
    nn_class = "MaxPool1d"
    rank = 1


@register
class MaxPool2d(_MaxPool, frozen=True):
    """2-D max pooling: (N, C, H, W) -> (N, C, H', W')."""

    op = "max_pool2d"
    nn_class = "MaxPool2d"
    rank = 2


@register
class MaxPool3d(_MaxPool, frozen=True):
    """3-D max pooling: (N, C, D, H, W) -> (N, C, D', H', W')."""

    op = "max_pool3d"
    nn_class = "MaxPool3d"
    rank = 3


@register
class AvgPool1d(_AvgPool, frozen=True):
    """1-D average pooling: (N, C, L) -> (N, C, L')."""

    op = "avg_pool1d"
    nn_class = "AvgPool1d"
    rank = 1


@register
class AvgPool2d(_AvgPool, frozen=True):
    """2-D average pooling: (N, C, H, W) -> (N, C, H', W')."""

    op = "avg_pool2d"
    nn_class = "AvgPool2d"
    rank = 2


@register
class AvgPool3d(_AvgPool, frozen=True):
    """3-D average pooling: (N, C, D, H, W) -> (N, C, D', H', W')."""

    op = "avg_pool3d"
    nn_class = "AvgPool3d"
    rank = 3

    def check(self, inputs: Tensors) -> None:
        super().check(inputs)
        # Of PyTorch's pooling layers only AvgPool3d compares the kernel with the unpadded input.
        spatial = inputs[0].shape[2:]
        if any(size < kernel for size, kernel in zip(spatial, self._kernel, strict=True)):
            raise OpError(
                f"{self.op}: the kernel {times(self._kernel)} is larger than the input {times(spatial)}; "
                "PyTorch does not accept it even if padding or ceil_mode would make it fit"
            )


@register
class Subsample2d(_Window, frozen=True):
    """LeNet-5's subsampling: (N, C, H, W) -> (N, C, H', W'), the sum of a window times a weight, plus a bias.

    Weight and bias are learned per channel. Connections are counted as in the paper: for every output, the values of
    the window and the bias. Source: LeCun et al. 1998.
    """

    op = "subsample2d"
    rank = 2
    counted = "subsample2d"
    inferred_fields = ("in_channels",)

    in_channels: Positive | None = None

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        return Saved(inputs=(0,) * needs[0], extra=outputs)  # the sums before the scaling

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        return 2 * outputs[0].bytes  # the sums and their products with the weight

    def bind(self, inputs: Tensors) -> Op:
        bound = super().bind(inputs)
        self._same_channels(inputs[0])
        return msgspec.structs.replace(bound, in_channels=inputs[0].shape[1])

    def _same_channels(self, x: Tensor) -> None:
        if self.in_channels not in (None, x.shape[1]):
            raise OpError(f"{self.op} was built for {self.in_channels} channels, got {x.shape[1]}")

    def check(self, inputs: Tensors) -> None:
        super().check(inputs)
        self._same_channels(inputs[0])

    def weights(self) -> tuple[Weight, ...]:
        shape = (self.in_channels or 0,)
        return Weight("weight", shape), Weight("bias", shape)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {
            **super().work(inputs, outputs, train),
            "bias": PER_ELEMENT["bias"].count(outputs[0].elements),
        }

    def launches(self, inputs: Tensors, train: bool) -> int:
        return 3  # avg_pool2d with divisor 1, multiply, add

    def connection_count(self, inputs: Tensors, outputs: Tensors) -> int:
        return outputs[0].elements * (prod(self._kernel) + 1)

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        channels = self.in_channels or 0
        return (*super().steps(inputs, outputs), ExplanationStep("params", "2*C", f"2*{channels}", 2 * channels))

    def to_torch(self) -> Any:
        from .torch_modules import layers

        return layers.Subsample2d(self.in_channels or 0, self.kernel_size, self.stride)


class AdaptivePool(Pooling, frozen=True):
    """Pooling to a given output size: output i reads positions floor(i*N/out) to ceil((i + 1)*N/out), exclusive."""

    rank: ClassVar[int]

    output_size: Sizes

    @property
    def _sizes(self) -> Shape:
        return spread(self.output_size, self.rank, "output_size")

    def bind(self, inputs: Tensors) -> Op:
        need_rank(self.op, inputs[0], len(self._sizes))
        return self

    def check(self, inputs: Tensors) -> None:
        need_rank(self.op, inputs[0], self.rank)

    def outputs(self, inputs: Tensors) -> Tensors:
        return (Tensor((*inputs[0].shape[:2], *self._sizes), inputs[0].dtype),)

    def _values(self, inputs: Tensors, outputs: Tensors) -> int:
        batch, channels, *spatial = inputs[0].shape
        return batch * channels * prod(map(adaptive_reads, spatial, self._sizes))

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        pairs = tuple(zip(inputs[0].shape[2:], self._sizes, strict=True))
        if all(out == 1 for _, out in pairs):
            return GLOBAL
        if any(size % out for size, out in pairs):
            return UNKNOWN
        window = tuple(size // out for size, out in pairs)
        return Reach("window", window, window, (0,) * self.rank)


class AdaptiveAvgPool(AdaptivePool, frozen=True):
    """Average pooling to a given output size."""

    counted = "avg_pool"

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        return NOTHING if set(self._sizes) == {1} else INPUT  # PyTorch computes an output size of 1 as a mean


@register
class AdaptiveAvgPool1d(AdaptiveAvgPool, frozen=True):
    """1-D average pooling to a given output size: (N, C, L) -> (N, C, output_size)."""

    op = "adaptive_avg_pool1d"
    nn_class = "AdaptiveAvgPool1d"
    rank = 1


@register
class AdaptiveAvgPool2d(AdaptiveAvgPool, frozen=True):
    """2-D average pooling to a given output size: (N, C, H, W) -> (N, C, *output_size)."""

    op = "adaptive_avg_pool2d"
    nn_class = "AdaptiveAvgPool2d"
    rank = 2

    def fvcore_flops(self, inputs: Tensors, outputs: Tensors, train: bool) -> int:
        return inputs[0].elements  # fvcore has no formula for 1 and 3 dimensions


@register
class AdaptiveAvgPool3d(AdaptiveAvgPool, frozen=True):
    """3-D average pooling to a given output size: (N, C, D, H, W) -> (N, C, *output_size)."""

    op = "adaptive_avg_pool3d"
    nn_class = "AdaptiveAvgPool3d"
    rank = 3
