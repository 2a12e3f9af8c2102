"""Which op each of PyTorch's operators becomes.

``RULES`` and ``LAYOUT`` are complete once this package is imported: the modules that it imports enter their rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...ops.base import Op
from . import arithmetic, layers, pointwise, views
from .registry import RULES, overload

__all__ = ["LAYOUT", "RULES", "arithmetic", "layers", "pointwise"]

LAYOUT: dict[Any, Callable[..., Op | Sequence[Op] | None]] = {
    func: function for name, function in views.BY_NAME.items() if (func := overload(name)) is not None
}
"""Operators that only change how a value is read, and what each is if its result is a view."""
