"""The boundary to a device that is timed: everything that measuring asks of it, so that tests can stand in for one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

import torch

from ...profiles.runs import Condition, MemoryUse

Call = Callable[[], object]

MIN_FLUSH = 64 << 20
_CACHES = "/sys/devices/system/cpu/cpu0/cache/index{}/size"


class Bench(Protocol):
    """A device with a clock of its own."""

    @property
    def kind(self) -> Literal["cpu", "cuda"]:
        """What it is."""

    @property
    def clock(self) -> str:
        """What its times are read from."""

    def now_ns(self) -> int:
        """The host's clock, for limits of time."""

    def mark(self) -> Any:
        """A moment in the order of what the device does."""

    def between_ns(self, start: Any, end: Any) -> int:
        """The time between two moments, which must be over: see ``synchronize``."""

    def synchronize(self) -> None:
        """Wait until the device has done everything."""

    def flush(self) -> None:
        """Overwrite the device's cache, so that no iteration finds what the one before it left."""

    def lead(self, ns: int) -> None:
        """Keep the device busy for about so long, so that launches queue up behind it and none is waited for."""

    def condition(self, at_ns: int) -> Condition | None:
        """What the device's sensors say; None if it has none."""

    def replayed(self, call: Call) -> Call:
        """The call without the cost of launching it, or the call itself."""

    def peak(self, call: Call) -> MemoryUse | None:
        """Memory at the worst moment of a call; None if the device does not count it."""

    def free_bytes(self) -> int | None:
        """Bytes that can be allocated; None if nobody knows."""

    def release(self) -> None:
        """Give back memory that is only kept for later."""

    def out_of_memory(self, error: BaseException) -> bool:
        """Whether this error says that memory ran out."""


class CpuBench:
    """The processor, by a monotonic clock."""

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
        """A processor is done when a call returns."""

    def flush(self) -> None:
        if self._cold is None:
            self._cold = torch.zeros(max(MIN_FLUSH, 2 * _last_level_cache()) // 8, dtype=torch.int64)
        self._cold.add_(1)

    def lead(self, ns: int) -> None:
        """Nothing queues up on a processor."""

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
    """Bytes of the largest cache, 0 if the system does not say."""
    found = 0
    for index in range(5):
        try:
            with open(_CACHES.format(index), encoding="ascii") as file:
                text = file.read().strip()
        except OSError:
            continue
        scale = {"K": 1 << 10, "M": 1 << 20}.get(text[-1:], 1)
        digits = text.rstrip("KM")
        found = max(found, int(digits) * scale if digits.isdecimal() else 0)
    return found
