"""PyTorch modules for the ops that have none in torch.nn; each op's ``to_torch`` builds one of them.

They use the fields of the op and their input tensors, but none of its rules, so that PyTorch is an independent check of
these. Their parameters and buffers must have the names and shapes of the op's ``weights``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import groupby
from typing import Any

import torch
from torch import nn
from torch.nn import functional

Sizes = int | Sequence[int]


def layer(name: str, fields: Mapping[str, Any]) -> nn.Module:
    """The module of torch.nn with this name, built from ``fields``."""
    module: nn.Module = getattr(nn, name)(**fields)
    return module


def _each(value: Sizes, rank: int) -> Sequence[int]:
    return (value,) * rank if isinstance(value, int) else value


class Interpolated(nn.Module):
    """F.interpolate as a module."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        super().__init__()
        self.arguments = dict(fields)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.arguments.items())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``x``, resized."""
        return nn.functional.interpolate(x, **self.arguments)


class Method(nn.Module):
    """A method of torch.Tensor with its arguments, x.permute(dims=(0, 2, 3, 1)); in place ``sigmoid_``."""

    def __init__(self, name: str, fields: Mapping[str, Any]) -> None:
        super().__init__()
        self.arguments = dict(fields)
        self.name = name + "_" * self.arguments.pop("inplace", False)

    def extra_repr(self) -> str:
        return ", ".join([self.name, *(f"{name}={value}" for name, value in self.arguments.items())])

    def forward(self, x: torch.Tensor) -> Any:
        """The result of the method: a tensor or a tuple of tensors."""
        return getattr(x, self.name)(**self.arguments)


class Fold(nn.Module):
    """A binary method of torch.Tensor over all inputs, from left to right: (a + b) + c."""

    def __init__(self, name: str, inplace: bool = False) -> None:
        super().__init__()
        self.name = name + "_" * inplace

    def extra_repr(self) -> str:
        return self.name

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """The result for all inputs."""
        return reduce(getattr(torch.Tensor, self.name), inputs)


class Concat(nn.Module):
    """torch.cat as a module."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """The concatenation of the inputs."""
        return torch.cat(inputs, self.dim)


class Matmul(nn.Module):
    """torch.matmul as a module; ``transpose_b`` transposes the second matrix."""

    def __init__(self, transpose_b: bool) -> None:
        super().__init__()
        self.transpose_b = transpose_b

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The product over the last two dimensions."""
        return torch.matmul(a, b.transpose(-2, -1) if self.transpose_b else b)


class ScaledTanh(nn.Module):
    """The activation of LeNet-5."""

    def __init__(self, amplitude: float, slope: float) -> None:
        super().__init__()
        self.amplitude, self.slope = amplitude, slope

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """amplitude*tanh(slope*x)."""
        return torch.tanh(x * self.slope) * self.amplitude


class Maxout(nn.Module):
    """The maximum of each ``pieces`` consecutive values along ``dim``."""

    def __init__(self, pieces: int, dim: int) -> None:
        super().__init__()
        self.pieces, self.dim = pieces, dim

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, ...) -> (N, C/pieces, ...)."""
        # The pieces are dimension dim + 1 if dim is counted from the front, and dim if it is counted from the end.
        return torch.amax(torch.unflatten(x, self.dim, (-1, self.pieces)), self.dim + (self.dim >= 0))


class Reshape(nn.Module):
    """Tensor.reshape, where 0 keeps the dimension at that position."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A view, or a copy if the strides do not allow one."""
        return x.reshape([x.shape[at] if size == 0 else size for at, size in enumerate(self.shape)])


class Pad(nn.Module):
    """Padding of any dimensions with zeros by F.pad."""

    def __init__(self, padding: Sequence[int]) -> None:
        super().__init__()
        self.padding = list(padding)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The padded copy; a copy even without padding."""
        return functional.pad(x, self.padding)


class Crop(nn.Module):
    """A crop of the spatial dimensions, at the centre or at ``offset``; a second input has the size."""

    def __init__(self, offset: Sizes | None, size: Sizes | None) -> None:
        super().__init__()
        self.offset, self.size = offset, size

    def forward(self, x: torch.Tensor, like: torch.Tensor | None = None) -> torch.Tensor:
        """A view of ``x``."""
        rank = x.dim() - 2
        size = like.shape[2:] if like is not None else _each(self.size or 0, rank)
        offset = None if self.offset is None else _each(self.offset, rank)
        for at in range(rank):
            start = (x.shape[2 + at] - size[at]) // 2 if offset is None else offset[at]
            x = x.narrow(2 + at, start, size[at])
        return x


class GlobalPool(nn.Module):
    """One value per channel, by Tensor.mean or Tensor.amax."""

    def __init__(self, method: str, keepdim: bool) -> None:
        super().__init__()
        self.method, self.keepdim = method, keepdim

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, ...) -> (N, C, 1, ...), or (N, C)."""
        pooled: torch.Tensor = getattr(x, self.method)(tuple(range(2, x.dim())), self.keepdim)
        return pooled


class Subsample2d(nn.Module):
    """LeNet-5's subsampling: the sum of each window times a weight per channel, plus a bias."""

    def __init__(self, channels: int, kernel_size: Any, stride: Any) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C, H', W')."""
        sums = functional.avg_pool2d(x, self.kernel_size, self.stride, divisor_override=1)
        return sums * self.weight.view(-1, 1, 1) + self.bias.view(-1, 1, 1)


class TableConv(nn.Module):
    """A convolution with a connection table: one small convolution for each run of equal rows.

    ``weight`` holds the kernels of all connected pairs, row by row of the table: (pairs, *kernel_size). Consecutive
    output channels that read the same input channels share a convolution.
    """

    def __init__(self, rank: int, connections: Sequence[Sequence[int]], fields: Mapping[str, Any]) -> None:
        super().__init__()
        kernel = _each(fields["kernel_size"], rank)
        self.convolve = getattr(functional, f"conv{rank}d")
        self.sets = [(len(list(rows)), row) for row, rows in groupby(connections)]
        self.arguments = {name: fields[name] for name in ("stride", "padding", "dilation")}
        self.weight = nn.Parameter(torch.empty(sum(map(len, connections)), *kernel))
        self.bias = nn.Parameter(torch.zeros(len(connections))) if fields["bias"] else None
        nn.init.kaiming_uniform_(self.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, *spatial) -> (N, rows of the table, *spatial')."""
        results = []
        counts = [count for count, _ in self.sets]
        weights = self.weight.split_with_sizes([count * len(row) for count, row in self.sets])
        biases = [None] * len(counts) if self.bias is None else self.bias.split_with_sizes(counts)
        for (count, row), weight, bias in zip(self.sets, weights, biases, strict=True):
            # Slices, because an index would be copied from the CPU to the device at each call.
            chosen = torch.cat([x[:, channel : channel + 1] for channel in row], 1)
            kernels = weight.view(count, len(row), *weight.shape[1:])
            results.append(self.convolve(chosen, kernels, bias, **self.arguments))
        return torch.cat(results, 1)


class Rbf(nn.Module):
    """LeNet-5's output layer: squared distances to fixed codes of -1 and 1, here random."""

    codes: torch.Tensor

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.register_buffer("codes", torch.randn(out_features, in_features).sign())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, ..., in_features) -> (N, ..., out_features)."""
        return (x.unsqueeze(-2) - self.codes).square().sum(-1)


class Weighted(nn.Module):
    """Base of the modules with one parameter, ``weight``."""

    def __init__(self, shape: Sequence[int], init: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full(tuple(shape), init))

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.weight.shape))


class Parameter(Weighted):
    """A module without inputs that returns its parameter."""

    def forward(self) -> torch.Tensor:
        """The parameter."""
        return self.weight


class ClassToken(Weighted):
    """A learned token, prepended to the input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, L, C) -> (N, L + 1, C)."""
        return torch.cat([self.weight.expand(x.shape[0], -1, -1), x], 1)


class AddWeight(Weighted):
    """Addition of a learned tensor, for position embeddings."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x + weight, broadcast."""
        return x + self.weight


class TimesWeight(Weighted):
    """Multiplication by a learned tensor, for layer scale."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x*weight, broadcast."""
        return x * self.weight


class StochasticDepth(nn.Module):
    """Drops rows or the whole batch at random in training, like torchvision.ops.stochastic_depth."""

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p, self.mode = p, mode

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``x`` itself in evaluation or with p = 0."""
        if not self.training or self.p == 0:
            return x
        survives = 1 - self.p
        size = [x.shape[0] if self.mode == "row" else 1, *(1,) * (x.dim() - 1)]
        noise = torch.empty(size, dtype=x.dtype, device=x.device).bernoulli_(survives)
        return x * (noise.div_(survives) if survives > 0 else noise)
