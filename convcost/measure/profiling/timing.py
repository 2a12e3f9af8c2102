"""How times are taken: warm up until they settle, then as many iterations as make the median sure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec

from ...profiles.doubts import UNCERTAINTY
from ...profiles.runs import Condition
from ...profiles.statistics import median, summary
from .clock import Bench, Call

WINDOW = 5
"""Iterations whose medians are compared while warming up."""
SETTLED = 0.02
CHUNK_NS = 50_000_000
"""About how long the device is left alone between two looks at its sensors."""


class Limits(msgspec.Struct, frozen=True):
    """When to stop. ``seconds`` bounds one setting: a quarter of it for warming up at most."""

    seconds: float = 3.0
    warmup_seconds: float = 0.3
    min_samples: int = 10
    max_samples: int = 1000
    fewest: int = 3
    """Samples that are taken even if one of them lasts longer than all the time there is."""


class Timed(msgspec.Struct, frozen=True):
    """Raw times: of each phase one row of samples, of iterations to warm up, and what sensors said meanwhile."""

    phases: tuple[tuple[int, ...], ...]
    warmup_ns: tuple[int, ...]
    stable: bool
    conditions: tuple[Condition, ...]


def timed(bench: Bench, phases: Sequence[Call], limits: Limits, flush: bool = True) -> Timed:
    """Times of an iteration that has one or more phases.

    Args:
        phases: what is called, in this order, in each iteration.
        flush: overwrite the device's cache before each iteration, outside of what is timed.
    """
    # The first one loads kernels and compiles, for seconds or minutes: it takes nothing from the others' time.
    _waited(bench, _iteration(bench, phases, False))
    start = bench.now_ns()
    warmup, stable = warm_up(bench, phases, limits)
    rows: list[tuple[int, ...]] = []
    conditions: list[Condition] = []
    chunk = limits.fewest
    while not _enough(rows, bench.now_ns() - start, limits):
        begun = bench.now_ns()
        marks = [_iteration(bench, phases, flush) for _ in range(min(chunk, limits.max_samples - len(rows)))]
        seen = bench.condition(bench.now_ns() - start)  # before the wait: the device is at work
        bench.synchronize()
        # By the host's clock: flushing the cache can take longer than what is timed.
        chunk = max(1, int(CHUNK_NS * len(marks) / max(1, bench.now_ns() - begun)))
        rows += [between(bench, each) for each in marks]
        conditions += [seen] if seen is not None else []
    return Timed(tuple(zip(*rows, strict=True)), warmup, stable, tuple(conditions))


def warm_up(bench: Bench, phases: Sequence[Call], limits: Limits) -> tuple[tuple[int, ...], bool]:
    """Iterations until two windows in a row have the same median, and whether that came about in time."""
    start = bench.now_ns()
    found: list[int] = []
    while True:
        found.append(sum(between(bench, _waited(bench, _iteration(bench, phases, False)))))
        spent = bench.now_ns() - start
        if spent >= 1e9 * limits.warmup_seconds and len(found) >= 2 * WINDOW and _settled(found):
            return tuple(found), True
        over = spent >= 1e9 * limits.seconds / 4 or len(found) >= limits.max_samples
        if over and len(found) >= 2:
            return tuple(found), _settled(found)


def _settled(found: Sequence[int]) -> bool:
    window = min(WINDOW, len(found) // 2)
    before, last = median(found[-2 * window : -window]), median(found[-window:])
    return abs(last - before) <= SETTLED * last


def _enough(rows: Sequence[tuple[int, ...]], spent_ns: int, limits: Limits) -> bool:
    if len(rows) < limits.fewest:
        return False
    if len(rows) >= limits.max_samples or spent_ns >= 1e9 * limits.seconds:
        return True
    if len(rows) < limits.min_samples:
        return False
    uncertainty = summary([sum(row) for row in rows]).uncertainty
    return uncertainty is not None and uncertainty <= UNCERTAINTY


def _iteration(bench: Bench, phases: Sequence[Call], flush: bool) -> list[Any]:
    if flush:
        bench.flush()
    marks = [bench.mark()]
    for phase in phases:
        phase()
        marks.append(bench.mark())
    return marks


def _waited(bench: Bench, marks: list[Any]) -> list[Any]:
    bench.synchronize()
    return marks


def between(bench: Bench, marks: Sequence[Any]) -> tuple[int, ...]:
    """The times from each of these moments, which must be over, to the next."""
    return tuple(bench.between_ns(first, second) for first, second in pairwise(marks))


def mark_cost(bench: Bench, times: int = 100) -> tuple[int, ...]:
    """Two readings of the clock with nothing between them, many times."""
    bench.lead(5_000_000)
    marks = [bench.mark() for _ in range(times + 1)]
    bench.synchronize()
    return between(bench, marks)
