"""Ops that combine several inputs: arithmetic, concatenation, matrix product; and scaling. Source: PyTorch."""

from __future__ import annotations

from typing import Any, ClassVar

from ..errors import OpError
from ..tensor import FLOATING, Shape, Tensor
from ..units import shape as times
from .base import (
    FRESH,
    GLOBAL,
    IN_PLACE,
    NOTHING,
    Counts,
    ExplanationStep,
    Group,
    Kernels,
    Op,
    Placement,
    Reach,
    Saved,
    Tensors,
    register,
)
from .flop_counts import PER_ELEMENT
from .layout import axis
from .saved_tensors import product

_INTEGERS = ("bool", "uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


def counted(key: str, elements: int, groups: int = 0) -> Counts:
    """The work on ``elements`` values by row ``key`` of ``PER_ELEMENT``; ``{}`` if it is 0."""
    entry = PER_ELEMENT[key]
    number = entry.count(elements, groups)
    return {entry.kind: number} if number else {}


def kind_of(dtype: str) -> int:
    """The rank of a dtype in PyTorch's type promotion: 0 bool, 1 integer, 2 floating-point, 3 complex."""
    return int(dtype != "bool") if dtype in _INTEGERS else 3 if dtype.startswith("complex") else 2


def promoted(tensors: Tensors) -> str:
    """The dtype to which PyTorch promotes ``tensors``: the widest dtype of the highest kind.

    A tensor without dimensions counts only if its kind is higher than that of all others: float32 values and a float64
    scalar give float32.
    """
    dtypes = {tensor.dtype for tensor in tensors}
    if len(dtypes) == 1:
        return dtypes.pop()
    dimensioned = {tensor.dtype for tensor in tensors if tensor.shape}
    if dimensioned:
        highest = max(map(kind_of, dimensioned))
        # A complex scalar makes floating-point values complex but does not widen them.
        dtypes = dimensioned | {"complex64" if highest == 2 else dtype for dtype in dtypes if kind_of(dtype) > highest}
    return _widest(dtypes)


def _widest(dtypes: set[str]) -> str:
    highest = max(map(kind_of, dtypes))
    candidates = {dtype for dtype in dtypes if kind_of(dtype) == highest}
    if highest == 3:
        return "complex128" if dtypes & {"complex128", "float64"} else "complex64"
    if len(candidates) == 1:
        return candidates.pop()
    if highest == 2:  # float32 is the narrowest dtype that can represent both float16 and bfloat16
        return "float64" if "float64" in candidates else "float32"
    return "int16" if candidates == {"uint8", "int8"} else max(candidates, key=_INTEGERS.index)


def broadcast(op: str, shapes: tuple[Shape, ...]) -> Shape:
    """The shape to which ``shapes`` broadcast. Raises OpError naming two shapes that cannot be broadcast."""
    result = shapes[0]
    for shape in shapes[1:]:
        rank = max(len(result), len(shape))
        pairs = list(zip(*((1,) * (rank - len(each)) + each for each in (result, shape)), strict=True))
        for dim, (a, b) in enumerate(pairs):
            if a != b and 1 not in (a, b):
                aligned = "" if len(result) == len(shape) else f" (of {rank}, aligned at the last)"
                both = f"{times(result)} and {times(shape)}"
                raise OpError(f"{op}: {both} cannot be broadcast: dimension {dim}{aligned} is {a} and {b}")
        result = tuple(b if a == 1 else a for a, b in pairs)
    return result


class _Elementwise(Op, frozen=True):
    """A binary operation over all inputs, from left to right, broadcast to a common shape."""

    arity = (2, None)
    keeps = NOTHING

    def check(self, inputs: Tensors) -> None:
        self._result(inputs)

    def _result(self, inputs: Tensors) -> Tensor:
        result = inputs[0]
        for x in inputs[1:]:
            result = Tensor(broadcast(self.op, (result.shape, x.shape)), self._dtype((result, x)))
        return result

    def _dtype(self, pair: Tensors) -> str:
        return promoted(pair)

    def outputs(self, inputs: Tensors) -> Tensors:
        return (self._result(inputs),)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return counted(self.op, (len(inputs) - 1) * outputs[0].elements)

    def launches(self, inputs: Tensors, train: bool) -> int:
        return len(inputs) - 1

    def to_torch(self) -> Any:
        from .torch_modules.layers import Fold

        return Fold(self.op, getattr(self, "inplace", False))


class _Arithmetic(_Elementwise, frozen=True):
    """An elementwise operation that can overwrite its first input."""

    merges_branches = True
    within_attention = True

    inplace: bool = False

    def check(self, inputs: Tensors) -> None:
        result, first = self._result(inputs), inputs[0]
        if not self.inplace:
            return
        if result.shape != first.shape:
            shapes = f"{times(result.shape)} in the first input, {times(first.shape)}"
            raise OpError(f"{self.op}: inplace cannot store the result {shapes}")
        if kind_of(result.dtype) > kind_of(first.dtype):
            raise OpError(f"{self.op}: inplace cannot store a {result.dtype} result in {first.dtype}")

    def outputs(self, inputs: Tensors) -> Tensors:
        return (inputs[0] if self.inplace else self._result(inputs),)

    def placement(self, inputs: Tensors, train: bool) -> tuple[Placement, ...]:
        return (IN_PLACE if self.inplace else FRESH,)


class _Product(_Arithmetic, frozen=True):
    """A product or quotient, whose factors autograd saves at each step from left to right."""

    quotient: ClassVar[bool] = False

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        saved_inputs: set[int] = set()
        extra: list[Tensor] = []
        left, needed = inputs[0], needs[0]
        for k, x in enumerate(inputs[1:], 1):
            step = product((left, x), (needed, needs[k]), self.inplace, self.quotient)
            extra += step.extra
            saved_inputs |= {k} & {k * place for place in step.inputs}
            if 0 in step.inputs:  # the first input, or an intermediate product
                saved_inputs |= {0} if k == 1 else set()
                extra += [left] if k > 1 else []
            left, needed = self._result((left, x)), needed or needs[k]
        return Saved(inputs=tuple(sorted(saved_inputs)), extra=tuple(extra))


@register
class Add(_Arithmetic, frozen=True):
    """Adds its inputs, broadcast to one shape, as at the end of a residual block."""

    op = "add"

    def gradient_in_result(self, inputs: Tensors, outputs: Tensors) -> tuple[bool, ...]:
        return tuple([x.shape == outputs[0].shape for x in inputs])


@register
class Sub(_Arithmetic, frozen=True):
    """Subtracts all other inputs from the first, broadcast to one shape."""

    op = "sub"

    def gradient_in_result(self, inputs: Tensors, outputs: Tensors) -> tuple[bool, ...]:
        # The gradient of a subtracted input is negated, which needs new memory.
        return tuple([not k and x.shape == outputs[0].shape for k, x in enumerate(inputs)])


@register
class Mul(_Product, frozen=True):
    """Multiplies its inputs, broadcast to one shape; (N, C, 1, 1) scales the channels of (N, C, H, W)."""

    op = "mul"


@register
class Div(_Product, frozen=True):
    """Divides the first input by all others, broadcast to one shape; integer inputs give float32."""

    op = "div"
    quotient = True

    def _dtype(self, pair: Tensors) -> str:
        dtype = promoted(pair)
        return dtype if kind_of(dtype) > 1 else "float32"


@register
class Maximum(_Elementwise, frozen=True):
    """The elementwise maximum of its inputs, broadcast to one shape."""

    op = "maximum"

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        steps = [self._result(inputs[: k + 1]) for k in range(1, len(inputs) - 1)]
        return Saved(inputs=tuple(range(len(inputs))), extra=tuple(steps))


@register
class Concat(Op, frozen=True):
    """Concatenates along ``dim`` (default 1: channels); all other dimensions must be equal. Source: torch.cat."""

    op = "concat"
    keeps = NOTHING
    arity = (1, None)
    autocast = "promote"
    merges_branches = True

    dim: int = 1

    def check(self, inputs: Tensors) -> None:
        first = inputs[0].shape
        at = axis(self.op, first, self.dim)
        for tensor in inputs[1:]:
            shape = tensor.shape
            if len(shape) != len(first):
                clash = f"{len(first)} and {len(shape)} dimensions"
            else:
                unequal = (d for d in range(len(first)) if d != at and first[d] != shape[d])
                if (dim := next(unequal, None)) is None:
                    continue
                clash = f"{first[dim]} and {shape[dim]} in dimension {dim}"
            shapes = ", ".join(times(each.shape) for each in inputs)
            raise OpError(
                f"{self.op} of {shapes} along dimension {at}: all other dimensions must be equal, got {clash}"
            )

    def outputs(self, inputs: Tensors) -> Tensors:
        shape = inputs[0].shape
        at = axis(self.op, shape, self.dim)
        return (Tensor((*shape[:at], sum(x.shape[at] for x in inputs), *shape[at + 1 :]), promoted(inputs)),)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {}

    def gradient_in_result(self, inputs: Tensors, outputs: Tensors) -> tuple[bool, ...]:
        return (True,) * len(inputs)  # each is a slice of the gradient of the output

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        at = axis(self.op, inputs[0].shape, self.dim)
        label, formula = ("channels", "C_1 + C_2 + ...") if at == 1 else (f"dimension {at}", "sum over the inputs")
        return (ExplanationStep(label, formula, " + ".join(str(x.shape[at]) for x in inputs), outputs[0].shape[at]),)

    def to_torch(self) -> Any:
        from .torch_modules import layers

        return layers.Concat(self.dim)


@register
class Matmul(Op, frozen=True):
    """Matrix product over the last two dimensions, (..., M, K) times (..., K, N) -> (..., M, N).

    ``transpose_b`` takes (..., N, K) as the second, as attention multiplies queries by keys. The leading dimensions
    are broadcast. ``learned`` is true if one operand is computed from parameters only: the product is then reported in
    the group fc, as a linear layer. Source: torch.matmul.
    """

    op = "matmul"
    group = "attention"
    arity = (2, 2)
    autocast = "low"

    transpose_b: bool = False
    learned: bool = False

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        return Saved(inputs=(0,) * needs[1] + (1,) * needs[0])

    @property
    def reported_group(self) -> Group:
        return "fc" if self.learned else self.group

    def _right(self, b: Tensor) -> Shape:
        return (*b.shape[:-2], b.shape[-1], b.shape[-2]) if self.transpose_b else b.shape

    def check(self, inputs: Tensors) -> None:
        a, b = inputs
        shapes = f"{times(a.shape)} times {times(b.shape)}{' transposed' if self.transpose_b else ''}"
        if min(len(a.shape), len(b.shape)) < 2:
            raise OpError(f"{self.op} needs two or more dimensions each, got {shapes}")
        if a.shape[-1] != self._right(b)[-2]:
            raise OpError(f"{self.op}: {shapes}: the inner dimensions are {a.shape[-1]} and {self._right(b)[-2]}")
        broadcast(f"{self.op} of {shapes}: leading dimensions", (a.shape[:-2], b.shape[:-2]))

    def outputs(self, inputs: Tensors) -> Tensors:
        a, b = inputs
        leading = broadcast(self.op, (a.shape[:-2], b.shape[:-2]))
        return (Tensor((*leading, a.shape[-2], self._right(b)[-1]), promoted(inputs)),)

    def macs(self, inputs: Tensors, outputs: Tensors) -> int:
        return outputs[0].elements * inputs[0].shape[-1]

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {}

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return GLOBAL

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        *_, rows, columns = outputs[0].shape
        leading = "*".join(map(str, outputs[0].shape[:-2])) or "1"
        filled = f"{leading}*{rows}*{inputs[0].shape[-1]}*{columns}"
        return (ExplanationStep("MACs", "leading dimensions*M*K*N", filled, self.macs(inputs, outputs)),)

    def to_torch(self) -> Any:
        from .torch_modules import layers

        return layers.Matmul(self.transpose_b)


@register
class Scale(Op, frozen=True):
    """Multiplies every element by the constant ``factor``."""

    op = "scale"
    keeps = NOTHING
    within_attention = True

    factor: float

    def outputs(self, inputs: Tensors) -> Tensors:
        x = inputs[0]
        return (x if x.dtype in FLOATING else Tensor(x.shape, "float32"),)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return counted(self.op, outputs[0].elements)

    def to_torch(self) -> Any:
        from .torch_modules.layers import Method

        return Method("mul", {"other": float(self.factor)})
