"""Capture rules for operators with weights, and for pooling, resizing, padding and rolling."""

from __future__ import annotations

from typing import Any

import torch

from ...ops import (
    adaptive_max_pool,
    channel_norm,
    conv,
    conv_transpose,
    embedding,
    linear,
    norm,
    pool,
    recurrent,
    resample,
    slicing,
)
from ..trace_records import TypedOperator, tensor_of
from .generic import CONTIGUOUS, share_storage
from .registry import compact, present, rule, unweighted

_CONVS = {1: conv.Conv1d, 2: conv.Conv2d, 3: conv.Conv3d}
_TRANSPOSED = {1: conv_transpose.ConvTranspose1d, 2: conv_transpose.ConvTranspose2d, 3: conv_transpose.ConvTranspose3d}
_BATCH_NORMS = {
    2: channel_norm.BatchNorm1d,
    3: channel_norm.BatchNorm1d,
    4: channel_norm.BatchNorm2d,
    5: channel_norm.BatchNorm3d,
}
_INSTANCE_NORMS = {3: channel_norm.InstanceNorm1d, 4: channel_norm.InstanceNorm2d, 5: channel_norm.InstanceNorm3d}

Tensor = torch.Tensor


@rule(*(f"aten.conv{rank}d.{which}" for rank in (1, 2, 3) for which in ("default", "padding")))
def _conv(
    trace: Any, x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> TypedOperator | None:  # fmt: skip
    rank = weight.dim() - 2
    if x.dim() != weight.dim():
        return None
    op = _CONVS[rank](
        weight.shape[0], compact(weight.shape[2:]), compact(stride), compact(padding), compact(dilation), groups,
        bias is not None, None, x.shape[1],
    )  # fmt: skip
    return TypedOperator(op, (x,), present(weight, bias))


@rule(*(f"aten.conv_transpose{name}" for name in ("1d.default", "2d.input", "3d.input")))
def _conv_transpose(
    trace: Any, x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> TypedOperator | None:  # fmt: skip
    rank = weight.dim() - 2
    if x.dim() != weight.dim():
        return None
    op = _TRANSPOSED[rank](
        weight.shape[1] * groups, compact(weight.shape[2:]), compact(stride), compact(padding), compact(output_padding),
        groups, bias is not None, compact(dilation), x.shape[1],
    )  # fmt: skip
    return TypedOperator(op, (x,), present(weight, bias))


@rule("aten.convolution.default", "aten._convolution.default", "aten._convolution.deprecated")
def _convolution(
    trace: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any,
    transposed: bool, output_padding: Any, groups: int, *_: Any,
) -> TypedOperator | None:  # fmt: skip
    if transposed:
        return _conv_transpose(trace, x, weight, bias, stride, padding, output_padding, groups, dilation)
    return _conv(trace, x, weight, bias, stride, padding, dilation, groups)


@rule("aten.linear.default")
def _linear(trace: Any, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> TypedOperator | None:
    if x.dim() < 2 or weight.dim() != 2:
        return None
    op = linear.Linear(weight.shape[0], weight.shape[1], bias is not None)
    # PyTorch copies an input that cannot be viewed as one matrix.
    is_matrix = x.dim() == 2 or share_storage(x, x.reshape(-1, x.shape[-1]))
    return TypedOperator(op, (x,), present(weight, bias)) if is_matrix else _on_copy(op, x, present(weight, bias))


def _on_copy(op: Any, x: Tensor, weights: tuple[Tensor, ...]) -> TypedOperator:
    """An op for which PyTorch first makes its input contiguous."""

    def parts(trace: Any) -> int:
        copy = trace.add(CONTIGUOUS, [trace.ref(x)])
        return int(trace.add(op, [(copy, 0)], [trace.ref(weight) for weight in weights]))

    return TypedOperator(op, (x, *weights), outputs=op.outputs((tensor_of(x),)), parts=parts)


@rule("aten.bilinear.default")
def _bilinear(trace: Any, x: Tensor, y: Tensor, weight: Tensor, bias: Tensor | None = None) -> TypedOperator | None:
    if x.dim() < 2 or x.shape[:-1] != y.shape[:-1]:
        return None
    op = linear.Bilinear(weight.shape[0], bias is not None, weight.shape[1], weight.shape[2])
    return TypedOperator(op, (x, y), present(weight, bias))


@rule("aten.lstm.input")
def _lstm(
    trace: Any, x: Tensor, state: Any, weights: Any, biases: bool, layers: int, dropout: float, train: bool,
    bidirectional: bool, batch_first: bool,
) -> TypedOperator | None:  # fmt: skip
    return _recurrent(
        trace, recurrent.Lstm, x, state, weights, biases, layers, dropout, train, bidirectional, batch_first
    )


def _recurrent(
    trace: Any, cls: Any, x: Tensor, state: Any, weights: Any, biases: bool, layers: int, dropout: float, train: bool,
    bidirectional: bool, batch_first: bool, **fields: Any,
) -> TypedOperator | None:  # fmt: skip
    if dropout and train != trace.train:
        return None
    if cls is recurrent.Lstm and weights[2 + 2 * biases : 3 + 2 * biases] and state[0].shape != state[1].shape:
        fields["proj_size"] = state[0].shape[-1]
    op = cls(
        hidden_size=weights[0].shape[0] // cls.gates, num_layers=layers, bias=biases, batch_first=batch_first,
        dropout=dropout, bidirectional=bidirectional, input_size=x.shape[-1], **fields,
    )  # fmt: skip
    return TypedOperator(op, (x, *state), tuple(weights), single=False)


def _single_state(cls: Any, **fields: Any) -> Any:
    def make(trace: Any, x: Tensor, state: Tensor, weights: Any, *settings: Any) -> TypedOperator | None:
        return _recurrent(trace, cls, x, (state,), weights, *settings, **fields)

    return make


rule("aten.gru.input")(_single_state(recurrent.Gru))
rule("aten.rnn_tanh.input")(_single_state(recurrent.Rnn))
rule("aten.rnn_relu.input")(_single_state(recurrent.Rnn, nonlinearity="relu"))


@rule("aten.batch_norm.default")
def _batch_norm(
    trace: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor | None, var: Tensor | None,
    training: bool, momentum: float, eps: float, cudnn: bool = True,
) -> TypedOperator | None:  # fmt: skip
    return _channel_norm(_BATCH_NORMS, x, (weight, bias), (mean, var), momentum, eps)


@rule("aten.instance_norm.default")
def _instance_norm(
    trace: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor | None, var: Tensor | None,
    use_input_stats: bool, momentum: float, eps: float, cudnn: bool = True,
) -> TypedOperator | None:  # fmt: skip
    typed = _channel_norm(_INSTANCE_NORMS, x, (weight, bias), (mean, var), momentum, eps)
    return typed if typed is None or x.is_contiguous() else _on_copy(typed.op, x, typed.weights)


def _channel_norm(
    classes: Any, x: Tensor, affine: Any, stats: Any, momentum: float, eps: float
) -> TypedOperator | None:
    weight, bias = affine
    if x.dim() not in classes or (weight is None and bias is not None):
        return None
    bias_like_weight = weight is None or bias is not None
    op = classes[x.dim()](eps, momentum, weight is not None, stats[0] is not None, bias_like_weight, x.shape[1])
    return TypedOperator(op, (x,), present(*affine, *stats))


@rule("aten.layer_norm.default")
def _layer_norm(
    trace: Any, x: Tensor, shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5,
    cudnn: bool = True,
) -> TypedOperator | None:  # fmt: skip
    if weight is None and bias is not None:
        return None
    op = norm.LayerNorm(tuple(shape), eps, weight is not None, weight is None or bias is not None)
    return TypedOperator(op, (x,), present(weight, bias))


@rule("aten.rms_norm.default")
def _rms_norm(
    trace: Any, x: Tensor, shape: Any, weight: Tensor | None = None, eps: float | None = None
) -> TypedOperator:
    return TypedOperator(norm.RmsNorm(tuple(shape), eps, weight is not None), (x,), present(weight))


@rule("aten.group_norm.default")
def _group_norm(
    trace: Any, x: Tensor, groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5,
    cudnn: bool = True,
) -> TypedOperator | None:  # fmt: skip
    if weight is None and bias is not None:
        return None
    op = norm.GroupNorm(groups, eps, weight is not None, weight is None or bias is not None, x.shape[1])
    weights = present(weight, bias)
    return TypedOperator(op, (x,), weights) if x.is_contiguous() else _on_copy(op, x, weights)


@rule("aten.embedding.default")
def _embedding(trace: Any, weight: Tensor, indices: Tensor, *_: Any, **__: Any) -> TypedOperator:
    return TypedOperator(embedding.Embedding(weight.shape[0], weight.shape[1]), (indices,), (weight,))


_MAX = {1: pool.MaxPool1d, 2: pool.MaxPool2d, 3: pool.MaxPool3d}
_AVG = {1: pool.AvgPool1d, 2: pool.AvgPool2d, 3: pool.AvgPool3d}
_ADAPTIVE_AVG = {1: pool.AdaptiveAvgPool1d, 2: pool.AdaptiveAvgPool2d, 3: pool.AdaptiveAvgPool3d}
_ADAPTIVE_MAX = {
    1: adaptive_max_pool.AdaptiveMaxPool1d,
    2: adaptive_max_pool.AdaptiveMaxPool2d,
    3: adaptive_max_pool.AdaptiveMaxPool3d,
}


def _max_pool(
    x: Tensor, indices: bool, kernel_size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False,
) -> TypedOperator | None:  # fmt: skip
    cls = _MAX.get(x.dim() - 2)
    if cls is None:
        return None
    op = cls(
        compact(kernel_size), compact(stride or kernel_size), compact(padding), compact(dilation), ceil_mode, indices
    )
    return TypedOperator(op, (x,), single=not indices)


@rule(*(f"aten.max_pool{rank}d.default" for rank in (1, 2, 3)))
def _max_pool_alone(trace: Any, x: Tensor, *args: Any) -> TypedOperator | None:
    return _max_pool(x, False, *args)


@rule(*(f"aten.max_pool{rank}d_with_indices.default" for rank in (1, 2, 3)))
def _max_pool_with_indices(trace: Any, x: Tensor, *args: Any) -> TypedOperator | None:
    return _max_pool(x, True, *args)


@rule(*(f"aten.avg_pool{rank}d.default" for rank in (1, 2, 3)))
def _avg_pool(
    trace: Any, x: Tensor, kernel_size: Any, stride: Any = (), padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor: int | None = None,
) -> TypedOperator | None:  # fmt: skip
    cls = _AVG.get(x.dim() - 2)
    if cls is None:
        return None
    return unweighted(
        cls(compact(kernel_size), compact(stride or kernel_size), compact(padding), ceil_mode, count_include_pad), x
    )


@rule(
    *(f"aten.adaptive_avg_pool{rank}d.default" for rank in (1, 2, 3)),
    *(f"aten._adaptive_avg_pool{rank}d.default" for rank in (2, 3)),
)
def _adaptive_avg_pool(trace: Any, x: Tensor, output_size: Any) -> TypedOperator | None:
    cls = _ADAPTIVE_AVG.get(x.dim() - 2)
    return unweighted(cls(compact(output_size)), x) if cls else None


@rule(*(f"aten.adaptive_max_pool{rank}d.default" for rank in (1, 2, 3)))
def _adaptive_max_pool(trace: Any, x: Tensor, output_size: Any) -> TypedOperator | None:
    cls = _ADAPTIVE_MAX.get(x.dim() - 2)
    return TypedOperator(cls(compact(output_size)), (x,), single=False) if cls else None


def _resize(
    x: Tensor, mode: Any, size: Any, factors: Any, align_corners: bool = False, antialias: bool = False
) -> TypedOperator:
    factor, size = (compact(factors), None) if factors else (None, compact(size))
    return unweighted(resample.Interpolate(factor, size, mode, align_corners, antialias), x)


@rule(*(f"aten.upsample_nearest{rank}d.vec" for rank in (1, 2, 3)))
def _nearest(trace: Any, x: Tensor, size: Any, factors: Any = None) -> TypedOperator:
    return _resize(x, "nearest", size, factors)


@rule(*(f"aten.upsample_{mode}.vec" for mode in ("linear1d", "bilinear2d", "trilinear3d", "bicubic2d")))
def _interpolated(trace: Any, x: Tensor, size: Any, align_corners: bool, factors: Any = None) -> TypedOperator:
    mode = {3: "linear", 4: "bilinear", 5: "trilinear"}[x.dim()]
    return _resize(x, mode, size, factors, align_corners)


@rule("aten.upsample_bicubic2d.vec")
def _bicubic(trace: Any, x: Tensor, size: Any, align_corners: bool, factors: Any = None) -> TypedOperator:
    return _resize(x, "bicubic", size, factors, align_corners)


@rule("aten._upsample_bilinear2d_aa.default")
def _bilinear_antialias(trace: Any, x: Tensor, size: Any, align_corners: bool, *factors: float | None) -> TypedOperator:
    return _resize(x, "bilinear", size, None if None in factors else factors, align_corners, antialias=True)


@rule("aten._upsample_bicubic2d_aa.default")
def _bicubic_antialias(trace: Any, x: Tensor, size: Any, align_corners: bool, *factors: float | None) -> TypedOperator:
    return _resize(x, "bicubic", size, None if None in factors else factors, align_corners, antialias=True)


@rule("aten.pixel_shuffle.default")
def _pixel_shuffle(trace: Any, x: Tensor, factor: int) -> TypedOperator:
    return unweighted(resample.PixelShuffle(factor), x)


@rule("aten.pixel_unshuffle.default")
def _pixel_unshuffle(trace: Any, x: Tensor, factor: int) -> TypedOperator:
    return unweighted(resample.PixelUnshuffle(factor), x)


@rule("aten.pad.default", "aten.constant_pad_nd.default")
def _pad(
    trace: Any, x: Tensor, padding: Any, mode: Any = "constant", value: float | None = None
) -> TypedOperator | None:
    if not isinstance(mode, str):
        mode, value = "constant", mode
    if mode != "constant" or value or min(padding, default=0) < 0 or len(padding) > 2 * (x.dim() - 1):
        return None
    return unweighted(slicing.Pad(tuple(padding)), x)


@rule("aten.roll.default")
def _roll(trace: Any, x: Tensor, shifts: Any, dims: Any = ()) -> TypedOperator | None:
    return unweighted(slicing.Roll(tuple(shifts), tuple(dims)), x) if dims else None
