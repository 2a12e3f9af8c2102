"""Ops that drop values at random in training and do nothing in evaluation. Source: nn.Dropout*, arXiv 1603.09382."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from ..errors import OpError
from ..tensor import Tensor
from .base import (
    FRESH,
    IN_PLACE,
    NOTHING,
    VIEW,
    Counts,
    Kernels,
    Op,
    Placement,
    Probability,
    Saved,
    Tensors,
    register,
)
from .combine import counted
from .windows import need_rank


class _Random(Op, frozen=True):
    """Multiplies by a random mask in training. In evaluation, or with p = 0, the output is the input itself."""

    p: Probability = 0.5
    inplace: bool = False

    def outputs(self, inputs: Tensors) -> Tensors:
        return (inputs[0],)

    def placement(self, inputs: Tensors, train: bool) -> tuple[Placement, ...]:
        if not (train and self.p):
            return (VIEW,)
        return (IN_PLACE if self.inplace else FRESH,)

    def launches(self, inputs: Tensors, train: bool) -> int:
        # Draw the mask, divide it by 1 - p, multiply by it.
        return 3 if train and self.p else 0


@register
class Dropout(_Random, frozen=True):
    """Sets elements to 0 with probability ``p`` and divides the others by 1 - p, in training. Source: nn.Dropout."""

    op = "dropout"
    nn_class = "Dropout"
    within_attention = True

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return counted("dropout", outputs[0].elements) if train and self.p else {}

    def launches(self, inputs: Tensors, train: bool) -> int:
        # A single kernel, except in place or with p = 1.
        return 1 if train and self._fused else super().launches(inputs, train)

    @property
    def _fused(self) -> bool:
        return 0 < self.p < 1 and not self.inplace

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        if not self.p:
            return NOTHING
        x = inputs[0]  # of the mask, which is bool in the single CUDA kernel and otherwise of the input's dtype
        return Saved(extra=(Tensor(x.shape, "bool") if kernels == "cuda" and self._fused else x,))


class _FeatureDropout(_Random, frozen=True):
    """Sets whole channels of (N, C, *spatial) to 0 with probability ``p`` in training."""

    rank: ClassVar[int]

    def check(self, inputs: Tensors) -> None:
        need_rank(self.op, inputs[0], self.rank)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        batch, channels, *_ = outputs[0].shape
        return counted("feature_dropout", outputs[0].elements, batch * channels) if train and self.p else {}

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        x = inputs[0]
        mask = Tensor((*x.shape[:2], *(1,) * self.rank), x.dtype)
        return Saved(extra=(mask,)) if self.p else NOTHING


@register
class Dropout1d(_FeatureDropout, frozen=True):
    """Drops whole channels of (N, C, L) in training. Source: nn.Dropout1d."""

    op = "dropout1d"
    nn_class = "Dropout1d"
    rank = 1


@register
class Dropout2d(_FeatureDropout, frozen=True):
    """Drops whole channels of (N, C, H, W) in training. Source: nn.Dropout2d."""

    op = "dropout2d"
    nn_class = "Dropout2d"
    rank = 2


@register
class Dropout3d(_FeatureDropout, frozen=True):
    """Drops whole channels of (N, C, D, H, W) in training. Source: nn.Dropout3d."""

    op = "dropout3d"
    nn_class = "Dropout3d"
    rank = 3


@register
class StochasticDepth(Op, frozen=True):
    """Drops a branch with probability ``p`` in training: for each image (mode row), or the whole batch at once.

    In evaluation, and for p = 0, the output is the input itself. Source: torchvision.ops.StochasticDepth.
    """

    op = "stochastic_depth"

    p: Probability
    mode: Literal["row", "batch"] = "row"

    def check(self, inputs: Tensors) -> None:
        if not inputs[0].shape:
            raise OpError(f"{self.op} needs (N, ...), got a scalar")

    def outputs(self, inputs: Tensors) -> Tensors:
        return (inputs[0],)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        drawn = outputs[0].shape[0] if self.mode == "row" else 1
        return counted("stochastic_depth", outputs[0].elements, drawn) if train and self.p else {}

    def placement(self, inputs: Tensors, train: bool) -> tuple[Placement, ...]:
        return (FRESH if train and self.p else VIEW,)

    def launches(self, inputs: Tensors, train: bool) -> int:
        # The mask is drawn, divided by 1 - p (unless that is 0) and multiplied with.
        return 0 if not train or not self.p else 2 + (self.p < 1)

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        x = inputs[0]
        mask = Tensor((x.shape[0] if self.mode == "row" else 1, *(1,) * (len(x.shape) - 1)), x.dtype)
        return Saved(extra=(mask,)) if self.p else NOTHING

    def to_torch(self) -> Any:
        from .torch_modules import layers

        return layers.StochasticDepth(self.p, self.mode)
