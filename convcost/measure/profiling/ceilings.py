"""Benchmarks of a device's highest rates: a large matrix product, a convolution, a copy, and a kernel launch.

A new benchmark is a function that returns a ``Ceiling``, called in ``ceilings``, and a word of ``Ceiling.what``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...precision import precision_of
from ...profiles.runs import Ceiling
from ...tensor import ITEM_BYTES
from .clock import Bench
from .tf32 import tf32_flags
from .timing import Limits, between, mark_cost, timed

SIDE = {"cuda": 8192, "cpu": 2048}
"""Rows and columns of the matrices, large enough to occupy all multiprocessors."""
CONVOLVED = {"cuda": (128, 256, 56), "cpu": (4, 128, 56)}
"""Batch size, input and output channels, and height and width of a 3x3 convolution. Libraries have kernels for it that
can be faster than their matrix products."""
COPIED_BYTES = {"cuda": 1 << 30, "cpu": 1 << 28}
LIMITS = Limits(seconds=1.5, warmup_seconds=0.2, min_samples=10, max_samples=50, fewest=2)
LAUNCHES = 50


def ceilings(bench: Bench, device: torch.device, dtypes: Sequence[str], tf32: bool | None) -> tuple[Ceiling, ...]:
    """Measure the ceilings for layers of these dtypes.

    float32 is always included, because operations other than multiply-accumulates run at its rate. It is measured with
    and without TF32 unless ``tf32`` is False, because PyTorch's defaults differ for convolutions and matrix products.
    """
    results = [_copy(bench, device), _launch(bench, device)]
    plain = sorted({precision_of(dtype).compute for dtype in dtypes} - {"float32"})
    choices = [None] if device.type == "cpu" else [False, True] if tf32 is not False else [False]
    for dtype, allowed in [("float32", choice) for choice in choices] + [(dtype, None) for dtype in plain]:
        results += [_matmul(bench, device, dtype, allowed), _conv(bench, device, dtype, allowed)]
    return tuple(results)


def _matrices(side: int, device: torch.device, dtype: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two random square matrices, and one for their product."""
    a, b, out = (torch.randn(side, side, device=device).to(getattr(torch, dtype)) for _ in range(3))
    return a, b, out


def _side(bench: Bench, device: torch.device, dtype: str) -> int:
    """Rows and columns of the matrices in ``dtype``.

    Many CPUs have no kernels for half precision, and need minutes for matrices of the full size. There the side is
    halved until a product is expected to take less than the time limit; such kernels are as fast on smaller matrices.
    """
    side = SIDE[device.type] // (2 if ITEM_BYTES[dtype] > 4 else 1)
    if device.type != "cpu":
        return side
    tried = side // 8
    a, b, out = _matrices(tried, device, dtype)
    torch.mm(a, b, out=out)  # the first call loads kernels
    begin = bench.mark()
    torch.mm(a, b, out=out)
    (time_ns,) = between(bench, [begin, bench.mark()])
    while side > tried and time_ns * (side / tried) ** 3 > 1e9 * LIMITS.seconds:
        side //= 2
    return side


def _matmul(bench: Bench, device: torch.device, dtype: str, tf32: bool | None) -> Ceiling:
    side = _side(bench, device, dtype)
    a, b, out = _matrices(side, device, dtype)
    with torch.no_grad(), tf32_flags(tf32):
        times = timed(bench, [lambda: torch.mm(a, b, out=out)], LIMITS)
    words = f"{side}x{side} by {side}x{side}"
    return Ceiling("matmul", 2 * side**3, times.phases[0], dtype, tf32, words)


def _conv(bench: Bench, device: torch.device, dtype: str, tf32: bool | None) -> Ceiling:
    samples, channels, side = CONVOLVED[device.type]
    kind = getattr(torch, dtype)
    x = torch.randn(samples, channels, side, side, device=device).to(kind)
    weight = torch.randn(channels, channels, 3, 3, device=device).to(kind)
    with torch.no_grad(), tf32_flags(tf32):
        times = timed(bench, [lambda: torch.conv2d(x, weight, padding=1)], LIMITS)
    words = f"{channels} kernels of {channels}x3x3 on {samples}x{channels}x{side}x{side}"
    return Ceiling("conv", 2 * 9 * channels**2 * side**2 * samples, times.phases[0], dtype, tf32, words)


def _copy(bench: Bench, device: torch.device) -> Ceiling:
    size = COPIED_BYTES[device.type]
    source = torch.ones(size // 4, device=device)
    target = torch.empty_like(source)
    times = timed(bench, [lambda: target.copy_(source)], LIMITS)
    return Ceiling("copy", 2 * size, times.phases[0], shape=f"{size >> 20} MiB")


def _launch(bench: Bench, device: torch.device) -> Ceiling:
    """The time of a kernel on one element between two readings of the clock, less the cost of a reading."""
    x = torch.ones(1, device=device)
    with torch.no_grad():
        x.add_(1)
        bench.synchronize()
        bench.lead(2_000_000)
        marks = [bench.mark()]
        for _ in range(LAUNCHES):
            x.add_(1)
            marks.append(bench.mark())
        bench.synchronize()
    cost = min(mark_cost(bench))
    return Ceiling("launch", 1, tuple(max(1, time - cost) for time in between(bench, marks)), shape="one element")
