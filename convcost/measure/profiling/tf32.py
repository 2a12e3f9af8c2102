"""PyTorch's global switches, set for a while and set back."""

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
    """Let float32 matrix products and convolutions use TF32, or forbid it, meanwhile; None leaves both as they are."""
    if allowed is None:
        yield
        return
    # PyTorch 2.9 got a second set of switches, and refuses to read the first once the second was used.
    second = any(_read(_switches(part)[0], FIRST) is None for part in (MATMUL, CUDNN))
    holders = [_switches(part)[second] for part in (MATMUL, CUDNN)]
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


def _switches(part: str) -> tuple[Any, Any]:
    """What has ``allow_tf32``, and what has ``fp32_precision``, if anything."""
    if part == MATMUL:
        return torch.backends.cuda.matmul, torch.backends.cuda.matmul
    return torch.backends.cudnn, getattr(torch.backends.cudnn, "conv", None)


def _read(holder: Any, name: str) -> Any:
    """A switch; None if PyTorch refuses to say."""
    with warnings.catch_warnings():  # some versions say that the other set is newer
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
    old, new = _switches(part)
    found = _read(old, FIRST)
    return bool(found) if found is not None else _read(new, SECOND) == "tf32"


def flags() -> dict[str, str]:
    """The switches that change how fast things run, as they are."""
    return {
        f"{MATMUL}.allow_tf32": str(_allowed(MATMUL)),
        f"{CUDNN}.allow_tf32": str(_allowed(CUDNN)),
        f"{CUDNN}.benchmark": str(torch.backends.cudnn.benchmark),
        f"{CUDNN}.deterministic": str(torch.backends.cudnn.deterministic),
    }
