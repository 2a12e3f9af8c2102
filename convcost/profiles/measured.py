"""What saved profiles say in a comparison and to a budget: latency, throughput, and settings side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ..analysis.report import Report
from ..errors import UsageError
from .profile import Profile
from .runs import Run


class Measured(msgspec.Struct, frozen=True):
    """A network's measured figures: the latency of the smallest batch, and the best throughput, each with its setting.

    ``series``: throughput over batch size, by what else the setting is.
    """

    latency_ns: int
    latency_at: str
    samples_per_s: float
    samples_per_s_at: str
    device_name: str
    series: Mapping[str, tuple[tuple[int, float], ...]]

    @property
    def figures(self) -> dict[str, float]:
        """The figures by their quantities' keys."""
        return {"latency_ns": self.latency_ns, "samples_per_s": self.samples_per_s}


def measured(profile: Profile, batch: int | None = None, dtype: str | None = None) -> Measured:
    """The figures of a profile; of forward passes if it has any, else of training steps.

    Args:
        batch, dtype: only runs with these.

    Raises:
        UsageError: it has no such run.
    """
    runs = [
        run for run in profile.measured if batch in (None, run.setting.batch) and dtype in (None, run.setting.dtype)
    ]
    forward = [run for run in runs if run.setting.mode == "forward"]
    if not runs:
        wanted = ", ".join(filter(None, (f"batch {batch}" if batch else "", dtype or ""))) or "anything"
        there = "; ".join(run.setting.words for run in profile.measured) or "nothing"
        raise UsageError(f"the profile of {profile.name} has no time of {wanted}; it has {there}")
    chosen = forward or runs
    quick = min(chosen, key=lambda run: (run.setting.batch, run.time.median_ns))
    best = max(chosen, key=lambda run: run.samples_per_s)
    series: dict[str, list[tuple[int, float]]] = {}
    for run in sorted(chosen, key=lambda run: run.setting.batch):
        series.setdefault(run.setting.without_batch, []).append((run.setting.batch, run.samples_per_s))
    return Measured(
        latency_ns=round(quick.time.median_ns),
        latency_at=quick.setting.words,
        samples_per_s=best.samples_per_s,
        samples_per_s_at=best.setting.words,
        device_name=profile.environment.device_name,
        series={words: tuple(pairs) for words, pairs in series.items()},
    )


def check_same(profile: Profile, report: Report) -> None:
    """Make sure that a profile is of the network that it is held against.

    Raises:
        UsageError: parameters or multiply-accumulates differ.
    """
    sizes = {shape[1:] for shape in report.settings.input_shapes.values()}
    for run in profile.measured:
        if run.static is None:
            continue
        there = [f"{run.static.params:,} parameters"]
        here = [f"{report.totals.params:,} parameters"]
        if sizes == {shape[1:] for shape in run.input_shapes.values()}:
            there.append(f"{run.static.macs // run.setting.batch:,} MACs a sample")
            here.append(f"{report.totals.macs // report.settings.batch:,} MACs a sample")
        if there != here:
            raise UsageError(
                f"the profile is of another network: {' and '.join(there)} there, {' and '.join(here)} here; "
                "measure it again"
            )


class Versus(msgspec.Struct, frozen=True):
    """One setting in several profiles: each one's median time and throughput; None where it has no such run."""

    setting: str
    median_ns: tuple[float | None, ...]
    samples_per_s: tuple[float | None, ...]


def versus(profiles: Sequence[Profile]) -> tuple[Versus, ...]:
    """Every setting that two or more of the profiles have, in the order of the first."""
    found: dict[str, dict[int, Run]] = {}
    for place, profile in enumerate(profiles):
        for run in profile.measured:
            found.setdefault(run.setting.words, {}).setdefault(place, run)
    return tuple(
        Versus(
            words,
            tuple(runs[place].time.median_ns if place in runs else None for place in range(len(profiles))),
            tuple(runs[place].samples_per_s if place in runs else None for place in range(len(profiles))),
        )
        for words, runs in found.items()
        if len(runs) > 1
    )
