"""Whether a network fits the memory of a device, before anything is allocated there."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from ..analysis.report import Report
from ..errors import UsageError
from ..units import size

_CGROUP = Path("/sys/fs/cgroup")


def check_room(report: Report, device: torch.device) -> None:
    """Refuse a network that cannot be run.

    Raises:
        UsageError: weights and activations need more memory than is free.
    """
    free = free_bytes(device)
    # PyTorch's counter needs gradients switched on, and so every output stays until the end.
    totals = report.totals
    needed = totals.weight_bytes + totals.buffer_bytes + totals.input_bytes + totals.activation_bytes
    if free is not None and needed > free:
        raise UsageError(
            f"{report.about.name} needs {size(needed)} on {device}, where {size(free)} are free; "
            "take a smaller batch or input, or --device meta, which needs none"
        )


def free_bytes(device: torch.device) -> int | None:
    """Bytes that can be allocated there; None if nobody knows."""
    if device.type == "meta":
        return None
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    known = [number for number in (_available(), _cgroup_left()) if number is not None]
    return min(known, default=None)


def _available() -> int | None:
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


def _cgroup_left() -> int | None:
    """What a container may still take."""
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = (_CGROUP / "memory.current").read_text(encoding="ascii").strip()
        return None if limit == "max" else max(int(limit) - int(used), 0)
    except (OSError, ValueError):
        return None
