"""Rows of upright bars over the same layers."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from typing import Any

from .frame import WIDTH, legend, svg_text, text, tick, ticks, told

ROW, LEFT, RIGHT, TOP = 120, 66, 12, 34
GAP = 26
HEADROOM = 1.06
MAX_NAMES = 40


def bars(title: str, figure: dict[str, Any]) -> str:
    """The picture of ``layers_chart``'s figure."""
    traces, layout = figure["data"], figure["layout"]
    axes = sorted({trace["yaxis"] for trace in traces})
    names = layout["xaxis"]["ticktext"]
    low, high = layout["xaxis"]["range"]
    shown = len(names) <= MAX_NAMES
    # Slanted by 60 degrees, a letter takes about 5.5 pixels of height.
    longest = max(len(unescape(name)) for name in names) if shown else 0
    bottom = TOP + len(axes) * (ROW + GAP)
    scale = (WIDTH - LEFT - RIGHT) / (high - low)
    first = [trace for trace in traces if trace["showlegend"]]
    parts = list(legend(((trace["name"], trace["marker"]["color"]) for trace in first), LEFT))
    for row, name in enumerate(axes):
        own = [trace for trace in traces if trace["yaxis"] == name]
        axis = layout["yaxis" + name[1:]]
        top = TOP + row * (ROW + GAP) + 14
        parts += _panel(own, axis["title"]["text"], axis.get("ticksuffix", ""), top, low, scale)
    if shown:
        for place, name in zip(layout["xaxis"]["tickvals"], names, strict=True):
            slanted = f' transform="translate({LEFT + (place - low) * scale + 3:.1f} {bottom:.0f}) rotate(-60)"'
            parts.append(text(0, 0, name, "end", slanted))
    return svg_text(title, bottom + round(14 + 5.5 * longest), parts)


def _panel(
    traces: list[dict[str, Any]], title: str, suffix: str, top: float, low: float, scale: float
) -> Iterator[str]:
    largest = max((value for trace in traces for value in trace["y"]), default=1)
    most = largest * HEADROOM
    yield text(LEFT, top - 3, title, "start", ' class="t"')
    for value in ticks(largest):
        y = top + ROW - ROW * value / most
        yield f'<path class="g" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield text(LEFT - 6, y + 4, tick(value, suffix), "end")
    for trace in traces:
        yield f'<g fill="{trace["marker"]["color"]}">'
        for place, value, hover in zip(trace["x"], trace["y"], trace["hovertext"], strict=True):
            x, height = LEFT + (place - 0.41 - low) * scale, max(0.5, ROW * value / most)
            yield (
                f'<rect x="{x:.1f}" y="{top + ROW - height:.1f}" width="{0.82 * scale:.1f}" height="{height:.1f}">'
                f"{told(hover)}</rect>"
            )
        yield "</g>"
