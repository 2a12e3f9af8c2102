"""What is known of a GPU."""

from __future__ import annotations

from typing import Any

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """A number and where it comes from. ``estimate``: no document has it for this very GPU."""

    value: int
    source: str
    estimate: bool = False


class Gpu(msgspec.Struct, frozen=True):
    """A GPU. ``figures`` holds numbers by keys that carry their units, see ``FIGURES``; rates are dense."""

    id: str
    name: str
    figures: dict[str, Figure]
    aliases: tuple[str, ...] = ()
    architecture: str = ""
    compute_capability: str = ""
    year: int | None = None
    note: str = ""

    def figure(self, key: str) -> int | None:
        """A number, or None if it is not known."""
        found = self.figures.get(key)
        return found.value if found is not None else None

    @property
    def memory_bytes(self) -> int:
        """Memory that programs can have: what drivers report, where somebody has, else what is built in."""
        return self.figure("usable_memory_bytes") or self.figures["memory_bytes"].value

    @property
    def context_bytes(self) -> int:
        """Memory that a CUDA context takes."""
        return self.figures["context_bytes"].value

    def to_dict(self) -> dict[str, Any]:
        """Everything, of dicts and raw integers."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


FIGURES: dict[str, str] = {
    "memory_bytes": "memory that is built in",
    "usable_memory_bytes": "memory that the driver reports, which is what programs can have",
    "memory_bandwidth_bytes_per_s": "bytes that the memory moves in a second",
    "l2_cache_bytes": "second-level cache",
    "streaming_multiprocessors": "how many there are",
    "boost_clock_hz": "clock of the multiprocessors at boost",
    "power_w": "power limit",
    "fp32_flops_per_s": "peak rate of float32 without tensor cores",
    "tf32_tensor_flops_per_s": "peak rate of TF32 on tensor cores, dense",
    "fp16_tensor_fp16_accumulate_flops_per_s": "of float16 summed up in float16, dense",
    "fp16_tensor_fp32_accumulate_flops_per_s": "of float16 summed up in float32, dense",
    "bf16_tensor_fp32_accumulate_flops_per_s": "of bfloat16 summed up in float32, dense",
    "fp8_tensor_fp32_accumulate_flops_per_s": "of float8 summed up in float32, dense",
    "int8_tensor_ops_per_s": "of int8, dense",
    "context_bytes": "memory that a CUDA context takes",
}
"""Every key that a hardware file may have, and what it means."""

REQUIRED = ("memory_bytes", "memory_bandwidth_bytes_per_s", "fp32_flops_per_s", "context_bytes")
"""Keys without which a file is of no use."""

UNITS = ("_bytes", "_bytes_per_s", "_flops_per_s", "_ops_per_s", "_hz", "_w")
"""How a key ends that says its unit."""
