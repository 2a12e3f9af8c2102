"""Layers under the roof of a device: how fast they could run, and how fast they did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from .style import COLOURS, GREY, NAMES, Chart, axis, label, layout


class Point(Protocol):
    """A layer's work, its traffic, and its measured time where there is one."""

    @property
    def name(self) -> str:
        """Name of the layer."""

    @property
    def group(self) -> str:
        """Its group."""

    @property
    def flops(self) -> int:
        """Operations."""

    @property
    def bytes_moved(self) -> int:
        """Bytes read and written."""

    @property
    def seconds(self) -> float | None:
        """Measured time; None without a measurement."""


def roofline_chart(points: Sequence[Point], device: str, peak_flops_per_s: float, bytes_per_s: float) -> Chart:
    """Layers at their arithmetic intensity: under the roof as a bound, and at the speed that was measured."""
    title = f"Roofline on {label(device)}"
    used = [point for point in points if point.flops and point.bytes_moved]
    if not used:
        return Chart("roofline", title, missing="no layer does arithmetic")
    intensities = [point.flops / point.bytes_moved for point in used]
    ridge = peak_flops_per_s / bytes_per_s
    low, high = min([*intensities, ridge]) / 2, max([*intensities, ridge]) * 2
    traces: list[dict[str, Any]] = [{
        "type": "scatter", "mode": "lines", "name": "roof", "hoverinfo": "skip",
        "x": [low, ridge, high], "y": [low * bytes_per_s, peak_flops_per_s, peak_flops_per_s],
        "line": {"color": GREY, "width": 2},
    }]  # fmt: skip
    for group, colour in COLOURS.items():
        own = [point for point in used if point.group == group]
        for kind, symbol, chosen in (
            ("bound", "circle-open", own),
            ("measured", "circle", [point for point in own if point.seconds]),
        ):
            if chosen:
                speeds = [_speed(point, kind, peak_flops_per_s, bytes_per_s) for point in chosen]
                traces.append({
                    "type": "scatter", "mode": "markers", "name": f"{NAMES.get(group, group)}, {kind}",
                    "x": [point.flops / point.bytes_moved for point in chosen], "y": speeds,
                    "hovertext": [_hover(*pair, kind) for pair in zip(chosen, speeds, strict=True)],
                    "hoverinfo": "text",
                    "marker": {"color": colour, "symbol": symbol, "size": 9},
                })  # fmt: skip
    found = layout(420, hovermode="closest")
    found["margin"] = {"l": 64, "r": 16, "t": 60, "b": 48}
    found["xaxis"] = axis("arithmetic intensity: FLOPs per byte of traffic", type="log", tickformat="~s")
    found["yaxis"] = axis("FLOPs per second", type="log", tickformat="~s")
    note = f"Left of {ridge:.3g} FLOPs per byte memory is the limit, right of it arithmetic."
    return Chart("roofline", title, note, {"data": traces, "layout": found})


def _speed(point: Point, kind: str, peak_flops_per_s: float, bytes_per_s: float) -> float:
    if kind == "measured" and point.seconds:
        return point.flops / point.seconds
    return min(peak_flops_per_s, point.flops / point.bytes_moved * bytes_per_s)


def _hover(point: Point, speed: float, kind: str) -> str:
    return (
        f"<b>{label(point.name)}</b> ({kind})<br>{point.flops:,} FLOPs / {point.bytes_moved:,} bytes = "
        f"{point.flops / point.bytes_moved:.4g} FLOPs per byte<br>{speed:.4g} FLOPs per second"
    )
