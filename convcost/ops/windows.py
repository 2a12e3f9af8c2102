"""The window arithmetic that convolution and pooling share: how many positions a sliding window has."""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import msgspec

from ..errors import OpError
from ..tensor import Shape, Tensor
from .base import ExplanationStep, Reach

AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
"""What the spatial dimensions are called, by their number."""


def spread(value: int | Shape, rank: int, field: str) -> Shape:
    """3 -> (3, 3); a tuple stays. Raises OpError if a tuple has not one entry for each of ``rank`` dimensions."""
    if isinstance(value, int):
        return (value,) * rank
    if len(value) != rank:
        raise OpError(f"{field} has {len(value)} entries for {rank} spatial dimension{'s' if rank > 1 else ''}")
    return value


class Axis(msgspec.Struct, frozen=True, gc=False):
    """A sliding window along one dimension. ``extent`` = dilation * (kernel - 1) + 1 input positions."""

    kernel: int
    stride: int
    dilation: int
    extent: int
    before: int
    after: int


Window = tuple[Axis, ...]
"""A sliding window, one entry per spatial dimension."""


@lru_cache(maxsize=4096)
def window(
    rank: int, kernel_size: int | Shape, stride: int | Shape, padding: int | Shape | str, dilation: int | Shape = 1
) -> Window:
    """The window that these fields mean. ``padding``: a number or several, "same" (the odd one behind), "valid".

    Raises:
        OpError: a tuple that has not one entry for each of ``rank`` dimensions.
    """
    kernels, strides = spread(kernel_size, rank, "kernel_size"), spread(stride, rank, "stride")
    dilations = spread(dilation, rank, "dilation")
    paddings = spread(0 if isinstance(padding, str) else padding, rank, "padding")
    axes = []
    for k, s, d, both in zip(kernels, strides, dilations, paddings, strict=True):
        extent = d * (k - 1) + 1
        before, after = ((extent - 1) // 2, extent // 2) if padding == "same" else (both, both)
        axes.append(Axis(k, s, d, extent, before, after))
    return tuple(axes)


def positions(size: int, extent: int, stride: int, padding: int, ceil_mode: bool = False, before: int = 0) -> int:
    """Output positions of a window: floor((size + padding - extent) / stride) + 1.

    Args:
        size: input positions. ``extent``: dilation * (kernel - 1) + 1. ``padding``: both sides together.
        ceil_mode: round up instead; the last window must then still start inside the input or the padding
            ``before`` it, as PyTorch demands.
    """
    room = size + padding - extent
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= size + before else count


def window_reach(view: Window) -> Reach:
    """A window's dependence of output on input positions."""
    return Reach(
        "window",
        tuple([axis.extent for axis in view]),
        tuple([axis.stride for axis in view]),
        tuple([axis.before for axis in view]),
    )


def need_rank(op: str, x: Tensor, rank: int) -> None:
    """Refuse anything but (N, C, *spatial) with ``rank`` spatial dimensions."""
    if len(x.shape) != rank + 2:
        axes = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}[rank]
        raise OpError(f"{op} needs {axes}, got {len(x.shape)} dimensions: {_times(x.shape)}")


def need_fit(op: str, x: Tensor, view: Window) -> None:
    """Refuse a window that is larger than its padded input, with the paddings that would make it fit."""
    for position, axis in enumerate(view):
        size, padding = x.shape[2 + position], axis.before + axis.after
        if size + padding < axis.extent:
            needed = -(-(axis.extent - size) // 2)
            dilated = "" if axis.dilation == 1 else " (dilated)"
            raise OpError(
                f"{op}: the window is {axis.extent}{dilated} and the padded input only {size + padding} in "
                f"{AXES[len(view)][position]} ({size} + padding {padding}); "
                f"it fits with a padding of {needed} or more on each side"
            )


def unread(size: int, axis: Axis, count: int) -> int:
    """Input positions at the end that none of ``count`` windows reads (padding not counted)."""
    last_read = (count - 1) * axis.stride + axis.extent - axis.before
    return max(0, min(size, size - last_read))


def unread_warnings(x: Tensor, view: Window, counts: Shape) -> tuple[str, ...]:
    """One sentence if rows or columns at the end are never read, with what would make the window fit.

    Windows that are smaller than their stride skip positions on purpose and are left in peace.
    """
    lost = [
        (name, missed, size, axis)
        for name, size, axis, count in zip(AXES[len(view)], x.shape[2:], view, counts, strict=True)
        if axis.extent >= axis.stride and (missed := unread(size, axis, count))
    ]
    if not lost:
        return ()
    names = {"height": "row", "width": "column"}
    parts = [f"the last {_plural(missed, names.get(name, 'position'))}" for name, missed, *_ in lost]
    _, first, size, axis = lost[0]
    return (
        f"{' and '.join(parts)} of the input {'are' if len(parts) > 1 or first > 1 else 'is'} never read: "
        f"({size} + {axis.before + axis.after} - {axis.extent}) / {axis.stride} is not whole",
    )


def fitting_paddings(size: int, extent: int, stride: int) -> tuple[int, ...]:
    """The symmetric paddings below ``extent`` with which the window fits: (size + 2p - extent) % stride == 0.

    The 20 smallest of them, if there are more.
    """
    missing = extent - size
    if stride % 2 == 0 and missing % 2:
        return ()
    step = stride if stride % 2 else stride // 2
    solution = missing * (stride + 1) // 2 if stride % 2 else missing // 2
    least = max(0, -(-missing // 2))
    return tuple(range(least + (solution - least) % step, extent, step)[:20])


def adaptive_reads(size: int, result: int) -> int:
    """How many positions all windows of adaptive pooling read: from floor(i*N/M) to ceil((i + 1)*N/M), exclusive."""
    # Neighbours share a position wherever i*N/M is not whole, which it is for gcd(N, M) of them.
    return size + result - gcd(size, result)


def size_steps(x: Tensor, y: Tensor, view: Window, ceil_mode: bool = False) -> tuple[ExplanationStep, ...]:
    """The arithmetic of the output size; one step for all dimensions that are alike."""
    alike: dict[tuple[int, int, Axis], list[str]] = {}
    for name, size, result, axis in zip(AXES[len(view)], x.shape[2:], y.shape[2:], view, strict=True):
        alike.setdefault((size, result, axis), []).append(name)
    return tuple(_size_step(" and ".join(names), *key, ceil_mode) for key, names in alike.items())


def _size_step(names: str, size: int, result: int, axis: Axis, ceil_mode: bool) -> ExplanationStep:
    room = size + axis.before + axis.after - axis.extent
    symmetric = axis.before == axis.after
    padded, padding = ("2P", f"2*{axis.before}") if symmetric else ("P", f"{axis.before + axis.after}")
    extent, filled = "K", f"{axis.kernel}"
    if axis.dilation > 1:
        extent, filled = "(D(K - 1) + 1)", f"({axis.dilation}*({axis.kernel} - 1) + 1)"
    fits = room % axis.stride == 0
    rounding = "" if fits else "ceil" if ceil_mode else "floor"
    # In ceil_mode a last window that would start past the input is left out.
    one = "1 - 1" if not fits and ceil_mode and result == room // axis.stride + 1 else "1"
    substitution = f"{rounding}(({size} + {padding} - {filled}) / {axis.stride}) + {one}"
    if not fits:
        substitution += f" = {rounding}({room / axis.stride:.4g}) + {one}"
    formula = f"{rounding}((N + {padded} - {extent}) / S) + 1"
    if one != "1":
        formula += " - 1 (a last window past the input)"
    return ExplanationStep(f"output {names}", formula, substitution, result)


def _plural(number: int, noun: str) -> str:
    return noun if number == 1 else f"{number} {noun}s"


def _times(shape: Shape) -> str:
    return "x".join(map(str, shape))
