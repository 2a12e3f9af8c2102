"""Ops on several values, and sums over one: addition and its kin, concatenation, product, mean. Source: PyTorch."""

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
    """The work of ``elements`` values by the table of counts; nothing at all is ``{}``."""
    entry = PER_ELEMENT[key]
    number = entry.count(elements, groups)
    return {entry.kind: number} if number else {}


def kind_of(dtype: str) -> int:
    """0 for truth values, 1 for integers, 2 for floating-point, 3 for complex numbers: what PyTorch promotes by."""
    return int(dtype != "bool") if dtype in _INTEGERS else 3 if dtype.startswith("complex") else 2


def promoted(tensors: Tensors) -> str:
    """The dtype of a result as PyTorch promotes it: that of the highest kind among them, and its widest.

    A tensor without dimensions only matters if it is of a higher kind than all others: float32 values and a float64
    scalar stay float32.
    """
    dtypes = {tensor.dtype for tensor in tensors}
    if len(dtypes) == 1:
        return dtypes.pop()
    wide = {tensor.dtype for tensor in tensors if tensor.shape}
    if wide:
        highest = max(map(kind_of, wide))
        # A complex scalar makes floating-point values complex and leaves them as wide as they are.
        dtypes = wide | {"complex64" if highest == 2 else dtype for dtype in dtypes if kind_of(dtype) > highest}
    return _widest(dtypes)


def _widest(dtypes: set[str]) -> str:
    highest = max(map(kind_of, dtypes))
    found = {dtype for dtype in dtypes if kind_of(dtype) == highest}
    if highest == 3:
        return "complex128" if dtypes & {"complex128", "float64"} else "complex64"
    if len(found) == 1:
        return found.pop()
    if highest == 2:  # float16 and bfloat16 hold each other's values only in float32
        return "float64" if "float64" in found else "float32"
    return "int16" if found == {"uint8", "int8"} else max(found, key=_INTEGERS.index)


def broadcast(op: str, shapes: tuple[Shape, ...]) -> Shape:
    """The common shape of several, aligned at their last dimensions. Raises OpError naming the two that clash."""
    result = shapes[0]
    for shape in shapes[1:]:
        rank = max(len(result), len(shape))
        one, other = ((1,) * (rank - len(each)) + each for each in (result, shape))
        for at, (a, b) in enumerate(zip(one, other, strict=True)):
            if a != b and 1 not in (a, b):
                counting = "" if len(result) == len(shape) else f" (of {rank}, aligned at the last)"
                raise OpError(
                    f"{op}: {times(result)} and {times(shape)} clash in dimension {at}{counting}: {a} and {b}"
                )
        result = tuple(b if a == 1 else a for a, b in zip(one, other, strict=True))
    return result


class _Elementwise(Op, frozen=True):
    """One operation between all inputs, from left to right, which are broadcast to a common shape."""

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
            raise OpError(
                f"{self.op}: the result {times(result.shape)} does not fit in place of the first, {times(first.shape)}"
            )
        if kind_of(result.dtype) > kind_of(first.dtype):
            raise OpError(f"{self.op}: a result of {result.dtype} does not fit in place of {first.dtype}")

    def outputs(self, inputs: Tensors) -> Tensors:
        return (inputs[0] if self.inplace else self._result(inputs),)

    def placement(self, inputs: Tensors, train: bool) -> tuple[Placement, ...]:
        return (IN_PLACE if self.inplace else FRESH,)


class _Product(_Arithmetic, frozen=True):
    """A product or quotient: what it keeps of each step from left to right."""

    quotient: ClassVar[bool] = False

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        kept: set[int] = set()
        extra: list[Tensor] = []
        left, needed = inputs[0], needs[0]
        for k, x in enumerate(inputs[1:], 1):
            step = product((left, x), (needed, needs[k]), self.inplace, self.quotient)
            extra += step.extra
            kept |= {k} & {k * place for place in step.inputs}
            if 0 in step.inputs:  # the first input, or a product that nobody else sees
                kept |= {0} if k == 1 else set()
                extra += [left] if k > 1 else []
            left, needed = self._result((left, x)), needed or needs[k]
        return Saved(inputs=tuple(sorted(kept)), extra=tuple(extra))


@register
class Add(_Arithmetic, frozen=True):
    """Adds its inputs, broadcast to one shape: the end of a residual block."""

    op = "add"

    def gradient_in_result(self, inputs: Tensors, outputs: Tensors) -> tuple[bool, ...]:
        return tuple([x.shape == outputs[0].shape for x in inputs])


@register
class Sub(_Arithmetic, frozen=True):
    """Subtracts from the first input all others, broadcast to one shape."""

    op = "sub"

    def gradient_in_result(self, inputs: Tensors, outputs: Tensors) -> tuple[bool, ...]:
        # What is subtracted gets the negative.
        return tuple([not k and x.shape == outputs[0].shape for k, x in enumerate(inputs)])


@register
class Mul(_Product, frozen=True):
    """Multiplies its inputs, broadcast to one shape: (N, C, H, W) with (N, C, 1, 1) scales channels."""

    op = "mul"


@register
class Div(_Product, frozen=True):
    """Divides the first input by all others, broadcast to one shape; integers give float32."""

    op = "div"
    quotient = True

    def _dtype(self, pair: Tensors) -> str:
        dtype = promoted(pair)
        return dtype if kind_of(dtype) > 1 else "float32"


@register
class Maximum(_Elementwise, frozen=True):
    """The largest of its inputs at each place, broadcast to one shape."""

    op = "maximum"

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        steps = [self._result(inputs[: k + 1]) for k in range(1, len(inputs) - 1)]
        return Saved(inputs=tuple(range(len(inputs))), extra=tuple(steps))


@register
class Concat(Op, frozen=True):
    """Joins its inputs along ``dim`` (default 1: channels); all other dimensions are equal. Source: torch.cat."""

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
                found = (d for d in range(len(first)) if d != at and first[d] != shape[d])
                if (dim := next(found, None)) is None:
                    continue
                clash = f"dimension {dim} is {first[dim]} and {shape[dim]}"
            shapes = ", ".join(times(each.shape) for each in inputs)
            raise OpError(f"{self.op} of {shapes} along dimension {at}: the others must be equal, but {clash}")

    def outputs(self, inputs: Tensors) -> Tensors:
        shape = inputs[0].shape
        at = axis(self.op, shape, self.dim)
        return (Tensor((*shape[:at], sum(x.shape[at] for x in inputs), *shape[at + 1 :]), promoted(inputs)),)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {}

    def gradient_in_result(self, inputs: Tensors, outputs: Tensors) -> tuple[bool, ...]:
        return (True,) * len(inputs)  # each a part of it

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        at = axis(self.op, inputs[0].shape, self.dim)
        label, formula = ("channels", "C_1 + C_2 + ...") if at == 1 else (f"dimension {at}", "sum of the inputs'")
        return (ExplanationStep(label, formula, " + ".join(str(x.shape[at]) for x in inputs), outputs[0].shape[at]),)

    def to_torch(self) -> Any:
        from .torch_modules import layers

        return layers.Concat(self.dim)


@register
class Matmul(Op, frozen=True):
    """Matrix product over the last two dimensions, (..., M, K) times (..., K, N) -> (..., M, N).

    ``transpose_b`` takes (..., N, K) as the second, as attention multiplies queries by keys. The leading dimensions
    are broadcast. ``learned`` says that one of the two is made of parameters alone, which makes it a linear layer: it
    is booked there. Source: torch.matmul.
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
    """Multiplies every element by the number ``factor``; nothing is learned."""

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
