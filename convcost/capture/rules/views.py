"""Capture rules for operators that return a view: reshape, transpose, slice, split and so on.

Each function is called with the input, the result and the other arguments of the operator, and returns the op. None
means that no op describes the call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ...ops.base import Op
from ...ops.layout import Flatten, Permute, Reshape, Transpose, Unflatten
from ...ops.slicing import Chunk, Narrow, Select, Split


def _reshape(x: torch.Tensor, y: torch.Tensor, *_: Any, **__: Any) -> Op | None:
    """Write the first dimension as 0 (keep) or -1 (infer), so that the op does not depend on the batch size."""
    if 0 in x.shape or not x.dim() or not y.dim():
        return None
    sizes = tuple(y.shape)
    return Reshape((0 if y.shape[0] == x.shape[0] else -1, *sizes[1:]))


def _flatten(x: torch.Tensor, y: torch.Tensor, start_dim: int = 0, end_dim: int = -1) -> Op | None:
    return Flatten(start_dim, end_dim) if x.dim() else None


def _unflatten(x: torch.Tensor, y: torch.Tensor, dim: int, sizes: Any) -> Op:
    return Unflatten(dim, tuple(sizes))


def _permute(x: torch.Tensor, y: torch.Tensor, dims: Any) -> Op:
    return Permute(tuple(dims))


def _transpose(x: torch.Tensor, y: torch.Tensor, dim0: int = 0, dim1: int = 1) -> Op | None:
    return Transpose(dim0, dim1) if x.dim() > 1 else None


def _last_two(x: torch.Tensor, y: torch.Tensor) -> Op:
    return Transpose(-2, -1)


def _select(x: torch.Tensor, y: torch.Tensor, dim: int, index: int) -> Op:
    return Select(dim, index)


def _slice(
    x: torch.Tensor, y: torch.Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Op | None:
    if step != 1 or 0 in y.shape:
        return None
    return Narrow(dim, _start_index(x.shape[dim], start), y.shape[dim])


def _start_index(size: int, start: int | None) -> int:
    start = start or 0
    return min(max(start + size, 0) if start < 0 else start, size)


def _narrow(x: torch.Tensor, y: torch.Tensor, dim: int, start: int, length: int) -> Op | None:
    return Narrow(dim, start, length) if length else None


def _chunk(x: torch.Tensor, parts: Any, chunks: int, dim: int = 0) -> Op | None:
    return Chunk(chunks=chunks, dim=dim) if len(parts) == chunks and x.shape[dim] else None


def _split(x: torch.Tensor, parts: Any, sections: Any, dim: int = 0) -> Op | None:
    sizes = tuple(sections) if isinstance(sections, (list, tuple)) else sections
    nonempty = all(sizes) if isinstance(sizes, tuple) else sizes > 0
    return Split(sections=sizes, dim=dim) if nonempty and x.shape[dim] else None


def _unbind(x: torch.Tensor, parts: Any, dim: int = 0) -> list[Op]:
    return [Select(dim, index) for index in range(len(parts))]


def _no_op(x: torch.Tensor, y: torch.Tensor, *_: Any, **__: Any) -> None:
    """The result is a copy or the input itself; the tracer handles both."""


BY_NAME: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(
        ("aten.view.default", "aten.reshape.default", "aten._unsafe_view.default", "aten.squeeze.default",
         "aten.squeeze.dim", "aten.squeeze.dims", "aten.unsqueeze.default", "aten.view_as.default",
         "aten.reshape_as.default", "aten._reshape_alias.default"),
        _reshape,
    ),
    "aten.flatten.using_ints": _flatten,
    "aten.unflatten.int": _unflatten,
    "aten.permute.default": _permute,
    **dict.fromkeys(("aten.transpose.int", "aten.swapaxes.default", "aten.swapdims.default"), _transpose),
    "aten.t.default": _transpose,
    **dict.fromkeys(("aten.mT.default", "aten.adjoint.default"), _last_two),
    "aten.select.int": _select,
    "aten.slice.Tensor": _slice,
    "aten.narrow.default": _narrow,
    "aten.chunk.default": _chunk,
    **dict.fromkeys(
        ("aten.split.Tensor", "aten.split.sizes", "aten.split_with_sizes.default", "aten.unsafe_split.Tensor",
         "aten.unsafe_split_with_sizes.default"),
        _split,
    ),
    "aten.unbind.int": _unbind,
    **dict.fromkeys(("aten.contiguous.default", "aten.clone.default"), _no_op),
}  # fmt: skip
