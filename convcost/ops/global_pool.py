"""Global pooling: each channel is reduced to one value. Source: arXiv 1312.4400."""

from __future__ import annotations

from typing import Any, ClassVar

from ..errors import OpError
from ..tensor import Tensor
from ..units import shape as times
from .base import (
    GLOBAL,
    NOTHING,
    Reach,
    Saved,
    Tensors,
    register,
)
from .pool import Pooling


class _GlobalPool(Pooling, frozen=True):
    reduction: ClassVar[str]
    """The method of torch.Tensor that computes the result."""

    keepdim: bool = True

    def check(self, inputs: Tensors) -> None:
        if len(inputs[0].shape) < 3:
            raise OpError(
                f"{self.op} needs (N, C, ...) with at least one spatial dimension, got {times(inputs[0].shape)}"
            )

    def outputs(self, inputs: Tensors) -> Tensors:
        batch, channels, *spatial = inputs[0].shape
        ones = (1,) * len(spatial) if self.keepdim else ()
        return (Tensor((batch, channels, *ones), inputs[0].dtype),)

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return GLOBAL

    def to_torch(self) -> Any:
        from .torch_modules.layers import GlobalPool

        return GlobalPool(self.reduction, self.keepdim)


@register
class GlobalAvgPool(_GlobalPool, frozen=True):
    """The mean of each channel: (N, C, ...) -> (N, C, 1, ...), or (N, C) without ``keepdim``. arXiv 1312.4400."""

    op = "global_avg_pool"
    keeps = NOTHING
    counted = "avg_pool"
    reduction = "mean"


@register
class GlobalMaxPool(_GlobalPool, frozen=True):
    """The maximum of each channel: (N, C, ...) -> (N, C, 1, ...), or (N, C) without ``keepdim``."""

    op = "global_max_pool"
    keeps = Saved(inputs=(0,), outputs=(0,))
    reduction = "amax"
