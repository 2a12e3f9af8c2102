"""Rules of arithmetic between values, matrix products and attention."""

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
from ..trace_records import Recorder, Ref, Typed, dtype_of, tensor_of
from . import generic as generic_rules
from .registry import plain, rule

Tensor = torch.Tensor


def _arithmetic(name: str, cls: Any) -> None:
    @rule(f"aten.{name}.Tensor")
    def _fresh(trace: Any, x: Tensor, other: Any, alpha: float = 1) -> Typed | None:
        return plain(cls(), x, other) if isinstance(other, Tensor) and alpha == 1 else None

    @rule(f"aten.{name}_.Tensor")
    def _in_place(trace: Any, x: Tensor, other: Any, alpha: float = 1) -> Typed | None:
        return plain(cls(inplace=True), x, other) if isinstance(other, Tensor) and alpha == 1 else None


for _name, _cls in (("add", combine.Add), ("sub", combine.Sub), ("div", combine.Div)):
    _arithmetic(_name, _cls)


@rule("aten.mul.Tensor")
def _mul(trace: Any, x: Tensor, other: Any) -> Typed | None:
    if isinstance(other, Tensor):
        return plain(combine.Mul(), x, other)
    return plain(combine.Scale(float(other)), x) if isinstance(other, (int, float)) else None


@rule("aten.mul_.Tensor")
def _mul_in_place(trace: Any, x: Tensor, other: Any) -> Typed | None:
    return plain(combine.Mul(inplace=True), x, other) if isinstance(other, Tensor) else None


@rule("aten.maximum.default", "aten.max.other")
def _maximum(trace: Any, x: Tensor, other: Tensor) -> Typed:
    return plain(combine.Maximum(), x, other)


@rule("aten.cat.default")
def _cat(trace: Any, tensors: Any, dim: int = 0) -> Typed:
    return plain(combine.Concat(dim), *tensors)


@rule("aten.mean.dim")
def _mean(trace: Any, x: Tensor, dim: Any, keepdim: bool = False, **kwargs: Any) -> Typed | None:
    return plain(reduction.Mean(_dims(dim), keepdim), x) if dim and not kwargs.get("dtype") else None


@rule("aten.sum.dim_IntList")
def _sum(trace: Any, x: Tensor, dim: Any, keepdim: bool = False, **kwargs: Any) -> Typed | None:
    return plain(reduction.Sum(_dims(dim), keepdim), x) if dim and not kwargs.get("dtype") else None


def _dims(dim: Any) -> int | tuple[int, ...]:
    dims = tuple(dim)
    return dims[0] if len(dims) == 1 else dims


# --- matrix products


@rule("aten.matmul.default", "aten.bmm.default", "aten.mm.default")
def _matmul(trace: Recorder, a: Tensor, b: Tensor) -> Typed | None:
    if a.dim() < 2 or b.dim() < 2:
        return None
    if b.dim() == 2 and id(b) in trace.state:
        # x @ W with a learned W is a linear layer whose weight is stored the other way round.
        op = linear.Linear(b.shape[1], b.shape[0], False)
        return Typed(op, (a, b), outputs=_product(a, b), parts=lambda t: _linear(t, op, a, b))
    if max(a.dim(), b.dim()) < 3 or (evenly(a, b) and evenly(b, a)):
        return plain(combine.Matmul(), a, b)

    def parts(trace: Recorder) -> int:
        return trace.add(combine.Matmul(), [_even(trace, a, b, trace.ref(a)), _even(trace, b, a, trace.ref(b))])

    return Typed(combine.Matmul(), (a, b), outputs=_product(a, b), parts=parts)


def evenly(x: Tensor, other: Tensor) -> bool:
    """False if a product of stacks of matrices first copies ``x``, whose matrices do not lie one after the other."""
    if x.dim() < 3:
        return True
    if other.dim() < 3:
        return generic_rules.shares(x, x.reshape(-1, x.shape[-1]))
    stacked = x.expand(_stacks(x, other)).reshape(-1, *x.shape[-2:])
    return generic_rules.shares(x, stacked)


def _stacks(x: Tensor, other: Tensor) -> tuple[int, ...]:
    """The shape of ``x`` once it has as many matrices as a product with ``other`` takes."""
    if other.dim() < 3:
        return tuple(x.shape)
    leading = combine.broadcast("matmul", (tuple(x.shape[:-2]), tuple(other.shape[:-2])))
    return (*leading, *x.shape[-2:])


def _even(trace: Recorder, x: Tensor, other: Tensor, ref: Ref) -> Ref:
    """The step that copies ``x`` for a product with ``other``, or ``x`` itself."""
    if evenly(x, other):
        return ref
    shape = _stacks(x, other)
    if shape == tuple(x.shape):
        return (trace.add(generic_rules.CONTIGUOUS, [ref]), 0)
    made = tensor.Tensor(shape, dtype_of(x.dtype))
    copy = generic.Copy(function="aten.expand_copy.default", arguments=("$0", shape), results=(made,))
    return (trace.add(trace.intern(copy), [ref]), 0)


def _product(a: Tensor, b: Tensor) -> Any:
    return combine.Matmul().outputs((tensor_of(a), tensor_of(b)))


def _linear(trace: Recorder, op: Op, a: Tensor, b: Tensor, *bias: Tensor) -> int:
    turned = trace.add(Transpose(0, 1), [trace.ref(b)])
    return trace.add(op, [trace.ref(a)], [(turned, 0), *map(trace.ref, bias)])


@rule("aten.addmm.default", "aten.baddbmm.default")
def _addmm(trace: Recorder, x: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Typed | None:
    outputs = _product(a, b)
    if beta == alpha == 1 and b.dim() == 2 and x.dim() == 1 and id(b) in trace.state:
        op: Op = linear.Linear(b.shape[1], b.shape[0], True)
        return Typed(op, (x, a, b), outputs=outputs, parts=lambda t: _linear(t, op, a, b, x))
    op = generic.Elementwise(function="aten.add_.Tensor", arguments=("$0", "$1"), inplace=True)

    def parts(trace: Recorder) -> int:
        product = trace.add(combine.Matmul(), [trace.ref(a), trace.ref(b)])
        if beta == 0:
            return product
        return trace.add(op, [(product, 0), trace.ref(x)])

    return Typed(op, (x, a, b), outputs=outputs, parts=parts)


@rule("aten.mv.default", "aten.dot.default", "aten.vdot.default", "aten.addmv.default")
def _vector(trace: Recorder, *tensors: Any, **_: Any) -> Typed:
    """A product with a vector: as many multiply-accumulates as its larger factor has elements."""
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
    return plain(op, *values)


# --- attention


@rule("aten.scaled_dot_product_attention.default")
def _attention(
    trace: Recorder, q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, *, scale: float | None = None, enable_gqa: bool = False,
) -> Typed | None:  # fmt: skip
    if min(q.dim(), k.dim(), v.dim()) < 3 or (enable_gqa and q.shape[-3] != k.shape[-3]):
        return None
    leading = combine.broadcast("attention", tuple(tuple(x.shape[:-2]) for x in (q, k, v)))
    outputs = (tensor.Tensor((*leading, q.shape[-2], v.shape[-1]), dtype_of(q.dtype)),)
    factor = scale if scale is not None else q.shape[-1] ** -0.5

    def parts(trace: Recorder) -> int:
        return _attend(trace, q, k, v, attn_mask, factor, dropout_p, is_causal)

    tensors = (q, k, v) if attn_mask is None else (q, k, v, attn_mask)
    return Typed(ScaledDotProductAttention(dropout_p, is_causal), tensors, outputs=outputs, parts=parts)


def _attend(
    trace: Recorder, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, factor: float, dropout_p: float, causal: bool
) -> int:
    """The steps of PyTorch's math path: queries and keys are each scaled by the root of the factor."""
    root = combine.Scale(abs(factor) ** 0.5)
    scaled, turned = q * factor, (k * factor).transpose(-2, -1)  # where PyTorch would put them
    queries = _even(trace, scaled, turned, (trace.add(root, [trace.ref(q)], label="q_scaled"), 0))
    keys = _even(trace, turned, scaled, (trace.add(root, [trace.ref(k)], label="k_scaled"), 0))
    at = trace.add(combine.Matmul(transpose_b=True), [queries, keys], label="logits")
    if causal:
        at = trace.add(CausalMask(), [(at, 0)], label="masked")
    if mask is not None:
        at = trace.add(_masking(mask), [(at, 0), trace.ref(mask)], label="masked")
    at = trace.add(AttentionSoftmax(), [(at, 0)], label="softmax")
    if dropout_p:
        at = trace.add(Dropout(dropout_p), [(at, 0)], label="dropout")
    weights = torch.empty((*scaled.shape[:-1], k.shape[-2]), device="meta")
    return trace.add(combine.Matmul(), [(at, 0), _even(trace, v, weights, trace.ref(v))], label="mixed")


def _masking(mask: Tensor) -> Op:
    """What a mask does to the logits: it is added, or tells where they stay."""
    if mask.dtype == torch.bool:
        return generic.Elementwise(function="aten.where.ScalarOther", arguments=("$1", "$0", float("-inf")))
    return combine.Add(inplace=True)
