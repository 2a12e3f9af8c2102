"""Precisions: the dtype in which weights are stored, and the dtype in which each class of ops computes.

A new precision is one row of ``PRECISIONS`` (or one call of ``register_precision``). Its dtypes are rows of
``tensor.ITEM_BYTES``; its rate on a GPU is the key of ``hardware.KEYS`` that lists its compute dtype.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from .errors import UsageError, alternatives
from .tensor import FLOATING, ITEM_BYTES, Tensor

AutocastClass = Literal["low", "float32", "promote", "keep"]
"""How autocast treats the inputs of an op: cast to the low precision, cast to float32, cast to the widest of their
dtypes, or keep as they are. Source: PyTorch's op lists for CUDA autocast."""


class Precision(msgspec.Struct, frozen=True):
    """How a network computes.

    Args:
        name: its name for ``--dtype``.
        stored: dtype of the parameters, buffers and inputs, by its name in PyTorch.
        compute: dtype of convolutions, linear layers and matrix products. It differs from ``stored`` in mixed
            precision, where PyTorch's autocast casts the inputs of each op.
    """

    name: str
    stored: str
    compute: str

    @property
    def mixed(self) -> bool:
        """True if autocast casts the inputs of ops."""
        return self.stored != self.compute

    @property
    def low(self) -> str | None:
        """The low precision of autocast; None without autocast."""
        return self.compute if self.mixed else None

    def cast(self, autocast: AutocastClass, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The inputs of an op after autocast; without autocast they are unchanged."""
        if not self.mixed or autocast == "keep":
            return inputs
        if autocast == "promote":
            wanted = self.stored if any(tensor.dtype == self.stored for tensor in inputs) else self.compute
        else:
            wanted = self.compute if autocast == "low" else "float32"
        return tuple([Tensor(x.shape, wanted) if x.dtype in FLOATING else x for x in inputs])

    def copied(self, autocast: AutocastClass, inputs: tuple[Tensor, ...]) -> tuple[bool, ...]:
        """For each input of an op, True if autocast copies it to another dtype."""
        return tuple([seen.dtype != x.dtype for x, seen in zip(inputs, self.cast(autocast, inputs), strict=True)])

    def weight_copy_bytes(self, autocast: AutocastClass, elements: int) -> int:
        """Bytes of autocast's copy of parameters with ``elements`` scalars; 0 if the op uses them as stored."""
        return elements * ITEM_BYTES[self.compute] if self.mixed and autocast == "low" else 0


PRECISIONS: dict[str, Precision] = {
    precision.name: precision
    for precision in (
        *[Precision(dtype, dtype, dtype) for dtype in ("float32", "float16", "bfloat16", "float64")],
        Precision("amp-bf16", "float32", "bfloat16"),
        Precision("amp-fp16", "float32", "float16"),
    )
}
"""Every precision by its name."""


def register_precision(precision: Precision) -> None:
    """Add a precision to ``PRECISIONS``.

    Raises:
        TypeError: the name is registered already.
    """
    if precision.name in PRECISIONS:
        raise TypeError(f"a precision {precision.name!r} is registered already")
    PRECISIONS[precision.name] = precision


def precision_of(name: str) -> Precision:
    """The precision called ``name``.

    Raises:
        UsageError: there is no such precision; the message suggests the nearest name.
    """
    precision = PRECISIONS.get(name)
    if precision is None:
        raise UsageError(f"unknown dtype {name!r}{alternatives(name, PRECISIONS)}")
    return precision
