"""Sets PyTorch's global TF32 flags temporarily, and reads the flags that affect run time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

MATMUL, CUDNN = "torch.backends.cuda.matmul", "torch.backends.cudnn"
FIRST, SECOND = "allow_tf32", "fp32_precision"


@contextmanager
def tf32_flags(allowed: bool | None) -> Iterator[None]:
    """Allow or forbid TF32 in float32 matrix products and convolutions in a block; None does not change the flags."""
    if allowed is None:
        yield
        return
    # PyTorch 2.9 has a second set of flags; once one of these is set, reading the first set raises an exception.
    second = any(_read(_holders(part)[0], FIRST) is None for part in (MATMUL, CUDNN))
    holders = [_holders(part)[second] for part in (MATMUL, CUDNN)]
    name = SECOND if second else FIRST
    value: Any = ("tf32" if allowed else "ieee") if second else allowed
    before = [_read(holder, name) for holder in holders]
    try:
        for holder in holders:
            _set(holder, name, value)
        yield
    finally:
        for holder, old in zip(holders, before, strict=True):
            _set(holder, name, old)


def _holders(part: str) -> tuple[Any, Any]:
    """The object with the flag ``allow_tf32``, and the one with ``fp32_precision`` or None."""
    if part == MATMUL:
        return torch.backends.cuda.matmul, torch.backends.cuda.matmul
    return torch.backends.cudnn, getattr(torch.backends.cudnn, "conv", None)


def _read(holder: Any, name: str) -> Any:
    """The value of a flag; None if PyTorch refuses to read it."""
    with warnings.catch_warnings():  # some versions warn that the second set is preferred
        warnings.simplefilter("ignore")
        try:
            return getattr(holder, name)
        except RuntimeError:
            return None


def _set(holder: Any, name: str, value: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        setattr(holder, name, value)


def _allowed(part: str) -> bool:
    first, second = _holders(part)
    value = _read(first, FIRST)
    return bool(value) if value is not None else _read(second, SECOND) == "tf32"


def flags() -> dict[str, str]:
    """The current values of the flags that affect run time."""
    return {
        f"{MATMUL}.allow_tf32": str(_allowed(MATMUL)),
        f"{CUDNN}.allow_tf32": str(_allowed(CUDNN)),
        f"{CUDNN}.benchmark": str(torch.backends.cudnn.benchmark),
        f"{CUDNN}.deterministic": str(torch.backends.cudnn.deterministic),
    }
