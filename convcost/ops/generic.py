"""Ops for the operators of a captured network that have no class of their own.

Each holds the operator's name, its arguments ("$0" is the first input) and, if no rule computes them, the recorded
output shapes. Source: PyTorch's native_functions.yaml, whose tags mark pointwise operators and reductions.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ..errors import OpError, nearest
from ..tensor import COMPUTABLE, Tensor, Weight
from .base import (
    FRESH,
    IN_PLACE,
    NOTHING,
    UNKNOWN,
    VIEW,
    Counts,
    Group,
    Kernels,
    NonNegative,
    Op,
    Placement,
    Reach,
    Saved,
    Tensors,
    register,
)
from .combine import broadcast, promoted
from .flop_counts import POINTWISE, REDUCING
from .saved_tensors import by_function, indices

Argument = Any
"""None, a bool, a number, a string ("$0": the first input; "torch.int64": a dtype), or a tuple of these."""


class _Called(Op, frozen=True, kw_only=True):
    """A call of an operator; ``keywords`` are pairs of a name and a value."""

    arity = (0, None)

    function: str
    arguments: tuple[Argument, ...] = ()
    keywords: tuple[tuple[str, Argument], ...] = ()

    @property
    def name(self) -> str:
        """The short name of the operator: ``add`` for ``aten.add_.Tensor``."""
        return self.function.partition(".")[2].partition(".")[0].strip("_")

    def to_torch(self) -> Any:
        from .torch_modules.operator_calls import Called

        return Called(self.function, self.arguments, self.keywords)

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return UNKNOWN

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved | None:
        return by_function(self.name, getattr(self, "inplace", False), inputs, outputs, needs)


class _Recorded(_Called, frozen=True, kw_only=True):
    """An operator with recorded outputs; a dtype of "" is the dtype to which PyTorch promotes the inputs."""

    results: tuple[Tensor, ...]
    places: ClassVar[Placement] = FRESH

    def outputs(self, inputs: Tensors) -> Tensors:
        return tuple(Tensor(x.shape, x.dtype or promoted(inputs)) for x in self.results)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {}

    def placement(self, inputs: Tensors, train: bool) -> tuple[Placement, ...]:
        return (self.places,) * len(self.results)


class _Pointwise(_Called, frozen=True, kw_only=True):
    """A pointwise function of all inputs, broadcast to a common shape.

    A result ``dtype`` of "" is the dtype to which PyTorch promotes the inputs. Operations per element are those of
    ``POINTWISE``, 1 if the operator is not listed.
    """

    arity = (1, None)

    dtype: str = ""
    inplace: bool = False

    def check(self, inputs: Tensors) -> None:
        broadcast(self.function, tuple(x.shape for x in inputs))

    def outputs(self, inputs: Tensors) -> Tensors:
        if self.inplace:
            return (inputs[0],)
        return (Tensor(broadcast(self.function, tuple(x.shape for x in inputs)), self.dtype or promoted(inputs)),)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        operations = POINTWISE.get(self.name, 1) * outputs[0].elements
        return {"elementwise": operations} if operations else {}

    def placement(self, inputs: Tensors, train: bool) -> tuple[Placement, ...]:
        return (IN_PLACE if self.inplace else FRESH,)


@register
class Elementwise(_Pointwise, frozen=True, kw_only=True):
    """A pointwise function of one or more inputs, broadcast to one shape."""

    op = "elementwise"
    within_attention = True


@register
class Compare(_Pointwise, frozen=True, kw_only=True):
    """A pointwise comparison of inputs broadcast to one shape; its result is bool."""

    op = "compare"

    dtype: str = "bool"


@register
class Reduce(_Recorded, frozen=True, kw_only=True):
    """A reduction or scan such as amax, var, norm, argmax or cumsum."""

    op = "reduce"
    arity = (1, None)

    def check(self, inputs: Tensors) -> None:
        if self.name not in REDUCING or not self.results:
            supported = f"{', '.join(REDUCING)}{nearest(self.name, REDUCING)}"
            raise OpError(f"{self.function!r} is not a supported reduction with a result; supported: {supported}")
        elements = self.results[0].elements
        if REDUCING[self.name][1] < 0 and elements > inputs[0].elements:
            raise OpError(
                f"{self.function} has {elements} result values, more than the {inputs[0].elements} of its input"
            )

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        per_input, per_output = REDUCING[self.name]
        return {"elementwise": per_input * inputs[0].elements + per_output * outputs[0].elements}


@register
class View(_Recorded, frozen=True, kw_only=True):
    """A view of the input: expand, strided slices, diagonals."""

    op = "view"
    arity = (1, None)
    places = VIEW
    within_attention = True

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        return NOTHING

    def reads(self, inputs: Tensors, outputs: Tensors) -> int:
        return 0

    def launches(self, inputs: Tensors, train: bool) -> int:
        return 0


@register
class Contiguous(Op, frozen=True):
    """A contiguous copy: any shape -> the same shape. Source: Tensor.contiguous."""

    op = "contiguous"
    keeps = NOTHING
    within_attention = True

    def outputs(self, inputs: Tensors) -> Tensors:
        return inputs

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {}

    def gradient_in_result(self, inputs: Tensors, outputs: Tensors) -> tuple[bool, ...]:
        return (True,)

    def to_torch(self) -> Any:
        from .torch_modules import operator_calls

        return operator_calls.Contiguous()


@register
class Cast(Op, frozen=True):
    """A copy with another ``dtype``: any shape -> the same shape. Source: Tensor.to."""

    op = "cast"
    keeps = NOTHING
    within_attention = True

    dtype: str

    def outputs(self, inputs: Tensors) -> Tensors:
        return (Tensor(inputs[0].shape, self.dtype),)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {}

    def to_torch(self) -> Any:
        from .torch_modules.operator_calls import Called

        return Called("aten.to.dtype", ("$0", f"torch.{self.dtype}"), ())


@register
class Copy(_Recorded, frozen=True, kw_only=True):
    """Copies or moves values without changing them: repeat, flip, pad, stack."""

    op = "copy"
    within_attention = True

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        return by_function(self.name, False, inputs, outputs, needs) or NOTHING


@register
class Index(_Recorded, frozen=True, kw_only=True):
    """Reads or writes values at integer indices: index, gather, scatter. Selected values and indices are read."""

    op = "index"
    arity = (1, None)

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        return indices(inputs)

    def reads(self, inputs: Tensors, outputs: Tensors) -> int:
        indices = sum(x.bytes for x in inputs[1:])
        return indices + min(inputs[0].bytes, sum(y.bytes for y in outputs))


@register
class Sort(_Recorded, frozen=True, kw_only=True):
    """Sorts or selects by order: sort, topk, median. Counts ceil(log2 n) comparisons per value in rows of n values."""

    op = "sort"
    arity = (1, None)

    row: NonNegative

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        return 8 * inputs[0].elements if self.name == "msort" else 0  # msort computes indices but does not return them

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        comparisons = inputs[0].elements * max(self.row - 1, 0).bit_length()
        return {"elementwise": comparisons} if comparisons else {}


@register
class Write(_Recorded, frozen=True, kw_only=True):
    """Overwrites the first input: copy_, fill_, zero_, index_put_, random fills."""

    op = "write"
    arity = (1, None)
    places = IN_PLACE

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        return indices(inputs)

    def reads(self, inputs: Tensors, outputs: Tensors) -> int:
        return sum(x.bytes for x in inputs[1:])


@register
class Create(_Recorded, frozen=True, kw_only=True):
    """Creates a tensor: zeros, arange, random numbers."""

    op = "create"
    passes_gradient = False

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved:
        return NOTHING

    def outputs(self, inputs: Tensors) -> Tensors:
        return self.results

    def reads(self, inputs: Tensors, outputs: Tensors) -> int:
        return 0

    def to_torch(self) -> Any:
        if self.arguments or self.name not in ("to", "to_copy"):
            return super().to_torch()
        # A tensor that was computed on the host and copied to the device; its values are not recorded.
        from .torch_modules.operator_calls import Sent

        return Sent(self.results[0].shape, self.results[0].dtype)


@register
class Constant(Op, frozen=True):
    """A tensor that exists before the network runs and is neither a parameter nor a buffer."""

    op = "constant"
    arity = (0, 0)
    keeps = NOTHING

    shape: tuple[NonNegative, ...]
    dtype: str = "float32"

    def outputs(self, inputs: Tensors) -> Tensors:
        return (Tensor(self.shape, self.dtype),)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {}

    def placement(self, inputs: Tensors, train: bool) -> tuple[Placement, ...]:
        return (Placement("view", -1),)

    def launches(self, inputs: Tensors, train: bool) -> int:
        return 0

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return UNKNOWN

    def weights_read(self, inputs: Tensors, weight_bytes: int) -> int:
        return 0  # the op that takes it as an input reads it

    def to_torch(self) -> Any:
        from .torch_modules.operator_calls import Kept

        return Kept(self.shape, self.dtype, persistent=False)


@register
class Buffer(Constant, frozen=True):
    """A buffer of a module, used as a value. Source: nn.Module.register_buffer.

    ``feeds`` is the group in which it is reported: that of the layers whose weight it is, if any.
    """

    op = "buffer"

    feeds: Group = "other"

    @property
    def reported_group(self) -> Group:
        return self.feeds

    def weights(self) -> tuple[Weight, ...]:
        return (Weight("buffer", self.shape, "buffer", None if self.dtype in COMPUTABLE else self.dtype),)

    def to_torch(self) -> Any:
        from .torch_modules.operator_calls import Kept

        return Kept(self.shape, self.dtype, persistent=True)


@register
class Operator(_Recorded, frozen=True, kw_only=True):
    """An operator counted by a registered rule: see ``convcost.operator_rule``."""

    op = "operator"

    mac_count: NonNegative = 0
    operation_count: NonNegative = 0
    books_in: Group = "other"

    @property
    def reported_group(self) -> Group:
        return self.books_in

    @property
    def uncounted(self) -> str:
        return f"operator: counted by the rule registered for {self.function}, which this counter does not use"

    def macs(self, inputs: Tensors, outputs: Tensors) -> int:
        return self.mac_count

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {"elementwise": self.operation_count} if self.operation_count else {}


@register
class Unmodelled(_Recorded, frozen=True, kw_only=True):
    """An operator without a rule: its shapes are recorded, the coverage names it, its work is not counted."""

    op = "unmodelled"
    modelled = False

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved | None:
        return None
