"""Bounds (``25.6M``, ``<= 4.1G``, ``100MiB``, ``25_557_032``) and tolerances (``1%``, ``1K``): parsing and comparison.

A new operator is an entry of ``Operator``, ``_BOUND`` and ``_WORDS`` and a case of ``Bound.holds``; suffixes of counts
and bytes come from ``units.SCALES``, those of times are in ``_TIMES``.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from .. import units
from ..analysis.claims import verdict_on
from ..errors import UsageError, as_written

Operator = Literal["<=", ">=", "==", "<", ">", "about"]

_BOUND = re.compile(r"\s*(<=|>=|==|<|>|=)?\s*(.*?)\s*\Z", re.DOTALL)
_PERCENT = re.compile(r"\s*([0-9]+)(?:\.([0-9]+))?\s*%\s*\Z")
_BYTES = {"": 1, "B": 1} | {suffix: scale for suffix, scale in units.SCALES.items() if len(suffix) > 1}
_COUNTS = {suffix: scale for suffix, scale in units.SCALES.items() if len(suffix) < 2}
_TIMES = {"": 1, "ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
_WORDS = {"<=": "at most", ">=": "at least", "==": "exactly", "<": "less than", ">": "more than", "about": "about"}


class Bound(msgspec.Struct, frozen=True):
    """A bound on a figure.

    Args:
        operator: the comparison; "about" requires the figure to round to the digits of ``text``.
        value: the bound as an integer: a count, bytes or nanoseconds.
        text: the bound as it was written, without the operator.
    """

    operator: Operator
    value: int
    text: str

    def holds(self, figure: float) -> bool:
        """Return True if the figure satisfies the bound."""
        if self.operator == "about":
            return verdict_on(self.text, int(figure)) == "agrees"
        return {
            "<=": figure <= self.value, ">=": figure >= self.value, "==": figure == self.value,
            "<": figure < self.value, ">": figure > self.value,
        }[self.operator]  # fmt: skip

    def __str__(self) -> str:
        return f"{_WORDS[self.operator]} {self.text}"


class Tolerance(msgspec.Struct, frozen=True):
    """Largest allowed distance from a locked figure: ``part``, or ``part / whole`` of it if ``whole`` is not 0."""

    part: int = 0
    whole: int = 0

    @property
    def exact(self) -> bool:
        """True if no difference is allowed."""
        return not self.part

    def allows(self, locked: int, figure: int) -> bool:
        """Return True if the distance from ``locked`` is within the tolerance."""
        distance = abs(figure - locked)
        return distance <= self.part if not self.whole else distance * self.whole <= self.part * locked


EXACT = Tolerance()


def bound(written: object, unit: str, default: Operator) -> Bound:
    """Parse a bound.

    Args:
        written: an integer, or a string with or without an operator: ``25.6M``, ``<= 100MiB``.
        unit: "bytes", "duration" (in nanoseconds), or anything else for a count.
        default: the operator of a figure that is written without one.

    Raises:
        UsageError: ``written`` is not a number, is negative, is not an integer, or has the suffix of another unit.
    """
    if isinstance(written, int) and not isinstance(written, bool):
        if written < 0:
            raise UsageError(f"{written} is negative; figures are 0 or more")
        return Bound("==" if default == "about" else default, written, f"{written:,}")
    if not isinstance(written, str):
        raise UsageError(f"{as_written(written)} is neither an integer nor a string such as {_example(unit)}")
    match = _BOUND.match(written)
    assert match
    sign, figure = match.groups()
    value = _figure(figure, unit)
    operator: Operator = {"=": "=="}.get(sign, sign) or default  # type: ignore[assignment]
    if operator == "<" and not value:
        raise UsageError(f"{written!r} cannot be satisfied: figures are 0 or more")
    if operator == "about" and figure.replace(",", "").isdigit():
        operator = "=="
    return Bound(operator, value, figure)


def tolerance(written: object, unit: str) -> Tolerance:
    """Parse a tolerance: ``0``, ``1000``, ``1K``, ``0.5%``; ``unit`` as for ``bound``.

    Raises:
        UsageError: ``written`` has none of these forms.
    """
    if isinstance(written, str) and (match := _PERCENT.match(written)):
        decimals = match.group(2) or ""
        return Tolerance(int(match.group(1) + decimals), 100 * 10 ** len(decimals))
    if isinstance(written, float):
        raise UsageError(f"{written} is neither an integer nor a percentage such as '0.5%'")
    number = bound(written, unit, "<=")
    if isinstance(written, str) and _BOUND.match(written).group(1):  # type: ignore[union-attr]
        raise UsageError(f"{written!r}: a tolerance has no operator; write {number.text} or a percentage such as 0.5%")
    return Tolerance(number.value)


def _figure(text: str, unit: str) -> int:
    match = units.FIGURE.match(text.replace("_", ""))
    scales = {"bytes": _BYTES, "duration": _TIMES}.get(unit, _COUNTS)
    if not match:
        raise UsageError(f"{text!r} is not a figure; write one such as {_example(unit)}")
    whole, decimals, suffix = match.group(1).replace(",", ""), match.group(2) or "", match.group(3)
    if suffix not in scales:
        noun = {"bytes": "a size in bytes", "duration": "a time"}.get(unit, "a count")
        allowed = ", ".join(filter(None, scales))
        raise UsageError(f"{text!r}: the suffix of {noun} is {allowed} or none, not {suffix!r}")
    value, remainder = divmod(int(whole + decimals) * scales[suffix], 10 ** len(decimals))
    if remainder and not (unit in ("bytes", "duration") and suffix):
        raise UsageError(f"{text!r} is not an integer")
    return int(value)


def _example(unit: str) -> str:
    figure = {"bytes": "100MiB", "duration": "5ms"}.get(unit, "25.6M")
    return f"'{figure}' or '<= {figure}'"
