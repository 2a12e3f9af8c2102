"""What optimizers keep for each parameter, and what they take while they step. Source: torch.optim."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ...errors import UsageError, nearest
from ...ops.base import Kernels
from ...tensor import ITEM_BYTES


class Optimizer(msgspec.Struct, frozen=True):
    """``copies``: how many tensors like the parameter it keeps; ``note`` says which.

    ``temporaries``: how many it takes while it steps: of all parameters at once with the foreach kernels that PyTorch
    prefers on CUDA, of one after the other elsewhere. ``state`` replaces ``copies`` where the state is not of the
    parameters' dtype: bytes for a tensor of so many elements.
    """

    note: str
    copies: int = 0
    temporaries: int = 0
    temporaries_alone: int = 0
    state: Callable[[int], int] | None = None

    def state_bytes(self, elements: int, dtype: str) -> int:
        """Bytes that are kept for a parameter."""
        return self.state(elements) if self.state else self.copies * elements * ITEM_BYTES[dtype]


BLOCK = 256
"""Values that share one scale in 8-bit Adam. Source: bitsandbytes, blockwise quantisation."""
SMALL = 4096
"""Tensors with fewer elements stay in float32. Source: bitsandbytes, min_8bit_size."""


def _adam8bit(elements: int) -> int:
    if elements < SMALL:
        return 8 * elements
    return 2 * (elements + 4 * -(-elements // BLOCK))


OPTIMIZERS: dict[str, Optimizer] = {
    "none": Optimizer("no optimizer: gradients only"),
    "sgd": Optimizer("nothing is kept"),
    "momentum": Optimizer("SGD with momentum: one buffer for each parameter", copies=1),
    "adam": Optimizer("first and second moments", copies=2, temporaries=1, temporaries_alone=2),
    "adamw": Optimizer("first and second moments", copies=2, temporaries=1, temporaries_alone=2),
    "adam8bit": Optimizer("moments of one byte, a scale for each 256", state=_adam8bit),
}


def optimizer(name: str) -> Optimizer:
    """The optimizer of this name.

    Raises:
        UsageError: there is none; the message has the nearest spelling.
    """
    found = OPTIMIZERS.get(name)
    if found is None:
        raise UsageError(f"unknown optimizer {name!r}{nearest(name, OPTIMIZERS)} (allowed: {', '.join(OPTIMIZERS)})")
    return found


def step_bytes(chosen: Optimizer, parameters: list[int], kernels: Kernels) -> int:
    """Bytes that a step takes for the time that it runs, with parameters of these bytes."""
    if kernels == "cuda":
        return chosen.temporaries * sum(parameters)
    return chosen.temporaries_alone * max(parameters, default=0)
