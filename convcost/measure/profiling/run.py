"""The measurement of one setting: whole passes, memory, layers. An error becomes the status of the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ...analysis.memory import Memory, Setup
from ...analysis.report import Report
from ...analysis.roofline import LayerBound, ceilings_of, roofline
from ...errors import UsageError, first_line
from ...hardware import load_gpu
from ...ops.base import Kernels
from ...precision import precision_of
from ...profiles.measured_roofline import measured_ceilings
from ...profiles.runs import Ceiling, Environment, LayerTime, Run, Setting, Static
from ...units import size
from .clock import Bench, Call
from .layer_times import InPlace, Isolated, Key, in_place, isolated
from .passes import Passes
from .tf32 import tf32_flags
from .timing import Limits, timed

REPLAY = Limits(seconds=0.5, warmup_seconds=0.05, max_samples=200)


class Job(msgspec.Struct, frozen=True):
    """What all settings of a profile share.

    Args:
        bench: the clock; ``device``: the PyTorch device; ``where``: their description.
        tops: the measured ceilings.
        layers: which times of layers to measure, one of ``LAYERS``.
        seconds: longest time for the iterations of one measurement.
        cache: times of distinct layers that were measured already.
    """

    bench: Any
    device: Any
    where: Environment
    tops: tuple[Ceiling, ...]
    layers: str
    seconds: float
    cache: dict[Key, tuple[int, ...]]


Told = Callable[[str, float], None]
"""Callback for progress: the current measurement, and the fraction of the run that is done."""


def measured(job: Job, report: Report, setting: Setting, told: Told) -> Run:
    """Measure a setting. If that fails, the status and the note of the run have the reason.

    Raises:
        KeyboardInterrupt: the user interrupted the measurement.
    """
    static = _static(report, setting, job.bench.kind)
    run = Run(setting, "failed", dict(report.settings.input_shapes), static)
    free = job.bench.free_bytes()
    if free is not None and static.peak_bytes is not None and static.peak_bytes > free:
        note = f"not run: it needs {size(static.peak_bytes)}, but {size(free)} are free"
        return msgspec.structs.replace(run, status="out of memory", note=note)
    try:
        with tf32_flags(setting.tf32):
            return _run(job, report, run, told)
    except Exception as error:  # noqa: BLE001 - PyTorch raises many types, and the other settings are still measured
        status = "out of memory" if job.bench.out_of_memory(error) else "failed"
        return msgspec.structs.replace(run, status=status, note=first_line(error))
    finally:
        job.bench.release()


def _run(job: Job, report: Report, run: Run, told: Told) -> Run:
    setting, bench = run.setting, job.bench
    passes = Passes(report, setting, job.device)
    phases, memory = passes.phases, None
    if setting.execution == "cuda_graph":
        captured: list[Call] = []  # a replay allocates nothing, so the peak is that of the capture
        memory = bench.peak(lambda: captured.append(bench.replayed(passes.forward)))
        phases = {"forward": captured[0]}
    told("whole passes", 0.0)
    times = timed(bench, list(phases.values()), Limits(seconds=job.seconds))
    memory = memory or bench.peak(lambda: [call() for call in phases.values()])
    run = msgspec.structs.replace(
        run, status="measured", phases=dict(zip(phases, times.phases, strict=True)), warmup_ns=times.warmup_ns,
        stable=times.stable, memory=memory, conditions=times.conditions,
    )  # fmt: skip
    if setting.execution != "eager" or setting.mode != "forward":
        return run
    try:
        return _with_layers(job, report, passes, run, told)
    except Exception as error:  # noqa: BLE001 - as above; the whole pass was measured
        return msgspec.structs.replace(run, notes=(*run.notes, f"the layers were not timed: {first_line(error)}"))


def _with_layers(job: Job, report: Report, passes: Passes, run: Run, told: Told) -> Run:
    notes: list[str] = []
    replay: tuple[int, ...] = ()
    inside, alone = InPlace((), ()), Isolated((), (), ())
    if job.layers in ("in-place", "both"):
        told("layers in place", 0.4)
        inside = in_place(job.bench, passes.network, passes.inputs, passes.around, seconds=job.seconds)
        replay = _replay(job.bench, passes, notes)
    if job.layers in ("isolated", "both"):
        told("each layer alone", 0.7)
        setting = run.setting
        key = (str(job.device), setting.dtype, setting.tf32, setting.channels_last)
        ops, launches = [node.op for node in report.graph], [layer.launches for layer in report.layers]
        alone = isolated(
            job.bench, passes.network, ops, launches, passes.inputs, passes.around, key, job.cache
        )  # fmt: skip
    layers = _layers(job, report, run.setting, inside, alone) if job.layers != "none" else ()
    return msgspec.structs.replace(
        run, layers=layers, isolated=alone.samples, mark_ns=inside.mark_ns, replay_ns=replay,
        notes=(*notes, *alone.notes),
    )  # fmt: skip


def _layers(job: Job, report: Report, setting: Setting, inside: InPlace, alone: Isolated) -> tuple[LayerTime, ...]:
    ceilings = measured_ceilings(job.tops, job.where, setting)
    bounds = roofline(report, ceilings).layers if ceilings else None
    datasheet = _datasheet(job.where, report, setting)
    return tuple(
        LayerTime(
            name=layer.name, op=layer.op, group=layer.group, params=layer.params, macs=layer.macs, flops=layer.flops,
            bytes_moved=layer.bytes_read + layer.bytes_written, launches=layer.launches,
            bound_ns=bounds[position].bound_ns if bounds else None,
            limit=bounds[position].limit if bounds else "",
            datasheet_bound_ns=datasheet[position].bound_ns if datasheet else None,
            in_place_ns=inside.layers[position] if inside.layers else (),
            alone=alone.of_layer[position] if alone.of_layer else None,
        )
        for position, layer in enumerate(report.layers)
    )  # fmt: skip


def _datasheet(where: Environment, report: Report, setting: Setting) -> tuple[LayerBound, ...] | None:
    """The bounds under the vendor's rates; None without a hardware file with a rate for this dtype."""
    if not where.gpu:
        return None
    try:
        tf32 = setting.tf32 if precision_of(setting.dtype).compute == "float32" else None
        return roofline(report, ceilings_of(load_gpu(where.gpu), setting.dtype, tf32)).layers
    except UsageError:
        return None


def _replay(bench: Bench, passes: Passes, notes: list[str]) -> tuple[int, ...]:
    """Times of the forward pass in a CUDA graph; empty on other devices and if the graph cannot be made."""
    if bench.kind != "cuda":
        return ()
    try:
        return timed(bench, [bench.replayed(passes.forward)], REPLAY).phases[0]
    except RuntimeError as error:
        if bench.out_of_memory(error):
            notes.append("not enough memory for a CUDA graph, so the launch gap is unknown")
        else:
            notes.append(f"the CUDA graph failed, so the launch gap is unknown: {str(error).splitlines()[0]:.120}")
        return ()


def _static(report: Report, setting: Setting, kind: str) -> Static:
    totals = report.totals
    training = setting.mode == "train"
    kernels: Kernels = "cuda" if kind == "cuda" else "cpu"
    setup = (
        Setup("train", optimizer=setting.optimizer, kernels=kernels)
        if training
        else Setup("inference", kernels=kernels)
    )
    memory = Memory(report, setup)
    return Static(
        params=totals.params, macs=totals.macs, flops=totals.flops, activation_bytes=totals.activation_bytes,
        weight_bytes=totals.weight_bytes, bytes_moved=totals.bytes_read + totals.bytes_written,
        step_flops=memory.macs.flops if training else totals.flops, peak_bytes=memory.peak_ideal_bytes,
    )  # fmt: skip
