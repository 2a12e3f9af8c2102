"""GPUs: their memory, bandwidth and peak rates, each number with its unit and its source."""

from __future__ import annotations

from .files import gpu_of_device, load_gpu, shipped_gpus
from .gpu import DEFAULT_CONTEXT, KEYS, REQUIRED, TEXTS, Figure, Gpu, rate_of

__all__ = [
    "DEFAULT_CONTEXT", "KEYS", "REQUIRED", "TEXTS", "Figure", "Gpu", "gpu_of_device", "load_gpu", "rate_of",
    "shipped_gpus",
]  # fmt: skip
