"""Convolution in 1, 2 and 3 dimensions. Source: PyTorch's nn.Conv*, arXiv 1603.07285.

The arithmetic that it shares with pooling is in ``windows.py``.
"""

from __future__ import annotations

from itertools import groupby
from math import prod
from typing import Any, ClassVar, Literal

import msgspec

from ..errors import OpError
from ..tensor import Shape, Tensor, Weight
from .base import (
    INPUT,
    Counts,
    ExplanationStep,
    Kernels,
    Margins,
    NonNegative,
    Op,
    Positive,
    Reach,
    Saved,
    Sizes,
    Tensors,
    register,
)
from .windows import (
    Window,
    fitting_paddings,
    need_fit,
    need_rank,
    size_steps,
    spread,
    unread,
    unread_warnings,
    window,
    window_reach,
)


class Convolution(Op, frozen=True):
    """Base of convolution and transposed convolution, with the check of channels and groups."""

    group = "conv"
    autocast = "low"
    cudnn = True
    keeps = INPUT
    inferred_fields = ("in_channels",)
    rank: ClassVar[int]

    def _bound_channels(self, x: Tensor, channels: int | None, out_channels: int, groups: int) -> int:
        need_rank(self.op, x, self.rank)
        in_channels = x.shape[1]
        if channels is not None and channels != in_channels:
            raise OpError(f"{self.op} was built for {channels} input channels, got {in_channels}")
        if in_channels % groups or out_channels % groups:
            raise OpError(
                f"{self.op}: groups {groups} must divide both {in_channels} input channels and "
                f"{out_channels} output channels"
            )
        return in_channels


class _Conv(Convolution, frozen=True):
    """Convolution over (N, C, *spatial) with zero padding.

    ``padding`` is one number, one per dimension, "same" (stride 1 only) or "valid". With ``groups`` = channels it is
    depthwise. ``connections`` lists, for each output channel, the input channels that it reads (LeNet-5's C3).
    """

    abbreviation = "conv"

    out_channels: Positive
    kernel_size: Sizes
    stride: Sizes = 1
    padding: Margins | Literal["same", "valid"] = 0
    dilation: Sizes = 1
    groups: Positive = 1
    bias: bool = True
    connections: tuple[tuple[NonNegative, ...], ...] | None = None
    in_channels: Positive | None = None

    def bind(self, inputs: Tensors) -> Op:
        channels = self._bound_channels(inputs[0], self.in_channels, self.out_channels, self.groups)
        if self.connections is not None:
            self._check_connections(channels)
        if self.padding == "same" and any(axis.stride != 1 for axis in self._window):
            raise OpError(f"{self.op}: padding 'same' requires stride 1, as in PyTorch, got stride {self.stride}")
        return msgspec.structs.replace(self, in_channels=channels)

    def _check_connections(self, channels: int) -> None:
        table = self.connections or ()
        if self.groups != 1:
            raise OpError(f"{self.op}: connections requires groups 1, got groups {self.groups}")
        if len(table) != self.out_channels:
            raise OpError(f"{self.op}: connections has {len(table)} rows for {self.out_channels} output channels")
        for output, row in enumerate(table):
            if not row or len(set(row)) != len(row) or max(row) >= channels:
                raise OpError(
                    f"{self.op}: connections of output channel {output} are {list(row)}; "
                    f"expected distinct numbers of the {channels} input channels 0 to {channels - 1}"
                )

    @property
    def _window(self) -> Window:
        return window(self.rank, self.kernel_size, self.stride, self.padding, self.dilation)

    def check(self, inputs: Tensors) -> None:
        self._bound_channels(inputs[0], self.in_channels, self.out_channels, self.groups)
        need_fit(self.op, inputs[0], self._window)

    def outputs(self, inputs: Tensors) -> Tensors:
        batch, _, *sizes = inputs[0].shape
        spatial = [
            (size + axis.before + axis.after - axis.extent) // axis.stride + 1
            for size, axis in zip(sizes, self._window, strict=True)
        ]
        return (Tensor((batch, self.out_channels, *spatial), inputs[0].dtype),)

    @property
    def _kernel(self) -> Shape:
        return spread(self.kernel_size, self.rank, "kernel_size")

    def _pairs(self) -> int:
        """The number of connected pairs of an input and an output channel."""
        if self.connections is not None:
            return sum(map(len, self.connections))
        return (self.in_channels or 0) // self.groups * self.out_channels

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        x = inputs[0]
        if self.connections is not None:  # input channels are copied for each run of equal rows
            sets = [row for row, _ in groupby(self.connections)]
            return Saved(extra=tuple(Tensor((x.shape[0], len(row), *x.shape[2:]), x.dtype) for row in sets))
        uneven = [abs(axis.after - axis.before) for axis in self._window]
        if not any(uneven):
            return INPUT
        # PyTorch first copies the input with the extra padding of the wider side.
        sizes = (size + extra for size, extra in zip(x.shape[2:], uneven, strict=True))
        return Saved(extra=(Tensor((*x.shape[:2], *sizes), x.dtype),))

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        extra = self.saved(inputs, outputs, (True,), kernels).extra
        if self.connections is None:
            return sum(x.bytes for x in extra)
        # At each run of equal rows: the channels of the previous run, those of this one, and the results so far.
        rows = [len(list(rows)) for _, rows in groupby(self.connections)]
        results = [outputs[0].bytes * count // len(self.connections) for count in rows]
        peak = previous = finished = 0
        for channels, result in zip(extra, results, strict=True):
            peak = max(peak, previous + finished + channels.bytes, finished + channels.bytes + result)
            previous, finished = channels.bytes, finished + result
        return max(peak, previous + 2 * finished) - finished

    def weights(self) -> tuple[Weight, ...]:
        kernel = self._kernel
        if self.connections is not None:
            weight = Weight("weight", (self._pairs(), *kernel))
        else:
            weight = Weight("weight", (self.out_channels, (self.in_channels or 0) // self.groups, *kernel))
        return (weight, Weight("bias", (self.out_channels,))) if self.bias else (weight,)

    def macs(self, inputs: Tensors, outputs: Tensors) -> int:
        batch, _, *spatial = outputs[0].shape
        return batch * prod(spatial) * self._pairs() * prod(self._kernel)

    def fvcore_flops(self, inputs: Tensors, outputs: Tensors, train: bool) -> int:
        # fvcore has no formula for the operator that runs padding "same" and "valid".
        return 0 if isinstance(self.padding, str) else self.macs(inputs, outputs)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {"bias": outputs[0].elements} if self.bias else {}

    def launches(self, inputs: Tensors, train: bool) -> int:
        # The bias is added after cuDNN's convolution.
        return 1 + self.bias

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return window_reach(self._window)

    def warnings(self, inputs: Tensors) -> tuple[str, ...]:
        counts = self.outputs(inputs)[0].shape[2:]
        return unread_warnings(inputs[0], self._window, counts)

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        x, y = inputs[0], outputs[0]
        kernel = "*".join(map(str, self._kernel))
        per_output, per_output_filled = "C_in", f"{self.in_channels}"
        if self.groups > 1:
            per_output, per_output_filled = "C_in/groups", f"{self.in_channels}/{self.groups}"
        pairs, filled = f"C_out*({per_output})", f"{self.out_channels}*({per_output_filled})"
        if self.connections is not None:
            pairs, filled = "connected pairs", f"{self._pairs()}"
        elif self.groups == 1:
            pairs, filled = "C_out*C_in", f"{self.out_channels}*{self.in_channels}"
        symbols = "K" if self.rank == 1 else "*".join(f"K_{axis}" for axis in "dhw"[3 - self.rank :])
        steps = list(size_steps(x, y, self._window))
        steps += self._fit_steps(x, y)
        weights = self._pairs() * prod(self._kernel)
        steps.append(ExplanationStep("weights", f"{pairs}*{symbols}", f"{filled}*{kernel}", weights))
        if self.bias:
            steps.append(ExplanationStep("biases", "C_out", f"{self.out_channels}", self.out_channels))
            total = weights + self.out_channels
            steps.append(ExplanationStep("params", "weights + biases", f"{weights:,} + {self.out_channels:,}", total))
        spatial = "*".join(map(str, y.shape[2:]))
        steps.append(
            ExplanationStep(
                "MACs",
                "N*positions*weights",
                f"{y.shape[0]}*{spatial}*{weights:,}",
                self.macs(inputs, outputs),
            )
        )
        return tuple(steps)

    def _fit_steps(self, x: Tensor, y: Tensor) -> list[ExplanationStep]:
        """If the windows do not end at the edge: the positions never read, and the paddings that avoid this."""
        for size, result, axis in zip(x.shape[2:], y.shape[2:], self._window, strict=True):
            if (size + axis.before + axis.after - axis.extent) % axis.stride == 0:
                continue
            unread_positions = unread(size, axis, result)
            reason = "" if unread_positions else "padding only"
            paddings = fitting_paddings(size, axis.extent, axis.stride)
            condition = f"({size} + 2P - {axis.extent}) % {axis.stride} = 0" + ("" if paddings else " for no P")
            value = ", ".join(map(str, paddings)) or "none"
            return [
                ExplanationStep("never read at the end", "N - last position read", reason, unread_positions),
                ExplanationStep("paddings that fit", "(N + 2P - K) % S = 0", condition, value, ""),
            ]
        return []

    def to_torch(self) -> Any:
        from .torch_modules.layers import TableConv, layer

        fields = msgspec.structs.asdict(self)
        table = fields.pop("connections")
        return layer(self.nn_class, fields) if table is None else TableConv(self.rank, table, fields)


@register
class Conv1d(_Conv, frozen=True):
    """1-D convolution: (N, C, L) -> (N, out_channels, L')."""

    op = "conv1d"
    nn_class = "Conv1d"
    rank = 1


@register
class Conv2d(_Conv, frozen=True):
    """2-D convolution: (N, C, H, W) -> (N, out_channels, H', W')."""

    op = "conv2d"
    nn_class = "Conv2d"
    rank = 2


@register
class Conv3d(_Conv, frozen=True):
    """3-D convolution: (N, C, D, H, W) -> (N, out_channels, D', H', W')."""

    op = "conv3d"
    nn_class = "Conv3d"
    rank = 3
