"""Rules of activations and dropout."""

from __future__ import annotations

from typing import Any

import torch

from ...ops import activation, layout, stochastic
from ...ops.base import Op
from ..trace_records import Typed
from .registry import given, plain, rule

Tensor = torch.Tensor

_SIMPLE = {
    "relu": activation.Relu,
    "relu6": activation.Relu6,
    "sigmoid": activation.Sigmoid,
    "tanh": activation.Tanh,
    "silu": activation.Silu,
    "mish": activation.Mish,
    "selu": activation.Selu,
    "hardsigmoid": activation.Hardsigmoid,
    "hardswish": activation.Hardswish,
}


def _simple(cls: Any, inplace: bool) -> None:
    op = cls(inplace=inplace)
    suffix = "_" if inplace else ""

    @rule(f"aten.{cls.op}{suffix}.default")
    def _apply(trace: Any, x: Tensor) -> Typed | None:
        return plain(op, x) if x.is_floating_point() else None


for _cls in _SIMPLE.values():
    _simple(_cls, False)
    _simple(_cls, True)


def _both(name: str, make: Any) -> None:
    """An activation with arguments, and its form in place."""

    @rule(f"aten.{name}.default")
    def _fresh(trace: Any, x: Tensor, *args: Any, **kwargs: Any) -> Typed | None:
        op: Op | None = make(False, *args, **kwargs)
        return plain(op, x) if op else None

    @rule(f"aten.{name}_.default")
    def _in_place(trace: Any, x: Tensor, *args: Any, **kwargs: Any) -> Typed | None:
        op: Op | None = make(True, *args, **kwargs)
        return plain(op, x) if op else None


def _hardtanh(inplace: bool, low: float = -1.0, high: float = 1.0) -> Op:
    if (low, high) == (0, 6):
        return activation.Relu6(inplace=inplace)
    return activation.Hardtanh(float(low), float(high), inplace=inplace)


def _elu(inplace: bool, alpha: float = 1.0, scale: float = 1, input_scale: float = 1) -> Op | None:
    return activation.Elu(float(alpha), inplace=inplace) if scale == input_scale == 1 else None


_both("hardtanh", _hardtanh)
_both("elu", _elu)
_both("leaky_relu", lambda inplace, slope=0.01: activation.LeakyRelu(float(slope), inplace=inplace))


@rule("aten.gelu.default")
def _gelu(trace: Any, x: Tensor, *, approximate: str = "none") -> Typed:
    return plain(activation.Gelu(approximate), x)  # type: ignore[arg-type]


@rule("aten.softplus.default")
def _softplus(trace: Any, x: Tensor, beta: float = 1, threshold: float = 20) -> Typed:
    return plain(activation.Softplus(float(beta), float(threshold)), x)


@rule("aten.prelu.default")
def _prelu(trace: Any, x: Tensor, weight: Tensor) -> Typed:
    return Typed(activation.Prelu(weight.numel()), (x,), given(weight))


@rule("aten.softmax.int", "aten._softmax.default", "aten._safe_softmax.default")
def _softmax(trace: Any, x: Tensor, dim: int, other: Any = None) -> Typed | None:
    return plain(activation.Softmax(dim), x) if not other and x.dim() else None


@rule("aten.log_softmax.int", "aten._log_softmax.default")
def _log_softmax(trace: Any, x: Tensor, dim: int, other: Any = None) -> Typed | None:
    return plain(activation.LogSoftmax(dim), x) if not other and x.dim() else None


@rule("aten.dropout.default", "aten.dropout_.default")
def _dropout(trace: Any, x: Tensor, p: float, train: bool) -> Typed | None:
    # Where nothing is dropped the output is the input, which is a layer all the same: taken apart, it would be a copy.
    if train and p and not trace.train:
        return None  # a layer that drops in evaluation too is left to its parts
    return plain(stochastic.Dropout(p if train == trace.train else 0.0), x)


@rule("aten.channel_shuffle.default", "aten.native_channel_shuffle.default")
def _channel_shuffle(trace: Any, x: Tensor, groups: int) -> Typed | None:
    return plain(layout.ChannelShuffle(groups), x) if x.dim() > 2 else None
