"""Which typed op each of PyTorch's operators is: one function per operator, with the operator's own arguments.

A rule gives None for a call that the typed op does not describe; the operator is then taken apart or kept as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..ops.base import Op
from . import torch_layout
from .torch_records import Typed

if TYPE_CHECKING:
    from .torch_trace import Trace

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


LAYOUT: dict[Any, Callable[..., Op | Sequence[Op] | None]] = {
    func: function for name, function in torch_layout.BY_NAME.items() if (func := overload(name)) is not None
}
"""Operators that only change how a value is read, and what each is if its result is a view."""


def _enter_all() -> None:
    """The families enter their rules when they are imported."""
    from . import torch_rules_combine, torch_rules_layers, torch_rules_pointwise  # noqa: F401


_enter_all()

if TYPE_CHECKING:
    _ = Trace
