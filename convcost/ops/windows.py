"""The window arithmetic that convolution and pooling share: how many positions a sliding window has."""

from __future__ import annotations

from ..errors import OpError
from ..graph import Shape, Tensor
from .base import Step

AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
"""What the spatial dimensions are called, by their number."""


def spread(value: int | Shape, rank: int, field: str) -> Shape:
    """3 -> (3, 3); a tuple stays. Raises OpError if a tuple has not one entry for each of ``rank`` dimensions."""
    if isinstance(value, int):
        return (value,) * rank
    if len(value) != rank:
        raise OpError(f"{field} has {len(value)} entries for {rank} spatial dimension{'s' if rank > 1 else ''}")
    return value


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


def need_rank(op: str, x: Tensor, rank: int) -> None:
    """Refuse anything but (N, C, *spatial) with ``rank`` spatial dimensions."""
    if len(x.shape) != rank + 2:
        axes = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}[rank]
        raise OpError(f"{op} needs {axes}, got {len(x.shape)} dimensions: {_times(x.shape)}")


def need_fit(op: str, x: Tensor, extents: Shape, paddings: Shape, kernel: Shape) -> None:
    """Refuse a window that is larger than its padded input, with the paddings that would make it fit."""
    for axis, size, extent, padding in zip(AXES[len(extents)], x.shape[2:], extents, paddings, strict=True):
        if size + padding < extent:
            needed = -(-(extent - size) // 2)
            dilated = "" if extent in kernel else " (dilated)"
            raise OpError(
                f"{op}: the window is {extent}{dilated} and the padded input only {size + padding} in {axis} "
                f"({size} + padding {padding}); it fits with a padding of {needed} or more on each side"
            )


def unread(size: int, extent: int, stride: int, before: int, after: int, count: int) -> int:
    """Input positions at the end that no window reads (padding not counted)."""
    last_read = (count - 1) * stride + extent - before
    return max(0, min(size, size - last_read))


def unread_warnings(
    x: Tensor, extents: Shape, strides: Shape, before: Shape, after: Shape, counts: Shape
) -> tuple[str, ...]:
    """One sentence if rows or columns at the end are never read, with what would make the window fit.

    Windows that are smaller than their stride skip positions on purpose and are left in peace.
    """
    lost = [
        (axis, missed, size, extent, stride, front + back)
        for axis, size, extent, stride, front, back, count in zip(
            AXES[len(extents)], x.shape[2:], extents, strides, before, after, counts, strict=True
        )
        if extent >= stride and (missed := unread(size, extent, stride, front, back, count))
    ]
    if not lost:
        return ()
    names = {"height": "row", "width": "column"}
    parts = [f"the last {_plural(missed, names.get(axis, 'position'))}" for axis, missed, *_ in lost]
    axis, _, size, extent, stride, padding = lost[0]
    return (
        f"{' and '.join(parts)} of the input {'are' if len(parts) > 1 or lost[0][1] > 1 else 'is'} never read: "
        f"({size} + {padding} - {extent}) / {stride} is not whole",
    )


def fitting_paddings(size: int, extent: int, stride: int, most: int | None = None) -> tuple[int, ...]:
    """The symmetric paddings below ``extent`` with which the window fits exactly: (size + 2p - extent) % stride == 0."""
    limit = extent if most is None else most
    return tuple(p for p in range(limit) if size + 2 * p >= extent and (size + 2 * p - extent) % stride == 0)


def size_steps(
    x: Tensor,
    y: Tensor,
    kernel: Shape,
    stride: Shape,
    before: Shape,
    after: Shape,
    dilation: Shape,
    ceil_mode: bool = False,
) -> tuple[Step, ...]:
    """The arithmetic of the output size; one step for all dimensions that are alike."""
    steps: dict[tuple[int, int, int, int, int, int, int], list[str]] = {}
    for position, axis in enumerate(AXES[len(kernel)]):
        key = (
            x.shape[2 + position], y.shape[2 + position], kernel[position], stride[position],
            before[position], after[position], dilation[position],
        )  # fmt: skip
        steps.setdefault(key, []).append(axis)
    return tuple(_size_step(" and ".join(axes), *key, ceil_mode=ceil_mode) for key, axes in steps.items())


def _size_step(
    axes: str,
    size: int,
    result: int,
    kernel: int,
    stride: int,
    before: int,
    after: int,
    dilation: int,
    ceil_mode: bool,
) -> Step:
    extent = dilation * (kernel - 1) + 1
    room = size + before + after - extent
    padded = "2P" if before == after else "P"
    filled = f"2*{before}" if before == after else f"{before + after}"
    window, windowed = ("K", f"{kernel}") if dilation == 1 else ("(D(K - 1) + 1)", f"({dilation}*({kernel} - 1) + 1)")
    fits = room % stride == 0
    rounding = "" if fits else "ceil" if ceil_mode else "floor"
    value: str | int = result
    formula = f"{rounding or ''}((N + {padded} - {window}) / S) + 1"
    substitution = f"{rounding}(({size} + {filled} - {windowed}) / {stride}) + 1"
    if not fits:
        exact = f"{room / stride:.4g}"
        substitution += f" = {rounding}({exact}) + 1"
        if ceil_mode and result == room // stride + 1:
            substitution += " - 1 (the last window would start past the input)"
    return Step(f"output {axes}", formula, substitution, value)


def _plural(number: int, noun: str) -> str:
    return noun if number == 1 else f"{number} {noun}s"


def _times(shape: Shape) -> str:
    return "x".join(map(str, shape))
