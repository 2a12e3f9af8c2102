"""Converts names of devices and dtypes to PyTorch's objects, with messages for wrong names."""

from __future__ import annotations

import torch

from ..errors import UsageError, alternatives
from ..precision import Precision
from ..tensor import COMPUTABLE

DEVICES = ("meta", "cpu", "cuda")


def device_of(name: str | torch.device) -> torch.device:
    """The device for a name such as "meta", "cpu" or "cuda:1".

    Raises:
        UsageError: the name is unknown, or the device is not available.
    """
    kind = str(name).partition(":")[0]
    if kind not in DEVICES:
        raise UsageError(f"unknown device {str(name)!r:.40}{alternatives(kind, DEVICES)}")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"{str(name)!r:.40} is not a device; write {kind} or {kind}:0") from None
    if kind == "cuda":
        _check_cuda(device)
    return device


def _check_cuda(device: torch.device) -> None:
    if torch.version.cuda is None and torch.version.hip is None:
        raise UsageError(f"torch {torch.__version__} is built without CUDA; use meta or cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise UsageError("no CUDA device is available; use meta or cpu")
    if (device.index or 0) >= count:
        raise UsageError(f"there is no CUDA device {device.index}; the last one is cuda:{count - 1}")


def dtype_of(name: str) -> torch.dtype:
    """The floating-point dtype for a name such as "bfloat16".

    Raises:
        UsageError: a network cannot be built in this dtype.
    """
    if name not in COMPUTABLE:
        raise UsageError(f"a network cannot be built in {name!r}{alternatives(name, COMPUTABLE)}")
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def check_precision(precision: Precision) -> None:
    """Check that PyTorch can run a network in a precision.

    Raises:
        UsageError: PyTorch's layers do not support one of its dtypes.
    """
    for dtype in (precision.stored, precision.compute):
        if dtype not in COMPUTABLE:
            raise UsageError(
                f"PyTorch's layers do not support {dtype}, so no network can run in {precision.name}; analyze, memory "
                f"and fit can use it (dtypes that PyTorch supports: {', '.join(COMPUTABLE)})"
            )
