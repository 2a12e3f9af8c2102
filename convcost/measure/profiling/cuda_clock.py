"""A CUDA device, timed by events in its own stream."""

from __future__ import annotations

import gc
import time
from contextlib import suppress
from typing import Any, Literal

import torch

from ...profiles.runs import Condition, MemoryUse
from ..memory_limits import free_bytes
from .clock import MIN_FLUSH, Call
from .nvml import Sensors

KILOHERTZ = 2_000_000
"""A clock that few GPUs exceed, for a PyTorch that does not know this one's: waiting too long does no harm."""


class CudaBench:
    """A CUDA device. Events and launches go to its current stream, whichever device is the current one."""

    kind: Literal["cpu", "cuda"] = "cuda"
    clock = "CUDA events"

    def __init__(self, device: torch.device) -> None:
        index = torch.cuda.current_device() if device.index is None else device.index
        self.device = torch.device("cuda", index)
        properties = torch.cuda.get_device_properties(self.device)
        self._cold_bytes = max(MIN_FLUSH, 2 * int(getattr(properties, "L2_cache_size", 0)))
        self._cold: torch.Tensor | None = None
        self._cycles_per_ns = (getattr(properties, "clock_rate", 0) or KILOHERTZ) / 1e6
        self._side: torch.cuda.Stream | None = None
        uuid = str(getattr(properties, "uuid", ""))
        self.sensors = Sensors(uuid, index if uuid else torch.cuda._get_nvml_device_index(index))

    def now_ns(self) -> int:
        return time.perf_counter_ns()

    def mark(self) -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self.device))
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
            with torch.cuda.device(self.device):
                sleep(int(ns * self._cycles_per_ns))

    def condition(self, at_ns: int) -> Condition | None:
        return self.sensors.look(at_ns)

    def replayed(self, call: Call) -> Call:
        """The call as a CUDA graph: one launch for all its kernels."""
        with torch.cuda.device(self.device):
            before = torch.cuda.current_stream()
            if self._side is None:  # one for all captures: cuBLAS keeps a workspace for each stream that it has seen
                self._side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            self._side.wait_stream(before)
            with torch.cuda.stream(self._side):
                for _ in range(3):  # handles, workspaces and the choice of kernels must be there before the capture
                    call()
            before.wait_stream(self._side)
            graph = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(graph, stream=self._side):
                    kept = call()
            except BaseException:
                # Where the capture cannot be ended, PyTorch leaves its stream the current one, and the generator of
                # random numbers in the belief that it is captured; a capture that ends well tells it otherwise.
                torch.cuda.set_stream(before)
                with suppress(RuntimeError), torch.cuda.graph(torch.cuda.CUDAGraph(), stream=self._side):
                    torch.zeros(1, device=self.device)
                torch.cuda.set_stream(before)
                raise

        def replay() -> object:
            graph.replay()
            return kept  # memory of the graph's own, which must live as long as it does

        return replay

    def peak(self, call: Call) -> MemoryUse | None:
        self.synchronize()
        self._cold = None
        torch.cuda.empty_cache()  # what earlier iterations left would count as reserved
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
        torch.cuda.empty_cache()  # what PyTorch only keeps for later is free too
        return free_bytes(self.device)

    def release(self) -> None:
        self._cold = None
        gc.collect()
        with suppress(RuntimeError):  # after an error that the device does not recover from, nothing works
            clear = getattr(torch._C, "_cuda_clearCublasWorkspaces", None)
            if clear is not None:
                clear()  # they count as allocated, and the next network may need none
            torch.cuda.empty_cache()

    def out_of_memory(self, error: BaseException) -> bool:
        # cuDNN and cuBLAS have words of their own for it.
        words = str(error)
        return isinstance(error, torch.cuda.OutOfMemoryError) or "ALLOC_FAILED" in words or "out of memory" in words
