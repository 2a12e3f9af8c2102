"""Layers that look up, prepend, add or multiply by learned values: embeddings, tokens, layer scale."""

from __future__ import annotations

from math import prod
from typing import Any

import msgspec

from ..errors import OpError
from ..tensor import FLOATING, Shape, Tensor, Weight
from ..units import shape as times
from .base import (
    INPUT,
    NOTHING,
    UNKNOWN,
    Counts,
    ExplanationStep,
    Group,
    Op,
    Placement,
    Positive,
    Reach,
    Tensors,
    register,
)
from .combine import counted
from .layout import axis


@register
class Embedding(Op, frozen=True):
    """Looks up a row of a table for each index: integers (N, ...) -> (N, ..., embedding_dim). Source: nn.Embedding.

    Only the indices and the selected rows are read.
    """

    op = "embedding"
    keeps = INPUT
    nn_class = "Embedding"
    input_dtype = "int64"

    num_embeddings: Positive
    embedding_dim: Positive

    def check(self, inputs: Tensors) -> None:
        if inputs[0].dtype not in ("int64", "int32"):
            raise OpError(f"{self.op} needs integers (int64 or int32), got {inputs[0].dtype}")

    def outputs(self, inputs: Tensors) -> Tensors:
        return (Tensor((*inputs[0].shape, self.embedding_dim)),)

    def weights(self) -> tuple[Weight, ...]:
        return (Weight("weight", (self.num_embeddings, self.embedding_dim)),)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {}

    def weights_read(self, inputs: Tensors, weight_bytes: int) -> int:
        return weight_bytes // self.num_embeddings * inputs[0].elements

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        rows, width = self.num_embeddings, self.embedding_dim
        return (ExplanationStep("params", "num_embeddings*embedding_dim", f"{rows}*{width}", rows * width),)


@register
class Parameter(Op, frozen=True):
    """A learned tensor of ``shape`` as a value; it has no inputs and no batch dimension. Source: nn.Parameter.

    The output is the weight itself: a view of input -1, which denotes the weight. ``feeds`` is the group in which its
    parameters are reported: that of the convolutions or linear layers whose weight is computed from it, if any.
    """

    op = "parameter"
    keeps = NOTHING
    arity = (0, 0)

    shape: tuple[Positive, ...]
    feeds: Group = "other"

    @property
    def reported_group(self) -> Group:
        return self.feeds

    def outputs(self, inputs: Tensors) -> Tensors:
        return (Tensor(self.shape),)

    def weights(self) -> tuple[Weight, ...]:
        return (Weight("weight", self.shape),)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {}

    def placement(self, inputs: Tensors, train: bool) -> tuple[Placement, ...]:
        return (Placement("view", -1),)

    def weights_read(self, inputs: Tensors, weight_bytes: int) -> int:
        return 0  # the op that takes it as an input reads it

    def launches(self, inputs: Tensors, train: bool) -> int:
        return 0

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return UNKNOWN

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        return (
            ExplanationStep("params", "product of the shape", "*".join(map(str, self.shape)) or "1", prod(self.shape)),
        )

    def to_torch(self) -> Any:
        from .torch_modules import layers

        return layers.Parameter(self.shape)


def _tokens(op: str, x: Tensor) -> tuple[int, int]:
    """L and C of (N, L, C). Raises OpError for any other shape or dtype."""
    if len(x.shape) != 3:
        raise OpError(f"{op} needs (N, tokens, width), got {len(x.shape)} dimensions: {times(x.shape)}")
    if x.dtype not in FLOATING:
        raise OpError(f"{op} needs floating-point values, got {x.dtype}")
    return x.shape[1], x.shape[2]


@register
class ClassToken(Op, frozen=True):
    """Prepends one learned token: (N, L, C) -> (N, L + 1, C). Source: arXiv 2010.11929."""

    op = "class_token"
    keeps = NOTHING
    autocast = "float32"  # its weight stays float32, which promotes the result
    inferred_fields = ("embed_dim",)

    embed_dim: Positive | None = None

    def bind(self, inputs: Tensors) -> Op:
        self.check(inputs)
        return msgspec.structs.replace(self, embed_dim=inputs[0].shape[2])

    def check(self, inputs: Tensors) -> None:
        width = _tokens(self.op, inputs[0])[1]
        if self.embed_dim not in (None, width):
            raise OpError(f"{self.op} was built for width {self.embed_dim}, got {width}")

    def outputs(self, inputs: Tensors) -> Tensors:
        batch, tokens, width = inputs[0].shape
        return (Tensor((batch, tokens + 1, width), inputs[0].dtype),)

    def weights(self) -> tuple[Weight, ...]:
        return (Weight("weight", (1, 1, self.embed_dim or 0)),)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {}

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return UNKNOWN

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        tokens = ExplanationStep("tokens", "L + 1", f"{inputs[0].shape[1]} + 1", outputs[0].shape[1])
        return (tokens, ExplanationStep("params", "C", f"{self.embed_dim}", self.embed_dim or 0))

    def to_torch(self) -> Any:
        from .torch_modules import layers

        return layers.ClassToken((1, 1, self.embed_dim or 0))


@register
class PositionEmbedding(Op, frozen=True):
    """Adds a learned tensor (1, L, C) to (N, L, C). Source: arXiv 2010.11929.

    L is fixed when the op is built, so the network accepts one resolution only.
    """

    op = "position_embedding"
    keeps = NOTHING
    autocast = "float32"  # its weight stays float32, which promotes the result
    inferred_fields = ("tokens", "embed_dim")

    tokens: Positive | None = None
    embed_dim: Positive | None = None

    def bind(self, inputs: Tensors) -> Op:
        self.check(inputs)
        return msgspec.structs.replace(self, tokens=inputs[0].shape[1], embed_dim=inputs[0].shape[2])

    def check(self, inputs: Tensors) -> None:
        tokens, width = _tokens(self.op, inputs[0])
        if self.tokens not in (None, tokens):
            raise OpError(f"{self.op} was built for {self.tokens} tokens, got {tokens}")
        if self.embed_dim not in (None, width):
            raise OpError(f"{self.op} was built for width {self.embed_dim}, got {width}")

    def outputs(self, inputs: Tensors) -> Tensors:
        return (inputs[0],)

    def weights(self) -> tuple[Weight, ...]:
        return (Weight("weight", (1, self.tokens or 0, self.embed_dim or 0)),)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return counted(self.op, outputs[0].elements)

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        tokens, width = self.tokens or 0, self.embed_dim or 0
        return (ExplanationStep("params", "L*C", f"{tokens}*{width}", tokens * width),)

    def to_torch(self) -> Any:
        from .torch_modules.layers import AddWeight

        return AddWeight((1, self.tokens or 0, self.embed_dim or 0))


@register
class LayerScale(Op, frozen=True):
    """Multiplies along dimension ``dim`` (default 1: channels) by learned factors, initialised to ``init``.

    ``shape``, that of the factors, is inferred: (C, 1, 1) for (N, C, H, W). Source: arXiv 2103.17239.
    """

    op = "layer_scale"
    keeps = INPUT
    autocast = "float32"  # its weight stays float32, which promotes the result

    init: float = 1e-6
    dim: int = 1
    shape: tuple[Positive, ...] | None = None

    def _shape(self, x: Tensor) -> Shape:
        at = axis(self.op, x.shape, self.dim)
        if at == 0:
            raise OpError(f"{self.op}: dim 0 of {times(x.shape)} is the batch, which cannot be scaled")
        return (x.shape[at], *(1,) * (len(x.shape) - 1 - at))

    def bind(self, inputs: Tensors) -> Op:
        self.check(inputs)
        return msgspec.structs.replace(self, shape=self._shape(inputs[0]))

    def check(self, inputs: Tensors) -> None:
        shape = self._shape(inputs[0])
        if self.shape not in (None, shape):
            raise OpError(
                f"{self.op} was built with factors of shape {times(self.shape or ())}, the input needs {times(shape)}"
            )

    def outputs(self, inputs: Tensors) -> Tensors:
        return (inputs[0],)

    def weights(self) -> tuple[Weight, ...]:
        return (Weight("weight", self.shape or ()),)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return counted(self.op, outputs[0].elements)

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        return (ExplanationStep("params", "C", str(prod(self.shape or ())), prod(self.shape or ())),)

    def to_torch(self) -> Any:
        from .torch_modules.layers import TimesWeight

        return TimesWeight(self.shape or (), self.init)
