"""Roofline chart: the bound and, if measured, the speed of each layer, by arithmetic intensity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ... import units
from ..documents.roofline import ROOFS
from .style import COLOURS, GREY, NAMES, Chart, axis, label, layout, short

if TYPE_CHECKING:
    from ...analysis.roofline import Ceilings, Roof

_DASHES = ("solid", "dash", "dot")


class Point(Protocol):
    """FLOPs, memory traffic and lower bound of the time of a layer."""

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
    def roof(self) -> Roof:
        """Which of the device's rates it can reach at most."""

    @property
    def bound_ns(self) -> float:
        """The least time."""

    @property
    def limit(self) -> str:
        """What that time is for: "compute" or "memory"."""


def roofline_chart(points: Sequence[Point], ceilings: Ceilings, times_ns: Mapping[str, float] | None = None) -> Chart:
    """Layers at their arithmetic intensity: at their bound as open circles, at their measured speed as filled ones.

    Args:
        points: the layers; those without arithmetic or traffic have no place on the chart.
        ceilings: of the device. Each rate that a point can reach is a roof of its own.
        times_ns: measured time of each layer by its name.
    """
    title = f"Roofline on {short(ceilings.device)}"
    used = [point for point in points if point.flops and point.bytes_moved]
    if not used:
        return Chart(missing="no layer does arithmetic", title=title)
    traces = _roofs(used, ceilings)
    for group, colour in COLOURS.items():
        own = [point for point in used if point.group == group]
        measured = {point.name: times_ns[point.name] for point in own if times_ns and times_ns.get(point.name)}
        bounds = {point.name: point.bound_ns for point in own}
        for kind, symbol, times in (("bound", "circle-open", bounds), ("measured", "circle", measured)):
            chosen = [point for point in own if point.name in times]
            if chosen:
                traces.append({
                    "type": "scatter", "mode": "markers", "name": f"{NAMES.get(group, group)}, {kind}",
                    "x": [point.flops / point.bytes_moved for point in chosen],
                    "y": [point.flops / times[point.name] * 1e9 for point in chosen],
                    "hovertext": [_hover(point, times[point.name], kind) for point in chosen],
                    "hoverinfo": "text",
                    "marker": {"color": colour, "symbol": symbol, "size": 9},
                })  # fmt: skip
    found = layout(460, hovermode="closest")
    found["margin"] = {"l": 64, "r": 16, "t": 12, "b": 48}
    found["legend"] = {"orientation": "h", "x": 0, "y": -0.16, "yanchor": "top", "itemsizing": "constant"}
    found["xaxis"] = axis("FLOPs per byte of traffic", type="log", tickformat="~g")
    found["yaxis"] = axis("FLOPs per second", type="log", tickformat="~s")
    return Chart(_note(points, used), {"data": traces, "layout": found}, title=title)


def _roofs(used: Sequence[Point], ceilings: Ceilings) -> list[dict[str, Any]]:
    """The slope of memory, and one roof for each rate that points can reach; equal rates share a roof."""
    names: dict[float, list[str]] = {}
    for roof, name in ROOFS.items():
        if any(point.roof == roof for point in used):
            names.setdefault(ceilings.rate(roof), []).append(name)
    intensities = [point.flops / point.bytes_moved for point in used]
    bends = [rate / ceilings.bytes_per_s for rate in names]
    low, high = min([*intensities, *bends]) / 2, max([*intensities, *bends]) * 2
    slope, last = ceilings.bytes_per_s, max(bends)
    traces = [_line(f"memory: {_rate(slope)}B/s", [low, last], [low * slope, last * slope], "solid")]
    for place, (rate, what) in enumerate(sorted(names.items(), reverse=True)):
        # Broken into lines, because a legend on a phone shows only about forty letters.
        name = f"{',<br>'.join(what)}: {_rate(rate)}FLOP/s"
        traces.append(_line(name, [rate / slope, high], [rate, rate], _DASHES[place]))
    return traces


def _line(name: str, x: list[float], y: list[float], dash: str) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "lines", "name": name, "hoverinfo": "skip", "x": x, "y": y,
        "line": {"color": GREY, "width": 2, "dash": dash},
    }  # fmt: skip


def _rate(value: float) -> str:
    """A rate before its unit: ``494.5 T``."""
    text = units.rate(int(value))
    return f"{text[:-1]} {text[-1]}" if text[-1:].isalpha() else f"{text} "


def _note(points: Sequence[Point], used: Sequence[Point]) -> str:
    text = (
        "Open circles: the bound. Layers on the slope are limited by memory, layers on a horizontal line by arithmetic."
    )
    silent = [point for point in points if point.bytes_moved and not point.flops]
    whole = sum(point.bound_ns for point in points)
    if silent:
        text += (
            f" Not drawn: {len(silent)} layers without FLOPs, "
            f"{units.share(sum(point.bound_ns for point in silent), whole)} of the bound."
        )
    return text


def _hover(point: Point, time_ns: float, kind: str) -> str:
    limited = f", limited by {point.limit}" if kind == "bound" else ""
    return (
        f"<b>{label(point.name)}</b><br>{kind}: {units.duration(time_ns)}{limited}<br>"
        f"{point.flops:,} FLOPs / {point.bytes_moved:,} bytes = "
        f"{units.number(point.flops / point.bytes_moved)} FLOPs per byte<br>"
        f"{_rate(point.flops / time_ns * 1e9)}FLOP/s"
    )
