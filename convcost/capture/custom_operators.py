"""Rules of users for operators of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from ..errors import UsageError
from ..ops.base import GROUPS, Group


class OperatorCost(msgspec.Struct, frozen=True, kw_only=True):
    """What a user's rule says of one call: multiply-accumulates, other operations, and the group to book them in."""

    macs: int = 0
    operations: int = 0
    group: Group = "other"


Rule = Callable[..., OperatorCost]
R = TypeVar("R", bound=Rule)

_CUSTOM: dict[str, Rule] = {}


def operator_rule(name: str) -> Callable[[R], R]:
    """Decorator: say what an operator costs that convcost does not know.

    The rule is called with the operator's own arguments; tensors have shapes, and no values. ``out`` is its result::

        @convcost.operator_rule("mylib::fused_mlp")
        def fused_mlp(x, weight, out):
            return convcost.OperatorCost(macs=out.numel() * x.shape[-1], group="fc")

    Args:
        name: "namespace::operator", or "namespace::operator.overload" for one overload only.

    Raises:
        UsageError: the name is not of that form.
    """
    namespace, colons, rest = name.partition("::")
    if not (namespace and colons and rest):
        raise UsageError(f'an operator is called "namespace::operator", not {name!r}')

    def register(rule: R) -> R:
        _CUSTOM[name] = rule
        return rule

    return register


def custom(func: Any, args: Sequence[Any], kwargs: dict[str, Any], made: Sequence[Any]) -> dict[str, Any] | None:
    """The fields of ``operator`` by the rule that was registered for it; None if there is none.

    Raises:
        UsageError: the rule gives something else than an OperatorCost, negative counts or an unknown group.
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
    if not (_count(cost.macs) and _count(cost.operations)) or cost.group not in GROUPS:
        raise UsageError(
            f"the rule for {full} gives {cost}; counts are whole numbers of 0 or more, groups {', '.join(GROUPS)}"
        )
    return {"mac_count": cost.macs, "operation_count": cost.operations, "books_in": cost.group}


def _count(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0


__all__ = ["OperatorCost", "custom", "operator_rule"]
