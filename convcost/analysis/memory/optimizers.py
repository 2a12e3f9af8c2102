"""Optimizers: what each keeps for a parameter, what its step allocates, and which class of PyTorch it is.

A new optimizer is one row of ``OPTIMIZERS`` (or one call of ``register_optimizer``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from ...errors import UsageError, alternatives
from ...ops.base import Kernels
from ...tensor import ITEM_BYTES


class Optimizer(msgspec.Struct, frozen=True):
    """The memory of an optimizer, and how PyTorch makes it. Source of the figures: torch.optim of PyTorch 2.13.

    Args:
        name: what ``--optimizer`` calls it.
        note: what it keeps for the parameters, in a few words.
        copies: how many tensors of the parameter's size and dtype it keeps for each parameter.
        temporaries: how many tensors of the parameter's size a step allocates for a while, for all parameters at once:
            with the foreach kernels, which PyTorch prefers on CUDA.
        temporaries_alone: the same without foreach kernels, for one parameter after the other.
        state: bytes that it keeps for a tensor of so many scalars. It replaces ``copies`` where the state does not have
            the dtype of the parameter.
        torch_class: the name of its class in ``torch.optim``; None if there is none, and ``profile`` cannot time it.
        torch_arguments: what that class is called with, beside the parameters and a learning rate.
    """

    name: str
    note: str
    copies: int = 0
    temporaries: int = 0
    temporaries_alone: int = 0
    state: Callable[[int], int] | None = None
    torch_class: str | None = None
    torch_arguments: Mapping[str, object] = {}

    def state_bytes(self, elements: int, dtype: str) -> int:
        """Bytes that it keeps for a parameter."""
        return self.state(elements) if self.state else self.copies * elements * ITEM_BYTES[dtype]

    def step_bytes(self, parameters: Sequence[int], kernels: Kernels) -> int:
        """Bytes that a step allocates and frees again, with parameters of these bytes."""
        if kernels == "cuda":
            return self.temporaries * sum(parameters)
        return self.temporaries_alone * max(parameters, default=0)


BLOCK = 256
"""Scalars that share one scale in 8-bit Adam. Source: bitsandbytes, blockwise quantisation."""
SMALL = 4096
"""Tensors with fewer scalars keep moments in float32. Source: bitsandbytes, min_8bit_size."""


def _adam8bit(elements: int) -> int:
    if elements < SMALL:
        return 8 * elements
    return 2 * (elements + 4 * -(-elements // BLOCK))


NO_OPTIMIZER = Optimizer("none", "nothing; there is no optimizer step")

OPTIMIZERS: dict[str, Optimizer] = {
    each.name: each
    for each in (
        Optimizer("sgd", "nothing", torch_class="SGD"),
        Optimizer("momentum", "one copy of the parameters: a running sum of gradients", copies=1, torch_class="SGD",
                  torch_arguments={"momentum": 0.9}),
        Optimizer("adam", "two copies of the parameters: first and second moments", copies=2, temporaries=1,
                  temporaries_alone=2, torch_class="Adam"),
        Optimizer("adamw", "two copies of the parameters: first and second moments", copies=2, temporaries=1,
                  temporaries_alone=2, torch_class="AdamW"),
        Optimizer("adam8bit", f"two moments of one byte for each scalar, each with a float32 scale for every {BLOCK} "
                  f"scalars; float32 moments for tensors of less than {SMALL:,}", state=_adam8bit),
        NO_OPTIMIZER,
    )
}  # fmt: skip
"""Every optimizer by its name."""


def register_optimizer(optimizer: Optimizer) -> None:
    """Add an optimizer to ``OPTIMIZERS``.

    Raises:
        TypeError: the name is taken.
    """
    if optimizer.name in OPTIMIZERS:
        raise TypeError(f"an optimizer {optimizer.name!r} is registered already")
    OPTIMIZERS[optimizer.name] = optimizer


def timed_optimizers() -> list[str]:
    """The names of the optimizers that PyTorch has, and "none"."""
    return [name for name, each in OPTIMIZERS.items() if each.torch_class is not None or each is NO_OPTIMIZER]


def optimizer_of(name: str) -> Optimizer:
    """The optimizer of this name.

    Raises:
        UsageError: there is none; the message has the nearest spelling.
    """
    optimizer = OPTIMIZERS.get(name)
    if optimizer is None:
        raise UsageError(f"unknown optimizer {name!r}{alternatives(name, OPTIMIZERS)}")
    return optimizer
