"""Normalisation. Source: PyTorch's nn.BatchNorm*, InstanceNorm*, LayerNorm, RMSNorm, GroupNorm, LocalResponseNorm.

Per element: subtract the mean, multiply by 1/sqrt(var + eps), multiply by gamma, add beta. Per set of statistics: add
eps, square root, divide. The statistics of m values take 2m additions, m subtractions, m multiplications.

None of them widens the receptive field here: that a statistic is taken over all positions is not followed.
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
    """What normalisations share: an output like the input, and work that the lines of the table add up to."""

    group = "norm"

    def outputs(self, inputs: Tensors) -> Tensors:
        return inputs


def count(line: str, elements: int, groups: int = 0) -> int:
    """Operations by a line of the table of counts."""
    return PER_ELEMENT[line].count(elements, groups)


def normalised_count(elements: int, sets: int, statistics: bool, weight: bool, bias: bool) -> int:
    """Operations that normalise ``elements`` by ``sets`` of a mean and a variance, and take these if ``statistics``."""
    total = count("normalise", elements, sets) + count("statistics", elements, sets) * statistics
    return total + count("norm_weight", elements) * weight + count("norm_bias", elements) * bias


def fvcore_norm_flops(x: Tensor, affine: bool, statistics: bool = True) -> int:
    """What fvcore 0.1.5 counts for a norm: per element 4 with its statistics, 1 without, and 1 more if it is affine."""
    return x.elements * ((4 if statistics else 1) + affine)


def statistics_of(x: Tensor, sets: int, kinds: int = 2) -> Tensors:
    """What is kept for each set in ``kinds`` vectors, mean and 1/deviation: in float32 at least."""
    return (Tensor((sets,), "float64" if x.dtype == "float64" else "float32"),) * kinds


def affine_weights(shape: Shape, weight: bool, bias: bool) -> tuple[Weight, ...]:
    """The factors and the offsets, where there are such."""
    return (Weight("weight", shape),) * weight + (Weight("bias", shape),) * bias


def affine_steps(shape: Shape, weight: bool, bias: bool) -> tuple[ExplanationStep, ...]:
    """The arithmetic of their number."""
    if not weight:
        return ()
    formula, filled = ("2*C", "2*") if bias else ("C", "")
    return (ExplanationStep("params", formula, filled + "*".join(map(str, shape)), (1 + bias) * prod(shape)),)


class AffineNorm(_Norm, frozen=True):
    """A norm with a factor for each channel, and an offset too unless ``bias`` is false."""

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
        shape, arriving = self._shape, inputs[0].shape
        if not shape or arriving[-len(shape) :] != shape:
            raise OpError(
                f"{self.op} was built for last dimensions {times(shape) if shape else '()'}, {times(arriving)} arrives"
            )

    def _sets(self, x: Tensor) -> int:
        return prod(x.shape[: -len(self._shape)])


@register
class LayerNorm(_TrailingNorm, frozen=True):
    """Layer normalisation over the last dimensions (default: the last one): (N, ..., *normalized_shape) -> same.

    Statistics and work per element are those of batch norm in training, without running values. arXiv 1607.06450.
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
    """Division by the root mean square over the last dimensions: (N, ..., *normalized_shape) -> same.

    ``eps`` null is PyTorch's default, the machine epsilon of the dtype. Source: arXiv 1910.07467.
    """

    op = "rms_norm"
    nn_class = "RMSNorm"

    eps: float | None = None
    elementwise_affine: bool = True

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        x = inputs[0]
        deviations = statistics_of(x, self._sets(x), 1)
        if kernels == "cuda":  # one kernel does it all
            return Saved(inputs=(0,), extra=deviations)
        # Written out, in float32 at least: the product with the weight keeps its factor.
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
    """Group normalisation: (N, C, ...) -> same, statistics over C/num_groups channels each. arXiv 1803.08494."""

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
            raise OpError(f"{self.op} was built for {self.num_channels} channels, {x.shape[1]} arrive")
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
        # Statistics; with gamma and beta, a kernel that folds all into a factor and an offset; their application.
        return 2 + self.affine

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        return affine_steps((self.num_channels or 0,), self.affine, self._has_bias)


@register
class LocalResponseNorm(_Norm, frozen=True):
    """AlexNet's x/(k + alpha*mean(x^2 over ``size`` neighbouring channels))^beta: (N, C, ...) -> same.

    As in PyTorch and Caffe alpha is divided by ``size``; the paper does not, and has k = 2. Positions outside of the
    channels count as values: per element ``size`` + 5 operations. Source: Krizhevsky et al. 2012.
    """

    op = "local_response_norm"
    nn_class = "LocalResponseNorm"
    autocast = "float32"  # by way of its power

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
        # The input, squared and divided; the padded squares, averaged; the sum, of which the power is taken; the power.
        x = inputs[0]
        padded = Tensor((x.shape[0], x.shape[1] + self.size - 1, *x.shape[2:]), x.dtype)
        return Saved(inputs=(0,), extra=(padded, x, x))

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        # Three of: squares, averages, products, sums, powers. Or the squares and the same with zeros around them.
        x = inputs[0]
        padded = x.bytes // x.shape[1] * (x.shape[1] + self.size - 1)
        return max(2 * x.bytes, padded)

    def launches(self, inputs: Tensors, train: bool) -> int:
        return 8  # square, pad (fill and copy), average pool, multiply, add, power, divide
