"""A CUDA device, timed by events in its own stream."""

from __future__ import annotations

import gc
import time
from typing import Any, Literal

import torch

from ..profiles.records import Condition, MemoryUse
from .bench import MIN_FLUSH, Call
from .nvml import Sensors
from .room import free_bytes


class CudaBench:
    """A CUDA device."""

    kind: Literal["cpu", "cuda"] = "cuda"
    clock = "CUDA events"

    def __init__(self, device: torch.device) -> None:
        self.device = torch.device("cuda", device.index or 0)
        properties = torch.cuda.get_device_properties(self.device)
        self._cold_bytes = max(MIN_FLUSH, 2 * int(getattr(properties, "L2_cache_size", 0)))
        self._cold: torch.Tensor | None = None
        self._cycles_per_ns = max(getattr(properties, "clock_rate", 0), 1_000_000) / 1e6
        self.sensors = Sensors(str(getattr(properties, "uuid", "")))

    def now_ns(self) -> int:
        return time.perf_counter_ns()

    def mark(self) -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def between_ns(self, start: Any, end: Any) -> int:
        return int(start.elapsed_time(end) * 1e6)

    def synchronize(self) -> None:
        torch.cuda.synchronize(self.device)

    def flush(self) -> None:
        if self._cold is None:
            self._cold = torch.empty(self._cold_bytes, dtype=torch.int8, device=self.device)
        self._cold.zero_()

    def lead(self, ns: int) -> None:
        # PyTorch's own tests keep a stream busy with this; without it the times are those of launches too.
        sleep = getattr(torch.cuda, "_sleep", None)
        if sleep is not None and ns > 0:
            sleep(int(ns * self._cycles_per_ns))

    def condition(self, at_ns: int) -> Condition | None:
        return self.sensors.look(at_ns)

    def replayed(self, call: Call) -> Call:
        """The call as a CUDA graph: one launch for all its kernels."""
        stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            for _ in range(3):  # handles, workspaces and the choice of kernels must be there before the capture
                call()
        torch.cuda.current_stream(self.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            kept = call()

        def replay() -> object:
            graph.replay()
            return kept  # memory of the graph's own, which must live as long as it does

        return replay

    def peak(self, call: Call) -> MemoryUse | None:
        self.synchronize()
        self._cold = None
        torch.cuda.reset_peak_memory_stats(self.device)
        call()
        self.synchronize()
        stats = torch.cuda.memory_stats(self.device)
        return MemoryUse(
            requested_bytes=stats["requested_bytes.all.peak"],
            allocated_bytes=stats["allocated_bytes.all.peak"],
            reserved_bytes=stats["reserved_bytes.all.peak"],
        )

    def free_bytes(self) -> int | None:
        return free_bytes(self.device)

    def release(self) -> None:
        self._cold = None
        gc.collect()
        torch.cuda.empty_cache()

    def out_of_memory(self, error: BaseException) -> bool:
        # cuDNN and cuBLAS have words of their own for it.
        words = str(error)
        return isinstance(error, torch.cuda.OutOfMemoryError) or "ALLOC_FAILED" in words or "out of memory" in words
