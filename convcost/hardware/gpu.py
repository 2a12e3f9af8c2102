"""The record of a GPU, and the keys of hardware files. A new key is a row in ``KEYS`` or ``TEXTS``."""

from __future__ import annotations

from typing import Any

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """A number and where it comes from.

    ``source`` is a document with its address, ``says`` its words; both may be empty in a user's own file.
    ``estimate``: no document has the number for this very GPU; ``says`` gives the reason.
    """

    value: int
    source: str = ""
    says: str = ""
    estimate: bool = False


class Gpu(msgspec.Struct, frozen=True):
    """A GPU. ``figures`` holds numbers by keys that carry their units, see ``KEYS``; rates are dense, never sparse."""

    id: str
    name: str
    figures: dict[str, Figure]
    aliases: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
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
        """Memory available to programs in bytes: as reported by the driver if known, else the size of the memory."""
        return self.figure("usable_memory_bytes") or self.figures["memory_bytes"].value

    @property
    def context_bytes(self) -> int:
        """Memory used by a CUDA context in bytes: the file's value, or ``DEFAULT_CONTEXT``."""
        return self.figures["context_bytes"].value

    def to_dict(self) -> dict[str, Any]:
        """All fields as dicts and integers."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


DEFAULT_CONTEXT = Figure(
    500 << 20,
    "pytorch/pytorch issues 107667 and 109888, https://github.com/pytorch/pytorch/issues/107667",
    "an allowance: about 300 MB there, about 400 MB there, for CUDA 11.7 and later, which loads kernels when they are "
    "first used; a context grows with the multiprocessors and with the kernels that a program uses",
    True,
)
"""Assumed size of a CUDA context if a file has no ``context_bytes``."""


class Key(msgspec.Struct, frozen=True):
    """A key of hardware files: what it means, and between which bounds a real GPU lies.

    The bounds are a factor of ten beyond everything that exists: they catch gigabytes in place of bytes. ``dtypes``:
    if it is a rate, the dtypes whose matrix products PyTorch computes at it. PyTorch adds up products of half precision
    and of float8 in float32.
    """

    meaning: str
    low: int
    high: int
    dtypes: tuple[str, ...] = ()


_BYTES = (1 << 27, 10**14)
_RATE = (10**10, 10**18)
KEYS: dict[str, Key] = {
    "memory_bytes": Key("size of the memory", *_BYTES),
    "usable_memory_bytes": Key("memory that the driver reports as available to programs", *_BYTES),
    "memory_bandwidth_bytes_per_s": Key("memory bandwidth", 10**9, 10**15),
    "memory_bus_bits": Key("width of the memory's bus", 32, 10**5),
    "memory_data_rate_bits_per_s": Key("data rate of one line of the memory bus", 10**8, 10**12),
    "l2_cache_bytes": Key("second-level cache", 1 << 16, 10**11),
    "streaming_multiprocessors": Key("number of streaming multiprocessors", 1, 10**4),
    "boost_clock_hz": Key("clock of the multiprocessors at boost", 10**8, 10**11),
    "power_w": Key("power limit", 1, 10**5),
    "fp32_flops_per_s": Key("peak rate of float32 without tensor cores", *_RATE, ("float32",)),
    "tf32_tensor_flops_per_s": Key("peak rate of TF32 on tensor cores, dense", *_RATE),
    "fp16_tensor_fp16_accumulate_flops_per_s": Key("peak rate of float16 with accumulation in float16, dense", *_RATE),
    "fp16_tensor_fp32_accumulate_flops_per_s": Key(
        "peak rate of float16 with accumulation in float32, dense", *_RATE, ("float16",)
    ),
    "bf16_tensor_fp32_accumulate_flops_per_s": Key(
        "peak rate of bfloat16 with accumulation in float32, dense", *_RATE, ("bfloat16",)
    ),
    "fp8_tensor_fp16_accumulate_flops_per_s": Key("peak rate of float8 with accumulation in float16, dense", *_RATE),
    "fp8_tensor_fp32_accumulate_flops_per_s": Key(
        "peak rate of float8 with accumulation in float32, dense", *_RATE, ("float8_e4m3fn", "float8_e5m2")
    ),
    "int8_tensor_ops_per_s": Key("peak rate of int8 on tensor cores, dense", *_RATE),
    "context_bytes": Key("memory used by a CUDA context", 1 << 20, 10**11),
}
"""Every number that a hardware file may have."""


def rate_of(dtype: str) -> str | None:
    """The key of the rate at which PyTorch multiplies matrices of a dtype; None if hardware files have no such rate."""
    return next((key for key, row in KEYS.items() if dtype in row.dtypes), None)


REQUIRED = ("memory_bytes", "memory_bandwidth_bytes_per_s", "fp32_flops_per_s")
"""Required keys."""

TEXTS: dict[str, str] = {
    "name": "name given by the vendor",
    "aliases": "aliases",
    "devices": "exact names reported by the driver, used to find the file of a measured device",
    "architecture": "architecture, such as Ampere",
    "compute_capability": "CUDA compute capability, such as 8.6",
    "year": "year of announcement",
    "note": "note for readers",
    "sources": "documents, by keys that `source` refers to",
}
"""The other keys, with their meaning."""
