"""``Bench`` for a CUDA device, timed by CUDA events in its current stream."""

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

DEFAULT_CLOCK_KHZ = 2_000_000
"""The clock rate if PyTorch does not report it. Few GPUs are faster, and a ``lead`` that is too long does no harm."""


class CudaBench:
    """A CUDA device. Events are recorded in its current stream, whichever device is the current one."""

    kind: Literal["cpu", "cuda"] = "cuda"
    clock = "CUDA events"

    def __init__(self, device: torch.device) -> None:
        index = torch.cuda.current_device() if device.index is None else device.index
        self.device = torch.device("cuda", index)
        properties = torch.cuda.get_device_properties(self.device)
        self._cold_bytes = max(MIN_FLUSH, 2 * int(getattr(properties, "L2_cache_size", 0)))
        self._cold: torch.Tensor | None = None
        self._cycles_per_ns = (getattr(properties, "clock_rate", 0) or DEFAULT_CLOCK_KHZ) / 1e6
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
        # A private function that PyTorch's tests use; without it, measured times include launch overhead.
        sleep = getattr(torch.cuda, "_sleep", None)
        if sleep is not None and ns > 0:
            with torch.cuda.device(self.device):
                sleep(int(ns * self._cycles_per_ns))

    def condition(self, at_ns: int) -> Condition | None:
        return self.sensors.look(at_ns)

    def replayed(self, call: Call) -> Call:
        """The call as a CUDA graph, which launches all its kernels at once."""
        with torch.cuda.device(self.device):
            before = torch.cuda.current_stream()
            if self._side is None:  # one stream for all captures, because cuBLAS keeps a workspace for each stream
                self._side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            self._side.wait_stream(before)
            with torch.cuda.stream(self._side):
                for _ in range(3):  # create handles and workspaces and choose kernels before the capture
                    call()
            before.wait_stream(self._side)
            graph = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(graph, stream=self._side):
                    result = call()
            except BaseException:
                # After a failed capture, PyTorch leaves the capture stream current, and the random number generator
                # still behaves as if it were captured. A successful capture resets the generator.
                torch.cuda.set_stream(before)
                with suppress(RuntimeError), torch.cuda.graph(torch.cuda.CUDAGraph(), stream=self._side):
                    torch.zeros(1, device=self.device)
                torch.cuda.set_stream(before)
                raise

        def replay() -> object:
            graph.replay()
            return result  # keeps the memory of the result alive for as long as the graph

        return replay

    def peak(self, call: Call) -> MemoryUse | None:
        self.synchronize()
        self._cold = None
        torch.cuda.empty_cache()  # memory cached from earlier iterations would count as reserved
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
        torch.cuda.empty_cache()  # memory that PyTorch only caches is free, too
        return free_bytes(self.device)

    def release(self) -> None:
        self._cold = None
        gc.collect()
        with suppress(RuntimeError):  # after some errors the device accepts no more calls
            clear = getattr(torch._C, "_cuda_clearCublasWorkspaces", None)
            if clear is not None:
                clear()  # the workspaces count as allocated memory, and the next network may not need them
            torch.cuda.empty_cache()

    def out_of_memory(self, error: BaseException) -> bool:
        message = str(error)  # cuDNN and cuBLAS raise other exceptions than PyTorch
        return isinstance(error, torch.cuda.OutOfMemoryError) or "ALLOC_FAILED" in message or "out of memory" in message
