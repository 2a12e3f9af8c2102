"""The function ``profile``: measures passes and layers of a network, one run for each batch, dtype and execution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import product
from typing import Any, Literal

import msgspec
import torch

from ...analysis import Report, analyze
from ...errors import ConvcostError, UsageError, alternatives
from ...export.export import export
from ...graph import Graph
from ...precision import PRECISIONS
from ...profiles.profile import Profile
from ...profiles.runs import EXECUTIONS, LAYERS, Execution, Run, Setting
from ...sources.load import load
from ..devices import device_of
from .ceilings import ceilings
from .clock import Bench, CpuBench
from .environment import environment
from .layer_times import Key
from .passes import check_setting
from .run import Job, measured

TIMED = ("cuda", "cpu")
SATURATED = 1.05
"""With ``batch="auto"``, the batch is doubled again if the last doubling raised the throughput by this factor."""
LARGEST_AUTO = 1 << 16
"""The largest batch from which ``batch="auto"`` doubles."""

Batches = int | Sequence[int] | Literal["auto"]
InputSize = Sequence[int] | Mapping[str, Sequence[int]] | None
Progress = Callable[[str, float | None], None]
"""Called with what is being measured and the fraction of the work that is done (None if it is not known)."""
Cache = dict[Key, tuple[int, ...]]
"""Samples of isolated layers, in nanoseconds."""


def profile(
    source: str | Graph,
    device: str = "cuda",
    batch: Batches | None = None,
    dtype: str | Sequence[str] | None = None,
    *,
    input_size: InputSize = None,
    train: bool = False,
    optimizer: str = "sgd",
    execution: str | Sequence[str] = "eager",
    channels_last: bool = False,
    tf32: bool | None = None,
    layers: str = "in-place",
    seconds: float = 3.0,
    progress: Progress | None = None,
    keep: Callable[[Profile], None] | None = None,
    cache: Cache | None = None,
    bench: Bench | None = None,
) -> Profile:
    """Measure the passes of a network on a device, with random weights and inputs.

    There is one run for each combination of batch, dtype and execution. If a run fails, the others are still measured.

    Args:
        source: a graph, or the argument of ``load``. A captured graph has a fixed batch.
        device: "cuda", "cuda:1" or "cpu".
        batch: one or several, or "auto": double it until the throughput saturates or memory runs out. Default: the
            batch of a captured graph, otherwise 1.
        dtype: one dtype or several, as for ``analyze``; "amp-bf16" and "amp-fp16" use autocast. Default: float32.
        input_size: as for ``analyze``.
        train: measure training steps (forward, backward, optimizer) instead of forward passes.
        optimizer: one of ``convcost.analysis.memory.optimizers.OPTIMIZERS`` that PyTorch has, such as "sgd" or "none".
        execution: "eager", "compile" or "cuda_graph", or several of them.
        channels_last: store weights and inputs in the memory format channels_last.
        tf32: allow TF32 in float32 matrix products and convolutions; None leaves PyTorch's settings unchanged.
        layers: how to time layers, in eager forward passes: "in-place", "isolated", "both" or "none".
        seconds: about how long to measure each run.
        progress: called with a description and the fraction that is done (None if unknown).
        keep: called with the profile so far after each run.
        cache: times of isolated layers from earlier calls; new ones are added.
        bench: the device to use instead of ``device``, for tests.

    Returns:
        The profile. After Ctrl-C it contains the runs measured so far, and ``interrupted`` is True.

    Raises:
        SourceError, SpecError: the network does not exist, or its spec contains mistakes.
        UsageError: the device does not exist or lacks a dtype, or an argument is invalid.
    """
    target = timed_device(str(device))
    dtypes, executions = _as_tuple(dtype or "float32"), _as_tuple(execution)
    _check(source, dtypes, executions, batch, layers, seconds)
    like = Setting(1, "", "train" if train else "forward", "eager", channels_last, tf32, optimizer if train else "")
    graphs = _Graphs(source, input_size, train)
    settings = _settings(graphs, like, dtypes, executions, batch, target)
    # CUDA graphs, streams and cuBLAS handles belong to the current device.
    with torch.cuda.device(target) if target.type == "cuda" else nullcontext():
        job = _job(target, dtypes, tf32, layers, seconds, {} if cache is None else cache, bench, progress or _ignore)
        runs = _runs(job, graphs, settings, batch == "auto", progress or _ignore)
        return _collect(_base(graphs, settings[0], job), runs, keep)


def _settings(
    graphs: _Graphs, like: Setting, dtypes: Sequence[str], executions: Sequence[Execution], batch: Batches | None,
    device: torch.device,
) -> list[Setting]:  # fmt: skip
    """The settings of all runs, checked before anything runs on the device."""
    batches = (1,) if batch == "auto" else _as_tuple(graphs.own_batch if batch is None else batch)
    settings = [
        msgspec.structs.replace(like, batch=size, dtype=dtype, execution=execution)
        for dtype, execution, size in product(dtypes, executions, batches)
    ]
    for setting in settings:
        check_setting(setting, device)
    for setting in settings[:1] if isinstance(graphs.source, str) else settings:
        graphs.report(setting)  # raises for an invalid source or batch
    return settings


def _job(
    device: torch.device, dtypes: Sequence[str], tf32: bool | None, layers: str, seconds: float, cache: Cache,
    bench: Bench | None, progress: Progress,
) -> Job:  # fmt: skip
    used = bench or _bench(device)
    progress("ceilings of the device", None)
    tops = ceilings(used, device, dtypes, tf32)
    return Job(used, device, environment(device, used), tops, layers, seconds, cache)


def _collect(base: Profile, runs: Iterator[Run], keep: Callable[[Profile], None] | None) -> Profile:
    """Add the runs to the profile until they end or the user presses Ctrl-C."""
    result = base
    try:
        for run in runs:
            result = msgspec.structs.replace(result, runs=(*result.runs, run))
            if keep is not None:
                keep(result)
    except KeyboardInterrupt:
        result = msgspec.structs.replace(result, interrupted=True)
        if keep is not None and result.runs:
            keep(result)
    return result


def timed_device(name: str) -> torch.device:
    """The device for a name such as "cuda:1", if times can be measured on it.

    Raises:
        UsageError: there is no such device; the message says what to do.
    """
    kind = name.partition(":")[0]
    if kind == "meta":
        raise UsageError("nothing runs on meta, so nothing can be timed there; use --device cpu or cuda")
    if kind not in TIMED:
        raise UsageError(f"unknown device {name!r:.40}{alternatives(kind, TIMED)}")
    try:
        return device_of(name)
    except UsageError as error:
        if kind != "cuda":
            raise
        message = str(error).removesuffix("; use meta or cpu")
        raise UsageError(f"{message}; --device cpu runs the same protocol on the CPU") from None


def _measured(job: Job, graphs: _Graphs, setting: Setting, progress: Callable[[str, float], None]) -> Run:
    """Measure one run. If the network cannot be built for this setting, the run has the status "failed"."""
    try:
        return measured(job, graphs.report(setting), setting, progress)
    except ConvcostError as error:
        return Run(setting, "failed", {}, note=str(error).partition("\n")[0])


def _runs(job: Job, graphs: _Graphs, settings: Sequence[Setting], doubling: bool, progress: Progress) -> Iterator[Run]:
    for position, setting in enumerate(settings):
        part = None if doubling else (position, len(settings))
        run = _measured(job, graphs, setting, _progress_of_run(progress, setting, part))
        yield run
        before = run
        while doubling and before.measured and before.setting.batch < LARGEST_AUTO:
            larger = msgspec.structs.replace(before.setting, batch=2 * before.setting.batch)
            run = _measured(job, graphs, larger, _progress_of_run(progress, larger, None))
            yield run
            if not run.measured or run.samples_per_s < SATURATED * before.samples_per_s:
                break
            before = run


def _progress_of_run(
    progress: Progress, setting: Setting, number_of: tuple[int, int] | None
) -> Callable[[str, float], None]:
    """The progress function of one run. ``number_of``: its number and the number of all runs, if known."""

    def report(text: str, part: float) -> None:
        progress(f"{setting.words}: {text}", None if number_of is None else (number_of[0] + part) / number_of[1])

    return report


class _Graphs:
    """The graph for each batch. A module is captured again for each batch, because a capture has a fixed batch."""

    def __init__(self, source: str | Graph, input_size: InputSize, train: bool) -> None:
        self.source, self.input_size, self.train = source, input_size, train
        self._graphs: dict[int, Graph] = {}

    @property
    def own_batch(self) -> int:
        """The batch of a captured graph, otherwise 1."""
        fixed = isinstance(self.source, Graph) and not self.source.batch_free
        return analyze(self.source).settings.batch if fixed else 1  # type: ignore[arg-type]

    def report(self, setting: Setting) -> Report:
        graph = self._graph(setting.batch)
        dtype = setting.dtype
        if graph.batch_free:
            return analyze(graph, setting.batch, dtype, self.input_size, self.train)
        report = analyze(graph, dtype=dtype, train=self.train)
        if report.settings.batch != setting.batch:
            raise UsageError(
                f"{graph.about.name} was captured at batch {report.settings.batch} and runs only at this batch; "
                f"capture it again at batch {setting.batch}"
            )
        return report

    def _graph(self, batch: int) -> Graph:
        if isinstance(self.source, Graph):
            return self.source
        free = next((graph for graph in self._graphs.values() if graph.batch_free), None)
        if free is not None:
            return free
        if batch not in self._graphs:
            self._graphs[batch] = load(self.source, batch, self.input_size, self.train)
        return self._graphs[batch]


def _base(graphs: _Graphs, setting: Setting, job: Job) -> Profile:
    """The profile without runs."""
    report = graphs.report(setting)
    about = report.about
    source = graphs.source if isinstance(graphs.source, str) else about.source
    network = msgspec.json.decode(export(report.graph, "json"))
    return Profile(about.name, about.title, source, job.where, (), job.tops, network)


def _bench(device: torch.device) -> Bench:
    if device.type == "cpu":
        return CpuBench()
    from .cuda_clock import CudaBench

    return CudaBench(device)


def _check(
    source: object, dtypes: Sequence[str], executions: Sequence[str], batch: Any, layers: str, seconds: float
) -> None:
    if not isinstance(source, (str, Graph)):
        raise UsageError(
            f"profile takes a SOURCE or a graph, not {source!r:.80}; convcost.capture(MODULE, INPUTS) returns a graph"
        )
    for value, what, known in (
        *((each, "dtype", PRECISIONS) for each in dtypes),
        *((each, "execution", EXECUTIONS) for each in executions),
        (layers, "layers", LAYERS),
    ):
        if value not in known:
            raise UsageError(f"{what} is {value!r}{alternatives(str(value), known)}")
    if not executions:
        raise UsageError(f"execution is empty (allowed: {', '.join(EXECUTIONS)})")
    sizes = () if batch is None else _as_tuple(batch)
    if batch is not None and batch != "auto" and not (sizes and all(isinstance(size, int) for size in sizes)):
        raise UsageError(f"batch is {batch!r:.60}; it must be a number, several numbers, or auto")
    if not isinstance(seconds, (int, float)) or not seconds > 0:
        raise UsageError(f"seconds is {seconds!r:.60}; it must be more than 0")


def _as_tuple(value: Any) -> tuple[Any, ...]:
    """One value or several as a tuple without duplicates."""
    single = isinstance(value, str) or not isinstance(value, Iterable)
    return (value,) if single else tuple(dict.fromkeys(value))


def _ignore(text: str, done: float | None) -> None:
    """Report no progress."""


__all__ = ["profile"]
