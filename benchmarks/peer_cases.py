"""Small modules whose MACs can be calculated by hand, and the networks for the comparison of counters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional


class Case(NamedTuple):
    """A module, the shape of its input, its MACs as an explicit product, and an explanation."""

    name: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    macs: int
    why: str


class _Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(32, 16, 3, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(x, self.weight, padding=1)


class _Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(self.conv(x))


class _Multihead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(768, 12, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


class _Attention(nn.Module):
    """Self-attention in 12 heads, by F.scaled_dot_product_attention or written out."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.fused = fused
        self.qkv, self.out = nn.Linear(768, 3 * 768), nn.Linear(768, 768)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).view(batch, tokens, 3, 12, width // 12).permute(2, 0, 3, 1, 4)
        if self.fused:
            mixed = functional.scaled_dot_product_attention(q, k, v)
        else:
            mixed = ((q @ k.transpose(-2, -1)) * (width // 12) ** -0.5).softmax(-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))


def _conv(*args: Any, **keys: Any) -> Callable[[], nn.Module]:
    return lambda: nn.Conv2d(*args, **keys)


ATTENTION = 4 * 197 * 768 * 768 + 2 * 197 * 197 * 768
CASES = (
    Case("conv 3x3", _conv(16, 32, 3, padding=1, bias=False), (1, 16, 28, 28), 28 * 28 * 32 * 16 * 9,
         "positions * out * in * 3*3"),
    Case("conv 3x3, groups 4", _conv(16, 32, 3, padding=1, groups=4, bias=False), (1, 16, 28, 28), 28 * 28 * 32 * 4 * 9,
         "each output channel reads 16/4 channels"),
    Case("conv 3x3, depthwise", _conv(16, 16, 3, padding=1, groups=16, bias=False), (1, 16, 28, 28), 28 * 28 * 16 * 9,
         "each output channel reads one channel"),
    Case("conv 3x3, dilation 2", _conv(16, 32, 3, padding=2, dilation=2, bias=False), (1, 16, 28, 28),
         28 * 28 * 32 * 16 * 9, "the same as without dilation"),
    Case("conv 3x3, bias", _conv(16, 32, 3, padding=1), (1, 16, 28, 28), 28 * 28 * 32 * 16 * 9,
         "the same as without a bias"),
    Case("conv1d", lambda: nn.Conv1d(16, 32, 5, padding=2, bias=False), (1, 16, 100), 100 * 32 * 16 * 5,
         "positions * out * in * 5"),
    Case("conv3d", lambda: nn.Conv3d(4, 8, 3, padding=1, bias=False), (1, 4, 8, 14, 14), 8 * 14 * 14 * 8 * 4 * 27,
         "positions * out * in * 3*3*3"),
    Case("transposed conv k2 s2", lambda: nn.ConvTranspose2d(16, 8, 2, 2, bias=False), (1, 16, 28, 28),
         28 * 28 * 16 * 8 * 4, "input positions * in * out * 2*2"),
    Case("transposed conv, groups = channels", lambda: nn.ConvTranspose2d(16, 16, 2, 2, groups=16, bias=False),
         (1, 16, 28, 28), 28 * 28 * 16 * 4, "input positions * channels * 2*2"),
    Case("linear on 197 tokens", lambda: nn.Linear(768, 768), (1, 197, 768), 197 * 768 * 768, "tokens * in * out"),
    Case("F.conv2d on a parameter", _Functional, (1, 16, 28, 28), 28 * 28 * 32 * 16 * 9, "the same as for nn.Conv2d"),
    Case("nn.MultiheadAttention", _Multihead, (1, 197, 768), ATTENTION, "4 projections, q*k and a*v of 12 heads"),
    Case("attention, fused", lambda: _Attention(True), (1, 197, 768), ATTENTION, "the same as nn.MultiheadAttention"),
    Case("attention, written out", lambda: _Attention(False), (1, 197, 768), ATTENTION,
         "the same as nn.MultiheadAttention"),
    Case("one conv called twice", _Twice, (1, 16, 28, 28), 2 * 28 * 28 * 16 * 16 * 9, "twice the MACs of one call"),
    Case("batch norm", lambda: nn.BatchNorm2d(64), (1, 64, 56, 56), 0, "0, because nothing is accumulated"),
)  # fmt: skip

NETWORKS = ("alexnet", "vgg16", "resnet50", "mobilenet_v2", "densenet121", "convnext_tiny", "vit_b_16", "swin_t")
