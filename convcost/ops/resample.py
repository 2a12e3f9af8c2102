"""Ops that change the resolution without a convolution: F.interpolate, arXiv 1609.05158."""

from __future__ import annotations

from math import floor, isfinite
from typing import Any, Literal

import msgspec

from ..errors import OpError
from ..tensor import Shape, Tensor
from ..units import shape as times
from .base import (
    INPUT,
    NOTHING,
    UNKNOWN,
    Counts,
    ExplanationStep,
    Kernels,
    Op,
    Positive,
    Reach,
    Saved,
    Sizes,
    Tensors,
    register,
)
from .combine import counted
from .windows import AXES, adaptive_reads, need_rank, spread

_SUPPORT = {"bilinear": 1, "bicubic": 2}
"""Input positions that are read on either side of an output point when the image is not shrunk."""
_RANKS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}


class _Resize(Op, frozen=True):
    """Resizes the spatial dimensions of (N, C, *spatial) to floor(size * scale_factor), or to ``size``.

    linear is for 1 spatial dimension, bilinear and bicubic are for 2, trilinear is for 3; nearest and area (the mean of
    the input positions that an output position covers) are for any of these numbers.
    """

    scale_factor: float | tuple[float, ...] | None = None
    size: Sizes | None = None
    mode: Literal["nearest", "linear", "bilinear", "bicubic", "trilinear", "area"] = "nearest"
    align_corners: bool = False

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        # Mode area is adaptive average pooling; PyTorch computes an output size of 1 as a mean.
        return INPUT if self.mode == "area" and set(outputs[0].shape[2:]) != {1} else NOTHING

    def _factors(self, rank: int) -> tuple[float, ...]:
        factors = self.scale_factor
        return factors if isinstance(factors, tuple) else (factors or 0.0,) * rank

    def check(self, inputs: Tensors) -> None:
        x = inputs[0]
        rank = len(x.shape) - 2
        if rank not in AXES or rank != _RANKS.get(self.mode, rank):
            needs = f"{_RANKS[self.mode]}" if self.mode in _RANKS else "1, 2 or 3"
            raise OpError(
                f"{self.op}: mode {self.mode} needs {needs} spatial dimensions after (N, C), got {times(x.shape)}"
            )
        if (self.scale_factor is None) == (self.size is None):
            number = "neither" if self.size is None else "both"
            raise OpError(f"{self.op} needs either scale_factor or size, got {number}")
        if self.align_corners and self.mode not in _RANKS:
            raise OpError(f"{self.op}: align_corners is for {', '.join(_RANKS)}, not for mode {self.mode}")
        if self.size is not None:
            spread(self.size, rank, f"{self.op}: size")
            return
        factors = self._factors(rank)
        if len(factors) != rank or not all(isfinite(factor) and factor > 0 for factor in factors):
            raise OpError(f"{self.op}: scale_factor is {self.scale_factor}, expected one or {rank} numbers above 0")
        if min(self._spatial(x)) < 1:
            raise OpError(f"{self.op}: scale_factor {self.scale_factor} makes the output of {times(x.shape)} empty")

    def _spatial(self, x: Tensor) -> Shape:
        rank = len(x.shape) - 2
        if self.size is not None:
            return spread(self.size, rank, "size")
        return tuple(floor(size * factor) for size, factor in zip(x.shape[2:], self._factors(rank), strict=True))

    def outputs(self, inputs: Tensors) -> Tensors:
        x = inputs[0]
        return (Tensor((*x.shape[:2], *self._spatial(x)), x.dtype),)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        x, y = inputs[0], outputs[0]
        values = y.elements
        if self.mode == "area":
            # Output i averages the positions floor(i*N/M) to ceil((i + 1)*N/M), exclusive; they can overlap.
            values = y.shape[0] * y.shape[1]
            for size, result in zip(x.shape[2:], y.shape[2:], strict=True):
                values *= adaptive_reads(size, result)
        return counted(f"upsample_{self.mode}", values, y.elements)

    def fvcore_flops(self, inputs: Tensors, outputs: Tensors, train: bool) -> int:
        # fvcore has formulas for two spatial dimensions; mode area is adaptive pooling there.
        if len(outputs[0].shape) != 4:
            return 0
        if self.mode == "area":
            return inputs[0].elements
        return {"nearest": 1, "bilinear": 4}.get(self.mode, 0) * outputs[0].elements

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        """For integer factors, the dependence of a transposed convolution with a fixed kernel."""
        before, after = inputs[0].shape[2:], outputs[0].shape[2:]
        uneven = any(large % small for small, large in zip(before, after, strict=True))
        if self.align_corners or uneven or any(factor % 1 for factor in self._factors(len(before))):
            return UNKNOWN
        up = tuple(large // small for small, large in zip(before, after, strict=True))
        ones = (1,) * len(up)
        if self.mode in ("nearest", "area"):
            return Reach("window", up, ones, (0,) * len(up), up)
        support = _SUPPORT.get(self.mode, 1)
        extent = tuple(2 * support * factor - factor % 2 for factor in up)
        margin = tuple((size - factor) // 2 for size, factor in zip(extent, up, strict=True))
        return Reach("window", extent, ones, margin, up)

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        if self.size is not None:
            return ()
        before, after = inputs[0].shape[2:], outputs[0].shape[2:]
        parts = zip(AXES[len(before)], before, self._factors(len(before)), after, strict=True)
        return tuple(
            ExplanationStep(f"output {name}", "floor(N*factor)", f"floor({size}*{factor:g})", result)
            for name, size, factor, result in parts
        )


@register
class Upsample(_Resize, frozen=True):
    """Upsamples (N, C, *spatial) by ``scale_factor`` or to ``size``, mode nearest by default. Source: nn.Upsample."""

    op = "upsample"
    nn_class = "Upsample"

    def to_torch(self) -> Any:
        from .torch_modules.layers import layer

        # For modes without align_corners PyTorch accepts only None.
        return layer(self.nn_class, {**msgspec.structs.asdict(self), "align_corners": self.align_corners or None})


@register
class Interpolate(_Resize, frozen=True):
    """Resizes (N, C, *spatial) by ``scale_factor`` or to ``size``, mode nearest by default. Source: F.interpolate.

    ``antialias`` widens the window of bilinear and bicubic when the image shrinks; the width is resized first, then the
    height.
    """

    op = "interpolate"

    antialias: bool = False

    def check(self, inputs: Tensors) -> None:
        super().check(inputs)
        if self.antialias and self.mode not in _SUPPORT:
            raise OpError(f"{self.op}: antialias is for {' and '.join(_SUPPORT)}, not for mode {self.mode}")

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        if not self.antialias:
            return super().work(inputs, outputs, train)
        batch, channels, height, width = inputs[0].shape
        rows, columns = outputs[0].shape[2:]
        horizontal = height * self._window_sizes(width, columns, 1)
        vertical = columns * self._window_sizes(height, rows, 0)
        maps = batch * channels
        return counted("upsample_antialias", maps * (horizontal + vertical), maps * columns * (height + rows))

    def _window_sizes(self, size: int, result: int, axis: int) -> int:
        """The sum of the window sizes of all outputs along an axis. Source: ATen's UpSampleKernel.cpp."""
        factors = self._factors(2)
        step = 1 / factors[axis] if factors[axis] else size / result
        if self.align_corners:
            step = (size - 1) / (result - 1) if result > 1 else 0.0
        support = _SUPPORT[self.mode] * max(step, 1.0)
        centres = (step * (position + 0.5) for position in range(result))
        return sum(min(int(x + support + 0.5), size) - max(int(x - support + 0.5), 0) for x in centres)

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return UNKNOWN if self.antialias else super().reach(inputs, outputs)

    def to_torch(self) -> Any:
        from .torch_modules.layers import Interpolated

        return Interpolated({**msgspec.structs.asdict(self), "align_corners": self.align_corners or None})


class _Shuffle(Op, frozen=True):
    """Moves values between channels and positions of (N, C, H, W): a copy."""

    keeps = NOTHING

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {}


@register
class PixelShuffle(_Shuffle, frozen=True):
    """Moves channels to positions: (N, C*r*r, H, W) -> (N, C, H*r, W*r) for the upscale_factor r."""

    op = "pixel_shuffle"
    nn_class = "PixelShuffle"

    upscale_factor: Positive

    def check(self, inputs: Tensors) -> None:
        need_rank(self.op, inputs[0], 2)
        square = self.upscale_factor**2
        if inputs[0].shape[1] % square:
            raise OpError(
                f"{self.op}: {inputs[0].shape[1]} channels are not a multiple of {self.upscale_factor}^2 = {square}"
            )

    def outputs(self, inputs: Tensors) -> Tensors:
        batch, channels, height, width = inputs[0].shape
        factor = self.upscale_factor
        return (Tensor((batch, channels // factor**2, height * factor, width * factor), inputs[0].dtype),)

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        up = (self.upscale_factor,) * 2
        return Reach("window", up, (1, 1), (0, 0), up)


@register
class PixelUnshuffle(_Shuffle, frozen=True):
    """Moves positions to channels: (N, C, H*r, W*r) -> (N, C*r*r, H, W) for the downscale_factor r."""

    op = "pixel_unshuffle"
    nn_class = "PixelUnshuffle"

    downscale_factor: Positive

    def check(self, inputs: Tensors) -> None:
        need_rank(self.op, inputs[0], 2)
        for name, size in zip(AXES[2], inputs[0].shape[2:], strict=True):
            if size % self.downscale_factor:
                raise OpError(f"{self.op}: the {name} {size} is not a multiple of {self.downscale_factor}")

    def outputs(self, inputs: Tensors) -> Tensors:
        batch, channels, height, width = inputs[0].shape
        factor = self.downscale_factor
        return (Tensor((batch, channels * factor**2, height // factor, width // factor), inputs[0].dtype),)

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        window = (self.downscale_factor,) * 2
        return Reach("window", window, window, (0, 0))
