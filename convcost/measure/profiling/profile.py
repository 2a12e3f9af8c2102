"""Real passes, timed, beside the figures of the static engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import product
from typing import Any, Literal

import msgspec
import torch

from ...analysis import Report, analyze
from ...errors import ConvcostError, UsageError, nearest
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
"""Doubling the batch must raise the throughput by this factor for ``auto`` to double again."""
LARGEST_AUTO = 1 << 16

Batches = int | Sequence[int] | Literal["auto"]
InputSize = Sequence[int] | Mapping[str, Sequence[int]] | None
Progress = Callable[[str, float | None], None]
"""What is told as it goes on: words, and which part of the whole is done (None: nobody knows)."""
Cache = dict[Key, tuple[int, ...]]


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
    """Times of a network's real passes on a device, whole and layer by layer; random weights, random inputs.

    What cannot be run, since memory ends or PyTorch refuses, is a run with that status: the others are still measured.

    Args:
        source: what ``load`` takes, or a graph; a captured graph holds for one batch.
        device: "cuda", "cuda:1" or "cpu".
        batch: one, several, or "auto": doubled until the throughput saturates or memory ends. Default: that of a
            captured graph, else 1.
        dtype, input_size: as for ``analyze``; one dtype or several; ``amp-*`` is autocast.
        train: whole training steps, forward, backward and optimizer apart, in place of forward passes.
        optimizer: a name in ``convcost.analysis.memory.optimizers.OPTIMIZERS`` that PyTorch has: "sgd", "none", ...
        execution: of "eager", "compile" and "cuda_graph"; one or several.
        channels_last: weights and inputs with the channels innermost.
        tf32: whether float32 products may use TF32; None: what PyTorch does by itself.
        layers: "in-place", "isolated", "both" or "none"; in eager forward passes.
        seconds: for one setting, about. ``progress``: told what is measured. ``keep``: given what is done, each time.
        cache: times of layers that are known from another call, which is added to. ``bench``: stands in for the device.

    Returns:
        The profile; ``.interrupted`` if Ctrl-C stopped it, with what had been measured.

    Raises:
        SourceError, SpecError: there is no such network, or it has mistakes.
        UsageError: no such device, a dtype that it lacks, a batch below 1, an option that does not go with another.
    """
    _check_source(source)
    place = timed_device(str(device))
    dtypes, executions = _several(dtype or "float32"), _several(execution)
    _check(dtypes, executions, batch, layers, seconds)
    like = Setting(1, "", "train" if train else "forward", "eager", channels_last, tf32, optimizer if train else "")
    graphs = _Graphs(source, input_size, train)
    batches = (1,) if batch == "auto" else _several(graphs.own_batch if batch is None else batch)
    settings = _settings(like, dtypes, executions, batches, place)
    for setting in settings[:1] if isinstance(source, str) else settings:
        graphs.report(setting)  # what is wrong with a source or a batch stops everything before the device is touched
    told = progress or _silent
    # Graphs, streams and cuBLAS are those of the current device.
    with torch.cuda.device(place) if place.type == "cuda" else nullcontext():
        job = _job(place, dtypes, tf32, layers, seconds, {} if cache is None else cache, bench, told)
        return _kept(_base(graphs, settings[0], job), _runs(job, graphs, settings, batch == "auto", told), keep)


def _settings(
    like: Setting, dtypes: Sequence[str], executions: Sequence[Execution], batches: Sequence[int], place: torch.device
) -> list[Setting]:
    found = [
        msgspec.structs.replace(like, batch=size, dtype=dtype, execution=execution)
        for dtype, execution, size in product(dtypes, executions, batches)
    ]
    for setting in found:
        check_setting(setting, place)
    return found


def _job(
    place: torch.device, dtypes: Sequence[str], tf32: bool | None, layers: str, seconds: float, cache: Cache,
    bench: Bench | None, told: Progress,
) -> Job:  # fmt: skip
    used = bench or _bench(place)
    told("ceilings of the device", None)
    tops = ceilings(used, place, dtypes, tf32)
    return Job(used, place, environment(place, used), tops, layers, seconds, cache)


def _kept(base: Profile, runs: Iterator[Run], keep: Callable[[Profile], None] | None) -> Profile:
    """The profile of these runs, as far as they come before Ctrl-C."""
    found = base
    try:
        for run in runs:
            found = msgspec.structs.replace(found, runs=(*found.runs, run))
            if keep is not None:
                keep(found)
    except KeyboardInterrupt:
        found = msgspec.structs.replace(found, interrupted=True)
        if keep is not None and found.runs:
            keep(found)
    return found


def timed_device(name: str) -> torch.device:
    """The device of this name, if times can be taken there.

    Raises:
        UsageError: there is none; the message says what was found and what to do.
    """
    kind = name.partition(":")[0]
    if kind == "meta":
        raise UsageError("nothing runs on meta, so nothing can be timed there; take --device cpu or cuda")
    if kind not in TIMED:
        raise UsageError(f"unknown device {name!r:.40}{nearest(kind, TIMED)} (allowed: {', '.join(TIMED)})")
    try:
        return device_of(name)
    except UsageError as error:
        if kind != "cuda":
            raise
        words = str(error).removesuffix("; use meta or cpu")
        raise UsageError(f"{words}; --device cpu runs the same protocol on the processor") from None


def _measured(job: Job, graphs: _Graphs, setting: Setting, told: Callable[[str, float], None]) -> Run:
    """The run of a setting; a network that cannot be had in it is a run that failed, and the others are kept."""
    try:
        return measured(job, graphs.report(setting), setting, told)
    except ConvcostError as error:
        return Run(setting, "failed", {}, note=str(error).partition("\n")[0])


def _runs(job: Job, graphs: _Graphs, settings: Sequence[Setting], doubling: bool, told: Progress) -> Iterator[Run]:
    for position, setting in enumerate(settings):
        run = _measured(job, graphs, setting, _telling(told, setting, None if doubling else (position, len(settings))))
        yield run
        before = run
        while doubling and before.measured and before.setting.batch < LARGEST_AUTO:
            larger = msgspec.structs.replace(before.setting, batch=2 * before.setting.batch)
            run = _measured(job, graphs, larger, _telling(told, larger, None))
            yield run
            if not run.measured or run.samples_per_s < SATURATED * before.samples_per_s:
                break
            before = run


def _telling(told: Progress, setting: Setting, place: tuple[int, int] | None) -> Callable[[str, float], None]:
    """What a run tells, within the whole: ``place`` is its number and how many there are."""

    def tell(words: str, part: float) -> None:
        told(f"{setting.words}: {words}", None if place is None else (place[0] + part) / place[1])

    return tell


class _Graphs:
    """The report of each setting. A module is captured again for each batch, since a capture holds for one."""

    def __init__(self, source: str | Graph, input_size: InputSize, train: bool) -> None:
        self.source, self.input_size, self.train = source, input_size, train
        self._graphs: dict[int, Graph] = {}

    @property
    def own_batch(self) -> int:
        """The batch of a captured graph, else 1."""
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
                f"{graph.about.name} was captured at batch {report.settings.batch}, so it runs at no other; "
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
    """The profile without its runs."""
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


def _check_source(source: object) -> None:
    if not isinstance(source, (str, Graph)):
        raise UsageError(
            f"profile takes a SOURCE or a graph, not {source!r:.80}; convcost.capture(MODULE, INPUTS) gives one"
        )


def _check(dtypes: Sequence[str], executions: Sequence[str], batch: Any, layers: str, seconds: float) -> None:
    for value, what, known in (
        *((each, "dtype", PRECISIONS) for each in dtypes),
        *((each, "execution", EXECUTIONS) for each in executions),
        (layers, "layers", LAYERS),
    ):
        if value not in known:
            raise UsageError(f"{what} is {value!r}{nearest(str(value), known)} (allowed: {', '.join(known)})")
    if not executions:
        raise UsageError(f"execution is empty (allowed: {', '.join(EXECUTIONS)})")
    sizes = () if batch is None else _several(batch)
    if batch is not None and batch != "auto" and not (sizes and all(isinstance(size, int) for size in sizes)):
        raise UsageError(f"batch is {batch!r:.60}; it is a number, several, or auto")
    if not isinstance(seconds, (int, float)) or not seconds > 0:
        raise UsageError(f"seconds is {seconds!r:.60}; it must be more than 0")


def _several(value: Any) -> tuple[Any, ...]:
    alone = isinstance(value, str) or not isinstance(value, Iterable)
    return (value,) if alone else tuple(dict.fromkeys(value))


def _silent(words: str, done: float | None) -> None:
    """Nobody watches."""


__all__ = ["profile"]
