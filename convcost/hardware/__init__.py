"""GPUs: their memory, bandwidth and peak rates, each number with its unit and its source."""

from __future__ import annotations

from .files import load_gpu, shipped_gpus
from .records import FIGURES, Figure, Gpu

__all__ = ["FIGURES", "Figure", "Gpu", "load_gpu", "shipped_gpus"]
