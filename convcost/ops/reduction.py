"""Means and sums along dimensions. Source: torch.mean, torch.sum."""

from __future__ import annotations

from ..errors import OpError
from ..tensor import FLOATING, Tensor
from .base import (
    GLOBAL,
    NOTHING,
    POINT,
    UNKNOWN,
    Counts,
    Op,
    Reach,
    Tensors,
    register,
)
from .combine import counted
from .layout import axis


class _Reduction(Op, frozen=True):
    """Reduces ``dim``, one dimension or several; ``keepdim`` keeps them with size 1."""

    keeps = NOTHING

    dim: int | tuple[int, ...]
    keepdim: bool = False

    def _dims(self, x: Tensor) -> tuple[int, ...]:
        dims = (self.dim,) if isinstance(self.dim, int) else self.dim
        axes = tuple(axis(self.op, x.shape, dim) for dim in dims)
        if not axes or len(set(axes)) != len(axes):
            raise OpError(f"{self.op}: dim must name one or more dimensions, each once, got {list(dims)}")
        return axes

    def check(self, inputs: Tensors) -> None:
        self._dims(inputs[0])

    def outputs(self, inputs: Tensors) -> Tensors:
        x = inputs[0]
        dims = self._dims(x)
        kept = ((at, size) for at, size in enumerate(x.shape) if self.keepdim or at not in dims)
        return (Tensor(tuple(1 if at in dims else size for at, size in kept), self._dtype(x)),)

    def _dtype(self, x: Tensor) -> str:
        raise NotImplementedError

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return counted(self.op, inputs[0].elements, outputs[0].elements)

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        dims = self._dims(inputs[0])
        spatial = range(2, len(inputs[0].shape))
        if spatial and set(spatial) <= set(dims):
            return GLOBAL
        if not self.keepdim:
            return UNKNOWN  # the remaining dimensions change their positions
        sizes = tuple(inputs[0].shape[at] if at in dims else 1 for at in spatial)
        return Reach("window", sizes, sizes, (0,) * len(sizes)) if set(dims) & set(spatial) else POINT


@register
class Mean(_Reduction, frozen=True):
    """The mean along ``dim``, (N, C, H, W) -> (N, C) for dim [2, 3]: n - 1 additions and a division per value."""

    op = "mean"
    method = "mean"

    def check(self, inputs: Tensors) -> None:
        super().check(inputs)
        if inputs[0].dtype not in FLOATING:
            raise OpError(f"{self.op} needs floating-point values, got {inputs[0].dtype}")

    def _dtype(self, x: Tensor) -> str:
        return x.dtype


@register
class Sum(_Reduction, frozen=True):
    """The sum along ``dim``, (N, C, H, W) -> (N, C) for dim [2, 3]: n - 1 additions per value; integers give int64."""

    op = "sum"
    method = "sum"
    autocast = "float32"

    def _dtype(self, x: Tensor) -> str:
        return x.dtype if x.dtype in FLOATING else "int64"
