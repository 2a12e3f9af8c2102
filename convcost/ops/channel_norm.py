"""Normalisation of each channel: batch and instance norm. Source: nn.BatchNorm*, nn.InstanceNorm*.

Norms without running statistics are in ``norm.py``.
"""

from __future__ import annotations

from math import prod
from typing import ClassVar

import msgspec

from ..errors import OpError
from ..tensor import Tensor, Weight
from ..units import shape as times
from .base import (
    Counts,
    ExplanationStep,
    Kernels,
    Op,
    Positive,
    Saved,
    Tensors,
    register,
)
from .norm import AffineNorm, affine_steps, affine_weights, count, fvcore_norm_flops, normalised_count, statistics_of
from .windows import need_rank


class _ChannelNorm(AffineNorm, frozen=True):
    """Normalisation of each channel of (N, C, *spatial), which can track running statistics.

    The statistics of the input are computed in training, and in evaluation if none are tracked.
    """

    inferred_fields = ("num_features",)
    rank: ClassVar[int]

    eps: float = 1e-5
    momentum: float | None = 0.1
    affine: bool = True
    track_running_stats: bool = True
    bias: bool = True
    num_features: Positive | None = None

    def bind(self, inputs: Tensors) -> Op:
        self.check(inputs)
        return msgspec.structs.replace(self, num_features=inputs[0].shape[1])

    def check(self, inputs: Tensors) -> None:
        need_rank(self.op, inputs[0], self.rank)
        if self.num_features not in (None, inputs[0].shape[1]):
            raise OpError(f"{self.op} was built for {self.num_features} channels, got {inputs[0].shape[1]}")

    def _sets(self, x: Tensor) -> int:
        """The number of means, and of variances."""
        raise NotImplementedError

    def weights(self) -> tuple[Weight, ...]:
        shape = (self.num_features or 0,)
        weights = affine_weights(shape, self.affine, self._has_bias)
        if not self.track_running_stats:
            return weights
        return (
            *weights,
            Weight("running_mean", shape, "buffer"),
            Weight("running_var", shape, "buffer"),
            Weight("num_batches_tracked", (), "buffer", "int64"),
        )

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        sets, statistics = self._sets(inputs[0]), train or not self.track_running_stats
        total = normalised_count(inputs[0].elements, sets, statistics, self.affine, self._has_bias)
        if train and self.track_running_stats:
            total += count("running_statistics", 0, sets)
        return {"normalisation": total}

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        channels = self.num_features or 0
        steps = affine_steps((channels,), self.affine, self._has_bias)
        if not self.track_running_stats:
            return steps
        formula = "2*C + 1 (running mean, running variance, counter)"
        return (*steps, ExplanationStep("buffers", formula, f"2*{channels} + 1", 2 * channels + 1))


class _BatchNorm(_ChannelNorm, frozen=True):
    """Batch normalisation: a mean and variance per channel, over the batch and all positions. arXiv 1502.03167."""

    abbreviation = "bn"

    def fvcore_flops(self, inputs: Tensors, outputs: Tensors, train: bool) -> int:
        return fvcore_norm_flops(inputs[0], self.affine, train or not self.track_running_stats)

    def _sets(self, x: Tensor) -> int:
        return x.shape[1]

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        return Saved(inputs=(0,), extra=statistics_of(inputs[0], self._sets(inputs[0])))

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        # In evaluation only the meta device allocates the batch statistics.
        return 8 * self._sets(inputs[0]) if kernels == "meta" or train or not self.track_running_stats else 0

    def launches(self, inputs: Tensors, train: bool) -> int:
        # One cuDNN call, and in training the addition to num_batches_tracked.
        return 1 + (train and self.track_running_stats)

    def training_warnings(self, inputs: Tensors) -> tuple[str, ...]:
        x = inputs[0]
        if x.elements > x.shape[1]:
            return ()
        return (f"{self.op} cannot be trained on {times(x.shape)}: PyTorch needs more than one value per channel",)


@register
class BatchNorm1d(_BatchNorm, frozen=True):
    """Batch normalisation of (N, C) or (N, C, L)."""

    op = "batch_norm1d"
    nn_class = "BatchNorm1d"
    rank = 1

    def check(self, inputs: Tensors) -> None:
        x = inputs[0]
        super().check((Tensor((*x.shape, 1), x.dtype),) if len(x.shape) == 2 else inputs)


@register
class BatchNorm2d(_BatchNorm, frozen=True):
    """Batch normalisation of (N, C, H, W)."""

    op = "batch_norm2d"
    nn_class = "BatchNorm2d"
    rank = 2


@register
class BatchNorm3d(_BatchNorm, frozen=True):
    """Batch normalisation of (N, C, D, H, W)."""

    op = "batch_norm3d"
    nn_class = "BatchNorm3d"
    rank = 3


class _InstanceNorm(_ChannelNorm, frozen=True):
    """Instance normalisation: a mean and variance per channel of each image, over all positions. arXiv 1607.08022."""

    affine: bool = False
    track_running_stats: bool = False

    def check(self, inputs: Tensors) -> None:
        super().check(inputs)
        if not self.track_running_stats and prod(inputs[0].shape[2:]) == 1:
            raise OpError(f"{self.op} needs more than one position per channel, got {times(inputs[0].shape)}")

    def training_warnings(self, inputs: Tensors) -> tuple[str, ...]:
        shape = inputs[0].shape
        if prod(shape[2:]) > 1:
            return ()
        return (f"{self.op} cannot be trained on {times(shape)}: PyTorch needs more than one position per channel",)

    def _sets(self, x: Tensor) -> int:
        return x.shape[0] * x.shape[1]

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        work = super().work(inputs, outputs, train)
        if not (train and self.track_running_stats):
            return work
        # PyTorch averages the running statistics of the images over the batch.
        batch, channels = inputs[0].shape[:2]
        return {"normalisation": work["normalisation"] + count("mean", 2 * batch * channels, 2 * channels)}

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        # PyTorch repeats the weight and the running statistics for each image.
        x, sets = inputs[0], self._sets(inputs[0])
        repeated = (Tensor((sets,), x.dtype),) * (self.affine + 2 * self.track_running_stats)
        return Saved(inputs=(0,), extra=statistics_of(x, sets) + repeated)

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        vectors = 2 + self.affine + self._has_bias + 2 * self.track_running_stats
        return 4 * vectors * self._sets(inputs[0])

    def launches(self, inputs: Tensors, train: bool) -> int:
        # Batch norm on N*C channels: the vectors are repeated; then the running ones are averaged and copied back.
        tracked = self.track_running_stats
        return 1 + 2 * self.affine + 2 * tracked + 4 * (train and tracked)


@register
class InstanceNorm1d(_InstanceNorm, frozen=True):
    """Instance normalisation of (N, C, L)."""

    op = "instance_norm1d"
    nn_class = "InstanceNorm1d"
    rank = 1


@register
class InstanceNorm2d(_InstanceNorm, frozen=True):
    """Instance normalisation of (N, C, H, W)."""

    op = "instance_norm2d"
    nn_class = "InstanceNorm2d"
    rank = 2


@register
class InstanceNorm3d(_InstanceNorm, frozen=True):
    """Instance normalisation of (N, C, D, H, W)."""

    op = "instance_norm3d"
    nn_class = "InstanceNorm3d"
    rank = 3
