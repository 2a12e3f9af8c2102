"""Activation functions. Source: torch.nn.functional, unless noted.

A new activation is a class here and a row of ``flop_counts.PER_ELEMENT`` with its operations.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from ..errors import OpError
from ..tensor import Tensor, Weight
from ..units import shape as times
from .base import (
    FRESH,
    GLOBAL,
    IN_PLACE,
    INPUT,
    OUTPUT,
    POINT,
    Counts,
    ExplanationStep,
    Group,
    Kernels,
    Op,
    Placement,
    Positive,
    Reach,
    Saved,
    Tensors,
    register,
)
from .flop_counts import PER_ELEMENT
from .layout import axis


class _Activation(Op, frozen=True):
    """An elementwise function: any shape -> the same shape."""

    group: ClassVar[Group] = "activation"
    keeps = INPUT

    @property
    def _row(self) -> str:
        """The key of its row in ``PER_ELEMENT``."""
        return self.op

    def outputs(self, inputs: Tensors) -> Tensors:
        return inputs

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {"activation": PER_ELEMENT[self._row].count(inputs[0].elements)}


class _InPlace(_Activation, frozen=True, kw_only=True):
    """An activation that can overwrite its input. Keyword-only, so that the fields of a subclass come first."""

    inplace: bool = False

    def placement(self, inputs: Tensors, train: bool) -> tuple[Placement, ...]:
        return (IN_PLACE if self.inplace else FRESH,)

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        # The gradient is computed from the input, so autograd copies the input before it is overwritten.
        return Saved(extra=(inputs[0],)) if self.inplace else INPUT


class _ByResult(_InPlace, frozen=True, kw_only=True):
    """An activation whose gradient is computed from its output."""

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        return OUTPUT


class _ByEither(_InPlace, frozen=True, kw_only=True):
    """An activation whose gradient is computed from its input, or from its output if that overwrote the input."""

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        return OUTPUT if self.inplace else INPUT


@register
class Relu(_ByResult, frozen=True):
    """max(x, 0)."""

    op = "relu"
    nn_class = "ReLU"


@register
class Relu6(_InPlace, frozen=True):
    """min(max(x, 0), 6)."""

    op = "relu6"
    nn_class = "ReLU6"
    abbreviation = "relu"


@register
class LeakyRelu(_ByEither, frozen=True):
    """x if x > 0, else negative_slope*x."""

    op = "leaky_relu"
    nn_class = "LeakyReLU"

    negative_slope: float = 0.01


@register
class Elu(_ByEither, frozen=True):
    """x if x > 0, else alpha*(exp(x) - 1). Source: arXiv 1511.07289."""

    op = "elu"
    nn_class = "ELU"

    alpha: float = 1.0


@register
class Selu(_ByEither, frozen=True):
    """elu, scaled by a constant, with a fixed alpha. Source: arXiv 1706.02515."""

    op = "selu"
    nn_class = "SELU"


@register
class Sigmoid(_ByResult, frozen=True):
    """1/(1 + exp(-x))."""

    op = "sigmoid"
    method = "sigmoid"


@register
class Tanh(_ByResult, frozen=True):
    """Hyperbolic tangent."""

    op = "tanh"
    method = "tanh"


@register
class ScaledTanh(_Activation, frozen=True):
    """amplitude*tanh(slope*x), the activation of LeNet-5. Source: LeCun et al. 1998."""

    op = "scaled_tanh"

    amplitude: float = 1.7159
    slope: float = 0.6666666666666666

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        return Saved(extra=outputs)  # the tanh before the scaling

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        return outputs[0].bytes

    def launches(self, inputs: Tensors, train: bool) -> int:
        return 3  # multiply, tanh, multiply

    def to_torch(self) -> Any:
        from .torch_modules import layers

        return layers.ScaledTanh(self.amplitude, self.slope)


@register
class Silu(_InPlace, frozen=True):
    """x*sigmoid(x), also called swish. Source: arXiv 1702.03118."""

    op = "silu"
    nn_class = "SiLU"


@register
class Mish(_InPlace, frozen=True):
    """x*tanh(softplus(x)). Source: arXiv 1908.08681."""

    op = "mish"
    nn_class = "Mish"


@register
class Gelu(_Activation, frozen=True):
    """x*Phi(x), computed with erf, or with ``approximate: tanh`` with a tanh. Source: arXiv 1606.08415."""

    op = "gelu"
    nn_class = "GELU"

    approximate: Literal["none", "tanh"] = "none"

    @property
    def _row(self) -> str:
        return "gelu_tanh" if self.approximate == "tanh" else "gelu"


@register
class Softplus(_Activation, frozen=True):
    """log(1 + exp(beta*x))/beta. PyTorch returns x where beta*x > ``threshold``; the count ignores this."""

    op = "softplus"
    nn_class = "Softplus"
    autocast = "float32"

    beta: float = 1.0
    threshold: float = 20.0


@register
class Hardtanh(_InPlace, frozen=True):
    """min(max(x, min_val), max_val)."""

    op = "hardtanh"
    nn_class = "Hardtanh"

    min_val: float = -1.0
    max_val: float = 1.0

    def bind(self, inputs: Tensors) -> Op:
        if self.min_val >= self.max_val:
            raise OpError(f"{self.op}: min_val {self.min_val:g} must be smaller than max_val {self.max_val:g}")
        return self


@register
class Hardsigmoid(_InPlace, frozen=True):
    """min(max(x + 3, 0), 6)/6."""

    op = "hardsigmoid"
    nn_class = "Hardsigmoid"


@register
class Hardswish(_InPlace, frozen=True):
    """x*hardsigmoid(x). Source: arXiv 1905.02244."""

    op = "hardswish"
    nn_class = "Hardswish"


@register
class Prelu(_Activation, frozen=True):
    """x if x > 0, else w*x, with one learned w for all channels, or one for each (N, C, ...). arXiv 1502.01852."""

    op = "prelu"
    nn_class = "PReLU"
    autocast = "low"

    num_parameters: Positive = 1
    init: float = 0.25

    def bind(self, inputs: Tensors) -> Op:
        self.check(inputs)
        return self

    def check(self, inputs: Tensors) -> None:
        shape = inputs[0].shape
        channels = shape[1] if len(shape) > 1 else 1
        if self.num_parameters not in (1, channels):
            raise OpError(
                f"{self.op}: num_parameters is {self.num_parameters}, expected 1 or {channels}, the number of channels"
            )

    def weights(self) -> tuple[Weight, ...]:
        return (Weight("weight", (self.num_parameters,)),)


class _Softmax(_Activation, frozen=True):
    """exp(x)/sum(exp(x)) over one dimension: any shape -> the same shape.

    For each row of n values: n - 1 comparisons for the maximum, n subtractions, n exps, n - 1 additions, n divisions.
    """

    autocast = "float32"
    keeps = OUTPUT
    line: ClassVar[str] = "softmax"

    dim: int = -1

    def check(self, inputs: Tensors) -> None:
        axis(self.op, inputs[0].shape, self.dim)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        x = inputs[0]
        rows = x.elements // x.shape[self.dim]
        return {"activation": PER_ELEMENT[self.line].count(x.elements, rows)}

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        # A softmax over channels, or over the features of (N, L, C), does not mix positions.
        rank = len(inputs[0].shape)
        return GLOBAL if rank > 3 and self.dim % rank > 1 else POINT


@register
class Softmax(_Softmax, frozen=True):
    """exp(x)/sum(exp(x)) over ``dim`` (default: the last): any shape -> the same shape."""

    op = "softmax"
    nn_class = "Softmax"


@register
class AttentionSoftmax(_Softmax, frozen=True):
    """The softmax of attention, reported in the group attention: any shape -> the same shape."""

    op = "attention_softmax"
    nn_class = "Softmax"
    group = "attention"


@register
class LogSoftmax(_Softmax, frozen=True):
    """x - log(sum(exp(x))) over ``dim`` (default: the last): any shape -> the same shape."""

    op = "log_softmax"
    nn_class = "LogSoftmax"
    line = "log_softmax"


@register
class Maxout(_Activation, frozen=True):
    """The maximum of each ``pieces`` values along ``dim``: (N, C, ...) -> (N, C/pieces, ...). arXiv 1302.4389."""

    op = "maxout"
    keeps = Saved(inputs=(0,), outputs=(0,))

    pieces: Positive
    dim: int = 1

    def check(self, inputs: Tensors) -> None:
        shape = inputs[0].shape
        dim = axis(self.op, shape, self.dim)
        if shape[dim] % self.pieces:
            raise OpError(f"{self.op}: pieces {self.pieces} must divide dimension {dim} of {times(shape)}")

    def outputs(self, inputs: Tensors) -> Tensors:
        x = inputs[0]
        dim = axis(self.op, x.shape, self.dim)
        return (Tensor((*x.shape[:dim], x.shape[dim] // self.pieces, *x.shape[dim + 1 :]), x.dtype),)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {"activation": PER_ELEMENT["maxout"].count(inputs[0].elements, outputs[0].elements)}

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        x, y = inputs[0], outputs[0]
        dim = axis(self.op, x.shape, self.dim)
        return (ExplanationStep("output channels", "C/pieces", f"{x.shape[dim]}/{self.pieces}", y.shape[dim]),)

    def to_torch(self) -> Any:
        from .torch_modules import layers

        return layers.Maxout(self.pieces, self.dim)
