"""Max pooling to a given output size. Source: nn.AdaptiveMaxPool1d, 2d and 3d."""

from __future__ import annotations

from ..tensor import Tensor
from .base import FRESH, Kernels, Placement, Saved, Tensors, register
from .pool import AdaptivePool, indices_bytes, with_indices


class AdaptiveMaxPool(AdaptivePool, frozen=True):
    """Max pooling to a given size; with ``return_indices`` the second output holds the index of each maximum."""

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


@register
class AdaptiveMaxPool1d(AdaptiveMaxPool, frozen=True):
    """1-D max pooling to a given output size: (N, C, L) -> (N, C, output_size)."""

    op = "adaptive_max_pool1d"
    nn_class = "AdaptiveMaxPool1d"
    rank = 1


@register
class AdaptiveMaxPool2d(AdaptiveMaxPool, frozen=True):
    """2-D max pooling to a given output size: (N, C, H, W) -> (N, C, *output_size)."""

    op = "adaptive_max_pool2d"
    nn_class = "AdaptiveMaxPool2d"
    rank = 2


@register
class AdaptiveMaxPool3d(AdaptiveMaxPool, frozen=True):
    """3-D max pooling to a given output size: (N, C, D, H, W) -> (N, C, *output_size)."""

    op = "adaptive_max_pool3d"
    nn_class = "AdaptiveMaxPool3d"
    rank = 3
