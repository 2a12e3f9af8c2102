"""Capture rules: which convcost op each PyTorch operator becomes.

To support another operator, add a function with ``@rule("aten.NAME.OVERLOAD")`` to ``layers.py`` (weights, pooling,
resizing), ``arithmetic.py`` (arithmetic, matrix products, attention) or ``pointwise.py`` (activations, dropout), or an
entry to ``BY_NAME`` in ``views.py``, to ``OPERATION_COUNTS`` in ``flops_only.py`` (only a number of operations) or to
``FOLDED`` in ``modules.py`` (a whole module that is one op). Importing this package registers all rules.
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
"""For each operator that returns a view, the function that gives the op: called with input, result and arguments."""
