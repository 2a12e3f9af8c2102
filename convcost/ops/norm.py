"""Normalisation without running statistics. Source: nn.LayerNorm, RMSNorm, GroupNorm, LocalResponseNorm.

Per element: subtract the mean, multiply by 1/sqrt(var + eps), multiply by gamma, add beta. Per set of statistics: add
eps, square root, divide. The statistics of m values take 2m additions, m subtractions, m multiplications.

The receptive field of a norm is one position: the dependence through its statistics is ignored.
"""

from __future__ import annotations

from math import prod
from typing import Any

import msgspec

from ..errors import OpError
from ..tensor import Shape, Tensor, Weight
from ..units import shape as times
from .base import Counts, ExplanationStep, Kernels, Op, Positive, Saved, Sizes, Tensors, register
from .flop_counts import PER_ELEMENT


class _Norm(Op, frozen=True):
    """Base of the normalisations, whose output has the shape and dtype of the input."""

    group = "norm"

    def outputs(self, inputs: Tensors) -> Tensors:
        return inputs


def count(row: str, elements: int, groups: int = 0) -> int:
    """Operations by a row of ``PER_ELEMENT``."""
    return PER_ELEMENT[row].count(elements, groups)


def normalised_count(elements: int, sets: int, statistics: bool, weight: bool, bias: bool) -> int:
    """Operations to normalise by ``sets`` means and variances, and to compute these if ``statistics``."""
    total = count("normalise", elements, sets) + count("statistics", elements, sets) * statistics
    return total + count("norm_weight", elements) * weight + count("norm_bias", elements) * bias


def fvcore_norm_flops(x: Tensor, affine: bool, statistics: bool = True) -> int:
    """The FLOPs that fvcore 0.1.5 reports: per element 4 with its statistics, 1 without, and 1 more if it is affine."""
    return x.elements * ((4 if statistics else 1) + affine)


def statistics_of(x: Tensor, sets: int, kinds: int = 2) -> Tensors:
    """The saved statistics (mean, 1/standard deviation): ``kinds`` vectors with a value per set, at least float32."""
    return (Tensor((sets,), "float64" if x.dtype == "float64" else "float32"),) * kinds


def affine_weights(shape: Shape, weight: bool, bias: bool) -> tuple[Weight, ...]:
    """The weight and the bias, where present."""
    return (Weight("weight", shape),) * weight + (Weight("bias", shape),) * bias


def affine_steps(shape: Shape, weight: bool, bias: bool) -> tuple[ExplanationStep, ...]:
    """The arithmetic of the number of affine parameters."""
    if not weight:
        return ()
    formula, filled = ("2*C", "2*") if bias else ("C", "")
    return (ExplanationStep("params", formula, filled + "*".join(map(str, shape)), (1 + bias) * prod(shape)),)


class AffineNorm(_Norm, frozen=True):
    """A norm with a weight and, unless ``bias`` is false, a bias per channel."""

    @property
    def _has_bias(self) -> bool:
        return bool(self.affine and self.bias)  # type: ignore[attr-defined]

    def fvcore_flops(self, inputs: Tensors, outputs: Tensors, train: bool) -> int:
        return fvcore_norm_flops(inputs[0], self.affine)  # type: ignore[attr-defined]

    def to_torch(self) -> Any:
        from .torch_modules.layers import layer

        fields = msgspec.structs.asdict(self)
        if fields["bias"]:
            del fields["bias"]  # PyTorch has the argument since 2.13
        return layer(self.nn_class, fields)


class _TrailingNorm(_Norm, frozen=True):
    """Normalisation over the last dimensions, (N, ..., *normalized_shape), with statistics for each leading index."""

    autocast = "float32"

    normalized_shape: Sizes | None = None

    @property
    def _shape(self) -> Shape:
        shape = self.normalized_shape
        return (shape,) if isinstance(shape, int) else shape or ()

    def bind(self, inputs: Tensors) -> Op:
        bound = msgspec.structs.replace(
            self, normalized_shape=inputs[0].shape[-1:] if self.normalized_shape is None else self._shape
        )
        bound.check(inputs)
        return bound

    def check(self, inputs: Tensors) -> None:
        normalized, shape = self._shape, inputs[0].shape
        if not normalized or shape[-len(normalized) :] != normalized:
            expected = times(normalized) if normalized else "()"
            raise OpError(f"{self.op} was built for last dimensions {expected}, got {times(shape)}")

    def _sets(self, x: Tensor) -> int:
        return prod(x.shape[: -len(self._shape)])


@register
class LayerNorm(_TrailingNorm, frozen=True):
    """Layer normalisation over the last dimensions (default: the last one), (N, ..., *normalized_shape).

    Its operations are those of batch norm in training, without running statistics. arXiv 1607.06450.
    """

    op = "layer_norm"
    nn_class = "LayerNorm"
    abbreviation = "ln"

    eps: float = 1e-5
    elementwise_affine: bool = True
    bias: bool = True

    @property
    def _has_bias(self) -> bool:
        return self.elementwise_affine and self.bias

    def fvcore_flops(self, inputs: Tensors, outputs: Tensors, train: bool) -> int:
        return fvcore_norm_flops(inputs[0], self.elementwise_affine)

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        return Saved(inputs=(0,), extra=statistics_of(inputs[0], self._sets(inputs[0])))

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        return 8 * self._sets(inputs[0])

    def weights(self) -> tuple[Weight, ...]:
        return affine_weights(self._shape, self.elementwise_affine, self._has_bias)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        x = inputs[0]
        total = normalised_count(x.elements, self._sets(x), True, self.elementwise_affine, self._has_bias)
        return {"normalisation": total}

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        return affine_steps(self._shape, self.elementwise_affine, self._has_bias)


@register
class RmsNorm(_TrailingNorm, frozen=True):
    """Division by the root mean square over the last dimensions, (N, ..., *normalized_shape).

    ``eps`` null means PyTorch's default, the machine epsilon of the dtype. Source: arXiv 1910.07467.
    """

    op = "rms_norm"
    nn_class = "RMSNorm"

    eps: float | None = None
    elementwise_affine: bool = True

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        x = inputs[0]
        deviations = statistics_of(x, self._sets(x), 1)
        if kernels == "cuda":  # a single kernel
            return Saved(inputs=(0,), extra=deviations)
        # Separate ops, at least in float32: the product with the weight saves the normalised values.
        wide = (Tensor(x.shape, deviations[0].dtype),)
        normalised = wide * self.elementwise_affine
        if not needs[0]:
            return Saved(extra=normalised)
        if wide == inputs:
            return Saved(inputs=(0,), extra=deviations + normalised)
        return Saved(extra=wide + deviations + normalised)

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        normalised = outputs[0].bytes if self.elementwise_affine and kernels != "cuda" else 0
        return 4 * self._sets(inputs[0]) + normalised

    def weights(self) -> tuple[Weight, ...]:
        return affine_weights(self._shape, self.elementwise_affine, False)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        elements = inputs[0].elements
        total = count("rms_norm", elements, self._sets(inputs[0]))
        return {"normalisation": total + count("norm_weight", elements) * self.elementwise_affine}

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        return affine_steps(self._shape, self.elementwise_affine, False)


@register
class GroupNorm(AffineNorm, frozen=True):
    """Group normalisation of (N, C, ...), with statistics over groups of C/num_groups channels. arXiv 1803.08494."""

    op = "group_norm"
    nn_class = "GroupNorm"
    abbreviation = "gn"
    autocast = "float32"
    inferred_fields = ("num_channels",)

    num_groups: Positive
    eps: float = 1e-5
    affine: bool = True
    bias: bool = True
    num_channels: Positive | None = None

    def bind(self, inputs: Tensors) -> Op:
        self.check(inputs)
        return msgspec.structs.replace(self, num_channels=inputs[0].shape[1])

    def check(self, inputs: Tensors) -> None:
        x = inputs[0]
        if len(x.shape) < 2:
            raise OpError(f"{self.op} needs (N, C, ...), got {times(x.shape)}")
        if self.num_channels not in (None, x.shape[1]):
            raise OpError(f"{self.op} was built for {self.num_channels} channels, got {x.shape[1]}")
        if x.shape[1] % self.num_groups:
            raise OpError(f"{self.op}: num_groups {self.num_groups} must divide the {x.shape[1]} channels")

    def weights(self) -> tuple[Weight, ...]:
        return affine_weights((self.num_channels or 0,), self.affine, self._has_bias)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        x = inputs[0]
        sets = x.shape[0] * self.num_groups
        return {"normalisation": normalised_count(x.elements, sets, True, self.affine, self._has_bias)}

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        return Saved(inputs=(0,), extra=(Tensor((inputs[0].shape[0] * self.num_groups,), inputs[0].dtype),) * 2)

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        return 8 * inputs[0].shape[0] * self.num_groups

    def launches(self, inputs: Tensors, train: bool) -> int:
        # Statistics; if affine, a combined factor and offset per channel; the normalisation itself.
        return 2 + self.affine

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        return affine_steps((self.num_channels or 0,), self.affine, self._has_bias)


@register
class LocalResponseNorm(_Norm, frozen=True):
    """AlexNet's x/(k + alpha*mean(x^2 over ``size`` neighbouring channels))^beta of (N, C, ...).

    PyTorch and Caffe divide alpha by ``size``; the paper does not, and uses k = 2. Padding channels are counted:
    ``size`` + 5 operations per element. Source: Krizhevsky et al. 2012.
    """

    op = "local_response_norm"
    nn_class = "LocalResponseNorm"
    autocast = "float32"  # autocast runs its pow in float32

    size: Positive
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def check(self, inputs: Tensors) -> None:
        if len(inputs[0].shape) < 3:
            raise OpError(f"{self.op} needs (N, C, ...) with 3 dimensions or more, got {times(inputs[0].shape)}")

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        elements = inputs[0].elements
        return {"normalisation": count("local_response_norm", elements * self.size, elements)}

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        # The input of the square and the division; the padded squares; the base of the power; the power.
        x = inputs[0]
        padded = Tensor((x.shape[0], x.shape[1] + self.size - 1, *x.shape[2:]), x.dtype)
        return Saved(inputs=(0,), extra=(padded, x, x))

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        # Two temporaries of squares, averages, products, sums and powers at a time; or the padded squares.
        x = inputs[0]
        padded = x.bytes // x.shape[1] * (x.shape[1] + self.size - 1)
        return max(2 * x.bytes, padded)

    def launches(self, inputs: Tensors, train: bool) -> int:
        return 8  # square, pad (fill and copy), average pool, multiply, add, power, divide
