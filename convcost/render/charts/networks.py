"""Charts of several networks: error against MACs, depth and error by year, totals, throughput."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ... import units
from .style import COLOURS, NAMES, SERIES, Chart, View, axis, label, layout, safe, short

if TYPE_CHECKING:
    from ...analysis.report import Report

ERRORS = {"top1_error": "top-1 error", "top5_error": "top-5 error"}
LARGEST = 70
"""Diameter in pixels of the network with the most parameters."""


def _dataset(report: Report) -> str:
    return str(report.about.accuracy.get("dataset", ""))


def bubble_chart(reports: Sequence[Report]) -> Chart:
    """Error against MACs; the area of a circle is proportional to the number of parameters."""
    views = []
    for kind, name in ERRORS.items():
        known = [(report, error) for report in reports if (error := report.about.error(kind)) is not None]
        datasets = {_dataset(report) for report, _ in known}
        if len(known) > 1 and len(datasets) == 1:
            look = f"{name} on {short(datasets.pop())}"
            views.append(View(look, (_dots(reports, known, look),), {"yaxis.title.text": f"{safe(look)}, %"}))
    if not views:
        return Chart(missing="fewer than two of these networks have a published error on one dataset")
    first = views[0].traces[0]
    most = max(report.totals.params for report in reports)
    marker = {
        "size": first["marker.size"], "color": first["marker.color"], "opacity": 0.75, "sizemode": "area",
        "sizeref": max(1, most) / LARGEST**2, "sizemin": 4, "line": {"width": 1, "color": "#ffffff"},
    }  # fmt: skip
    trace = {
        "type": "scatter", "mode": "markers+text", "textposition": "top center", "hoverinfo": "text",
        **{key: value for key, value in first.items() if "." not in key}, "marker": marker, "cliponaxis": False,
    }  # fmt: skip
    found = layout(440, hovermode="closest", showlegend=False)
    found["margin"] = {"l": 64, "r": 32, "t": 44, "b": 48}
    found["xaxis"] = axis("MACs, logarithmic", type="log", tickformat="~s", dtick="D2")
    found["yaxis"] = axis(f"{safe(views[0].label)}, %")
    note = "Lower: smaller error. Further left: fewer MACs. Area of a circle: number of parameters."
    return Chart(note, {"data": [trace], "layout": found}, tuple(views))


def _dots(reports: Sequence[Report], known: Sequence[tuple[Report, float]], look: str) -> dict[str, Any]:
    return {
        "x": [report.totals.macs for report, _ in known],
        "y": [error for _, error in known],
        "text": [label(report.about.name, 24) for report, _ in known],
        "hovertext": [
            f"<b>{label(report.about.title)}</b><br>{error:g}% {label(look)}<br>{report.totals.macs:,} MACs"
            f"<br>{report.totals.params:,} parameters"
            for report, error in known
        ],
        "marker.size": [report.totals.params for report, _ in known],
        "marker.color": [SERIES[reports.index(report) % len(SERIES)] for report, _ in known],
    }


def depth_chart(reports: Sequence[Report]) -> Chart:
    """Error as bars in order of years, and number of weight layers as a line."""
    kind = max(ERRORS, key=lambda key: sum(report.about.error(key) is not None for report in reports))
    known = [(report, error) for report in reports if (error := report.about.error(kind)) is not None]
    if len(known) < 2 or len({_dataset(report) for report, _ in known}) > 1:
        return Chart(missing="fewer than two of these networks have a published error on one dataset")
    known.sort(key=lambda pair: (pair[0].about.year or 0, pair[0].totals.depth))
    names = [f"{label(report.about.name, 20)}<br>{report.about.year or ''}" for report, _ in known]
    bars = {
        "type": "bar", "name": f"{ERRORS[kind]}, %", "x": names, "y": [error for _, error in known],
        "text": [f"{error:g}" for _, error in known], "textposition": "outside", "hoverinfo": "text",
        "hovertext": [f"<b>{label(report.about.title)}</b><br>{error:g}% {ERRORS[kind]} on {label(_dataset(report))}"
                      for report, error in known],
        "marker": {"color": SERIES[0], "opacity": 0.4}, "cliponaxis": False,
    }  # fmt: skip
    line = {
        "type": "scatter", "mode": "lines+markers+text", "name": "weight layers", "x": names, "yaxis": "y2",
        "y": [report.totals.depth for report, _ in known], "text": [str(report.totals.depth) for report, _ in known],
        "textposition": "top center", "hoverinfo": "text", "cliponaxis": False,
        "hovertext": [f"<b>{label(report.about.title)}</b><br>{report.totals.depth} convolutions and linear layers on "
                      "the longest path" for report, _ in known],
        "line": {"color": SERIES[1], "width": 2}, "marker": {"size": 8},
    }  # fmt: skip
    found = layout(400, hovermode="closest")
    found["margin"] = {"l": 56, "r": 56, "t": 44, "b": 56}
    found["xaxis"] = axis("", showgrid=False)
    found["yaxis"] = axis(f"{ERRORS[kind]}, %", rangemode="tozero")
    found["yaxis2"] = axis(
        "weight layers", overlaying="y", side="right", rangemode="tozero", showgrid=False, tickmode="auto", nticks=6
    )
    note = "Depth is the number of convolutions and linear layers on the longest path, as the papers count it."
    return Chart(note, {"data": [bars, line], "layout": found})


def totals_chart(reports: Sequence[Report]) -> Chart:
    """Each network as a bar divided by group, by any of the quantities."""
    looks = (("params", "parameters"), ("macs", "MACs"), ("activation_bytes", "activation bytes"))
    groups = [group for group in COLOURS if any(report.breakdown[group].layers for report in reports)]
    views = []
    for key, unit in looks:
        traces = tuple(
            {
                "x": [getattr(report.breakdown[group], key) for report in reports],
                "hovertext": [_hover(report, group, key, unit) for report in reports],
            }
            for group in groups
        )
        suffix = "B" if key.endswith("bytes") else ""
        views.append(View(unit, traces, {"xaxis.title.text": unit, "xaxis.ticksuffix": suffix}))
    names = [f"{label(report.about.name, 24)} " for report in reports]
    data = [
        {
            "type": "bar", "orientation": "h", "name": NAMES.get(group, group), "y": names, "hoverinfo": "text",
            "textposition": "none", "marker": {"color": COLOURS[group], "line": {"width": 0}}, **start,
        }
        for group, start in zip(groups, views[0].traces, strict=True)
    ]  # fmt: skip
    found = layout(120 + 36 * len(reports), barmode="stack", bargap=0.3)
    found["margin"] = {"l": 88, "r": 16, "t": 36, "b": 48}
    found["xaxis"] = axis("parameters", tickformat="~s")
    found["legend"]["traceorder"] = "normal"
    found["yaxis"] = axis("", autorange="reversed", showgrid=False, type="category")
    note = "Each bar is a network; colours are groups of layers."
    return Chart(note, {"data": data, "layout": found}, tuple(views))


def _hover(report: Report, group: str, key: str, unit: str) -> str:
    part, whole = getattr(report.breakdown[group], key), getattr(report.totals, key)
    return (
        f"<b>{label(report.about.name)}</b>, {NAMES.get(group, group)}<br>{part:,} of {whole:,} {unit}"
        f" ({safe(units.share(part, whole)) or '0%'})"
    )


def throughput_chart(measured: Mapping[str, Sequence[tuple[int, float]]], unit: str = "images per second") -> Chart:
    """Measured throughput over batch size: per network its (batch, samples per second) pairs."""
    if not any(measured.values()):
        return Chart(missing="there are no saved profiles")
    data = [
        {
            "type": "scatter", "mode": "lines+markers", "name": label(name), "hoverinfo": "text",
            "x": [batch for batch, _ in pairs], "y": [speed for _, speed in pairs],
            "hovertext": [f"<b>{label(name)}</b><br>batch {batch:,}: {speed:,.1f} {unit}" for batch, speed in pairs],
            "line": {"color": SERIES[place % len(SERIES)]},
        }
        for place, (name, pairs) in enumerate(measured.items())
    ]  # fmt: skip
    found = layout(380, hovermode="closest")
    found["margin"] = {"l": 64, "r": 16, "t": 44, "b": 48}
    found["xaxis"] = axis("batch size", type="log", dtick="D2")
    found["yaxis"] = axis(unit, type="log", tickformat="~s")
    return Chart("Measured throughput of saved profiles.", {"data": data, "layout": found})
