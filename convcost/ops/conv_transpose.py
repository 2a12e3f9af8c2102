"""Transposed convolution in 1, 2 and 3 dimensions. Source: PyTorch's nn.ConvTranspose*, arXiv 1603.07285."""

from __future__ import annotations

from math import prod

import msgspec

from ..errors import OpError
from ..tensor import Shape, Tensor, Weight
from .base import (
    Counts,
    ExplanationStep,
    Margins,
    Op,
    Positive,
    Reach,
    Sizes,
    Tensors,
    register,
)
from .conv import Convolution
from .windows import spread


class _ConvTranspose(Convolution, frozen=True):
    """Transposed convolution: each input position adds a scaled kernel to the output.

    Its multiply-accumulates are counted over *input* positions: each input value is multiplied by every kernel value.
    """

    abbreviation = "up_conv"

    out_channels: Positive
    kernel_size: Sizes
    stride: Sizes = 1
    padding: Margins = 0
    output_padding: Margins = 0
    groups: Positive = 1
    bias: bool = True
    dilation: Sizes = 1
    in_channels: Positive | None = None

    def bind(self, inputs: Tensors) -> Op:
        channels = self._bound_channels(inputs[0], self.in_channels, self.out_channels, self.groups)
        for extra, stride, dilation in zip(*map(self._each, ("output_padding", "stride", "dilation")), strict=True):
            if extra >= max(stride, dilation):
                raise OpError(
                    f"{self.op}: output_padding {extra} must be smaller than stride {stride} or dilation {dilation}"
                )
        return msgspec.structs.replace(self, in_channels=channels)

    def _each(self, field: str) -> Shape:
        return spread(getattr(self, field), self.rank, field)

    @property
    def _extent(self) -> Shape:
        return tuple(d * (k - 1) + 1 for k, d in zip(self._each("kernel_size"), self._each("dilation"), strict=True))

    def _spatial(self, x: Tensor) -> Shape:
        return tuple(
            (size - 1) * stride - 2 * padding + extent + extra
            for size, stride, padding, extent, extra in zip(
                x.shape[2:],
                self._each("stride"),
                self._each("padding"),
                self._extent,
                self._each("output_padding"),
                strict=True,
            )
        )

    def check(self, inputs: Tensors) -> None:
        self._bound_channels(inputs[0], self.in_channels, self.out_channels, self.groups)
        if min(self._spatial(inputs[0])) < 1:
            result = "x".join(map(str, self._spatial(inputs[0])))
            raise OpError(f"{self.op}: the output would be {result}; padding {self.padding} is too large")

    def outputs(self, inputs: Tensors) -> Tensors:
        x = inputs[0]
        return (Tensor((x.shape[0], self.out_channels, *self._spatial(x)), x.dtype),)

    def _per_position(self) -> int:
        return (self.in_channels or 0) * (self.out_channels // self.groups) * prod(self._each("kernel_size"))

    def weights(self) -> tuple[Weight, ...]:
        weight = Weight("weight", (self.in_channels or 0, self.out_channels // self.groups, *self._each("kernel_size")))
        return (weight, Weight("bias", (self.out_channels,))) if self.bias else (weight,)

    def macs(self, inputs: Tensors, outputs: Tensors) -> int:
        batch, _, *spatial = inputs[0].shape
        return batch * prod(spatial) * self._per_position()

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {"bias": outputs[0].elements} if self.bias else {}

    def launches(self, inputs: Tensors, train: bool) -> int:
        return 1 + self.bias

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        ones = (1,) * self.rank
        return Reach("window", self._extent, ones, self._each("padding"), self._each("stride"))

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        x, y = inputs[0], outputs[0]
        steps: list[ExplanationStep] = []
        sizes = zip(
            x.shape[2:], y.shape[2:], self._each("stride"), self._each("padding"), self._extent,
            self._each("output_padding"), strict=True,
        )  # fmt: skip
        for axis, (size, result, stride, padding, extent, extra) in zip("dhw"[3 - self.rank :], sizes, strict=True):
            formula = "(N - 1)*S - 2P + D(K - 1) + 1 + output_padding"
            steps.append(
                ExplanationStep(
                    f"output {axis}",
                    formula,
                    f"({size} - 1)*{stride} - 2*{padding} + {extent} + {extra}",
                    result,
                )
            )
        kernel = "*".join(map(str, self._each("kernel_size")))
        weights = self._per_position()
        steps.append(
            ExplanationStep(
                "weights",
                "C_in*(C_out/groups)*K",
                f"{self.in_channels}*({self.out_channels}/{self.groups})*{kernel}",
                weights,
            )
        )
        if self.bias:
            steps.append(ExplanationStep("biases", "C_out", f"{self.out_channels}", self.out_channels))
            steps.append(
                ExplanationStep(
                    "params",
                    "weights + biases",
                    f"{weights:,} + {self.out_channels:,}",
                    weights + self.out_channels,
                )
            )
        spatial = "*".join(map(str, x.shape[2:]))
        formula = "N*input positions*weights"
        steps.append(
            ExplanationStep("MACs", formula, f"{x.shape[0]}*{spatial}*{weights:,}", self.macs(inputs, outputs))
        )
        return tuple(steps)


@register
class ConvTranspose1d(_ConvTranspose, frozen=True):
    """1-D transposed convolution: (N, C, L) -> (N, out_channels, L')."""

    op = "conv_transpose1d"
    nn_class = "ConvTranspose1d"
    rank = 1


@register
class ConvTranspose2d(_ConvTranspose, frozen=True):
    """2-D transposed convolution: (N, C, H, W) -> (N, out_channels, H', W')."""

    op = "conv_transpose2d"
    nn_class = "ConvTranspose2d"
    rank = 2


@register
class ConvTranspose3d(_ConvTranspose, frozen=True):
    """3-D transposed convolution: (N, C, D, H, W) -> (N, out_channels, D', H', W')."""

    op = "conv_transpose3d"
    nn_class = "ConvTranspose3d"
    rank = 3
