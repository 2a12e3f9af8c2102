"""Modules that run several PyTorch operators and become one op, such as LocalResponseNorm."""

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
"""Functions that give the op for a module and its input, by the full name of the class (so torchvision is optional)."""


def folded(module: nn.Module, args: tuple[Any, ...]) -> Op | None:
    """The op that the call of a module becomes, or None. A subclass may override ``forward`` and is not folded."""
    cls = type(module)
    make = FOLDED.get(f"{cls.__module__}.{cls.__qualname__}")
    return make(module, args[0]) if make is not None and len(args) == 1 else None
