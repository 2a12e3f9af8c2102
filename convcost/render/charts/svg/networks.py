"""Several networks: error against work as circles, and the revolution of depth."""

from __future__ import annotations

from collections.abc import Iterable
from html import unescape
from math import ceil, floor, log10, sqrt
from typing import Any

from .frame import WIDTH, legend, svg_text, text, tick, ticks, told

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 380, 56, 40, 34, 46
LETTER = 6.2
"""About the width of one in pixels."""

Box = tuple[float, float, float, float]


def circles(title: str, figure: dict[str, Any]) -> str:
    """The picture of ``bubble_chart``'s figure: MACs on a logarithmic axis, area by parameters."""
    (trace,) = figure["data"]
    marker, layout = trace["marker"], figure["layout"]
    low, high = log10(min(trace["x"])) - 0.15, log10(max(trace["x"])) + 0.15
    span = max(trace["y"]) - min(trace["y"]) or 1
    least, most = min(trace["y"]) - 0.15 * span, max(trace["y"]) + 0.2 * span
    xs = [LEFT + (WIDTH - LEFT - RIGHT) * (log10(x) - low) / (high - low) for x in trace["x"]]
    ys = [TOP + (HEIGHT - TOP - BOTTOM) * (most - y) / (most - least) for y in trace["y"]]
    radii = [max(3.0, sqrt(size / marker["sizeref"]) / 2) for size in marker["size"]]
    parts = []
    for value in (m * 10**power for power in range(floor(low), ceil(high)) for m in (1, 2, 5)):
        if low <= log10(value) <= high:
            x = LEFT + (WIDTH - LEFT - RIGHT) * (log10(value) - low) / (high - low)
            parts.append(f'<path class="g" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
            parts.append(text(x, HEIGHT - BOTTOM + 16, tick(value)))
    step = ticks(span)[-1] - ticks(span)[-2] if len(ticks(span)) > 1 else 1
    for value in range(step * ceil(least / step), floor(most) + 1, step):
        y = TOP + (HEIGHT - TOP - BOTTOM) * (most - value) / (most - least)
        parts.append(f'<path class="g" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(text(LEFT - 6, y + 4, tick(value, "%"), "end"))
    # Large circles below small ones.
    parts += [
        f'<circle cx="{xs[place]:.1f}" cy="{ys[place]:.1f}" r="{radii[place]:.1f}" '
        f'fill="{marker["color"][place]}" fill-opacity=".75">{told(trace["hovertext"][place])}</circle>'
        for place in sorted(range(len(xs)), key=lambda place: -radii[place])
    ]
    taken: list[Box] = [
        (x - 0.8 * r, y - 0.8 * r, x + 0.8 * r, y + 0.8 * r) for x, y, r in zip(xs, ys, radii, strict=True)
    ]
    for x, y, r, name in zip(xs, ys, radii, trace["text"], strict=True):
        parts.append(_named(x, y, r, name, taken))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, layout["xaxis"]["title"]["text"]))
    parts.append(text(LEFT, TOP - 12, layout["yaxis"]["title"]["text"], "start", ' class="t"'))
    return svg_text(title, HEIGHT, parts)


def _named(x: float, y: float, r: float, name: str, taken: list[Box]) -> str:
    """A name above its circle, below or beside it: where nothing stands yet."""
    half = LETTER * len(unescape(name)) / 2
    spots = ((x, y - r - 5), (x, y + r + 13), (x + r + half + 4, y + 4), (x - r - half - 4, y + 4))
    boxes = [(a - half, b - 10, a + half, b + 3) for a, b in spots]
    free = [all(a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1] for b in taken) for a in boxes]
    inside = [ok and box[0] >= LEFT and box[2] <= WIDTH - 4 for ok, box in zip(free, boxes, strict=True)]
    chosen = inside.index(True) if True in inside else 0
    taken.append(boxes[chosen])
    return text(*spots[chosen], name)


def years(title: str, figure: dict[str, Any]) -> str:
    """The picture of ``depth_chart``'s figure: errors as bars, weight layers as a line."""
    errors, depths = figure["data"]
    count = len(errors["x"])
    step = (WIDTH - LEFT - RIGHT) / count
    centre = [LEFT + step * (place + 0.5) for place in range(count)]
    tall = HEIGHT - TOP - BOTTOM

    def level(values: Iterable[float], value: float) -> float:
        return TOP + tall * (1 - value / (1.12 * max(values)))

    parts = list(legend([(each["name"], colour) for each, colour in (
        (errors, errors["marker"]["color"]), (depths, depths["line"]["color"]))], LEFT))  # fmt: skip
    for value in ticks(max(errors["y"])):
        y = level(errors["y"], value)
        parts.append(f'<path class="g" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(text(LEFT - 6, y + 4, tick(value, "%"), "end"))
    points = [(x, level(depths["y"], value)) for x, value in zip(centre, depths["y"], strict=True)]
    for place, (x, value) in enumerate(zip(centre, errors["y"], strict=True)):
        y = level(errors["y"], value)
        parts.append(
            f'<rect x="{x - 0.36 * step:.1f}" y="{y:.1f}" width="{0.72 * step:.1f}" height="{TOP + tall - y:.1f}" '
            f'fill="{errors["marker"]["color"]}" fill-opacity=".4">{told(errors["hovertext"][place])}</rect>'
        )
        parts.append(text(x - 0.36 * step, y - 4, f"{errors['text'][place]}%", "start"))
        for line, name in enumerate(errors["x"][place].split("<br>")):
            parts.append(text(x, HEIGHT - BOTTOM + 16 + 14 * line, name))
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    parts.append(f'<path d="M{path}" fill="none" stroke="{depths["line"]["color"]}" stroke-width="2"/>')
    for place, (x, y) in enumerate(points):
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{depths["line"]["color"]}">'
            f"{told(depths['hovertext'][place])}</circle>"
        )
        parts.append(text(x, y - 9, depths["text"][place], more=' class="t"'))
    return svg_text(title, HEIGHT, parts)
