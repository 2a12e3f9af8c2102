"""Bar charts as SVG text without a browser: the same figures, drawn plainly, for Markdown, READMEs and notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape, unescape
from math import floor, log10
from re import sub
from typing import Any

from ... import units
from .style import Chart

WIDTH, ROW, LEFT, RIGHT, TOP = 860, 120, 66, 12, 34
GAP = 26
HEADROOM = 1.06
MAX_NAMES = 40
# Under a class of its own, for in a notebook the style of one picture holds for the whole page.
_STYLE = (
    ".convcost-bars text{font:11px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:#57606a}"
    ".convcost-bars .t{font-weight:600}.convcost-bars .g{stroke:#8b93a1;stroke-opacity:.3}"
    "@media (prefers-color-scheme:dark){.convcost-bars text{fill:#9aa4b2}}"
)


def picture(chart: Chart) -> str | None:
    """The chart as an SVG document; None if there is no figure, or it has something else than upright bars."""
    if chart.figure is None or any(trace["type"] != "bar" or "orientation" in trace for trace in chart.figure["data"]):
        return None
    traces = chart.figure["data"]
    layout = chart.figure["layout"]
    axes = sorted({trace.get("yaxis", "y") for trace in traces})
    ticks = layout["xaxis"].get("ticktext", [])
    low, high = layout["xaxis"]["range"]
    names = len(ticks) <= MAX_NAMES
    longest = max((len(unescape(text)) for text in ticks), default=0) if names else 0
    # Slanted by 60 degrees, a letter takes about 5.5 pixels of height.
    height = TOP + len(axes) * (ROW + GAP) + round(14 + 5.5 * longest)
    scale = (WIDTH - LEFT - RIGHT) / (high - low)
    parts = [
        f'<svg class="convcost-bars" xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'style="max-width:100%;height:auto" aria-label="{escape(chart.title)}"><style>{_STYLE}</style>'
    ]
    parts += _legend(traces)
    for row, name in enumerate(axes):
        own = [trace for trace in traces if trace.get("yaxis", "y") == name]
        top = TOP + row * (ROW + GAP) + 14
        axis = layout["yaxis" + name[1:]]
        parts += _panel(own, axis["title"]["text"], axis.get("ticksuffix", ""), top, low, scale)
    if names:
        bottom = TOP + len(axes) * (ROW + GAP)
        for place, text in zip(layout["xaxis"]["tickvals"], ticks, strict=True):
            x = LEFT + (place - low) * scale + 3
            parts.append(
                f'<text text-anchor="end" transform="translate({x:.1f} {bottom:.0f}) rotate(-60)">'
                f"{escape(unescape(text))}</text>"
            )
    return "".join([*parts, "</svg>"])


def _legend(traces: list[dict[str, Any]]) -> Iterator[str]:
    x = float(LEFT)
    for trace in traces:
        if trace.get("showlegend", True):
            name = escape(trace["name"])
            yield f'<rect x="{x:.0f}" y="8" width="11" height="11" rx="2" fill="{trace["marker"]["color"]}"/>'
            yield f'<text x="{x + 16:.0f}" y="18">{name}</text>'
            x += 34 + 6.2 * len(trace["name"])


def _panel(
    traces: list[dict[str, Any]], title: str, suffix: str, top: float, low: float, scale: float
) -> Iterator[str]:
    largest = max((value for trace in traces for value in trace["y"]), default=1)
    most = largest * HEADROOM
    yield f'<text class="t" x="{LEFT}" y="{top - 3}">{escape(title)}</text>'
    for value in _ticks(largest):
        y = top + ROW - ROW * value / most
        yield f'<path class="g" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text text-anchor="end" x="{LEFT - 6}" y="{y + 4:.1f}">{_tick(value, suffix)}</text>'
    for trace in traces:
        yield f'<g fill="{trace["marker"]["color"]}">'
        for place, value, hover in zip(trace["x"], trace["y"], trace["hovertext"], strict=True):
            x, height = LEFT + (place - 0.41 - low) * scale, max(0.5, ROW * value / most)
            told = escape(unescape(sub("<[^>]*>", " ", hover.replace("<br>", "; "))))
            yield (
                f'<rect x="{x:.1f}" y="{top + ROW - height:.1f}" width="{0.82 * scale:.1f}" height="{height:.1f}">'
                f"<title>{told}</title></rect>"
            )
        yield "</g>"


def _ticks(most: int) -> list[int]:
    """Three or four round numbers up to ``most``."""
    power = 10 ** max(0, floor(log10(max(1, most))))
    steps = [power * part // 10 for part in (2, 5, 10, 20, 50)]
    step = next(step for step in steps if step and most <= 4 * step)
    return list(range(0, most + 1, step))


def _tick(value: int, suffix: str) -> str:
    if suffix:
        return units.size(value, "si").replace(".00", "")
    for factor, letter in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "K")):
        if value >= factor:
            return f"{value / factor:g}{letter}"
    return str(value)
