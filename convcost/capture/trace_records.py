"""What a trace is made of: references, steps, and the modules' calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import msgspec
import torch

from ..ops.base import Op, Tensors
from ..tensor import Tensor

Ref = tuple[int, int]
"""(step, output); or (PARAM, k), (INPUT, k), (CONST, k): a parameter or buffer, an input, a constant by its number."""

PARAM, INPUT, CONST = -1, -2, -3


class TraceStep(msgspec.Struct, gc=False):
    """One op as it ran: what it read, whose weights it used, in which module call; ``label`` is a name of its own."""

    op: Op
    inputs: tuple[Ref, ...]
    weights: tuple[Ref, ...]
    call: int
    label: str = ""


class Call(msgspec.Struct):
    """A module that was called: its path, its first step, the call around it, and the step after its last."""

    path: str
    start: int
    around: int
    end: int = -1


class Recorder(Protocol):
    """What a rule sees of the trace that it adds to."""

    state: dict[int, int]
    """Parameters and buffers by the identity of the tensor, each with its number."""
    train: bool
    """Whether the network is captured in training mode."""

    def ref(self, tensor: torch.Tensor) -> Ref:
        """Where a tensor comes from."""

    def add(self, op: Op, inputs: Iterable[Ref], weights: Sequence[Ref] = (), label: str = "") -> int:
        """Add a step; its number."""

    def intern(self, op: Op) -> Op:
        """The one object for equal ops."""


class Typed(msgspec.Struct):
    """What a rule makes of an operator: an op, the tensors that it reads, and those that are its weights.

    ``weights`` stand in the order of the op's. ``single`` says whether PyTorch gives a tensor or a tuple. A composite
    gives ``outputs``, and ``parts``, which adds its steps to a trace and returns the last one.
    """

    op: Op
    inputs: tuple[torch.Tensor, ...]
    weights: tuple[torch.Tensor, ...] = ()
    single: bool = True
    outputs: Tensors | None = None
    parts: Callable[[Recorder], int] | None = None


_DTYPES: dict[torch.dtype, str] = {}


def dtype_of(dtype: torch.dtype) -> str:
    """PyTorch's name of a dtype, ``float32``."""
    name = _DTYPES.get(dtype)
    if name is None:
        name = _DTYPES[dtype] = str(dtype).removeprefix("torch.")
    return name


def tensor_of(tensor: Any) -> Tensor:
    """Shape and dtype of a tensor."""
    return Tensor(tuple(tensor.shape), dtype_of(tensor.dtype))
