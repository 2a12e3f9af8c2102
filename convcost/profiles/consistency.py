"""Consistency checks of a profile that was read from a file, which may have been edited or written by another program.

A new check is a ``yield`` of a message with its JSON path in ``_of_ceiling``, ``_of_run`` or ``_of_layers``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .profile import Profile
from .runs import Ceiling, Run

COUNTS = ("params", "macs", "flops", "bytes_moved", "launches")


def mistake(profile: Profile) -> str:
    """The first inconsistency with its JSON path; "" if there is none."""
    return next(_mistakes(profile), "")


def _mistakes(profile: Profile) -> Iterator[str]:
    for number, ceiling in enumerate(profile.ceilings):
        yield from _of_ceiling(ceiling, f"$.ceilings[{number}]")
    for number, run in enumerate(profile.runs):
        yield from _of_run(run, f"$.runs[{number}]")


def _of_ceiling(ceiling: Ceiling, place: str) -> Iterator[str]:
    if ceiling.work < 1:
        yield f"work is {ceiling.work}, expected 1 or more - at `{place}.work`"
    if not ceiling.samples_ns:
        yield f"no times - at `{place}.samples_ns`"
    if min(ceiling.samples_ns, default=1) < 1:
        yield f"a time is {min(ceiling.samples_ns)} ns, expected 1 or more - at `{place}.samples_ns`"


def _of_run(run: Run, place: str) -> Iterator[str]:
    if run.setting.batch < 1:
        yield f"batch is {run.setting.batch}, expected 1 or more - at `{place}.setting.batch`"
    rows: dict[str, Any] = {f"phases.{name}": row for name, row in run.phases.items()}
    rows |= {"mark_ns": run.mark_ns, "replay_ns": run.replay_ns}
    rows |= {f"isolated[{number}]": row for number, row in enumerate(run.isolated)}
    rows |= {f"layers[{number}].in_place_ns": layer.in_place_ns for number, layer in enumerate(run.layers)}
    for name, row in rows.items():
        if min(row, default=0) < 0:
            yield f"a time is {min(row)} ns, which is negative - at `{place}.{name}`"
    samples = {len(row) for row in run.phases.values()}
    if len(samples) > 1:
        yield f"phases have {min(samples)} and {max(samples)} times, expected the same number - at `{place}.phases`"
    elif run.status == "measured" and not any(samples):
        yield f"the status is measured, but there are no times - at `{place}.phases`"
    elif run.status == "measured" and not min(run.samples_ns):
        yield f"the time of an iteration is 0 - at `{place}.phases`"
    yield from _of_layers(run, place)


def _of_layers(run: Run, place: str) -> Iterator[str]:
    for number, row in enumerate(run.isolated):
        if not row:
            yield f"no times - at `{place}.isolated[{number}]`"
    for number, layer in enumerate(run.layers):
        where = f"{place}.layers[{number}]"
        if layer.alone is not None and not 0 <= layer.alone < len(run.isolated):
            yield f"alone is {layer.alone}, but there are {len(run.isolated)} isolated timings - at `{where}.alone`"
        for key in COUNTS:
            if getattr(layer, key) < 0:
                yield f"{key} is {getattr(layer, key)}, expected 0 or more - at `{where}.{key}`"
