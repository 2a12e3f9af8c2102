"""The registry of capture rules, and helpers that rules share.

A rule is called with the trace and the arguments of the operator, and returns a ``TypedOperator``. It returns None for
a call that no op describes; the operator is then decomposed if PyTorch can do so, and otherwise becomes a generic op.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ...ops.base import Op
from ..trace_records import TypedOperator

Rule = Callable[..., TypedOperator | None]

RULES: dict[Any, Rule] = {}
"""The rules by the overload of the operator."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Decorator that registers a rule for overloads such as ``aten.conv2d.default``.

    Overloads that the installed version of PyTorch does not have are skipped.
    """

    def register(function: Rule) -> Rule:
        for name in names:
            func = overload(name)
            if func is not None:
                RULES[func] = function
        return function

    return register


def overload(name: str) -> Any:
    """The overload called ``name``, or None if this version of PyTorch does not have it."""
    namespace, operator, which = name.split(".")
    packet = getattr(getattr(torch.ops, namespace), operator, None)
    return getattr(packet, which, None)


def compact(value: Any) -> Any:
    """Shorten a size for each dimension to one number if all are equal: (3, 3) -> 3."""
    if isinstance(value, (list, tuple)):
        values = tuple(value)
        return values[0] if values and all(each == values[0] for each in values) else values
    return value


def unweighted(op: Op, *inputs: torch.Tensor) -> TypedOperator:
    """A TypedOperator without weights."""
    return TypedOperator(op, inputs)


def present(*weights: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
    """The weights that are not None."""
    return tuple(weight for weight in weights if weight is not None)
