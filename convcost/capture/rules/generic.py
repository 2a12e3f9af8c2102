"""Chooses a generic op for an operator that has no capture rule, by its name, schema, tags and result.

The sets below list ATen operators by what they do. An operator in none of them, and without PyTorch's ``pointwise``
tag, becomes ``unmodelled``; to classify it, add its name to a set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import torch

from ...ops import generic
from ...ops.base import Op
from ...ops.combine import broadcast, promoted
from ...ops.flop_counts import REDUCING
from ...tensor import ITEM_BYTES, Tensor
from ..custom_operators import custom_cost
from ..trace_records import dtype_of, tensor_of
from .flops_only import OPERATION_COUNTS

CONTIGUOUS = generic.Contiguous()

_MOVES = frozenset(
    ("clone", "contiguous", "repeat", "flip", "rot90", "constant_pad_nd", "stack", "cat", "roll", "tril", "triu",
     "_to_copy", "to", "expand_copy", "view_copy", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle",
     "native_channel_shuffle", "im2col", "col2im", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d",
     "replication_pad1d", "replication_pad2d", "replication_pad3d", "_reshape_copy", "diag_embed", "block_diag",
     "unfold_copy", "permute_copy", "_unsafe_view", "_cdist_forward_copy", "lift_fresh_copy", "resolve_conj",
     "complex")
)  # fmt: skip
_INDEXING = frozenset(
    ("index", "index_select", "gather", "scatter", "scatter_add", "scatter_reduce", "index_add", "index_copy", "take",
     "take_along_dim", "index_put", "embedding", "one_hot", "masked_scatter", "repeat_interleave", "select_scatter",
     "slice_scatter", "_unsafe_index", "index_fill")
)  # fmt: skip
_POINTWISE = frozenset(
    (
        "threshold",
        "rrelu_with_noise",
        "floor_divide",
        "isin",
        "bucketize",
        "searchsorted",
        "nan_to_num",
        "fake_quantize",
    )
)
"""Pointwise operators without PyTorch's ``pointwise`` tag."""
_SORTS = frozenset(("sort", "topk", "argsort", "median", "kthvalue", "mode", "nanmedian"))
_CREATES = frozenset(
    ("zeros", "ones", "empty", "full", "arange", "linspace", "logspace", "eye", "rand", "randn", "randint", "randperm",
     "zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "new_zeros", "new_ones",
     "new_full", "new_empty", "new_empty_strided", "empty_strided", "bernoulli", "normal", "scalar_tensor",
     "tril_indices", "triu_indices", "hann_window", "randint_like", "multinomial", "empty_permuted")
)  # fmt: skip
_WRITES = frozenset(
    ("copy_", "fill_", "zero_", "index_put_", "_index_put_impl_", "scatter_", "index_copy_", "index_fill_", "normal_",
     "uniform_", "bernoulli_", "random_", "exponential_", "index_add_", "scatter_add_", "masked_scatter_", "set_",
     "fill_diagonal_", "trunc_normal_", "log_normal_")
)  # fmt: skip
_DATA_DEPENDENT = frozenset(
    ("_local_scalar_dense", "item", "nonzero", "nonzero_numpy", "masked_select", "unique", "_unique2", "unique_dim",
     "unique_consecutive", "is_nonzero", "equal", "allclose", "bincount", "argwhere")
)  # fmt: skip


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """All tensors in nested tuples, lists and dicts, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for each in value:
            if isinstance(each, torch.Tensor):
                yield each
            elif isinstance(each, (tuple, list, dict)):
                yield from tensors_in(each)
    elif isinstance(value, dict):
        yield from tensors_in(tuple(value.values()))


def mapped(value: Any, change: Callable[[Any], Any], kind: type = torch.Tensor) -> Any:
    """Apply ``change`` to all instances of ``kind`` in nested tuples, lists and dicts."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, (tuple, list)):
        changed = [mapped(each, change, kind) for each in value]
        return type(value)(*changed) if hasattr(value, "_fields") else type(value)(changed)
    if isinstance(value, dict):
        return {key: mapped(each, change, kind) for key, each in value.items()}
    return value


@cache
def is_composite(func: Any) -> bool:
    """True if PyTorch can decompose the operator."""
    has_kernel: Callable[[str, str], bool] = torch._C._dispatch_has_kernel_for_dispatch_key
    return has_kernel(func.name(), "CompositeImplicitAutograd")


@cache
def depends_on_data(func: Any) -> bool:
    """True if the shape of the result, or a Python value, depends on the values of tensors."""
    return operator_name(func) in _DATA_DEPENDENT


@cache
def is_mutating(func: Any) -> bool:
    """True if the operator writes to one of its arguments."""
    return bool(func._schema.is_mutable)


def operator_name(func: Any) -> str:
    """The name without namespace and overload: ``add_`` for ``aten.add_.Tensor``."""
    return str(func).split(".")[1]


def share_storage(x: torch.Tensor, y: torch.Tensor) -> bool:
    """True if both tensors use the same storage."""
    return x is y or x.untyped_storage()._cdata == y.untyped_storage()._cdata


def same_view(x: torch.Tensor, y: torch.Tensor) -> bool:
    """True if both tensors have the same storage, offset, shape, strides and dtype."""
    if x is y:
        return True
    return (
        x.shape == y.shape
        and x.stride() == y.stride()
        and x.dtype == y.dtype
        and share_storage(x, y)
        and x.storage_offset() == y.storage_offset()
    )


@cache
def _tagged(func: Any, tag: str) -> bool:
    return getattr(torch.Tag, tag, None) in func.tags


def encoded(args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], tuple[tuple[str, Any], ...]]:
    """Encode arguments as plain values: the k-th tensor as "$k", dtypes by name, without devices."""
    count = iter(range(1_000_000))

    def encode(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return f"${next(count)}"
        if isinstance(value, (tuple, list)):
            return tuple(encode(each) for each in value)
        if isinstance(value, (bool, int, float, str)) or value is None:
            return value
        return str(value)

    arguments = tuple(encode(each) for each in args)
    return arguments, tuple((key, encode(each)) for key, each in kwargs.items() if key not in ("device", "pin_memory"))


def op_for(func: Any, args: Any, kwargs: Any, inputs: Sequence[torch.Tensor], made: Sequence[torch.Tensor]) -> Op:
    """The generic op for a call of an operator.

    Args:
        func: the overload.
        args, kwargs: its arguments.
        inputs: the tensors in the arguments.
        made: the tensors in the result.
    """
    arguments, keywords = encoded(args, kwargs)
    call: dict[str, Any] = {"function": str(func), "arguments": arguments, "keywords": keywords}
    cost = custom_cost(func, args, kwargs, made)
    if cost is not None:
        return generic.Operator(**call, results=tuple(map(tensor_of, made)), **cost)
    results = _results(inputs, made)
    count_operations = OPERATION_COUNTS.get(func)
    if count_operations is not None:
        return generic.Operator(**call, results=results, operation_count=count_operations(args, made))
    if func.namespace != "aten":
        return generic.Unmodelled(**call, results=results)
    name = operator_name(func)
    plain = name.strip("_")
    if (_tagged(func, "pointwise") or plain in _POINTWISE) and len(made) == 1 and plain not in REDUCING:
        return _pointwise(call, is_mutating(func), inputs, made[0])
    if name in _WRITES:
        return generic.Write(**call, results=results)
    if plain in REDUCING and inputs:
        return generic.Reduce(**call, results=results)
    if plain in _SORTS:
        dim = next((each for each in (*args[1:], *kwargs.values()) if type(each) is int), -1)
        return generic.Sort(**call, results=results, row=_row(inputs[0], dim, plain))
    if plain in _CREATES or not inputs:
        return generic.Create(**call, results=tuple(map(tensor_of, made)))
    if func.is_view and all(share_storage(inputs[0], each) for each in made):
        return generic.View(**call, results=results)
    if plain in _INDEXING:
        return generic.Index(**call, results=results)
    if name in _MOVES:
        return _move(call, name, inputs[0], results)
    return generic.Unmodelled(**call, results=results)


def _results(inputs: Sequence[torch.Tensor], made: Sequence[torch.Tensor]) -> tuple[Tensor, ...]:
    """The outputs. One whose dtype follows from those of the inputs has the dtype ``""``."""
    dtype = _promoted(inputs)
    outputs = map(tensor_of, made)
    return tuple(Tensor(x.shape, "" if x.dtype == dtype else x.dtype) for x in outputs)


def _promoted(inputs: Sequence[torch.Tensor]) -> str | None:
    """The dtype to which type promotion takes the inputs; None if promotion is not defined for them."""
    tensors = tuple(map(tensor_of, inputs))
    if not tensors or any(x.dtype not in ITEM_BYTES or x.dtype.startswith(("complex", "float8")) for x in tensors):
        return None
    try:
        return promoted(tensors)
    except ValueError:
        return None


def _pointwise(call: dict[str, Any], inplace: bool, inputs: Sequence[torch.Tensor], made: torch.Tensor) -> Op:
    dtype = dtype_of(made.dtype)
    if inplace:
        # ``Elementwise`` in place writes to its first input.
        if not same_view(inputs[0], made):
            return generic.Unmodelled(**call, results=(tensor_of(made),))
        return generic.Elementwise(**call, inplace=True)
    shapes = tuple(tuple(x.shape) for x in inputs)
    if broadcast(call["function"], shapes) != tuple(made.shape):
        return generic.Copy(**call, results=(tensor_of(made),))
    if dtype == "bool" and any(x.dtype != torch.bool for x in inputs):
        return generic.Compare(**call)
    return generic.Elementwise(**call, dtype="" if dtype == _promoted(inputs) else dtype)


def _row(x: torch.Tensor, dim: int, name: str) -> int:
    """The number of elements that one sort compares."""
    if name == "topk":
        dim = -1
    if name == "median" or not x.dim():
        return x.numel()
    return int(x.shape[dim]) if -x.dim() <= dim < x.dim() else int(x.shape[-1])


def _move(call: dict[str, Any], name: str, x: torch.Tensor, results: tuple[Tensor, ...]) -> Op:
    (result,) = results
    if name in ("_to_copy", "to") and result.shape == tuple(x.shape) and result.dtype:
        return generic.Cast(result.dtype)
    if name in ("clone", "contiguous", "_to_copy", "to") and result == Tensor(tuple(x.shape), ""):
        return CONTIGUOUS
    return generic.Copy(**call, results=results)
