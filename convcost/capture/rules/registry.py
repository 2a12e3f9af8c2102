"""Which typed op each of PyTorch's operators is: one function per operator, with the operator's own arguments.

A rule gives None for a call that the typed op does not describe; the operator is then taken apart or kept as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ...ops.base import Op
from ..trace_records import Typed

Rule = Callable[..., Typed | None]

RULES: dict[Any, Rule] = {}
"""An operator's overload and what it is: called with the trace and the operator's arguments."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Enter a rule for these overloads, ``aten.conv2d.default``; those that this torch does not have are left out."""

    def enter(function: Rule) -> Rule:
        for name in names:
            func = overload(name)
            if func is not None:
                RULES[func] = function
        return function

    return enter


def overload(name: str) -> Any:
    """The operator of this name, or None."""
    namespace, operator, which = name.split(".")
    packet = getattr(getattr(torch.ops, namespace), operator, None)
    return getattr(packet, which, None)


def one(value: Any) -> Any:
    """(3, 3) -> 3, as people write it; unequal sizes stay a tuple."""
    if isinstance(value, (list, tuple)):
        values = tuple(value)
        return values[0] if values and all(each == values[0] for each in values) else values
    return value


def plain(op: Op, *inputs: torch.Tensor) -> Typed:
    """An op without weights."""
    return Typed(op, inputs)


def given(*weights: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
    """The weights that are there."""
    return tuple(weight for weight in weights if weight is not None)
