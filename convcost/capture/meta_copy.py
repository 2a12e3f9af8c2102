"""A copy of a user's module on the meta device: its structure without its values, so that nothing of his changes."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from ..errors import SourceError

_SMALL = 1_000_000


def meta_copy(module: nn.Module) -> nn.Module:
    """``module`` with every parameter and buffer on the meta device, without allocating any of them.

    Tensors that are neither stay what they are, since a forward pass may need their values; large ones are shared.

    Raises:
        SourceError: something in the module cannot be copied.
    """
    memo: dict[int, Any] = {}
    for inner in module.modules():
        for parameter in inner._parameters.values():
            if parameter is not None and id(parameter) not in memo:
                memo[id(parameter)] = _meta_parameter(parameter)
        for buffer in inner._buffers.values():
            if buffer is not None and id(buffer) not in memo:
                memo[id(buffer)] = buffer if buffer.is_meta else buffer.to("meta")
        for value in inner.__dict__.values():
            if isinstance(value, torch.Tensor) and id(value) not in memo:
                memo[id(value)] = _kept(value)
    try:
        return copy.deepcopy(module, memo)
    except Exception as error:  # noqa: BLE001 - whatever an attribute of a user's module raises
        raise SourceError(
            f"{type(module).__name__} cannot be copied, and convcost runs no module but a copy: "
            f"{type(error).__name__}: {error}"
        ) from None


def _meta_parameter(parameter: Any) -> Any:
    if nn.parameter.is_lazy(parameter):
        return type(parameter)(device="meta", dtype=parameter.dtype)  # type: ignore[call-arg]
    if parameter.is_meta:
        # A forward pass under inference mode cannot change what has no values.
        return parameter
    return nn.Parameter(parameter.detach().to("meta"), parameter.requires_grad)


def _kept(value: torch.Tensor) -> torch.Tensor:
    if value.requires_grad and not value.is_leaf:
        return value.detach().to("meta")  # computed from parameters: a forward pass computes it again
    return value if value.is_meta or value.numel() > _SMALL else value.detach().clone()
