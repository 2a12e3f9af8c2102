"""PyTorch's recurrent layers with tensors in and out, where PyTorch nests the states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class Rnn(nn.RNN):
    """nn.RNN."""

    def forward(self, x: torch.Tensor, first: torch.Tensor | None = None) -> Any:  # type: ignore[override]
        """The states of the last layer; the last state of each."""
        return super().forward(x, first)


class Gru(nn.GRU):
    """nn.GRU."""

    def forward(self, x: torch.Tensor, first: torch.Tensor | None = None) -> Any:  # type: ignore[override]
        """The states of the last layer; the last state of each."""
        return super().forward(x, first)


class Lstm(nn.LSTM):
    """nn.LSTM."""

    def forward(self, x: torch.Tensor, *first: torch.Tensor) -> Any:  # type: ignore[override]
        """The states of the last layer; the last state and the last cells of each."""
        states, (hidden, cells) = super().forward(x, first or None)  # type: ignore[arg-type]
        return states, hidden, cells


def recurrent(nn_class: str, fields: Mapping[str, Any]) -> nn.Module:
    """The layer of torch.nn that is called so, built from these fields."""
    keys = dict(fields)
    layers: dict[str, type[nn.RNNBase]] = {"RNN": Rnn, "GRU": Gru, "LSTM": Lstm}
    return layers[nn_class](keys.pop("input_size"), keys.pop("hidden_size"), **keys)
