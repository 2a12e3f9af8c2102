"""The largest batch, or resolution, that fits a GPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import msgspec

from ...display import Shown
from ...errors import ConvcostError, UsageError
from ...graph import Graph
from ...hardware import Gpu, load_gpu
from ..settings import MAX_SIZE
from .allocator import OWN_SEGMENT, Allocator, OutOfMemoryError, rounded, segment_size
from .batch_scaling import ScaledMemory
from .memory import Memory, memory

WORKSPACE = 256 << 20
"""Bytes that are left for the workspaces of cuDNN and cuBLAS: 256 MiB. Their sizes are chosen by heuristics at run time
and cannot be worked out; cuBLAS alone keeps 8 MiB, on Hopper 32 MiB."""

STEP = 32
"""Resolutions are tried in steps of 32 pixels, by which most networks halve the image five times."""
MAX_SIDE = 1 << 15


class Room(msgspec.Struct, frozen=True):
    """The memory of a GPU that is left for tensors: without the CUDA context and the allowance for workspaces."""

    gpu: Gpu
    workspace_bytes: int = WORKSPACE

    @property
    def bytes(self) -> int:
        """Bytes for tensors; 0 if nothing is left."""
        return max(0, self.gpu.memory_bytes - self.gpu.context_bytes - self.workspace_bytes)


class Fit(Shown):
    """What fits a GPU: ``batch`` samples of ``input_shapes``, and their memory. A batch of 0 means that nothing fits.

    ``memory`` is that of the answer, or of the smallest case if it does not fit. ``margin_bytes`` is what is left of
    the room at the allocator's peak. ``of_resolution``: the batch was given, and the largest image is the answer.
    """

    def __init__(self, room: Room, batch: int, memory: Memory, of_resolution: bool = False) -> None:
        self.room = room
        self.of_resolution = of_resolution
        self.batch = batch
        self.memory = memory

    def __repr__(self) -> str:
        return f"<Fit {self.memory.report.about.name!r} on {self.gpu.id}: batch {self.batch:,}>"

    @property
    def fits(self) -> bool:
        """False if not even one sample does."""
        return self.batch > 0

    @property
    def gpu(self) -> Gpu:
        """The GPU."""
        return self.room.gpu

    @property
    def input_shapes(self) -> Any:
        """Shapes of the inputs, with the batch."""
        return self.memory.report.settings.input_shapes

    @cached_property
    def margin_bytes(self) -> int:
        """Bytes that are left at the allocator's peak; negative if that exceeds the room."""
        return self.room.bytes - self.memory.allocator.peak_allocated

    def to_dict(self) -> dict[str, Any]:
        """The answer as in the JSON, of raw integers."""
        return {
            "gpu": {"id": self.gpu.id, "name": self.gpu.name},
            "fits": self.fits,
            "batch": self.batch,
            "memory_bytes": self.gpu.memory_bytes,
            "context_bytes": self.gpu.context_bytes,
            "workspace_bytes": self.room.workspace_bytes,
            "room_bytes": self.room.bytes,
            "margin_bytes": self.margin_bytes,
            "memory": {key: value for key, value in self.memory.to_dict().items() if key != "timeline"},
        }


def fit(
    graph: Graph, gpu: str, dtype: str | None = None, mode: Any = "train", optimizer: str = "adamw", *,
    batch: int | None = None, input_size: Any = None, workspace_bytes: int = WORKSPACE, **how: Any,
) -> Fit:  # fmt: skip
    """The largest batch that fits a GPU; with ``batch`` given, the largest resolution.

    Args:
        graph: from ``convcost.load``, of a spec: a capture holds for one batch only.
        gpu: the name of a GPU that ships (``convcost list --gpus``), or a hardware file of your own.
        dtype, mode, optimizer, input_size, checkpoint, accumulate: as for ``convcost.memory``.
        batch: samples at once; the answer is then the largest square image, in steps of 32 pixels.
        workspace_bytes: allowance for workspaces inside kernels.

    Raises:
        UsageError: an unknown GPU or optimizer, a captured graph, both a batch and a size, a network that takes one
            resolution only.
    """
    if not graph.batch_free:
        raise UsageError(
            f"{graph.about.name} was captured for one batch; fit needs a spec, or a SOURCE on the command line"
        )
    room = Room(load_gpu(gpu), workspace_bytes)

    def at(samples: int, size: Any = None) -> Memory:
        return memory(graph, samples, dtype, mode, optimizer, input_size=size or input_size, **how)

    if batch is None:
        return largest_batch(ScaledMemory(at), room)
    return largest_size(lambda size: at(batch, size), room, graph, input_size)


def largest_batch(network: ScaledMemory, room: Room) -> Fit:
    """The largest batch that fits. The model of the allocator decides, with its rounding and its fragments."""
    served: dict[int, Allocator] = {}
    peak = network.peak

    def within(limit: int, takes: Callable[[int], int] = rounded) -> int:
        """The largest batch whose peak is within a limit, without the fragments of the allocator."""

        def small_enough(batch: int) -> int:
            taken = network.initial_bytes
            taken += sum([count * takes(constant + batch * slope) for (constant, slope), count in peak.items()])
            return batch if taken <= limit else batch * limit // taken

        return last(small_enough, MAX_SIZE)

    def served_or_guess(batch: int) -> int:
        try:
            served[batch] = network.served(batch, room.bytes)
        except OutOfMemoryError as error:
            # A guess: fragments take as much of the room at the peak as they did where it ended.
            return min(within(error.allocated), batch - 1)
        return batch

    batch = last(served_or_guess, within(room.bytes), within(room.bytes, _alone))
    return Fit(room, batch, network.memory(batch, served[batch]) if batch else network.at(1))


def _alone(size: int) -> int:
    """Bytes of a request, or of its segment if it is so large that it has one of its own."""
    taken = rounded(size)
    return segment_size(taken) if taken >= OWN_SEGMENT else taken


def last(tried: Callable[[int], int], bound: int, guess: int | None = None) -> int:
    """The largest number from 0 to ``bound`` that holds, if whatever is below one that holds does too.

    Args:
        tried: the number itself if it holds, else a guess of one below it that does.
        bound: the largest number.
        guess: the first that is tried; default: the bound.
    """
    low, high, step = 0, bound + 1, 1  # low holds, high does not
    number = bound if guess is None else max(guess, 1)
    while high - low > 1:
        guessed = tried(number)
        if guessed == number:
            low = number
        else:
            high = number
        number = low + step if high > bound else min(guessed, high - step)
        step *= 4
        if not low < number < high or (low and high <= bound):
            number = (low + high) // 2
    return low


def largest_size(at: Callable[[Any], Memory], room: Room, graph: Graph, input_size: Any = None) -> Fit:
    """The largest square image in this room.

    Raises:
        UsageError: a size was asked for too, the network has several inputs, or takes no image of another size.
    """
    if input_size is not None:
        raise UsageError(
            "give the batch for the largest resolution, or the input's size for the largest batch, not both"
        )
    declared = [tensor.shape[1:] for _, tensor in graph.inputs]
    if len(declared) != 1 or len(declared[0]) < 2:
        raise UsageError("the largest resolution needs a network with one input, an image")
    channels, dims = declared[0][0], len(declared[0]) - 1
    known: dict[int, Memory] = {}

    def of(number: int) -> Memory | None:
        if number not in known:
            try:
                known[number] = at((channels, *(number * STEP,) * dims))
            except ConvcostError:
                return None
        return known[number]

    start = max(declared[0][1] // STEP, 1)
    if of(start + 2) is None and of(start + 4) is None:
        at((channels, *((start + 2) * STEP,) * dims))  # say what is wrong there

    def tried(number: int) -> int:
        memory = of(number)
        return number if memory is not None and Allocator(room.bytes).serves(memory.schedule) else number - 1

    top = 1
    while top * STEP < MAX_SIDE and tried(top * 2) == top * 2:
        top *= 2
    number = last(tried, min(2 * top, MAX_SIDE // STEP))
    answer = of(max(number, 1)) or of(start)
    assert answer is not None
    return Fit(room, answer.report.settings.batch if number else 0, answer, of_resolution=True)
