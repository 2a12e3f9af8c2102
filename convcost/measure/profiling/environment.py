"""Describes where a measurement was made: device, software versions, PyTorch's flags and the git commit."""

from __future__ import annotations

import datetime
import platform
import subprocess
from pathlib import Path

import torch

from ...hardware import gpu_of_device
from ...profiles.runs import Environment
from .clock import Bench
from .tf32 import flags


def environment(device: torch.device, bench: Bench) -> Environment:
    """The current environment of a measurement on ``device``."""
    versions = {
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
    if device.type == "cpu":
        return Environment(
            "cpu", _processor(), bench.clock, versions=versions, flags={}, threads=torch.get_num_threads(),
            commit=_commit(), started=started,
        )  # fmt: skip
    properties = torch.cuda.get_device_properties(device)
    driver = getattr(getattr(bench, "sensors", None), "driver", "")
    versions |= {
        "cuda": str(torch.version.cuda or torch.version.hip),
        "cudnn": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]
        **({"driver": driver} if driver else {}),
    }
    known = gpu_of_device(properties.name)
    return Environment(
        "cuda", properties.name, bench.clock, gpu=known.id if known else "", versions=versions, flags=flags(),
        memory_bytes=int(properties.total_memory), commit=_commit(), started=started,
    )  # fmt: skip


def _processor() -> str:
    """The name of the CPU."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except (OSError, UnicodeDecodeError):
        pass
    return platform.processor() or platform.machine() or "processor"


def _commit() -> str:
    """The git commit of the current folder, with ``-dirty`` if files are changed; "" outside of a repository."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return described.stdout.strip() if described.returncode == 0 else ""
