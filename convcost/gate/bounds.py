"""What a figure may be: ``25.6M``, ``<= 4.1G``, ``100MiB``, ``25_557_032``; and how far it may move: ``1%``, ``1K``."""

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
    """What a figure may be. "about": it must round to the digits of ``text``, as a published figure."""

    operator: Operator
    value: int
    text: str

    def holds(self, found: float) -> bool:
        """Whether a figure keeps to it."""
        if self.operator == "about":
            return verdict_on(self.text, int(found)) == "agrees"
        return {
            "<=": found <= self.value, ">=": found >= self.value, "==": found == self.value,
            "<": found < self.value, ">": found > self.value,
        }[self.operator]  # fmt: skip

    def __str__(self) -> str:
        return f"{_WORDS[self.operator]} {self.text}"


class Tolerance(msgspec.Struct, frozen=True):
    """How far a figure may be from what is locked: a number, or a share in parts of ``whole``."""

    part: int = 0
    whole: int = 0

    @property
    def exact(self) -> bool:
        """True if it may not move at all."""
        return not self.part

    def allows(self, locked: int, found: int) -> bool:
        """Whether a figure is near enough."""
        distance = abs(found - locked)
        return distance <= self.part if not self.whole else distance * self.whole <= self.part * locked


EXACT = Tolerance()


def bound(written: object, unit: str, default: Operator) -> Bound:
    """A bound as people write it.

    Args:
        written: a whole number, or a text with or without an operator: ``25.6M``, ``<= 100MiB``.
        unit: "bytes", "duration" (nanoseconds), or anything else for a count.
        default: the operator of a figure without one.

    Raises:
        UsageError: no figure, a negative or broken number, bytes where a count is wanted or the other way round.
    """
    if isinstance(written, int) and not isinstance(written, bool):
        if written < 0:
            raise UsageError(f"{written} is negative; no network is below 0")
        return Bound("==" if default == "about" else default, written, f"{written:,}")
    if not isinstance(written, str):
        raise UsageError(f"{as_written(written)} is neither a whole number nor a text such as {_example(unit)}")
    match = _BOUND.match(written)
    assert match
    sign, figure = match.groups()
    value = _figure(figure, unit)
    operator: Operator = {"=": "=="}.get(sign, sign) or default  # type: ignore[assignment]
    if operator == "<" and not value:
        raise UsageError(f"{written!r} is impossible: nothing is below 0")
    if operator == "about" and figure.replace(",", "").isdigit():
        operator = "=="
    return Bound(operator, value, figure)


def tolerance(written: object, unit: str) -> Tolerance:
    """A tolerance as people write it: ``0``, ``1000``, ``1K``, ``0.5%``.

    Raises:
        UsageError: it is none of these.
    """
    if isinstance(written, str) and (match := _PERCENT.match(written)):
        decimals = match.group(2) or ""
        return Tolerance(int(match.group(1) + decimals), 100 * 10 ** len(decimals))
    if isinstance(written, float):
        raise UsageError(f"{written} is neither a whole number nor a share such as '0.5%'")
    found = bound(written, unit, "<=")
    if isinstance(written, str) and _BOUND.match(written).group(1):  # type: ignore[union-attr]
        raise UsageError(f"{written!r}: a tolerance has no operator; write {found.text}, or a share such as '0.5%'")
    return Tolerance(found.value)


def _figure(text: str, unit: str) -> int:
    match = units.FIGURE.match(text.replace("_", ""))
    scales = {"bytes": _BYTES, "duration": _TIMES}.get(unit, _COUNTS)
    if not match:
        raise UsageError(f"{text!r} is no figure such as {_example(unit)}")
    whole, decimals, suffix = match.group(1).replace(",", ""), match.group(2) or "", match.group(3)
    if suffix not in scales:
        what = {"bytes": "bytes are written with", "duration": "a time is written with"}.get(unit)
        what = what or "a count is written with"
        raise UsageError(f"{text!r}: {what} {', '.join(filter(None, scales))} or nothing, not {suffix!r}")
    value, rest = divmod(int(whole + decimals) * scales[suffix], 10 ** len(decimals))
    if rest and not (unit in ("bytes", "duration") and suffix):
        raise UsageError(f"{text!r} is not a whole number")
    return int(value)


def _example(unit: str) -> str:
    figure = {"bytes": "100MiB", "duration": "5ms"}.get(unit, "25.6M")
    return f"'{figure}' or '<= {figure}'"
