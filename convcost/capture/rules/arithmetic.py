"""Capture rules for arithmetic between tensors, reductions, matrix products and attention."""

from __future__ import annotations

from typing import Any

import torch

from ... import tensor
from ...ops import combine, generic, linear, reduction
from ...ops.activation import AttentionSoftmax
from ...ops.attention import CausalMask, ScaledDotProductAttention
from ...ops.base import Op
from ...ops.layout import Transpose
from ...ops.stochastic import Dropout
from ..trace_records import Recorder, Ref, TypedOperator, dtype_of, tensor_of
from . import generic as generic_rules
from .registry import rule, unweighted

Tensor = torch.Tensor


def _register_arithmetic(name: str, cls: Any) -> None:
    @rule(f"aten.{name}.Tensor")
    def _fresh(trace: Any, x: Tensor, other: Any, alpha: float = 1) -> TypedOperator | None:
        return unweighted(cls(), x, other) if isinstance(other, Tensor) and alpha == 1 else None

    @rule(f"aten.{name}_.Tensor")
    def _in_place(trace: Any, x: Tensor, other: Any, alpha: float = 1) -> TypedOperator | None:
        return unweighted(cls(inplace=True), x, other) if isinstance(other, Tensor) and alpha == 1 else None


for _name, _cls in (("add", combine.Add), ("sub", combine.Sub), ("div", combine.Div)):
    _register_arithmetic(_name, _cls)


@rule("aten.mul.Tensor")
def _mul(trace: Any, x: Tensor, other: Any) -> TypedOperator | None:
    if isinstance(other, Tensor):
        return unweighted(combine.Mul(), x, other)
    return unweighted(combine.Scale(float(other)), x) if isinstance(other, (int, float)) else None


@rule("aten.mul_.Tensor")
def _mul_in_place(trace: Any, x: Tensor, other: Any) -> TypedOperator | None:
    return unweighted(combine.Mul(inplace=True), x, other) if isinstance(other, Tensor) else None


@rule("aten.maximum.default", "aten.max.other")
def _maximum(trace: Any, x: Tensor, other: Tensor) -> TypedOperator:
    return unweighted(combine.Maximum(), x, other)


@rule("aten.cat.default")
def _cat(trace: Any, tensors: Any, dim: int = 0) -> TypedOperator:
    return unweighted(combine.Concat(dim), *tensors)


@rule("aten.mean.dim")
def _mean(trace: Any, x: Tensor, dim: Any, keepdim: bool = False, **kwargs: Any) -> TypedOperator | None:
    return unweighted(reduction.Mean(_dims(dim), keepdim), x) if dim and not kwargs.get("dtype") else None


@rule("aten.sum.dim_IntList")
def _sum(trace: Any, x: Tensor, dim: Any, keepdim: bool = False, **kwargs: Any) -> TypedOperator | None:
    return unweighted(reduction.Sum(_dims(dim), keepdim), x) if dim and not kwargs.get("dtype") else None


def _dims(dim: Any) -> int | tuple[int, ...]:
    dims = tuple(dim)
    return dims[0] if len(dims) == 1 else dims


# --- matrix products


@rule("aten.matmul.default", "aten.bmm.default", "aten.mm.default")
def _matmul(trace: Recorder, a: Tensor, b: Tensor) -> TypedOperator | None:
    if a.dim() < 2 or b.dim() < 2:
        return None
    if b.dim() == 2 and id(b) in trace.state:
        # x @ W with a parameter W is a linear layer whose weight is transposed.
        op = linear.Linear(b.shape[1], b.shape[0], False)
        return TypedOperator(op, (a, b), outputs=_product(a, b), parts=lambda t: _linear(t, op, a, b))
    if max(a.dim(), b.dim()) < 3 or (_needs_no_copy(a, b) and _needs_no_copy(b, a)):
        return unweighted(combine.Matmul(), a, b)

    def parts(trace: Recorder) -> int:
        return trace.add(
            combine.Matmul(),
            [_copied_if_needed(trace, a, b, trace.ref(a)), _copied_if_needed(trace, b, a, trace.ref(b))],
        )

    return TypedOperator(combine.Matmul(), (a, b), outputs=_product(a, b), parts=parts)


def _needs_no_copy(x: Tensor, other: Tensor) -> bool:
    """True if PyTorch multiplies ``x`` and ``other`` as batched matrices without first making ``x`` contiguous."""
    if x.dim() < 3:
        return True
    if other.dim() < 3:
        return generic_rules.share_storage(x, x.reshape(-1, x.shape[-1]))
    stacked = x.expand(_stacked_shape(x, other)).reshape(-1, *x.shape[-2:])
    return generic_rules.share_storage(x, stacked)


def _stacked_shape(x: Tensor, other: Tensor) -> tuple[int, ...]:
    """The shape of ``x`` after its batch dimensions are broadcast with those of ``other``."""
    if other.dim() < 3:
        return tuple(x.shape)
    leading = combine.broadcast("matmul", (tuple(x.shape[:-2]), tuple(other.shape[:-2])))
    return (*leading, *x.shape[-2:])


def _copied_if_needed(trace: Recorder, x: Tensor, other: Tensor, ref: Ref) -> Ref:
    """The reference of ``x`` for a product with ``other``, after a step that copies it if PyTorch does."""
    if _needs_no_copy(x, other):
        return ref
    shape = _stacked_shape(x, other)
    if shape == tuple(x.shape):
        return (trace.add(generic_rules.CONTIGUOUS, [ref]), 0)
    made = tensor.Tensor(shape, dtype_of(x.dtype))
    copy = generic.Copy(function="aten.expand_copy.default", arguments=("$0", shape), results=(made,))
    return (trace.add(trace.intern(copy), [ref]), 0)


def _product(a: Tensor, b: Tensor) -> Any:
    return combine.Matmul().outputs((tensor_of(a), tensor_of(b)))


def _linear(trace: Recorder, op: Op, a: Tensor, b: Tensor, *bias: Tensor) -> int:
    transposed = trace.add(Transpose(0, 1), [trace.ref(b)])
    return trace.add(op, [trace.ref(a)], [(transposed, 0), *map(trace.ref, bias)])


@rule("aten.addmm.default", "aten.baddbmm.default")
def _addmm(
    trace: Recorder, x: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1
) -> TypedOperator | None:
    outputs = _product(a, b)
    if beta == alpha == 1 and b.dim() == 2 and x.dim() == 1 and id(b) in trace.state:
        op: Op = linear.Linear(b.shape[1], b.shape[0], True)
        return TypedOperator(op, (x, a, b), outputs=outputs, parts=lambda t: _linear(t, op, a, b, x))
    op = generic.Elementwise(function="aten.add_.Tensor", arguments=("$0", "$1"), inplace=True)

    def parts(trace: Recorder) -> int:
        product = trace.add(combine.Matmul(), [trace.ref(a), trace.ref(b)])
        if beta == 0:
            return product
        return trace.add(op, [(product, 0), trace.ref(x)])

    return TypedOperator(op, (x, a, b), outputs=outputs, parts=parts)


@rule("aten.mv.default", "aten.dot.default", "aten.vdot.default", "aten.addmv.default")
def _vector(trace: Recorder, *tensors: Any, **_: Any) -> TypedOperator:
    """A product with a vector takes as many multiply-accumulates as the larger factor has elements."""
    values = [x for x in tensors if isinstance(x, Tensor)]
    macs = max(x.numel() for x in values[-2:])
    shape = tuple(values[-2].shape[:-1])
    name = "addmv" if len(values) == 3 else "mv" if shape else "dot"
    op = generic.Operator(
        function=f"aten.{name}.default",
        arguments=tuple(f"${k}" for k in range(len(values))),
        results=(tensor.Tensor(shape, dtype_of(values[0].dtype)),),
        mac_count=macs,
        operation_count=(values[0].numel() if name == "addmv" else 0),
        books_in="fc",
    )
    return unweighted(op, *values)


# --- attention


@rule("aten.scaled_dot_product_attention.default")
def _attention(
    trace: Recorder, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, *, scale: float | None = None, enable_gqa: bool = False,
) -> TypedOperator | None:  # fmt: skip
    if min(q.dim(), k.dim(), v.dim()) < 3 or (enable_gqa and q.shape[-3] != k.shape[-3]):
        return None
    leading = combine.broadcast("attention", tuple(tuple(x.shape[:-2]) for x in (q, k, v)))
    outputs = (tensor.Tensor((*leading, q.shape[-2], v.shape[-1]), dtype_of(q.dtype)),)
    factor = scale if scale is not None else q.shape[-1] ** -0.5

    def parts(trace: Recorder) -> int:
        return _attend(trace, q, k, v, attn_mask, factor, dropout_p, is_causal)

    tensors = (q, k, v) if attn_mask is None else (q, k, v, attn_mask)
    return TypedOperator(ScaledDotProductAttention(dropout_p, is_causal), tensors, outputs=outputs, parts=parts)


def _attend(
    trace: Recorder, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, factor: float, dropout_p: float, causal: bool
) -> int:
    """Add the steps of PyTorch's math backend, which scales both queries and keys by the square root of the factor."""
    root = combine.Scale(abs(factor) ** 0.5)
    scaled, transposed = q * factor, (k * factor).transpose(-2, -1)  # computed for their strides
    queries = _copied_if_needed(trace, scaled, transposed, (trace.add(root, [trace.ref(q)], label="q_scaled"), 0))
    keys = _copied_if_needed(trace, transposed, scaled, (trace.add(root, [trace.ref(k)], label="k_scaled"), 0))
    at = trace.add(combine.Matmul(transpose_b=True), [queries, keys], label="logits")
    if causal:
        at = trace.add(CausalMask(), [(at, 0)], label="masked")
    if mask is not None:
        at = trace.add(_masking(mask), [(at, 0), trace.ref(mask)], label="masked")
    at = trace.add(AttentionSoftmax(), [(at, 0)], label="softmax")
    if dropout_p:
        at = trace.add(Dropout(dropout_p), [(at, 0)], label="dropout")
    weights = torch.empty((*scaled.shape[:-1], k.shape[-2]), device="meta")
    return trace.add(combine.Matmul(), [(at, 0), _copied_if_needed(trace, v, weights, trace.ref(v))], label="mixed")


def _masking(mask: Tensor) -> Op:
    """The op that applies a mask to the logits: a boolean mask selects which ones stay, any other mask is added."""
    if mask.dtype == torch.bool:
        return generic.Elementwise(function="aten.where.ScalarOther", arguments=("$1", "$0", float("-inf")))
    return combine.Add(inplace=True)
