"""The records of a profile: settings, environment, raw samples, and the static figures of the same setting.

Times are integers in nanoseconds. Fields may be added within a schema version, each with a default, so that older
files stay valid. This module does not need PyTorch.
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
"""The choices of ``--layers``: which times of layers are measured."""


class Setting(msgspec.Struct, frozen=True):
    """How a network is run.

    Args:
        batch: samples per pass.
        dtype: as for ``analyze``.
        mode: "forward" for a forward pass, "train" for a training step.
        execution: "eager", "compile" (``torch.compile``) or "cuda_graph".
        channels_last: True for the channels-last memory format.
        tf32: True if float32 matrix products and convolutions may use TF32; None for PyTorch's defaults.
        optimizer: that of a training step, "" in a forward pass.
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
    """A sensor reading of the device during the measurement; None for values that the driver does not report."""

    at_ns: int
    clock_hz: int | None = None
    power_w: float | None = None
    temperature_c: int | None = None
    throttled: tuple[str, ...] = ()


class Environment(msgspec.Struct, frozen=True):
    """The device and the software of a measurement.

    ``gpu`` is the name of the device's hardware file, "" if there is none; ``clock`` is the source of the times.
    """

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
    """A benchmark of the device's highest rate.

    ``work`` is the FLOPs of a matrix product ("matmul") or of a convolution ("conv", by the direct algorithm), the
    bytes that a copy reads and writes ("copy"), or 1 for a kernel on one element ("launch").
    """

    what: Literal["matmul", "conv", "copy", "launch"]
    work: int
    samples_ns: tuple[int, ...]
    dtype: str = ""
    tf32: bool | None = None
    shape: str = ""

    @property
    def best_ns(self) -> int:
        """The shortest time. A median would not be an upper bound of the rate."""
        return min(self.samples_ns)

    @property
    def per_s(self) -> float:
        """Work per second at the shortest time; 0 if that is 0."""
        return 1e9 * self.work / self.best_ns if self.best_ns else 0.0


class MemoryUse(msgspec.Struct, frozen=True):
    """Peak memory of one iteration in bytes, weights and inputs included.

    ``requested_bytes`` is the sum of the sizes of tensors and workspaces, ``allocated_bytes`` includes the allocator's
    rounding, ``reserved_bytes`` is the memory that PyTorch reserved from the driver.
    """

    requested_bytes: int
    allocated_bytes: int
    reserved_bytes: int


class Static(msgspec.Struct, frozen=True):
    """The analysed figures of the same setting.

    ``step_flops``: FLOPs of one iteration, backward pass included in training. ``peak_bytes``: predicted peak memory if
    each tensor is freed after its last use, as in the networks that ``build`` returns.
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
    """One layer: its analysed costs and its raw times.

    Args:
        name, op, group, params, macs, flops, bytes_moved, launches: as in ``LayerRecord``.
        bound_ns: roofline bound under the measured ceilings; None without them.
        limit: what sets ``bound_ns``: "compute", "memory" or "".
        datasheet_bound_ns: roofline bound under the vendor's rates; None without them.
        in_place_ns: time in each run of the whole network, the cost of reading the clock included.
        alone: index of this layer's times in ``Run.isolated``; None if it was not timed by itself.
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
    """The measurement of one setting.

    Args:
        setting: how the network ran.
        status: "measured", or why there are no times.
        input_shapes: shapes of the inputs by name, with the batch.
        static: the analysed figures of the setting.
        phases: raw times of each phase of an iteration: "forward"; in training also "backward" and "optimizer".
        warmup_ns: times of the warm-up iterations; ``stable``: True if they had settled at its end.
        flushed: True if the device's cache was overwritten before each iteration.
        memory: peak memory of an iteration.
        conditions: sensor readings during the run.
        layers: the layers with their times.
        isolated: times of distinct layers, each run by itself.
        mark_ns: times between two successive readings of the clock, which are its cost.
        replay_ns: times of the forward pass in a CUDA graph, without launch overhead.
        note: the reason if ``status`` is not "measured"; ``notes``: warnings about the run.
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
        """Time of each whole iteration: the sum of its phases."""
        return tuple(map(sum, zip(*self.phases.values(), strict=True)))

    @cached_property
    def time(self) -> Summary:
        """Statistics of the whole iteration.

        Raises:
            ValueError: there are no times.
        """
        return summary(self.samples_ns)

    def phase(self, name: str) -> Summary:
        """Statistics of one phase of the iteration.

        Raises:
            KeyError: there is no such phase.
        """
        return summary(self.phases[name])

    @property
    def samples_per_s(self) -> float:
        """Throughput: samples per second at the median time."""
        return 1e9 * self.setting.batch / self.time.median_ns

    @property
    def measured(self) -> bool:
        """True if the run has times."""
        return self.status == "measured" and bool(self.samples_ns)

    @property
    def path_of_layers(self) -> tuple[tuple[str, ...], ...]:
        """The segments of each layer's name."""
        return tuple(tuple(layer.name.split(".")) for layer in self.layers)
