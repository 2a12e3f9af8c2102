"""Fully connected layers: linear, bilinear, radial basis. Source: nn.Linear, nn.Bilinear; LeCun et al. 1998."""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import OpError
from ..tensor import Tensor, Weight
from ..units import shape as times
from .base import (
    GLOBAL,
    INPUT,
    POINT,
    UNKNOWN,
    Counts,
    ExplanationStep,
    Kernels,
    Op,
    Positive,
    Reach,
    Saved,
    Tensors,
    register,
)


def bound_features(op: str, x: Tensor, features: int | None) -> int:
    """The size of the last dimension of ``x``. Raises OpError if ``features`` is another number."""
    if len(x.shape) < 2:
        raise OpError(f"{op} needs (N, ..., features), got {len(x.shape)} dimensions")
    if features is not None and features != x.shape[-1]:
        raise OpError(f"{op} was built for {features} input features, got {x.shape[-1]}")
    return x.shape[-1]


class _LastDimension(Op, frozen=True):
    """(N, ..., in_features) -> (N, ..., out_features): each output depends on all of the last dimension."""

    group = "fc"
    inferred_fields = ("in_features",)

    out_features: Positive
    in_features: Positive | None = None

    def bind(self, inputs: Tensors) -> Op:
        return msgspec.structs.replace(self, in_features=bound_features(self.op, inputs[0], self.in_features))

    def check(self, inputs: Tensors) -> None:
        bound_features(self.op, inputs[0], self.in_features)

    def outputs(self, inputs: Tensors) -> Tensors:
        x = inputs[0]
        return (Tensor((*x.shape[:-1], self.out_features), x.dtype),)

    def macs(self, inputs: Tensors, outputs: Tensors) -> int:
        return inputs[0].elements * self.out_features

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return GLOBAL if len(inputs[0].shape) == 2 else POINT


@register
class Linear(_LastDimension, frozen=True):
    """y = x W^T + b over the last dimension: (N, ..., in_features) -> (N, ..., out_features).

    It is applied at every leading index: on (N, 197, 768) it does 197 times the work of (N, 768).
    """

    op = "linear"
    nn_class = "Linear"
    autocast = "low"
    keeps = INPUT

    bias: bool = True

    def weights(self) -> tuple[Weight, ...]:
        weight = Weight("weight", (self.out_features, self.in_features or 0))
        return (weight, Weight("bias", (self.out_features,))) if self.bias else (weight,)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {"bias": outputs[0].elements} if self.bias else {}

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        features, out = self.in_features or 0, self.out_features
        weights = features * out
        steps = [ExplanationStep("weights", "in_features*out_features", f"{features}*{out}", weights)]
        if self.bias:
            steps.append(ExplanationStep("biases", "out_features", f"{out}", out))
            steps.append(ExplanationStep("params", "weights + biases", f"{weights:,} + {out:,}", weights + out))
        leading = "*".join(map(str, inputs[0].shape[:-1]))
        steps.append(
            ExplanationStep("MACs", "leading dimensions*weights", f"{leading}*{weights:,}", self.macs(inputs, outputs))
        )
        return tuple(steps)


@register
class Bilinear(Op, frozen=True):
    """y_k = x1^T W_k x2 + b_k over the last dimensions: (N, ..., in1), (N, ..., in2) -> (N, ..., out_features).

    Per output in1*in2 multiply-accumulates for x1^T W_k and in2 for its product with x2. Source: nn.Bilinear.
    """

    op = "bilinear"
    nn_class = "Bilinear"
    group = "fc"
    arity = (2, 2)
    autocast = "low"
    keeps = Saved(inputs=(0, 1))
    inferred_fields = ("in1_features", "in2_features")

    out_features: Positive
    bias: bool = True
    in1_features: Positive | None = None
    in2_features: Positive | None = None

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        return outputs[0].bytes if self.bias else 0  # the result before the bias is added

    def bind(self, inputs: Tensors) -> Op:
        self.check(inputs)
        return msgspec.structs.replace(self, in1_features=inputs[0].shape[-1], in2_features=inputs[1].shape[-1])

    def check(self, inputs: Tensors) -> None:
        for x, features in zip(inputs, (self.in1_features, self.in2_features), strict=True):
            bound_features(self.op, x, features)
        if inputs[0].shape[:-1] != inputs[1].shape[:-1]:
            shapes = " and ".join(times(x.shape) for x in inputs)
            raise OpError(f"{self.op} of {shapes}: all dimensions but the last must be equal")

    def outputs(self, inputs: Tensors) -> Tensors:
        return (Tensor((*inputs[0].shape[:-1], self.out_features), inputs[0].dtype),)

    def weights(self) -> tuple[Weight, ...]:
        weight = Weight("weight", (self.out_features, self.in1_features or 0, self.in2_features or 0))
        return (weight, Weight("bias", (self.out_features,))) if self.bias else (weight,)

    @property
    def uncounted(self) -> str:
        return "bilinear: a product of three factors, an operator without a formula"

    def macs(self, inputs: Tensors, outputs: Tensors) -> int:
        first, second = (x.shape[-1] for x in inputs)
        return outputs[0].elements * (first * second + second)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {"bias": outputs[0].elements} if self.bias else {}

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return UNKNOWN

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        first, second = (x.shape[-1] for x in inputs)
        out, weights = self.out_features, self.out_features * first * second
        biases = out * self.bias
        leading = "*".join(map(str, outputs[0].shape[:-1]))
        return (
            ExplanationStep(
                "params",
                "out*in1*in2 + out" if self.bias else "out*in1*in2",
                f"{out}*{first}*{second}" + f" + {out}" * self.bias,
                weights + biases,
            ),
            ExplanationStep(
                "MACs",
                "leading dimensions*out*(in1*in2 + in2)",
                f"{leading}*{out}*({first}*{second} + {second})",
                self.macs(inputs, outputs),
            ),
        )


@register
class Rbf(_LastDimension, frozen=True):
    """The output layer of LeNet-5: squared distances to fixed codes, (N, in_features) -> (N, out_features).

    The codes are a buffer, not learned. Per pair of input and output: a subtraction, and a square that is accumulated
    (one multiply-accumulate). Source: LeCun et al. 1998, equation 7.
    """

    op = "rbf"

    @property
    def uncounted(self) -> str:
        return "rbf: squared distances, which are neither a convolution nor a matrix product"

    def weights(self) -> tuple[Weight, ...]:
        return (Weight("codes", (self.out_features, self.in_features or 0), "buffer"),)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {"elementwise": inputs[0].elements * self.out_features}

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        x = inputs[0]  # the differences, which are squared
        return Saved(extra=(Tensor((*x.shape[:-1], self.out_features, x.shape[-1]), x.dtype),))

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        return 2 * inputs[0].bytes * self.out_features - outputs[0].bytes  # the differences and their squares

    def launches(self, inputs: Tensors, train: bool) -> int:
        return 3  # subtract, square, sum

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        codes = f"{self.in_features}*{self.out_features}"
        return (
            ExplanationStep(
                "codes (fixed)", "in_features*out_features", codes, (self.in_features or 0) * self.out_features
            ),
            ExplanationStep(
                "MACs", "N*in_features*out_features", f"{inputs[0].shape[0]}*{codes}", self.macs(inputs, outputs)
            ),
        )

    def to_torch(self) -> Any:
        from .torch_modules import layers

        return layers.Rbf(self.in_features or 0, self.out_features)
