"""PyTorch modules for the generic ops: they repeat a recorded operator call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

_CREATORS = ("zeros", "ones", "empty", "full", "arange", "linspace", "rand", "randn", "eye", "tril_indices", "scalar")


class Called(nn.Module):
    """Calls ``function``, such as "aten.add.Tensor", with "$k" in its arguments replaced by the inputs."""

    def __init__(self, function: str, arguments: Sequence[Any], keywords: Sequence[tuple[str, Any]]) -> None:
        super().__init__()
        namespace, name, overload = tuple(function.split("."))
        self.function = getattr(getattr(getattr(torch.ops, namespace), name), overload)
        self.creates = name.startswith(_CREATORS) and not name.endswith("_like")
        self.arguments, self.keywords = tuple(arguments), dict(keywords)
        # Moves with the network: tensors without inputs are created on its device.
        self.register_buffer("place", torch.empty(0), persistent=False)

    def forward(self, *inputs: torch.Tensor) -> Any:
        """The result of the operator for ``inputs``."""
        arguments = [_filled(each, inputs) for each in self.arguments]
        keywords = {name: _filled(each, inputs) for name, each in self.keywords.items()}
        if self.creates:
            keywords["device"] = self.place.device
        result = self.function(*arguments, **keywords)
        return tuple(result) if isinstance(result, list) else result


def _filled(argument: Any, inputs: Sequence[torch.Tensor]) -> Any:
    if isinstance(argument, str):
        if argument.startswith("$"):
            return inputs[int(argument[1:])]
        return getattr(torch, argument[len("torch.") :]) if argument.startswith("torch.") else argument
    if isinstance(argument, (tuple, list)):
        return [_filled(each, inputs) for each in argument]
    return argument


class Contiguous(nn.Module):
    """A contiguous copy."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The copy, even if ``x`` is contiguous."""
        return x.clone(memory_format=torch.contiguous_format)


class Kept(nn.Module):
    """A buffer of zeros as a value."""

    buffer: torch.Tensor

    def __init__(self, shape: Sequence[int], dtype: str, persistent: bool) -> None:
        super().__init__()
        self.register_buffer("buffer", torch.zeros(tuple(shape), dtype=getattr(torch, dtype)), persistent)

    def forward(self) -> torch.Tensor:
        """The buffer."""
        return self.buffer


class Sent(nn.Module):
    """A tensor of zeros, created on the device of the network at each call."""

    place: torch.Tensor

    def __init__(self, shape: Sequence[int], dtype: str) -> None:
        super().__init__()
        self.shape, self.dtype = tuple(shape), getattr(torch, dtype)
        self.register_buffer("place", torch.empty(0), persistent=False)

    def forward(self) -> torch.Tensor:
        """A new tensor."""
        return torch.zeros(self.shape, dtype=self.dtype, device=self.place.device)
