"""Tensors without values: shapes and dtypes, and the parameters and buffers of layers.

A new dtype is a row of ``ITEM_BYTES``.
"""

from __future__ import annotations

from math import prod

import msgspec

Shape = tuple[int, ...]

ITEM_BYTES: dict[str, int] = {
    "complex128": 16,
    "complex64": 8,
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "uint64": 8,
    "uint32": 4,
    "uint16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}
"""Bytes of one element for each dtype, named as in PyTorch."""

FLOATING = tuple(dtype for dtype in ITEM_BYTES if dtype.startswith(("float", "bfloat")))
"""The floating-point dtypes."""

COMPUTABLE = tuple(dtype for dtype in FLOATING if ITEM_BYTES[dtype] > 1)
"""The floating-point dtypes in which PyTorch's layers compute; float8 is only a storage format. The analysis converts
inputs and constants of these dtypes to the dtype of the network."""


class Tensor(msgspec.Struct, frozen=True, gc=False):
    """A value: its shape, batch dimension first as in (N, C, H, W), and its dtype, named as in PyTorch."""

    shape: Shape
    dtype: str = "float32"

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes of the elements, without rounding by an allocator."""
        return prod(self.shape) * ITEM_BYTES[self.dtype]


class Weight(msgspec.Struct, frozen=True, gc=False):
    """A tensor that belongs to a layer: a learnable parameter or a buffer.

    ``kind`` is "parameter" (learned) or "buffer" (not learned), as in PyTorch.
    ``dtype`` None means the dtype of the model; integer tensors state their own.
    """

    name: str
    shape: Shape
    kind: str = "parameter"
    dtype: str | None = None

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)
