"""Stand-ins for a device: a clock that tests move, and sensors that say what they are told."""

from __future__ import annotations

from collections.abc import Iterable

from convcost.profiles.runs import Condition, MemoryUse


class FakeBench:
    """A device whose clock stands still until somebody calls ``work``; it does everything that ``Bench`` asks."""

    kind = "cpu"
    clock = "a test's own"

    def __init__(self, conditions: Iterable[Condition] = (), use: MemoryUse | None = None, tick_ns: int = 0) -> None:
        self.time_ns = 0
        self.flushes = self.released = self.synchronized = 0
        self.leads: list[int] = []
        self._conditions = iter(conditions)
        self._use = use
        self._tick_ns = tick_ns

    def work(self, ns: int) -> None:
        self.time_ns += ns

    def now_ns(self) -> int:
        return self.time_ns

    def mark(self) -> int:
        self.time_ns += self._tick_ns
        return self.time_ns

    def between_ns(self, start: int, end: int) -> int:
        return end - start

    def synchronize(self) -> None:
        self.synchronized += 1

    def flush(self) -> None:
        self.flushes += 1
        self.time_ns += 1_000_000  # outside of what is timed

    def lead(self, ns: int) -> None:
        self.leads.append(ns)

    def condition(self, at_ns: int) -> Condition | None:
        return next(self._conditions, None)

    def replayed(self, call):
        return call

    def peak(self, call) -> MemoryUse | None:
        call()
        return self._use

    def free_bytes(self) -> int | None:
        return None

    def release(self) -> None:
        self.released += 1

    def out_of_memory(self, error: BaseException) -> bool:
        return "out of memory" in str(error)
