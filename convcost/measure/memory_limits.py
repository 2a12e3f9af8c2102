"""Checks whether a network fits in the memory of a device before anything is allocated."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from ..analysis.report import Report
from ..errors import UsageError
from ..units import size

_CGROUP = Path("/sys/fs/cgroup")


def check_memory(report: Report, device: torch.device) -> None:
    """Check that weights, inputs and all activations fit in the free memory of a device.

    Raises:
        UsageError: they do not fit.
    """
    free = free_bytes(device)
    # PyTorch's FLOP counter runs with gradients enabled, so all outputs stay in memory until the end.
    totals = report.totals
    needed = totals.weight_bytes + totals.buffer_bytes + totals.input_bytes + totals.activation_bytes
    if free is not None and needed > free:
        raise UsageError(
            f"{report.about.name} needs {size(needed)} on {device}, where {size(free)} is free; "
            "use a smaller batch or input, or --device meta, which needs no memory"
        )


def free_bytes(device: torch.device) -> int | None:
    """The bytes of memory that are free on a device; None for the meta device or if the number is not available."""
    if device.type == "meta":
        return None
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    limits = [number for number in (_system_free(), _container_free()) if number is not None]
    return min(limits, default=None)


def _system_free() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _container_free() -> int | None:
    """The bytes that the container may still allocate, by its cgroup; None without a limit."""
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = (_CGROUP / "memory.current").read_text(encoding="ascii").strip()
        return None if limit == "max" else max(int(limit) - int(used), 0)
    except (OSError, ValueError):
        return None
