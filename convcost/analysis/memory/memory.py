"""The memory of a network: peak, parts, timeline and multiply-accumulates, all read from its allocation schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, get_args

import msgspec

from ...display import Shown
from ...errors import UsageError, alternatives
from ...graph import Graph
from ...ops.base import Kernels
from ..report import Report, analyze
from ..settings import InputSize
from .allocator import Allocator
from .backward_macs import TrainingMacs, training_macs
from .events import PARTS, Alive, Moment, Part, Schedule
from .saved_tensors import saved_bytes
from .schedules import Mode, Schedules, Setup
from .weight_tensors import WeightTensor


def memory(
    graph: Graph,
    batch: int | None = None,
    dtype: str | None = None,
    mode: Mode = "train",
    optimizer: str = "adamw",
    *,
    input_size: InputSize | None = None,
    kernels: Kernels = "cuda",
    checkpoint: bool = False,
    accumulate: int = 1,
) -> Memory:
    """How much memory a network needs, and when.

    Args:
        graph: from ``convcost.load`` or ``convcost.capture``; a captured one in the mode that it is asked for.
        batch, dtype, input_size: as for ``analyze``. Mixed precision keeps weights and the state in float32.
        mode: "inference", a forward pass without gradients; or "train", one step from the second one on.
        optimizer: a name in ``convcost.analysis.memory.optimizers.OPTIMIZERS``: "sgd", "adamw", "none", ...
        kernels: whose kernels run: "cuda", "cpu" or "meta" (PyTorch's shape-only device).
        checkpoint: blocks save only their inputs and run again in the backward pass.
        accumulate: micro-batches whose gradients are summed up before a step.

    Raises:
        UsageError: an unknown word, or a graph that was captured in the other mode.
    """
    for value, kind, known in (("mode", mode, get_args(Mode)), ("kernels", kernels, get_args(Kernels))):
        if kind not in known:
            raise UsageError(f"{value} is {kind!r}{alternatives(str(kind), known)}")
    if not isinstance(accumulate, int) or accumulate < 1:
        raise UsageError(f"accumulate is the number of micro-batches, 1 or more, not {accumulate!r}")
    report = analyze(graph, batch, dtype, input_size, train=mode == "train")
    return Memory(report, Setup(mode, optimizer, kernels, checkpoint, accumulate))


class Figures(msgspec.Struct, frozen=True):
    """What is known of a network's memory before it is asked for, in place of the properties of the same names."""

    schedule: Schedule
    allocator: Allocator
    weights: Sequence[WeightTensor]
    optimizer_bytes: int
    saved_for_backward_bytes: int
    macs: TrainingMacs
    unknown: tuple[str, ...]


class Memory(Shown):
    """The memory of a network over time. All figures are exact integers of bytes.

    ``peak_bytes`` is everything that is allocated at the worst moment: weights, buffers, the optimizer's state,
    gradients and values. It is not the sum of the terms, which never exist all at once.

    Args:
        report: the network, at a batch and a dtype.
        setup: how it runs.
        known: figures that need not be worked out, such as those of another batch, scaled.
    """

    def __init__(self, report: Report, setup: Setup, known: Figures | None = None) -> None:
        self.report = report
        self.setup = setup
        self.schedules = Schedules(report, setup)
        if known is not None:
            vars(self).update(msgspec.structs.asdict(known))  # where cached properties look first

    def __repr__(self) -> str:
        return f"<Memory {self.report.about.name!r}, {self.setup.mode}: peak {self.peak_bytes:,} bytes>"

    @cached_property
    def weights(self) -> Sequence[WeightTensor]:
        """Every distinct parameter and buffer, in the order of the layers."""
        return self.schedules.weights

    @cached_property
    def schedule(self) -> Schedule:
        """What is allocated and freed, in order, as eager PyTorch runs the network."""
        return self.schedules.schedule(eager=True)

    @cached_property
    def levels(self) -> list[int]:
        """The bytes that are allocated while each layer runs: those of ``timeline``."""
        return self.schedule.levels()

    @cached_property
    def _peak(self) -> tuple[int, int]:
        peak = max(self.levels)
        return self.levels.index(peak), peak

    @property
    def observed(self) -> bool:
        """True if the lifetimes are those of a run of the module that was captured, and not of the rules."""
        return self.setup.mode == "inference" and self.report.graph.observed is not None

    @property
    def peak_bytes(self) -> int:
        """Bytes at the worst moment, as eager PyTorch runs it; no rounding, no workspaces inside kernels."""
        return self._peak[1]

    @cached_property
    def peak_ideal_bytes(self) -> int:
        """The same if every value is freed after its last reader, which is the best that a runtime can do."""
        schedule = self.schedules.schedule(eager=False)
        return max(schedule.levels(), default=sum(schedule.sizes))  # without a layer nothing is ever freed

    @property
    def peak_layer(self) -> str:
        """The layer that runs at the peak."""
        return self.schedule.marks[self._peak[0]][1]

    @property
    def peak_phase(self) -> str:
        """The pass that the peak is in: "forward", "backward" or "optimizer"."""
        return self.schedule.marks[self._peak[0]][2]

    @cached_property
    def timeline(self) -> tuple[Moment, ...]:
        """The bytes that are allocated while each layer runs."""
        return self.schedule.timeline(self.levels)

    @cached_property
    def _live_at_peak(self) -> list[int]:
        return self.schedule.live_at(self._peak[0])

    @cached_property
    def alive(self) -> tuple[Alive, ...]:
        """The allocations that are live at the peak, largest first."""
        return self.largest_alive(len(self._live_at_peak))

    def largest_alive(self, count: int) -> tuple[Alive, ...]:
        """The ``count`` largest allocations that are live at the peak, largest first."""
        return tuple(self.schedule.largest(self._live_at_peak, count))

    @cached_property
    def bill(self) -> Mapping[Part, int]:
        """The bytes of the peak by part; they add up to it."""
        parts: dict[Part, int] = dict.fromkeys(PARTS, 0)
        schedule = self.schedule
        for number in self._live_at_peak:
            parts[schedule.parts[number]] += schedule.sizes[number]
        return parts

    def _sum(self, kind: str) -> int:
        return sum(weight.bytes for weight in self.weights if weight.kind == kind)

    @cached_property
    def weight_bytes(self) -> int:
        """Bytes of all parameters."""
        return self._sum("parameter")

    @cached_property
    def buffer_bytes(self) -> int:
        """Bytes of all buffers."""
        return self._sum("buffer")

    @property
    def gradient_bytes(self) -> int:
        """Bytes of the gradients of all parameters; 0 for inference."""
        return self.weight_bytes if self.setup.mode == "train" else 0

    @cached_property
    def optimizer_bytes(self) -> int:
        """Bytes of the optimizer's state; 0 for inference."""
        return sum(self.schedules.state_bytes)

    @cached_property
    def saved_for_backward_bytes(self) -> int:
        """Bytes that autograd saves in one forward pass without checkpoints, parameters and buffers left out."""
        return saved_bytes(self.schedules.storages, self.schedules.saved)

    @property
    def activation_peak_bytes(self) -> int:
        """The peak without parameters and buffers."""
        return self.peak_bytes - self.weight_bytes - self.buffer_bytes

    @cached_property
    def unknown(self) -> tuple[str, ...]:
        """Layers of which it is not known what autograd saves: their share is missing in the figures."""
        saved = zip(self.report.graph.nodes, self.schedules.saved, strict=True)
        return tuple([node.name for node, each in saved if not each.known])

    @cached_property
    def macs(self) -> TrainingMacs:
        """Multiply-accumulates of a step, or of the forward pass."""
        if self.setup.mode == "inference":
            return TrainingMacs(self.report.totals.macs, 0, 0)
        return training_macs(self.schedules.storages, self.schedules.checkpointed)

    @cached_property
    def allocator(self) -> Allocator:
        """PyTorch's caching allocator after the run, with its peaks; sizes are rounded as it rounds them."""
        allocator = Allocator()
        allocator.replay(self.schedule)
        return allocator

    def to_dict(self) -> dict[str, Any]:
        """The figures as in the JSON, as raw integers."""
        report = self.report
        return {
            "architecture": {"name": report.about.name, "title": report.about.title, "source": report.about.source},
            "settings": {
                **msgspec.to_builtins(self.setup),
                "batch": report.settings.batch,
                "input_shapes": msgspec.to_builtins(report.settings.input_shapes),
                "dtype": report.settings.dtype,
            },
            "peak_bytes": self.peak_bytes,
            "peak_ideal_bytes": self.peak_ideal_bytes,
            "peak_layer": self.peak_layer,
            "peak_phase": self.peak_phase,
            "peak_allocated_bytes": self.allocator.peak_allocated,
            "observed": self.observed,
            "weight_bytes": self.weight_bytes,
            "buffer_bytes": self.buffer_bytes,
            "gradient_bytes": self.gradient_bytes,
            "optimizer_bytes": self.optimizer_bytes,
            "saved_for_backward_bytes": self.saved_for_backward_bytes,
            "bill": dict(self.bill),
            "alive": msgspec.to_builtins(self.alive),
            "macs": {**msgspec.to_builtins(self.macs), "total": self.macs.total},
            "training_flops": self.macs.flops if self.setup.mode == "train" else None,
            "unknown": self.unknown,
            "timeline": msgspec.to_builtins(self.timeline),
        }
