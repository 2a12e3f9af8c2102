"""Copies a user's module to the meta device, so that a capture cannot change the original."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from ..errors import SourceError

_MAX_COPIED_ELEMENTS = 1_000_000
"""Plain tensor attributes with more elements than this are shared with the original instead of copied."""


def meta_copy(module: nn.Module) -> nn.Module:
    """Copy a module with all parameters and buffers on the meta device, without allocating memory for them.

    Tensors that are plain attributes keep their values and device, because a forward pass may need the values.

    Raises:
        SourceError: an attribute of the module cannot be copied.
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
                memo[id(value)] = _plain_tensor(value)
    try:
        return copy.deepcopy(module, memo)
    except Exception as error:  # noqa: BLE001 - copying an attribute of a user's module can raise anything
        raise SourceError(
            f"{type(module).__name__} cannot be copied, and convcost only runs a copy: {type(error).__name__}: {error}"
        ) from None


def _meta_parameter(parameter: Any) -> Any:
    if nn.parameter.is_lazy(parameter):
        return type(parameter)(device="meta", dtype=parameter.dtype)  # type: ignore[call-arg]
    if parameter.is_meta:
        return parameter  # shared with the original: it has no values that a pass could change
    return nn.Parameter(parameter.detach().to("meta"), parameter.requires_grad)


def _plain_tensor(value: torch.Tensor) -> torch.Tensor:
    if value.requires_grad and not value.is_leaf:
        return value.detach().to("meta")  # computed from parameters, so a forward pass computes it again
    return value if value.is_meta or value.numel() > _MAX_COPIED_ELEMENTS else value.detach().clone()
