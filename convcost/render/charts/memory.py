"""Live memory over the execution of a network, with its peak."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from ... import units
from .style import GREY, SERIES, Chart, axis, label, layout

PHASES = {"forward": SERIES[0], "backward": SERIES[1], "optimizer": SERIES[2]}
MAX_ALIVE = 12


class Point(Protocol):
    """One moment: ``layer`` has just run in this ``phase``, and ``bytes`` are alive."""

    @property
    def layer(self) -> str:
        """Name of the layer."""

    @property
    def phase(self) -> str:
        """Of ``PHASES``."""

    @property
    def bytes(self) -> int:
        """Bytes that are alive."""


def memory_chart(timeline: Sequence[Point], alive: Iterable[tuple[str, int]] = ()) -> Chart:
    """The bytes alive after each step.

    Args:
        timeline: in order of execution.
        alive: (what, bytes) of the tensors that are alive at the peak.
    """
    title = "Memory over one step"
    if not timeline:
        return Chart("memory", title, missing="the memory record has no points")
    traces: list[dict[str, Any]] = []
    for phase in dict.fromkeys(point.phase for point in timeline):
        own = [(place, point) for place, point in enumerate(timeline, start=1) if point.phase == phase]
        traces.append({
            "type": "bar",
            "name": phase,
            "x": [place for place, _ in own],
            "y": [point.bytes for _, point in own],
            "hovertext": [
                f"<b>{label(point.layer)}</b>, {phase}<br>{point.bytes:,} bytes = {units.size(point.bytes)}"
                for _, point in own
            ],
            "hoverinfo": "text",
            "marker": {"color": PHASES.get(phase, GREY), "line": {"width": 0}},
        })  # fmt: skip
    place, peak = max(enumerate(timeline, start=1), key=lambda found: (found[1].bytes, -found[0]))
    traces.append({
        "type": "scatter",
        "mode": "markers+text",
        "name": "peak",
        "x": [place],
        "y": [peak.bytes],
        "text": [f"peak {units.size(peak.bytes)}"],
        "textposition": "top center",
        "hovertext": [_peak(peak, alive)],
        "hoverinfo": "text",
        "marker": {"color": GREY, "size": 12, "symbol": "diamond", "line": {"color": "#ffffff", "width": 1}},
    })  # fmt: skip
    found = layout(340, bargap=0)
    found["margin"] = {"l": 64, "r": 16, "t": 36, "b": 48}
    found["xaxis"] = axis("steps, in order of execution", showgrid=False)
    found["yaxis"] = axis("bytes alive", tickformat="~s", ticksuffix="B", range=[0, peak.bytes * 1.15])
    note = f"The peak, {peak.bytes:,} bytes, is reached in {peak.phase} at {peak.layer}."
    return Chart("memory", title, note, {"data": traces, "layout": found})


def _peak(peak: Point, alive: Iterable[tuple[str, int]]) -> str:
    held = sorted(alive, key=lambda found: -found[1])
    lines = [f"<b>peak</b>: {peak.bytes:,} bytes = {units.size(peak.bytes)}", f"{peak.phase}, {label(peak.layer)}"]
    lines += [f"{size:,} B  {label(name)}" for name, size in held[:MAX_ALIVE]]
    if len(held) > MAX_ALIVE:
        rest = held[MAX_ALIVE:]
        lines.append(f"{sum(size for _, size in rest):,} B  in {len(rest):,} more")
    return "<br>".join(lines)
