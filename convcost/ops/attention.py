"""Attention, as the ops that PyTorch's math backend runs. Source: arXiv 1706.03762; nn.MultiheadAttention.

The names of the parts occur in the names of layers, so a rename changes every report.
"""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

import msgspec

from ..errors import OpError
from ..tensor import ITEM_BYTES
from ..units import shape as times
from .activation import AttentionSoftmax
from .base import (
    IN_PLACE,
    NOTHING,
    POINT,
    Composite,
    Counts,
    Kernels,
    Op,
    Part,
    Placement,
    Positive,
    Probability,
    Reach,
    Tensors,
    register,
)
from .combine import Matmul, Scale, counted
from .generic import Contiguous
from .layout import Permute, Reshape, Transpose, Unflatten
from .linear import Linear
from .slicing import Select
from .stochastic import Dropout

Source = tuple[str, int]
Heads = tuple[Source, Source, Source]
_QKV: Heads = (("q", 0), ("k", 0), ("v", 0))


@register
class CausalMask(Op, frozen=True):
    """Adds -inf, in place, to the logits (..., L, S) of all keys that come after their query.

    The addition counts as work. Building the mask, which is the same for every image, counts only as kernel launches.
    """

    op = "causal_mask"
    keeps = NOTHING
    group = "attention"
    within_attention = True
    inplace: ClassVar[bool] = True

    def check(self, inputs: Tensors) -> None:
        if len(inputs[0].shape) < 2:
            raise OpError(f"{self.op} needs (..., queries, keys), got {len(inputs[0].shape)} dimensions")

    def outputs(self, inputs: Tensors) -> Tensors:
        return (inputs[0],)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return counted(self.op, outputs[0].elements)

    def placement(self, inputs: Tensors, train: bool) -> tuple[Placement, ...]:
        return (IN_PLACE,)

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        positions = prod(inputs[0].shape[-2:])
        return positions * (1 + ITEM_BYTES[inputs[0].dtype]) + 2 * ITEM_BYTES[inputs[0].dtype]

    def launches(self, inputs: Tensors, train: bool) -> int:
        return 6  # ones, tril, 0 and -inf as scalars, where, add

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return POINT

    def to_torch(self) -> Any:
        from .torch_modules import windows

        return windows.CausalMask()


def attend(heads: Heads, depth: int, dropout_p: float = 0.0, is_causal: bool = False) -> list[Part]:
    """softmax(q k^T / sqrt(depth)) v. As in PyTorch, queries and keys are each multiplied by depth**-0.25."""
    q, k, v = heads
    factor = depth**-0.25
    parts = [
        Part("q_scaled", Scale(factor), (q,)),
        Part("k_scaled", Scale(factor), (k,)),
        Part("logits", Matmul(transpose_b=True), (("q_scaled", 0), ("k_scaled", 0))),
    ]
    if is_causal:
        parts.append(Part("masked", CausalMask(), ((parts[-1].name, 0),)))
    parts.append(Part("softmax", AttentionSoftmax(), ((parts[-1].name, 0),)))
    if dropout_p:
        parts.append(Part("dropout", Dropout(dropout_p), ((parts[-1].name, 0),)))
    parts.append(Part("mixed", Matmul(), ((parts[-1].name, 0), v)))
    return parts


@register
class ScaledDotProductAttention(Composite, frozen=True):
    """softmax(q k^T / sqrt(E)) v for q (..., L, E), k (..., S, E), v (..., S, Ev) -> (..., L, Ev).

    Two matrix products of L*S*E and L*S*Ev multiply-accumulates for each head. ``is_causal`` adds a mask, but no
    multiply-accumulates. Source: F.scaled_dot_product_attention, math backend.
    """

    op = "scaled_dot_product_attention"
    group = "attention"
    arity = (3, 3)

    dropout_p: Probability = 0.0
    is_causal: bool = False

    def bind(self, inputs: Tensors) -> Op:
        self.check(inputs)
        return self

    def check(self, inputs: Tensors) -> None:
        shapes = ", ".join(times(x.shape) for x in inputs)
        q, k, v = (x.shape for x in inputs)
        if min(map(len, (q, k, v))) < 3:
            raise OpError(f"{self.op} needs (N, ..., tokens, width) for q, k and v, got {shapes}")
        if q[-1] != k[-1]:
            raise OpError(f"{self.op} of {shapes}: queries have width {q[-1]}, keys {k[-1]}")
        if k[-2] != v[-2]:
            raise OpError(f"{self.op} of {shapes}: got {k[-2]} keys and {v[-2]} values")
        if not q[:-2] == k[:-2] == v[:-2]:
            raise OpError(f"{self.op} of {shapes}: the dimensions before tokens and width must be equal")

    def parts(self, inputs: Tensors) -> tuple[Part, ...]:
        heads = ("input", 0), ("input", 1), ("input", 2)
        return tuple(attend(heads, inputs[0].shape[-1], self.dropout_p, self.is_causal))


@register
class MultiheadAttention(Composite, frozen=True):
    """Multi-head attention with ``num_heads`` heads of width E/num_heads: (N, L, E) -> (N, L, E), batch first.

    One input: self-attention, with one projection to 3*E. Three inputs q, k, v, all of width E: three projections.
    Both have 4*E*E weights and 4*E biases. Source: nn.MultiheadAttention(batch_first=True, need_weights=False).
    """

    op = "multihead_attention"
    group = "attention"
    arity = (1, 3)
    inferred_fields = ("embed_dim",)

    num_heads: Positive
    bias: bool = True
    embed_dim: Positive | None = None

    def bind(self, inputs: Tensors) -> Op:
        self.check(inputs)
        return msgspec.structs.replace(self, embed_dim=inputs[0].shape[-1])

    def check(self, inputs: Tensors) -> None:
        shapes = ", ".join(times(x.shape) for x in inputs)
        if len(inputs) == 2:
            raise OpError(f"{self.op} takes one input or three (q, k, v), got 2: {shapes}")
        if any(len(x.shape) != 3 for x in inputs):
            raise OpError(f"{self.op} needs (N, tokens, width), got {shapes}")
        self._check_width([x.shape[-1] for x in inputs])
        if len({x.shape[0] for x in inputs}) > 1:
            raise OpError(f"{self.op} of {shapes}: the batch (dimension 0) must be equal")
        if len(inputs) == 3 and inputs[1].shape[1] != inputs[2].shape[1]:
            raise OpError(f"{self.op} of {shapes}: got {inputs[1].shape[1]} keys and {inputs[2].shape[1]} values")

    def _check_width(self, widths: list[int]) -> None:
        embed_dim = self.embed_dim or widths[0]
        for width in widths:
            if width != embed_dim:
                raise OpError(f"{self.op} was built for width {embed_dim}, got {width}")
        if embed_dim % self.num_heads:
            raise OpError(f"{self.op}: the width {embed_dim} must be divisible by num_heads {self.num_heads}")

    def parts(self, inputs: Tensors) -> tuple[Part, ...]:
        width = inputs[0].shape[-1]
        depth = width // self.num_heads
        project = self._together if len(inputs) == 1 else self._apart
        parts = project(width, depth)
        parts += attend(_QKV, depth)
        parts += [
            Part("heads_last", Permute((0, 2, 1, 3)), (("mixed", 0),)),
            Part("copied", Contiguous(), (("heads_last", 0),)),  # no view can merge the permuted heads
            Part("merged", Reshape((0, 0, width)), (("copied", 0),)),
            Part("out_proj", Linear(width, bias=self.bias), (("merged", 0),)),
        ]
        return tuple(parts)

    def _together(self, width: int, depth: int) -> list[Part]:
        """Self-attention: one projection to (N, L, 3, heads, depth), copied to (3, N, heads, L, depth)."""
        parts = [
            Part("in_proj", Linear(3 * width, bias=self.bias), (("input", 0),)),
            Part("split", Unflatten(-1, (3, self.num_heads, depth)), (("in_proj", 0),)),
            Part("heads_first", Permute((2, 0, 3, 1, 4)), (("split", 0),)),
            Part("qkv", Contiguous(), (("heads_first", 0),)),  # PyTorch makes this copy
        ]
        parts += [Part(name, Select(0, index), (("qkv", 0),)) for index, name in enumerate("qkv")]
        return parts

    def _apart(self, width: int, depth: int) -> list[Part]:
        """One projection for each of q, k and v, viewed as (N, heads, tokens, depth)."""
        parts = []
        for index, name in enumerate("qkv"):
            parts += [
                Part(f"{name}_proj", Linear(width, bias=self.bias), (("input", index),)),
                Part(f"{name}_split", Unflatten(-1, (self.num_heads, depth)), ((f"{name}_proj", 0),)),
                Part(name, Transpose(1, 2), ((f"{name}_split", 0),)),
            ]
        return parts
