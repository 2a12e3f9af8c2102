"""Measures times: warms up until the times are stable, then iterates until the median is known precisely enough."""

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
"""The number of warm-up iterations over which a median is taken."""
SETTLED = 0.02
"""The largest relative difference of two consecutive medians in the warm-up that counts as stable."""
CHUNK_NS = 50_000_000
"""About how many nanoseconds pass between two readings of the sensors."""


class Limits(msgspec.Struct, frozen=True):
    """When a measurement ends."""

    seconds: float = 3.0
    """The time limit, including the warm-up, which takes a quarter of it at most."""
    warmup_seconds: float = 0.3
    """The least time for the warm-up."""
    min_samples: int = 10
    """The least number of samples from which the precision of the median is estimated."""
    max_samples: int = 1000
    fewest: int = 3
    """The number of samples that are taken even after the time limit."""


class Timed(msgspec.Struct, frozen=True):
    """Raw times in nanoseconds."""

    phases: tuple[tuple[int, ...], ...]
    """For each phase its samples, one for each iteration."""
    warmup_ns: tuple[int, ...]
    """The time of each iteration of the warm-up."""
    stable: bool
    """True if the times were stable at the end of the warm-up."""
    conditions: tuple[Condition, ...]
    """Readings of the device's sensors during the measurement."""


def timed(bench: Bench, phases: Sequence[Call], limits: Limits, flush: bool = True) -> Timed:
    """Measure the times of an iteration that has one or more phases.

    Args:
        bench: the device.
        phases: the functions to call in each iteration, in this order.
        limits: when to stop.
        flush: overwrite the device's cache before each iteration; this is not part of the measured time.
    """
    # The first iteration loads or compiles kernels, for seconds or minutes; it is outside of the time limit.
    _synchronized(bench, _iteration(bench, phases, False))
    start = bench.now_ns()
    warmup, stable = warm_up(bench, phases, limits)
    rows: list[tuple[int, ...]] = []
    conditions: list[Condition] = []
    chunk = limits.fewest
    while not _enough(rows, bench.now_ns() - start, limits):
        begin = bench.now_ns()
        marks = [_iteration(bench, phases, flush) for _ in range(min(chunk, limits.max_samples - len(rows)))]
        condition = bench.condition(bench.now_ns() - start)  # before the synchronization, while the device works
        bench.synchronize()
        # By the host's clock, which includes the time of the cache flushes.
        chunk = max(1, int(CHUNK_NS * len(marks) / max(1, bench.now_ns() - begin)))
        rows += [between(bench, each) for each in marks]
        conditions += [condition] if condition is not None else []
    return Timed(tuple(zip(*rows, strict=True)), warmup, stable, tuple(conditions))


def warm_up(bench: Bench, phases: Sequence[Call], limits: Limits) -> tuple[tuple[int, ...], bool]:
    """Iterate until two consecutive windows of iterations have nearly the same median, or the time is over.

    Returns:
        The time of each iteration in nanoseconds, and whether the times are stable.
    """
    start = bench.now_ns()
    times: list[int] = []
    while True:
        times.append(sum(between(bench, _synchronized(bench, _iteration(bench, phases, False)))))
        spent = bench.now_ns() - start
        if spent >= 1e9 * limits.warmup_seconds and len(times) >= 2 * WINDOW and _settled(times):
            return tuple(times), True
        over = spent >= 1e9 * limits.seconds / 4 or len(times) >= limits.max_samples
        if over and len(times) >= 2:
            return tuple(times), _settled(times)


def _settled(times: Sequence[int]) -> bool:
    window = min(WINDOW, len(times) // 2)
    before, last = median(times[-2 * window : -window]), median(times[-window:])
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


def _synchronized(bench: Bench, marks: list[Any]) -> list[Any]:
    bench.synchronize()
    return marks


def between(bench: Bench, marks: Sequence[Any]) -> tuple[int, ...]:
    """The times in nanoseconds from each mark to the next. The device must be synchronized."""
    return tuple(bench.between_ns(first, second) for first, second in pairwise(marks))


def mark_cost(bench: Bench, times: int = 100) -> tuple[int, ...]:
    """Samples of the time in nanoseconds between two marks with no work between them."""
    bench.lead(5_000_000)
    marks = [bench.mark() for _ in range(times + 1)]
    bench.synchronize()
    return between(bench, marks)
