"""Capture rules for activations, dropout and channel shuffle."""

from __future__ import annotations

from typing import Any

import torch

from ...ops import activation, layout, stochastic
from ...ops.base import Op
from ..trace_records import TypedOperator
from .registry import present, rule, unweighted

Tensor = torch.Tensor

_WITHOUT_ARGUMENTS = (
    activation.Relu,
    activation.Relu6,
    activation.Sigmoid,
    activation.Tanh,
    activation.Silu,
    activation.Mish,
    activation.Selu,
    activation.Hardsigmoid,
    activation.Hardswish,
)


def _register_activation(cls: Any, inplace: bool) -> None:
    op = cls(inplace=inplace)
    suffix = "_" if inplace else ""

    @rule(f"aten.{cls.op}{suffix}.default")
    def _apply(trace: Any, x: Tensor) -> TypedOperator | None:
        return unweighted(op, x) if x.is_floating_point() else None


for _cls in _WITHOUT_ARGUMENTS:
    _register_activation(_cls, False)
    _register_activation(_cls, True)


def _register_both(name: str, make: Any) -> None:
    """Register an activation with arguments, and its in-place variant."""

    @rule(f"aten.{name}.default")
    def _fresh(trace: Any, x: Tensor, *args: Any, **kwargs: Any) -> TypedOperator | None:
        op: Op | None = make(False, *args, **kwargs)
        return unweighted(op, x) if op else None

    @rule(f"aten.{name}_.default")
    def _in_place(trace: Any, x: Tensor, *args: Any, **kwargs: Any) -> TypedOperator | None:
        op: Op | None = make(True, *args, **kwargs)
        return unweighted(op, x) if op else None


def _hardtanh(inplace: bool, low: float = -1.0, high: float = 1.0) -> Op:
    if (low, high) == (0, 6):
        return activation.Relu6(inplace=inplace)
    return activation.Hardtanh(float(low), float(high), inplace=inplace)


def _elu(inplace: bool, alpha: float = 1.0, scale: float = 1, input_scale: float = 1) -> Op | None:
    return activation.Elu(float(alpha), inplace=inplace) if scale == input_scale == 1 else None


_register_both("hardtanh", _hardtanh)
_register_both("elu", _elu)
_register_both("leaky_relu", lambda inplace, slope=0.01: activation.LeakyRelu(float(slope), inplace=inplace))


@rule("aten.gelu.default")
def _gelu(trace: Any, x: Tensor, *, approximate: str = "none") -> TypedOperator:
    return unweighted(activation.Gelu(approximate), x)  # type: ignore[arg-type]


@rule("aten.softplus.default")
def _softplus(trace: Any, x: Tensor, beta: float = 1, threshold: float = 20) -> TypedOperator:
    return unweighted(activation.Softplus(float(beta), float(threshold)), x)


@rule("aten.prelu.default")
def _prelu(trace: Any, x: Tensor, weight: Tensor) -> TypedOperator:
    return TypedOperator(activation.Prelu(weight.numel()), (x,), present(weight))


@rule("aten.softmax.int", "aten._softmax.default", "aten._safe_softmax.default")
def _softmax(trace: Any, x: Tensor, dim: int, other: Any = None) -> TypedOperator | None:
    return unweighted(activation.Softmax(dim), x) if not other and x.dim() else None


@rule("aten.log_softmax.int", "aten._log_softmax.default")
def _log_softmax(trace: Any, x: Tensor, dim: int, other: Any = None) -> TypedOperator | None:
    return unweighted(activation.LogSoftmax(dim), x) if not other and x.dim() else None


@rule("aten.dropout.default", "aten.dropout_.default")
def _dropout(trace: Any, x: Tensor, p: float, train: bool) -> TypedOperator | None:
    # Dropout in evaluation returns its input but stays a layer; decomposed, it would be a copy.
    if train and p and not trace.train:
        return None  # dropout that is active in evaluation is decomposed
    return unweighted(stochastic.Dropout(p if train == trace.train else 0.0), x)


@rule("aten.channel_shuffle.default", "aten.native_channel_shuffle.default")
def _channel_shuffle(trace: Any, x: Tensor, groups: int) -> TypedOperator | None:
    return unweighted(layout.ChannelShuffle(groups), x) if x.dim() > 2 else None
