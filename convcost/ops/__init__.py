"""The ops, one class each, in one module per family. Importing this package fills the registry.

A new module must be imported here.
"""

from __future__ import annotations

from ..errors import OpError
from . import (
    activation,
    adaptive_max_pool,
    attention,
    channel_norm,
    combine,
    conv,
    conv_transpose,
    embedding,
    generic,
    global_pool,
    layout,
    linear,
    norm,
    pool,
    recurrent,
    reduction,
    resample,
    shifted_window,
    slicing,
    stochastic,
)
from .base import REGISTRY, Composite, Op, Tensors, make

__all__ = [
    "REGISTRY",
    "Composite",
    "Op",
    "activation",
    "adaptive_max_pool",
    "attention",
    "channel_norm",
    "combine",
    "conv",
    "conv_transpose",
    "embedding",
    "generic",
    "global_pool",
    "layout",
    "linear",
    "make",
    "norm",
    "pool",
    "ready",
    "recurrent",
    "reduction",
    "resample",
    "shifted_window",
    "slicing",
    "stochastic",
]


def ready(op: Op, inputs: Tensors) -> Op:
    """``op`` bound to ``inputs`` and checked against them, so that its other rules can be called.

    Raises:
        OpError: too few or too many inputs, or inputs that the op does not accept.
    """
    least, most = op.arity
    if len(inputs) < least or (most is not None and len(inputs) > most):
        wanted = f"{least}" if most == least else f"{least} or more" if most is None else f"{least} to {most}"
        raise OpError(f"{op.op} takes {wanted} input{'' if wanted == '1' else 's'}, got {len(inputs)}")
    bound = op.bind(inputs)
    bound.check(inputs)
    return bound
