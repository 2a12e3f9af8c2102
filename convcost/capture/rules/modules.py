"""Modules that PyTorch computes by several operators and that are one op here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from ...ops import norm, stochastic
from ...ops.base import Op


def _local_response_norm(module: Any, x: Any) -> Op | None:
    return norm.LocalResponseNorm(int(module.size), float(module.alpha), float(module.beta), float(module.k))


def _stochastic_depth(module: Any, x: Any) -> Op | None:
    return stochastic.StochasticDepth(float(module.p), module.mode) if module.p else None


FOLDED: dict[str, Callable[[Any, Any], Op | None]] = {
    "torch.nn.modules.normalization.LocalResponseNorm": _local_response_norm,
    "torch.nn.modules.normalization.CrossMapLRN2d": _local_response_norm,
    "torchvision.ops.stochastic_depth.StochasticDepth": _stochastic_depth,
}
"""Classes by their full name, so that none has to be imported, and the op of a call on ``x``."""


def folded(module: nn.Module, args: tuple[Any, ...]) -> Op | None:
    """The one op that a module's call is, or None. A subclass may do anything, and is not folded."""
    cls = type(module)
    make = FOLDED.get(f"{cls.__module__}.{cls.__qualname__}")
    return make(module, args[0]) if make is not None and len(args) == 1 else None
