"""The number of operations of PyTorch operators that have no typed op.

To add an operator, enter a function in ``OPERATION_COUNTS``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch


def _glu(args: Sequence[Any], made: Sequence[torch.Tensor]) -> int:
    return 4 * made[0].numel()  # a sigmoid (3 operations) and a product


def _log_sigmoid(args: Sequence[Any], made: Sequence[torch.Tensor]) -> int:
    return 5 * made[0].numel()  # min(x, 0) - log(1 + exp(-|x|)): compare, exp, add, log, subtract


def _rrelu(args: Sequence[Any], made: Sequence[torch.Tensor]) -> int:
    return 2 * made[0].numel()  # a comparison and a product


def _embedding_bag(args: Sequence[Any], made: Sequence[torch.Tensor]) -> int:
    """A bag of n rows takes n - 1 additions or comparisons for each output, and for the mean (mode 1) a division."""
    weight, indices = args[0], args[1]
    mode = args[4] if len(args) > 4 else 0
    rows, results = indices.numel() * weight.shape[1], made[0].numel()
    return int(max(rows - results, 0) + (results if mode == 1 else 0))


def _fractional_pool(args: Sequence[Any], made: Sequence[torch.Tensor]) -> int:
    return int(prod(args[1]) - 1) * made[0].numel()


def _unpool(args: Sequence[Any], made: Sequence[torch.Tensor]) -> int:
    return 0  # it only moves values


def _grid_sample(args: Sequence[Any], made: Sequence[torch.Tensor]) -> int:
    """A weighted sum of the neighbours: 2 in each dimension, 16 for bicubic (mode 2). Nearest (mode 1) only copies."""
    taps = {1: 1, 2: 16}.get(args[2], 2 ** (args[0].dim() - 2))
    return (2 * taps - 1) * made[0].numel() if taps > 1 else 0


OPERATION_COUNTS: dict[Any, Callable[[Sequence[Any], Sequence[torch.Tensor]], int]] = {
    # overload -> function of the arguments and the output tensors
    torch.ops.aten.glu.default: _glu,
    torch.ops.aten.log_sigmoid_forward.default: _log_sigmoid,
    torch.ops.aten.rrelu_with_noise.default: _rrelu,
    torch.ops.aten._embedding_bag.default: _embedding_bag,
    torch.ops.aten._embedding_bag_forward_only.default: _embedding_bag,
    torch.ops.aten.fractional_max_pool2d.default: _fractional_pool,
    torch.ops.aten.fractional_max_pool3d.default: _fractional_pool,
    torch.ops.aten.max_unpool2d.default: _unpool,
    torch.ops.aten.max_unpool3d.default: _unpool,
    torch.ops.aten.grid_sampler_2d.default: _grid_sample,
    torch.ops.aten.grid_sampler_3d.default: _grid_sample,
}
