"""The interface to a device that is timed (``Bench``), and its implementation for the CPU.

The measuring code uses a device only through ``Bench``, so that tests can pass a fake device. To support another kind
of device, implement ``Bench`` and return it from ``_bench`` in ``profile.py``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

import torch

from ...profiles.runs import Condition, MemoryUse

Call = Callable[[], object]

MIN_FLUSH = 64 << 20
"""The least number of bytes that ``Bench.flush`` overwrites."""
_CACHES = "/sys/devices/system/cpu/cpu0/cache/index{}/size"


class Bench(Protocol):
    """A device that is timed."""

    @property
    def kind(self) -> Literal["cpu", "cuda"]:
        """The kind of device."""

    @property
    def clock(self) -> str:
        """A description of the clock, for the profile."""

    def now_ns(self) -> int:
        """The host's clock in nanoseconds, for time limits."""

    def mark(self) -> Any:
        """Record a point in time in the device's order of execution."""

    def between_ns(self, start: Any, end: Any) -> int:
        """Nanoseconds between two marks. Call ``synchronize`` first."""

    def synchronize(self) -> None:
        """Wait until the device has finished all work."""

    def flush(self) -> None:
        """Overwrite the device's cache, so that an iteration finds no data of the one before it in the cache."""

    def lead(self, ns: int) -> None:
        """Keep the device busy for about ``ns`` nanoseconds, so that it never waits for the launches that follow."""

    def condition(self, at_ns: int) -> Condition | None:
        """Read the device's sensors; None if there are none. ``at_ns``: the time of the reading, for the record."""

    def replayed(self, call: Call) -> Call:
        """A callable that does the same without launch overhead (a CUDA graph), or ``call`` itself."""

    def peak(self, call: Call) -> MemoryUse | None:
        """The peak memory of a call; None if the device does not record it."""

    def free_bytes(self) -> int | None:
        """The bytes that can be allocated; None if the number is not available."""

    def release(self) -> None:
        """Free cached memory."""

    def out_of_memory(self, error: BaseException) -> bool:
        """True if the error says that memory ran out."""


class CpuBench:
    """The CPU, timed by a monotonic clock."""

    kind: Literal["cpu", "cuda"] = "cpu"
    clock = "time.perf_counter_ns (monotonic)"

    def __init__(self) -> None:
        self._cold: torch.Tensor | None = None

    def now_ns(self) -> int:
        return time.perf_counter_ns()

    def mark(self) -> int:
        return time.perf_counter_ns()

    def between_ns(self, start: int, end: int) -> int:
        return end - start

    def synchronize(self) -> None:
        """Do nothing: on a CPU the work is finished when a call returns."""

    def flush(self) -> None:
        if self._cold is None:
            self._cold = torch.zeros(max(MIN_FLUSH, 2 * _last_level_cache()) // 8, dtype=torch.int64)
        self._cold.add_(1)

    def lead(self, ns: int) -> None:
        """Do nothing: on a CPU there is no launch queue."""

    def condition(self, at_ns: int) -> Condition | None:
        return None

    def replayed(self, call: Call) -> Call:
        return call

    def peak(self, call: Call) -> MemoryUse | None:
        return None

    def free_bytes(self) -> int | None:
        from ..memory_limits import free_bytes

        return free_bytes(torch.device("cpu"))

    def release(self) -> None:
        import gc

        gc.collect()

    def out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, MemoryError) or "allocate memory" in str(error)


def _last_level_cache() -> int:
    """The size of the largest cache in bytes; 0 if the system does not report it."""
    largest = 0
    for index in range(5):
        try:
            with open(_CACHES.format(index), encoding="ascii") as file:
                text = file.read().strip()
        except OSError:
            continue
        scale = {"K": 1 << 10, "M": 1 << 20}.get(text[-1:], 1)
        digits = text.rstrip("KM")
        largest = max(largest, int(digits) * scale if digits.isdecimal() else 0)
    return largest
