"""PyTorch modules for attention in shifted windows and for its masks: what torchvision's swin_transformer calls.

torchvision itself is not needed. The mask of causal attention is that of PyTorch's math backend.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class CausalMask(nn.Module):
    """-inf on what comes after each query, in place."""

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """(..., L, S), of which the entries above the diagonal are masked."""
        seen = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).tril()
        zero, never = (logits.new_full((), value) for value in (0.0, float("-inf")))
        return logits.add_(torch.where(seen, zero, never))


def _padded(x: torch.Tensor, multiple: int) -> torch.Tensor:
    """(N, H, W, C) with zeros at the ends of H and W; a copy in any case."""
    _, height, width, _ = x.shape
    return functional.pad(x, (0, 0, 0, -width % multiple, 0, -height % multiple))


class WindowPartition(nn.Module):
    """Cuts an image into windows."""

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
    """Puts windows together again; of the image that was cut only the shape is used."""

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
    """A learned number for each head and each distance between two positions of a window, added to the logits."""

    relative_position_index: torch.Tensor

    def __init__(self, window_size: int, num_heads: int) -> None:
        super().__init__()
        self.tokens = window_size**2
        steps = 2 * window_size - 1
        self.relative_position_bias_table = nn.Parameter(torch.zeros(steps * steps, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        along = torch.arange(window_size)
        places = torch.stack(torch.meshgrid(along, along, indexing="ij")).flatten(1)
        apart = (places[:, :, None] - places[:, None, :]) + (window_size - 1)
        self.register_buffer("relative_position_index", (apart[0] * steps + apart[1]).flatten())

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """The sum, broadcast over images and windows."""
        bias = self.relative_position_bias_table[self.relative_position_index].view(self.tokens, self.tokens, -1)
        return logits + bias.permute(2, 0, 1).contiguous().unsqueeze(0)


class WindowMask(nn.Module):
    """-100 on the logits between positions that only the shift has brought into one window."""

    def __init__(self, window_size: int, shift: int) -> None:
        super().__init__()
        self.window_size, self.shift = window_size, shift

    def forward(self, logits: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """(N*windows, heads, tokens, tokens), or what arrives itself if nothing is shifted."""
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
    """Numbers the up to nine parts of an image that lay side by side before it was shifted."""
    rows, columns = (((0, -size), (-size, -shift), (-shift, None)) for shift in shifts)
    parts = [(row, column) for row in rows for column in columns]
    for number, ((top, bottom), (left, right)) in enumerate(parts):
        image[top:bottom, left:right] = number
    return image


class PatchMerge(nn.Module):
    """Sets neighbouring pixels side by side."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, H, W, C) -> (N, H/factor, W/factor, factor^2*C)."""
        x, step = _padded(x, self.factor), self.factor
        return torch.cat([x[:, row::step, column::step] for column in range(step) for row in range(step)], -1)
