"""PyTorch modules for shifted-window attention and for attention masks.

They run the operators of torchvision's swin_transformer, but do not import torchvision. The causal mask is that of
PyTorch's math backend.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class CausalMask(nn.Module):
    """Adds -inf, in place, to the logits of keys that come after their query."""

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """(..., L, S) with the entries above the diagonal masked."""
        visible = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).tril()
        zero, minus_infinity = (logits.new_full((), value) for value in (0.0, float("-inf")))
        return logits.add_(torch.where(visible, zero, minus_infinity))


def _padded(x: torch.Tensor, multiple: int) -> torch.Tensor:
    """(N, H, W, C) with H and W padded with zeros to a multiple; always a copy."""
    _, height, width, _ = x.shape
    return functional.pad(x, (0, 0, 0, -width % multiple, 0, -height % multiple))


class WindowPartition(nn.Module):
    """Splits an image into windows."""

    def __init__(self, window_size: int) -> None:
        super().__init__()
        self.window_size = window_size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, H, W, C) -> (N*windows, window_size^2, C)."""
        size = self.window_size
        x = _padded(x, size)
        batch, height, width, channels = x.shape
        windows = x.view(batch, height // size, size, width // size, size, channels).permute(0, 1, 3, 2, 4, 5)
        return windows.reshape(-1, size * size, channels)


class WindowReverse(nn.Module):
    """Reassembles an image from its windows; only the shape of the second input is used."""

    def __init__(self, window_size: int) -> None:
        super().__init__()
        self.window_size = window_size

    def forward(self, windows: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """(N*windows, window_size^2, C) -> (N, H, W, C)."""
        size = self.window_size
        batch, height, width, _ = image.shape
        rows, columns, channels = -(-height // size), -(-width // size), windows.shape[2]
        x = windows.view(batch, rows, columns, size, size, channels).permute(0, 1, 3, 2, 4, 5)
        return x.reshape(batch, rows * size, columns * size, channels)[:, :height, :width].contiguous()


class RelativePositionBias(nn.Module):
    """Adds a learned bias for each head and each offset between two positions of a window to the logits."""

    relative_position_index: torch.Tensor

    def __init__(self, window_size: int, num_heads: int) -> None:
        super().__init__()
        self.tokens = window_size**2
        steps = 2 * window_size - 1
        self.relative_position_bias_table = nn.Parameter(torch.zeros(steps * steps, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        coordinates = torch.arange(window_size)
        positions = torch.stack(torch.meshgrid(coordinates, coordinates, indexing="ij")).flatten(1)
        offsets = (positions[:, :, None] - positions[:, None, :]) + (window_size - 1)
        self.register_buffer("relative_position_index", (offsets[0] * steps + offsets[1]).flatten())

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """``logits`` plus the bias, broadcast over images and windows."""
        bias = self.relative_position_bias_table[self.relative_position_index].view(self.tokens, self.tokens, -1)
        return logits + bias.permute(2, 0, 1).contiguous().unsqueeze(0)


class WindowMask(nn.Module):
    """Adds -100 to the logits of pairs of positions that are in one window only because of the shift."""

    def __init__(self, window_size: int, shift: int) -> None:
        super().__init__()
        self.window_size, self.shift = window_size, shift

    def forward(self, logits: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """(N*windows, heads, tokens, tokens); ``logits`` itself if nothing is shifted."""
        size = self.window_size
        padded = [-(-side // size) * size for side in image.shape[1:3]]
        shifts = [0 if size >= side else self.shift for side in padded]
        if not any(shifts):
            return logits
        regions = _regions(logits.new_zeros(padded), size, shifts)
        regions = regions.view(padded[0] // size, size, padded[1] // size, size).permute(0, 2, 1, 3)
        regions = regions.reshape(-1, size * size)
        mask = regions.unsqueeze(1) - regions.unsqueeze(2)
        mask = mask.masked_fill(mask != 0, -100.0).masked_fill(mask == 0, 0.0)
        masked = logits.view(-1, mask.shape[0], *logits.shape[1:]) + mask.unsqueeze(1).unsqueeze(0)
        return masked.view(logits.shape)


def _regions(image: torch.Tensor, size: int, shifts: list[int]) -> torch.Tensor:
    """Number the regions, at most nine, of an image that were contiguous before the shift."""
    rows, columns = (((0, -size), (-size, -shift), (-shift, None)) for shift in shifts)
    parts = [(row, column) for row in rows for column in columns]
    for number, ((top, bottom), (left, right)) in enumerate(parts):
        image[top:bottom, left:right] = number
    return image


class PatchMerge(nn.Module):
    """Concatenates the channels of factor x factor pixels."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, H, W, C) -> (N, H/factor, W/factor, factor^2*C)."""
        x, step = _padded(x, self.factor), self.factor
        return torch.cat([x[:, row::step, column::step] for column in range(step) for row in range(step)], -1)
