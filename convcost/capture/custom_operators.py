"""Users' cost rules for operators that convcost does not know: the decorator ``operator_rule``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from ..errors import UsageError
from ..ops.base import GROUPS, Group


class OperatorCost(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of one call of an operator, as a user's rule returns it."""

    macs: int = 0
    """Multiply-accumulates."""
    operations: int = 0
    """Other floating-point operations."""
    group: Group = "other"
    """The group in which reports count the cost."""


Rule = Callable[..., OperatorCost]
R = TypeVar("R", bound=Rule)

_CUSTOM: dict[str, Rule] = {}
"""The registered rules by the name of the operator."""


def operator_rule(name: str) -> Callable[[R], R]:
    """Decorator that registers a cost rule for an operator.

    The rule is called with the arguments of the operator and, as ``out``, its result. Tensors are on the meta device:
    they have shapes and no values. ::

        @convcost.operator_rule("mylib::fused_mlp")
        def fused_mlp(x, weight, out):
            return convcost.OperatorCost(macs=out.numel() * x.shape[-1], group="fc")

    Args:
        name: "namespace::operator" for all overloads, or "namespace::operator.overload" for one.

    Raises:
        UsageError: the name does not have this form.
    """
    namespace, colons, rest = name.partition("::")
    if not (namespace and colons and rest):
        raise UsageError(f'the name of an operator has the form "namespace::operator", not {name!r}')

    def register(rule: R) -> R:
        _CUSTOM[name] = rule
        return rule

    return register


def custom_cost(func: Any, args: Sequence[Any], kwargs: dict[str, Any], made: Sequence[Any]) -> dict[str, Any] | None:
    """Apply the registered rule to a call of an operator.

    Args:
        func: the overload that was called.
        args, kwargs: its arguments.
        made: the tensors in its result.

    Returns:
        Values for fields of ``ops.generic.Operator``; None if no rule is registered for the operator.

    Raises:
        UsageError: the rule did not return an OperatorCost with counts of 0 or more and a known group.
    """
    if not _CUSTOM:
        return None
    full: str = func.name()
    if func._overloadname not in ("", "default") and not full.endswith(f".{func._overloadname}"):
        full = f"{full}.{func._overloadname}"
    rule = _CUSTOM.get(full) or _CUSTOM.get(full.partition(".")[0])
    if rule is None:
        return None
    out = made[0] if len(made) == 1 else tuple(made)
    cost = rule(*args, **kwargs, out=out)
    if not isinstance(cost, OperatorCost):
        raise UsageError(f"the rule for {full} must return an OperatorCost, not {cost!r}")
    if not (_is_count(cost.macs) and _is_count(cost.operations)) or cost.group not in GROUPS:
        raise UsageError(
            f"the rule for {full} returned {cost}; counts must be integers of 0 or more, and the group one of "
            f"{', '.join(GROUPS)}"
        )
    return {"mac_count": cost.macs, "operation_count": cost.operations, "books_in": cost.group}


def _is_count(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0


__all__ = ["OperatorCost", "custom_cost", "operator_rule"]
