"""Ops of shifted-window attention besides attention itself. arXiv 2103.14030, torchvision's swin_transformer."""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import OpError
from ..tensor import ITEM_BYTES, Shape, Tensor, Weight
from ..units import shape as times
from .base import (
    FRESH,
    NOTHING,
    UNKNOWN,
    VIEW,
    Counts,
    ExplanationStep,
    Kernels,
    NonNegative,
    Op,
    Placement,
    Positive,
    Reach,
    Tensors,
    register,
)
from .combine import counted


def _image(op: str, x: Tensor) -> Shape:
    """N, H, W and C of a channels-last image. Raises OpError for another number of dimensions."""
    if len(x.shape) != 4:
        raise OpError(f"{op} needs (N, H, W, C), got {len(x.shape)} dimensions: {times(x.shape)}")
    return x.shape


def _count(size: int, window: int) -> int:
    """Number of windows along a dimension, the last one padded."""
    return -(-size // window)


def _windows(x: Tensor, window: int) -> int:
    """Number of windows of one image."""
    return _count(x.shape[1], window) * _count(x.shape[2], window)


def _scattered(x: Tensor, window: int) -> bool:
    """True if the pixels of a window are not contiguous in memory; they are in a window as wide as the image."""
    return 1 < window < x.shape[2]


class _Moves(Op, frozen=True):
    """Base of the ops that move values without changing them."""

    keeps = NOTHING

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {}

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return UNKNOWN


@register
class WindowPartition(_Moves, frozen=True):
    """Splits an image into square windows, (N, H, W, C) -> (N*windows, window_size^2, C).

    H and W are padded with zeros to whole windows; PyTorch copies the image even if no padding is needed.
    """

    op = "window_partition"

    window_size: Positive

    def check(self, inputs: Tensors) -> None:
        _image(self.op, inputs[0])

    def outputs(self, inputs: Tensors) -> Tensors:
        x = inputs[0]
        return (Tensor((x.shape[0] * _windows(x, self.window_size), self.window_size**2, x.shape[3]), x.dtype),)

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        return outputs[0].bytes  # the padded image

    def launches(self, inputs: Tensors, train: bool) -> int:
        # F.pad (a copy, or zeros and a copy), then the copy into windows.
        padded = any(size % self.window_size for size in inputs[0].shape[1:3])
        return 1 + padded + _scattered(inputs[0], self.window_size)

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        _, height, width, _ = inputs[0].shape
        filled = f"ceil({height}/{self.window_size})*ceil({width}/{self.window_size})"
        return (
            ExplanationStep("windows per image", "ceil(H/w)*ceil(W/w)", filled, _windows(inputs[0], self.window_size)),
        )

    def to_torch(self) -> Any:
        from .torch_modules import windows

        return windows.WindowPartition(self.window_size)


@register
class WindowReverse(_Moves, frozen=True):
    """Reassembles an image from its windows, (N*windows, window_size^2, C) -> (N, H, W, C).

    The second input is the image that was split: only its N, H and W are used. If a window is as wide as the image and
    nothing was padded, the output is a view of the windows.
    """

    op = "window_reverse"
    arity = (2, 2)

    window_size: Positive

    def check(self, inputs: Tensors) -> None:
        windows, x = inputs
        batch = _image(self.op, x)[0]
        expected = (batch * _windows(x, self.window_size), self.window_size**2)
        if len(windows.shape) != 3 or windows.shape[:2] != expected:
            raise OpError(
                f"{self.op}: windows of {self.window_size} from {times(x.shape)} are {times(expected)}xC, "
                f"got {times(windows.shape)}"
            )

    def outputs(self, inputs: Tensors) -> Tensors:
        windows, x = inputs
        return (Tensor((*x.shape[:3], windows.shape[2]), windows.dtype),)

    def placement(self, inputs: Tensors, train: bool) -> tuple[Placement, ...]:
        return (FRESH if self.launches(inputs, train) else VIEW,)

    def reads(self, inputs: Tensors, outputs: Tensors) -> int:
        return inputs[0].bytes if self.launches(inputs, False) else 0

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        height, width = inputs[1].shape[1:3]
        if not (width % self.window_size or height % self.window_size):
            return 0
        # If the padding is one block at the end, the output is a slice of the padded image; otherwise it is copied.
        return inputs[0].bytes if self.launches(inputs, train) > 1 else inputs[0].bytes - outputs[0].bytes

    def launches(self, inputs: Tensors, train: bool) -> int:
        # The copy into an image; and one to remove the padding, unless the rest is contiguous.
        batch, height, width, _ = inputs[1].shape
        right, below = width % self.window_size, height % self.window_size
        cropped = bool(right and batch * height > 1) or bool(below and batch > 1)
        return _scattered(inputs[1], self.window_size) + cropped

    def to_torch(self) -> Any:
        from .torch_modules import windows

        return windows.WindowReverse(self.window_size)


class _OnLogits(Op, frozen=True):
    """Base of the ops that add to attention logits, (N*windows, heads, window_size^2, window_size^2)."""

    group = "attention"
    keeps = NOTHING

    window_size: Positive

    def _logits(self, x: Tensor) -> Shape:
        tokens = self.window_size**2
        if len(x.shape) != 4 or x.shape[2:] != (tokens, tokens):
            raise OpError(
                f"{self.op} needs logits (N*windows, heads, {tokens}, {tokens}) for windows of {self.window_size}, "
                f"got {times(x.shape)}"
            )
        return x.shape

    def outputs(self, inputs: Tensors) -> Tensors:
        return (inputs[0],)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return counted(self.op, outputs[0].elements)

    def reads(self, inputs: Tensors, outputs: Tensors) -> int:
        return inputs[0].bytes


@register
class RelativePositionBias(_OnLogits, frozen=True):
    """Adds a learned bias for each head and each of the (2w - 1)^2 offsets between two positions in a window.

    The buffer relative_position_index holds, for each of the w^4 pairs, the row of the table that is added.
    """

    op = "relative_position_bias"
    autocast = "float32"  # its weight stays float32, which promotes the result

    num_heads: Positive | None = None

    def bind(self, inputs: Tensors) -> Op:
        self.check(inputs)
        return msgspec.structs.replace(self, num_heads=inputs[0].shape[1])

    def check(self, inputs: Tensors) -> None:
        heads = self._logits(inputs[0])[1]
        if self.num_heads not in (None, heads):
            raise OpError(f"{self.op} was built for {self.num_heads} heads, got {heads}")

    def weights(self) -> tuple[Weight, ...]:
        table = Weight("relative_position_bias_table", ((2 * self.window_size - 1) ** 2, self.num_heads or 0))
        return (table, Weight("relative_position_index", (self.window_size**4,), "buffer", "int64"))

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        return 2 * self.window_size**4 * (self.num_heads or 0) * 4  # the selected rows, and their copy with heads first

    def launches(self, inputs: Tensors, train: bool) -> int:
        return 3  # select the rows, copy with heads first, add

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        window, heads = self.window_size, self.num_heads or 0
        params = (2 * window - 1) ** 2 * heads
        return (ExplanationStep("params", "(2w - 1)^2*heads", f"(2*{window} - 1)^2*{heads}", params),)

    def to_torch(self) -> Any:
        from .torch_modules import windows

        return windows.RelativePositionBias(self.window_size, self.num_heads or 0)


@register
class WindowMask(_OnLogits, frozen=True):
    """Adds -100 to the logits of pairs of positions that are in the same window only because of the shift.

    The second input is the image (N, H, W, C) that was split: only its shape is used. A dimension with a single window
    is not shifted; if neither is shifted, nothing is added. The addition counts as work; building the mask, which is
    the same for every image, counts only as kernel launches.
    """

    op = "window_mask"
    arity = (2, 2)

    shift: NonNegative

    def check(self, inputs: Tensors) -> None:
        logits, x = inputs
        windows = self._logits(logits)[0]
        batch = _image(self.op, x)[0]
        if self.shift >= self.window_size:
            raise OpError(f"{self.op}: the shift {self.shift} must be smaller than the window {self.window_size}")
        per_image = _windows(x, self.window_size)
        if windows != batch * per_image:
            raise OpError(
                f"{self.op}: {times(x.shape)} has {batch}*{per_image} windows of {self.window_size}, got {windows}"
            )

    def _shifted(self, inputs: Tensors) -> bool:
        return self.shift > 0 and max(inputs[1].shape[1:3]) > self.window_size

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return super().work(inputs, outputs, train) if self._shifted(inputs) else {}

    def placement(self, inputs: Tensors, train: bool) -> tuple[Placement, ...]:
        return (FRESH if self._shifted(inputs) else VIEW,)

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        if not self._shifted(inputs):
            return 0
        item = ITEM_BYTES[inputs[0].dtype]
        windows = _windows(inputs[1], self.window_size)
        regions, mask = windows * self.window_size**2 * item, windows * self.window_size**4
        # The mask during the addition; or the differences, the mask before and after the fill with 0, and a bool mask.
        return max(regions + mask * item, regions + mask * (3 * item + 1) - outputs[0].bytes)

    def launches(self, inputs: Tensors, train: bool) -> int:
        if not self._shifted(inputs):
            return 0
        # Zeros; a fill for each region (9, or 3 if only one dimension is shifted); the copy into windows, if they are
        # not contiguous; subtract; != 0, copy, fill; == 0, copy, fill; add.
        regions = 9 if min(inputs[1].shape[1:3]) > self.window_size else 3
        return 9 + regions + _scattered(inputs[1], self.window_size)

    def to_torch(self) -> Any:
        from .torch_modules import windows

        return windows.WindowMask(self.window_size, self.shift)


@register
class PatchMerge(_Moves, frozen=True):
    """Concatenates the channels of 2x2 pixels, (N, H, W, C) -> (N, H/2, W/2, 4*C); odd sizes are padded with zeros.

    Another ``factor`` f merges f x f pixels.
    """

    op = "patch_merge"

    factor: Positive = 2

    def check(self, inputs: Tensors) -> None:
        _image(self.op, inputs[0])

    def outputs(self, inputs: Tensors) -> Tensors:
        batch, height, width, channels = inputs[0].shape
        sizes = (_count(height, self.factor), _count(width, self.factor))
        return (Tensor((batch, *sizes, self.factor**2 * channels), inputs[0].dtype),)

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        return outputs[0].bytes  # the padded image

    def launches(self, inputs: Tensors, train: bool) -> int:
        # F.pad (a copy, or zeros and a copy), then the concatenation.
        return 2 + any(size % self.factor for size in inputs[0].shape[1:3])

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        channels = inputs[0].shape[3]
        return (ExplanationStep("channels", "factor^2*C", f"{self.factor}^2*{channels}", outputs[0].shape[3]),)

    def to_torch(self) -> Any:
        from .torch_modules import windows

        return windows.PatchMerge(self.factor)
