"""Live memory over the execution of a network, with its peak: of a forward pass, of a training step, or of both."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Protocol

import msgspec

from ... import units
from .style import GREY, SERIES, Chart, View, axis, label, layout

PHASES = {"forward": SERIES[0], "backward": SERIES[1], "optimizer": SERIES[2]}
MAX_ALIVE = 12


class Point(Protocol):
    """A point in time: ``layer`` has just run in this ``phase``, and ``bytes`` are allocated."""

    @property
    def layer(self) -> str:
        """Name of the layer."""

    @property
    def phase(self) -> str:
        """Of ``PHASES``."""

    @property
    def bytes(self) -> int:
        """Allocated bytes."""


class MemoryRun(msgspec.Struct, frozen=True):
    """The memory of one mode of a network.

    ``label``: the mode, such as "inference". ``timeline``: points in order of execution. ``alive``: (label, bytes) of
    each allocation at the peak. ``missing``: the reason if there is no timeline.
    """

    label: str
    timeline: Sequence[Point] = ()
    alive: Sequence[tuple[str, int]] = ()
    missing: str = "the memory record has no points"


def memory_chart(*runs: MemoryRun) -> Chart:
    """The allocated bytes after each step, with one view per run that has a timeline."""
    known = [run for run in runs if run.timeline]
    if not known:
        why = "; ".join(f"{run.label}: {run.missing}" for run in runs)
        return Chart(missing=why or "the memory over time is unknown")
    phases = list(dict.fromkeys(point.phase for run in known for point in run.timeline))
    peaks = [_peak_of(run) for run in known]
    looks = [
        View(run.label, (*(_phase(run, phase) for phase in phases), _mark(run, *peak)), _frame(run, peak[1]))
        for run, peak in zip(known, peaks, strict=True)
    ]
    fixed: list[dict[str, Any]] = [
        # Outlines are faster to draw than a thousand bars.
        *({"type": "scatter", "mode": "lines", "fill": "tozeroy", "hoveron": "points", "name": phase,
           "line": {"shape": "hvh", "width": 1, "color": PHASES.get(phase, GREY)}, "fillcolor": PHASES.get(phase, GREY),
           "hovertemplate": f"<b>%{{text}}</b>, {phase}<br>%{{y:,}} bytes = %{{customdata}}<extra></extra>"}
          for phase in phases),
        {"type": "scatter", "mode": "markers+text", "name": "peak", "cliponaxis": False,
         "hovertemplate": "%{customdata}<extra></extra>",
         "marker": {"color": GREY, "size": 12, "symbol": "diamond", "line": {"color": "#ffffff", "width": 1}}},
    ]  # fmt: skip
    found = layout(340, hovermode="x")
    found["margin"] = {"l": 64, "r": 16, "t": 36, "b": 48}
    found["xaxis"] = axis("steps, in order of execution", showgrid=False, automargin=False)
    found["yaxis"] = axis("allocated bytes", tickformat="~s", ticksuffix="B", automargin=False)
    for key, value in looks[0].layout.items():
        found[key.removesuffix(".range")]["range"] = value
    data = [{**always, **first} for always, first in zip(fixed, looks[0].traces, strict=True)]
    note = " ".join(_said(run, peak) for run, (_, peak) in zip(known, peaks, strict=True))
    note += "".join(f" Not shown, {run.label}: {run.missing}." for run in runs if not run.timeline)
    return Chart(note, {"data": data, "layout": found}, tuple(looks) if len(looks) > 1 else ())


def _peak_of(run: MemoryRun) -> tuple[int, Point]:
    return max(enumerate(run.timeline, start=1), key=lambda found: (found[1].bytes, -found[0]))


def _frame(run: MemoryRun, peak: Point) -> dict[str, Any]:
    return {"xaxis.range": [0.5, len(run.timeline) + 0.5], "yaxis.range": [0, peak.bytes * 1.15]}


def _phase(run: MemoryRun, phase: str) -> dict[str, Any]:
    """Steps of one phase as an outline: each as wide as one; where others come between, the line breaks."""
    found: dict[str, list[Any]] = {"x": [], "y": [], "text": [], "customdata": []}
    for name, stretch in groupby(enumerate(run.timeline, start=1), key=lambda step: step[1].phase):
        if name == phase:
            steps = list(stretch)
            (first, begin), (last, end) = steps[0], steps[-1]
            if found["x"]:
                for values in found.values():
                    values.append(None)
            for place, point in [(first - 0.5, begin), *steps, (last + 0.5, end)]:
                found["x"].append(place)
                found["y"].append(point.bytes)
                found["text"].append(label(point.layer))
                found["customdata"].append(units.size(point.bytes))
    return {**found, "visible": bool(found["x"]), "textposition": "top center"}


def _mark(run: MemoryRun, place: int, peak: Point) -> dict[str, Any]:
    held = sorted(run.alive, key=lambda found: -found[1])
    lines = [f"<b>peak</b>: {peak.bytes:,} bytes = {units.size(peak.bytes)}", f"{peak.phase}, {label(peak.layer)}"]
    lines += [f"{size:,} B  {label(name)}" for name, size in held[:MAX_ALIVE]]
    if len(held) > MAX_ALIVE:
        rest = held[MAX_ALIVE:]
        lines.append(f"{sum(size for _, size in rest):,} B  in {len(rest):,} more")
    return {
        "x": [place],
        "y": [peak.bytes],
        "customdata": ["<br>".join(lines)],
        "text": [f"peak {units.size(peak.bytes)}"],
        "textposition": f"top {_side(place / len(run.timeline))}",
        "visible": True,
    }


def _side(position: float) -> str:
    """Where a text has room at this part of the width."""
    return "right" if position < 0.2 else "left" if position > 0.8 else "center"


def _said(run: MemoryRun, peak: Point) -> str:
    where = "the optimizer step" if peak.phase == "optimizer" else f"the {peak.phase} of {peak.layer}"
    return f"{run.label[0].upper()}{run.label[1:]}: peak memory {peak.bytes:,} bytes, in {where}."
