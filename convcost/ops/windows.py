"""The arithmetic of sliding windows that convolution and pooling share: sizes, positions, unread input.

It knows no op; what one op alone needs belongs to that op.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import msgspec

from ..errors import OpError
from ..tensor import Shape, Tensor
from .base import ExplanationStep, Reach

AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
"""The names of the spatial dimensions, by their number."""


def spread(value: int | Shape, rank: int, field: str) -> Shape:
    """``value`` for each of ``rank`` dimensions: 3 -> (3, 3). Raises OpError for a tuple of another length."""
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
    """The window with these fields. ``padding``: one or more numbers, "same" (an odd one is put after) or "valid".

    Raises:
        OpError: a tuple does not have one entry for each of ``rank`` dimensions.
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
        size: input positions. ``extent``: dilation * (kernel - 1) + 1. ``padding``: the sum of both sides.
        ceil_mode: round up; as in PyTorch, the last window must start inside the input or the padding ``before`` it.
    """
    room = size + padding - extent
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= size + before else count


def window_reach(view: Window) -> Reach:
    """The input positions on which an output of the window depends."""
    return Reach(
        "window",
        tuple([axis.extent for axis in view]),
        tuple([axis.stride for axis in view]),
        tuple([axis.before for axis in view]),
    )


def need_rank(op: str, x: Tensor, rank: int) -> None:
    """Raise OpError unless ``x`` is (N, C, *spatial) with ``rank`` spatial dimensions."""
    if len(x.shape) != rank + 2:
        axes = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}[rank]
        raise OpError(f"{op} needs {axes}, got {len(x.shape)} dimensions: {_times(x.shape)}")


def need_fit(op: str, x: Tensor, view: Window) -> None:
    """Raise OpError if the window is larger than the padded input; the message has the padding that is needed."""
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
    """Input positions at the end that none of ``count`` windows reads, without padding."""
    last_read = (count - 1) * axis.stride + axis.extent - axis.before
    return max(0, min(size, size - last_read))


def unread_warnings(x: Tensor, view: Window, counts: Shape) -> tuple[str, ...]:
    """A sentence if rows or columns at the end are never read, with the division that has a remainder.

    A window smaller than its stride skips positions by design: no warning.
    """
    uncovered = [
        (name, number, size, axis)
        for name, size, axis, count in zip(AXES[len(view)], x.shape[2:], view, counts, strict=True)
        if axis.extent >= axis.stride and (number := unread(size, axis, count))
    ]
    if not uncovered:
        return ()
    names = {"height": "row", "width": "column"}
    parts = [f"the last {_plural(number, names.get(name, 'position'))}" for name, number, *_ in uncovered]
    _, first, size, axis = uncovered[0]
    return (
        f"{' and '.join(parts)} of the input {'are' if len(parts) > 1 or first > 1 else 'is'} never read: "
        f"({size} + {axis.before + axis.after} - {axis.extent}) / {axis.stride} is not an integer",
    )


def fitting_paddings(size: int, extent: int, stride: int) -> tuple[int, ...]:
    """The symmetric paddings p below ``extent`` with (size + 2p - extent) % stride == 0; at most the 20 smallest."""
    missing = extent - size
    if stride % 2 == 0 and missing % 2:
        return ()
    step = stride if stride % 2 else stride // 2
    solution = missing * (stride + 1) // 2 if stride % 2 else missing // 2
    least = max(0, -(-missing // 2))
    return tuple(range(least + (solution - least) % step, extent, step)[:20])


def adaptive_reads(size: int, result: int) -> int:
    """The positions that all windows of adaptive pooling read: floor(i*N/M) to ceil((i + 1)*N/M), exclusive."""
    # Neighbouring windows share a position if i*N/M is not an integer; it is one for gcd(N, M) of the i.
    return size + result - gcd(size, result)


def size_steps(x: Tensor, y: Tensor, view: Window, ceil_mode: bool = False) -> tuple[ExplanationStep, ...]:
    """The arithmetic of the output size; dimensions with equal numbers share a step."""
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
    # In ceil_mode a last window that would start past the input is dropped.
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
