"""What a profile holds: raw samples, what ran and where, and the static figures beside them. Nothing here needs torch.

Times are integers of nanoseconds. Every struct may gain fields within a schema version, each with a default, so that
files that were written before still read.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Literal

import msgspec

from .statistics import Summary, summary

Mode = Literal["forward", "train"]
Execution = Literal["eager", "compile", "cuda_graph"]
Status = Literal["measured", "out of memory", "failed", "interrupted"]
PHASES = ("forward", "backward", "optimizer")
EXECUTIONS: tuple[Execution, ...] = ("eager", "compile", "cuda_graph")
LAYERS = ("in-place", "isolated", "both", "none")
"""Which times of layers can be asked for."""


class Setting(msgspec.Struct, frozen=True):
    """How a network was run.

    ``dtype`` as for ``analyze``. ``tf32``: whether float32 matrix products and convolutions may use TF32; None: what
    PyTorch does by itself. ``optimizer`` is that of a training step.
    """

    batch: int
    dtype: str = "float32"
    mode: Mode = "forward"
    execution: Execution = "eager"
    channels_last: bool = False
    tf32: bool | None = None
    optimizer: str = ""

    @property
    def words(self) -> str:
        """The setting in words: ``batch 32, float32, channels_last``."""
        return f"batch {self.batch:,}, {self.without_batch}"

    @property
    def without_batch(self) -> str:
        """The setting apart from its batch, in words: ``float32, channels_last``."""
        parts = [self.dtype]
        if self.tf32 is not None:
            parts.append("TF32 on" if self.tf32 else "TF32 off")
        if self.channels_last:
            parts.append("channels_last")
        if self.execution != "eager":
            parts.append(self.execution.replace("_", " "))
        if self.mode == "train":
            parts.append(f"training with {self.optimizer}")
        return ", ".join(parts)


class Condition(msgspec.Struct, frozen=True):
    """The device at one moment while it was measured; None where the driver does not say."""

    at_ns: int
    clock_hz: int | None = None
    power_w: float | None = None
    temperature_c: int | None = None
    throttled: tuple[str, ...] = ()


class Environment(msgspec.Struct, frozen=True):
    """Where it ran. ``gpu`` is the hardware file that fits the device, "" if none does; ``clock`` is what was read."""

    device: Literal["cpu", "cuda"]
    device_name: str
    clock: str
    gpu: str = ""
    versions: Mapping[str, str] = {}
    flags: Mapping[str, str] = {}
    threads: int | None = None
    memory_bytes: int | None = None
    commit: str = ""
    started: str = ""


class Ceiling(msgspec.Struct, frozen=True):
    """What the device did at its best.

    ``work`` is FLOPs of a matrix product ("matmul") or a convolution ("conv", counted without any trick), bytes read
    and written of a copy ("copy"), or 1 for a kernel that does nothing to speak of ("launch").
    """

    what: Literal["matmul", "conv", "copy", "launch"]
    work: int
    samples_ns: tuple[int, ...]
    dtype: str = ""
    tf32: bool | None = None
    shape: str = ""

    @property
    def best_ns(self) -> int:
        """The fastest of its times: a ceiling that a lucky layer passes would be none."""
        return min(self.samples_ns)

    @property
    def per_s(self) -> float:
        """Work in a second."""
        return 1e9 * self.work / self.best_ns if self.best_ns else 0.0


class MemoryUse(msgspec.Struct, frozen=True):
    """Memory at the worst moment of one iteration, in bytes, weights and inputs included.

    ``requested_bytes`` is what tensors and workspaces asked for, ``allocated_bytes`` with the allocator's rounding,
    ``reserved_bytes`` what PyTorch took from the driver.
    """

    requested_bytes: int
    allocated_bytes: int
    reserved_bytes: int


class Static(msgspec.Struct, frozen=True):
    """The figures of the static engine for this very setting.

    ``peak_bytes``: the predicted peak of memory, values let go after their last reader, as a built network does.
    """

    params: int
    macs: int
    flops: int
    activation_bytes: int
    weight_bytes: int
    bytes_moved: int
    step_flops: int
    peak_bytes: int | None = None


class LayerTime(msgspec.Struct, frozen=True):
    """One layer: what it costs by the static engine, and its raw times.

    ``in_place_ns``: in each pass, from the moment before it to the moment after it in a run of the whole network, the
    cost of reading the clock included. ``alone``: which of the run's ``isolated`` timings is this layer's.
    ``bound_ns``: the least time under the measured ceilings, and ``limit`` what sets it; ``datasheet_bound_ns``: under
    the vendor's rates. Both None where there are no such ceilings.
    """

    name: str
    op: str
    group: str
    params: int
    macs: int
    flops: int
    bytes_moved: int
    launches: int
    bound_ns: float | None = None
    limit: str = ""
    datasheet_bound_ns: float | None = None
    in_place_ns: tuple[int, ...] = ()
    alone: int | None = None


class Run(msgspec.Struct, frozen=True, dict=True):
    """One setting, and what was measured in it.

    ``phases`` holds the raw samples of each phase of an iteration: "forward"; in training "backward" and "optimizer"
    too. ``replay_ns``: the forward pass from a CUDA graph: no launch is waited for. ``mark_ns``: two readings of
    the clock with nothing between them. ``isolated``: times of distinct layers, each by itself. ``flushed``: whether
    the device's cache was overwritten before each iteration. ``note`` says what became of it if it was not measured.
    """

    setting: Setting
    status: Status
    input_shapes: Mapping[str, tuple[int, ...]]
    static: Static | None = None
    phases: Mapping[str, tuple[int, ...]] = {}
    warmup_ns: tuple[int, ...] = ()
    stable: bool = True
    flushed: bool = True
    memory: MemoryUse | None = None
    conditions: tuple[Condition, ...] = ()
    layers: tuple[LayerTime, ...] = ()
    isolated: tuple[tuple[int, ...], ...] = ()
    mark_ns: tuple[int, ...] = ()
    replay_ns: tuple[int, ...] = ()
    note: str = ""
    notes: tuple[str, ...] = ()

    @cached_property
    def samples_ns(self) -> tuple[int, ...]:
        """The whole iteration: the sum of its phases, sample by sample."""
        return tuple(map(sum, zip(*self.phases.values(), strict=True)))

    @cached_property
    def time(self) -> Summary:
        """The whole iteration.

        Raises:
            ValueError: nothing was measured.
        """
        return summary(self.samples_ns)

    def phase(self, name: str) -> Summary:
        """One phase of the iteration.

        Raises:
            KeyError: it has no such phase.
        """
        return summary(self.phases[name])

    @property
    def samples_per_s(self) -> float:
        """Throughput: images in a second, by the median."""
        return 1e9 * self.setting.batch / self.time.median_ns

    @property
    def measured(self) -> bool:
        """Whether there is a time."""
        return self.status == "measured" and bool(self.samples_ns)

    @property
    def path_of_layers(self) -> tuple[tuple[str, ...], ...]:
        """The segments of each layer's name."""
        return tuple(tuple(layer.name.split(".")) for layer in self.layers)
