"""Records of a trace: value references, recorded ops and module calls, and what a capture rule returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import msgspec
import torch

from ..ops.base import Op, Tensors
from ..tensor import Tensor

Ref = tuple[int, int]
"""A value: ``(step, output)``, or ``(PARAM, k)``, ``(INPUT, k)``, ``(CONST, k)`` with the number k in its list."""

PARAM, INPUT, CONST = -1, -2, -3
"""The first element of a Ref to a parameter or buffer, to an input of the network, and to a constant."""


class TraceStep(msgspec.Struct, gc=False):
    """One op in the order of execution."""

    op: Op
    inputs: tuple[Ref, ...]
    weights: tuple[Ref, ...]
    call: int
    """The number of the module call in which it ran."""
    label: str = ""
    """A name for the layer in place of the op's."""


class ModuleCall(msgspec.Struct):
    """One call of a module."""

    path: str
    """The name of the module in the network, such as ``layer1.0.conv1``; ``""`` for the network itself."""
    start: int
    """The number of its first step."""
    parent: int
    """The number of the call around it; -1 for the network itself."""


class Recorder(Protocol):
    """The part of a trace that capture rules use."""

    state: dict[int, int]
    """The number of each parameter and buffer, by ``id(tensor)``."""
    train: bool
    """True if the network is captured in training mode."""

    def ref(self, tensor: torch.Tensor) -> Ref:
        """The reference of a tensor."""

    def add(self, op: Op, inputs: Iterable[Ref], weights: Sequence[Ref] = (), label: str = "") -> int:
        """Add a step and return its number."""

    def intern(self, op: Op) -> Op:
        """Return one shared object for all equal ops."""


class TypedOperator(msgspec.Struct):
    """What a capture rule returns for a call of an operator: the op that it becomes."""

    op: Op
    inputs: tuple[torch.Tensor, ...]
    """The tensors that the op reads, without its weights."""
    weights: tuple[torch.Tensor, ...] = ()
    """The tensors that are its weights, in the order of ``op.weights()``."""
    single: bool = True
    """True if PyTorch's operator returns one tensor, False if it returns a tuple."""
    outputs: Tensors | None = None
    """The outputs, for an operator that becomes several steps; otherwise they are ``op.outputs(inputs)``."""
    parts: Callable[[Recorder], int] | None = None
    """For an operator that becomes several steps: adds them to a trace and returns the number of the last one."""


_DTYPES: dict[torch.dtype, str] = {}


def dtype_of(dtype: torch.dtype) -> str:
    """The name of a dtype without ``torch.``, such as ``float32``."""
    name = _DTYPES.get(dtype)
    if name is None:
        name = _DTYPES[dtype] = str(dtype).removeprefix("torch.")
    return name


def tensor_of(tensor: Any) -> Tensor:
    """The shape and dtype of a PyTorch tensor, as convcost's Tensor."""
    return Tensor(tuple(tensor.shape), dtype_of(tensor.dtype))
