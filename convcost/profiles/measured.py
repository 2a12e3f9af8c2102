"""Figures of saved profiles for ``compare`` and for budgets: latency, throughput, and settings side by side.

A new measured quantity is a row of ``quantities.MEASURED`` and an entry of ``Measured.figures``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ..analysis.report import Report
from ..errors import UsageError
from .profile import Profile
from .runs import Run


class Measured(msgspec.Struct, frozen=True):
    """The measured figures of a network.

    Args:
        latency_ns: median time of one pass at the smallest batch; ``latency_at``: its setting in words.
        samples_per_s: the highest throughput; ``samples_per_s_at``: its setting in words.
        device_name: the device.
        series: (batch size, samples per second) of each run, grouped by the rest of the setting in words.
    """

    latency_ns: int
    latency_at: str
    samples_per_s: float
    samples_per_s_at: str
    device_name: str
    series: Mapping[str, tuple[tuple[int, float], ...]]

    @property
    def figures(self) -> dict[str, float]:
        """The figures by key of their quantity."""
        return {"latency_ns": self.latency_ns, "samples_per_s": self.samples_per_s}


def measured(profile: Profile, batch: int | None = None, dtype: str | None = None) -> Measured:
    """The figures of a profile: of its forward passes, or of training steps if it has no forward passes.

    Args:
        profile: the profile.
        batch, dtype: use only runs with this batch size and this dtype; default: all.

    Raises:
        UsageError: the profile has no such run.
    """
    runs = [
        run for run in profile.measured if batch in (None, run.setting.batch) and dtype in (None, run.setting.dtype)
    ]
    forward = [run for run in runs if run.setting.mode == "forward"]
    if not runs:
        wanted = ", ".join(filter(None, (f"batch {batch}" if batch else "", dtype or "")))
        settings = "; ".join(run.setting.words for run in profile.measured)
        raise UsageError(
            f"the profile of {profile.name} has no times{f' of {wanted}; it has {settings}' if settings else ''}"
        )
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
    """Check that a profile and a report are of the same network.

    Raises:
        UsageError: their parameters, or their MACs per sample at equal input sizes, differ.
    """
    sizes = {shape[1:] for shape in report.settings.input_shapes.values()}
    for run in profile.measured:
        if run.static is None:
            continue
        profiled = [f"{run.static.params:,} parameters"]
        analysed = [f"{report.totals.params:,} parameters"]
        if sizes == {shape[1:] for shape in run.input_shapes.values()}:
            profiled.append(f"{run.static.macs // run.setting.batch:,} MACs per sample")
            analysed.append(f"{report.totals.macs // report.settings.batch:,} MACs per sample")
        if profiled != analysed:
            raise UsageError(
                f"the profile is of another network, with {' and '.join(profiled)} where {report.about.name} has "
                f"{' and '.join(analysed)}; measure it again"
            )


class Versus(msgspec.Struct, frozen=True):
    """One setting in several profiles: median time and throughput of each profile, None if it has no such run."""

    setting: str
    median_ns: tuple[float | None, ...]
    samples_per_s: tuple[float | None, ...]


def versus(profiles: Sequence[Profile]) -> tuple[Versus, ...]:
    """The settings that at least two profiles have, in order of first occurrence."""
    by_setting: dict[str, dict[int, Run]] = {}
    for place, profile in enumerate(profiles):
        for run in profile.measured:
            by_setting.setdefault(run.setting.words, {}).setdefault(place, run)
    return tuple(
        Versus(
            words,
            tuple(runs[place].time.median_ns if place in runs else None for place in range(len(profiles))),
            tuple(runs[place].samples_per_s if place in runs else None for place in range(len(profiles))),
        )
        for words, runs in by_setting.items()
        if len(runs) > 1
    )
