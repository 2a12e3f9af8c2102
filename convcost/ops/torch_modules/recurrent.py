"""PyTorch's recurrent layers with states as separate inputs and outputs instead of nested tuples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class Rnn(nn.RNN):
    """nn.RNN with its states as separate tensors."""

    def forward(self, x: torch.Tensor, first: torch.Tensor | None = None) -> Any:  # type: ignore[override]
        """The states of the last layer at all steps; the final state of each layer."""
        return super().forward(x, first)


class Gru(nn.GRU):
    """nn.GRU with its states as separate tensors."""

    def forward(self, x: torch.Tensor, first: torch.Tensor | None = None) -> Any:  # type: ignore[override]
        """The states of the last layer at all steps; the final state of each layer."""
        return super().forward(x, first)


class Lstm(nn.LSTM):
    """nn.LSTM with its states as separate tensors."""

    def forward(self, x: torch.Tensor, *first: torch.Tensor) -> Any:  # type: ignore[override]
        """The states of the last layer at all steps; the final hidden and cell state of each layer."""
        states, (hidden, cells) = super().forward(x, first or None)  # type: ignore[arg-type]
        return states, hidden, cells


def recurrent(nn_class: str, fields: Mapping[str, Any]) -> nn.Module:
    """The recurrent layer of class ``nn_class``, built from ``fields``."""
    arguments = dict(fields)
    layers: dict[str, type[nn.RNNBase]] = {"RNN": Rnn, "GRU": Gru, "LSTM": Lstm}
    return layers[nn_class](arguments.pop("input_size"), arguments.pop("hidden_size"), **arguments)
