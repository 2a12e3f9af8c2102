"""Tables over saved profiles: throughput, where the time goes, ceilings, closings, training, doubts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from convcost import units
from convcost.profiles import Profile, Run
from convcost.profiles.doubts import warnings
from convcost.profiles.layer_summary import Closing, LayerSummary
from gpu.tables import Bar, percent, table

CLOSED, BUSY = 0.05, 0.95
Profiles = Mapping[str, Profile]


class Timed(NamedTuple):
    """One run of a network that has times of its layers."""

    network: str
    run: Run
    found: LayerSummary

    @property
    def first(self) -> tuple[str, str, str]:
        """The cells that say which run it is."""
        return self.network, self.run.setting.dtype, f"{self.run.setting.batch:,}"


def all_of(profiles: Profiles) -> Iterator[str]:
    """Every table."""
    yield from throughput(profiles)
    yield from shares(profiles)
    yield from ceilings(profiles)
    yield from closings(profiles)
    yield from training(profiles)
    yield from memory(profiles)


def _runs(profiles: Profiles) -> Iterator[tuple[Profile, Run]]:
    return ((one, run) for one in profiles.values() for run in one.runs)


def _timed(profiles: Profiles) -> list[Timed]:
    return [
        Timed(one.name, run, LayerSummary(run, one.ceilings))
        for one, run in _runs(profiles)
        if run.measured and run.layers
    ]


def throughput(profiles: Profiles) -> Iterator[str]:
    """Samples in a second: a row for each way to run, a column for each batch."""
    cells: dict[tuple[str, ...], dict[int, str]] = {}
    for one, run in _runs(profiles):
        setting = run.setting
        if setting.mode == "forward":
            way = setting.execution.replace("_", " ") + (", channels last" if setting.channels_last else "")
            text = _speed(run.samples_per_s) if run.measured else run.status
            cells.setdefault((one.name, setting.dtype, way), {})[setting.batch] = text
    batches = sorted({batch for row in cells.values() for batch in row})
    rows = [(*key, *(row.get(batch, "-") for batch in batches)) for key, row in cells.items()]
    head = ("network", "dtype", "execution", *(f"batch {batch:,}" for batch in batches))
    yield from table("Samples per second, forward pass", head, "lll" + "r" * len(batches), rows)


def _speed(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else units.number(value)


def shares(profiles: Profiles) -> Iterator[str]:
    """Where parameters and multiply-accumulates lie, and where the time goes."""
    rows = []
    for network, run, found in _timed(profiles):
        totals = found.totals
        if not totals.time_ns:
            continue
        cells = []
        for group in ("conv", "fc"):
            span = found.by_group.get(group)
            for key in ("params", "macs", "time_ns"):
                part = getattr(span, key) if span is not None else 0
                cells.append(units.share(part or 0, getattr(totals, key) or 0) or "0.0%")
        known = sum(
            span.time_ns or 0 for group, span in found.by_group.items() if group not in ("conv", "fc")
        )  # fmt: skip
        rows.append((*Timed(network, run, found).first, *cells, units.share(known, totals.time_ns)))
    head = ("network", "dtype", "batch", "conv: params", "MACs", "time", "fc: params", "MACs", "time", "rest: time")
    yield from table("Shares of parameters, MACs and time", head, "llrrrrrrrr", rows)


def ceilings(profiles: Profiles) -> Iterator[str]:
    """The least time under the measured ceilings over the time taken, and under the vendor's rates."""
    rows = []
    for one in _timed(profiles):
        found = one.found
        spans = [found.totals, *(found.by_group.get(group) for group in ("conv", "fc", "norm", "activation"))]
        cells = [_part(span.of_ceiling if span is not None else None) for span in spans]
        if found.totals.of_ceiling:
            rows.append((*one.first, *cells, _part(found.totals.of_datasheet)))
    head = ("network", "dtype", "batch", "all layers", "conv", "fc", "norm", "activation", "all, by datasheet")
    yield from table("Least time at the peak rates / measured time", head, "llrrrrrrr", rows)


def _part(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}%"


# --- sums


class Sum(NamedTuple):
    """How the layers of one run add up; ``off``: what is not accounted for, as a part of the whole pass."""

    timed: Timed
    closing: Closing

    @property
    def is_busy(self) -> bool:
        """Whether the device had work nearly all the time, so that the layers alone must add up."""
        return self.closing.busy is not None and self.closing.busy >= BUSY

    @property
    def off(self) -> float:
        """Busy: whole less layers. Otherwise the launch gap is taken off too."""
        sums = self.closing
        return (sums.whole_ns - sums.layers_ns if self.is_busy else sums.rest_ns) / sums.whole_ns


def sums(profiles: Profiles) -> list[Sum]:
    """Of every run with times in place and from a CUDA graph."""
    made = [Sum(one, one.found.closing) for one in _timed(profiles) if one.found.closing is not None]
    return [one for one in made if one.closing.busy is not None]


def closing_bars(profiles: Profiles) -> list[Bar]:
    """Sums within 5%: of layers alone where the device is busy, with the launch gap elsewhere."""
    bars = []
    for busy, words in (
        (True, f"sum of layers within {CLOSED:.0%} of the network's time, device busy at least {BUSY:.0%}"),
        (False, f"sum of layers and launch gap within {CLOSED:.0%} of the network's time, device less busy"),
    ):
        found = [one for one in sums(profiles) if one.is_busy == busy]
        bars.append(Bar(words, sum(abs(one.off) <= CLOSED for one in found), len(found)))
    return bars


def closings(profiles: Profiles) -> Iterator[str]:
    """The whole pass beside its layers."""
    rows = [
        (*one.timed.first, units.duration(one.closing.whole_ns), units.duration(one.closing.layers_ns),
         units.duration(one.closing.launch_gap_ns or 0), f"{one.closing.busy or 0:.1%}", percent(one.off))
        for one in sums(profiles)
    ]  # fmt: skip
    head = ("network", "dtype", "batch", "network's time", "sum of layers", "launch gap", "busy", "difference")
    yield from table("Sums of layer times", head, "llrrrrrr", rows)


# --- training and memory


def training(profiles: Profiles) -> Iterator[str]:
    """Steps with their phases."""
    rows = []
    for one, run in _runs(profiles):
        setting = run.setting
        if setting.mode != "train":
            continue
        first = (one.name, setting.dtype, setting.optimizer, f"{setting.batch:,}")
        if not run.measured:
            rows.append((*first, run.status, "", "", "", ""))
            continue
        phases = (run.phase(name).median_ns for name in run.phases)
        rows.append((*first, _speed(run.samples_per_s), units.duration(run.time.median_ns),
                     *(units.duration(phase) for phase in phases)))  # fmt: skip
    head = ("network", "dtype", "optimizer", "batch", "samples per second", "step", "forward", "backward", "optimizer")
    yield from table("Training steps", head, "lllrrrrrr", rows)


def memory(profiles: Profiles) -> Iterator[str]:
    """Predicted peaks beside those of the allocator, of every run that was timed."""
    rows = []
    for one, run in _runs(profiles):
        use, static = run.memory, run.static
        if use is None or static is None or static.peak_bytes is None:
            continue
        sizes = (static.peak_bytes, use.requested_bytes, use.allocated_bytes, use.reserved_bytes)
        rows.append((one.name, run.setting.words, *map(units.size, sizes),
                     f"{use.requested_bytes / static.peak_bytes:.3f}"))  # fmt: skip
    head = ("network", "setting", "computed", "requested", "allocated", "reserved", "requested / computed")
    yield from table("Peak memory", head, "llrrrrr", rows)


def doubts(profiles: Profiles) -> Iterator[str]:
    """Why some times may not be what the device can do."""
    rows = list(_doubts(profiles))
    yield from table("Warnings", ("slice", "setting", "reason"), "lll", rows)


def _doubts(profiles: Profiles) -> Iterable[tuple[str, str, str]]:
    for name, one in profiles.items():
        for run in one.runs:
            said = warnings(run) if run.measured else (f"{run.status}: {run.note}",)
            if said:
                yield name, run.setting.words, "; ".join(said).replace("|", "/")
