"""Lying bars, each divided by group: shares of one network, or several networks beside each other."""

from __future__ import annotations

from html import unescape
from typing import Any

from ..style import ink
from .frame import WIDTH, legend, svg_text, text, tick, ticks, told

ROW, BAR, TOP, BOTTOM, RIGHT = 36, 24, 30, 24, 30


def stacks(title: str, figure: dict[str, Any]) -> str:
    """The picture of ``split_chart``'s or ``totals_chart``'s figure."""
    traces, axis = figure["data"], figure["layout"]["xaxis"]
    names = [unescape(name).strip() for name in traces[0]["y"]]
    left = 20 + 6.2 * max(map(len, names))
    sums = [sum(values) for values in zip(*(trace["x"] for trace in traces), strict=True)]
    most = axis["range"][1] if "range" in axis else max(*sums, 1)
    bottom = TOP + ROW * len(names)
    parts = list(legend(((trace["name"], trace["marker"]["color"]) for trace in traces), left))
    for value in ticks(most):
        x = left + (WIDTH - left - RIGHT) * value / most
        parts.append(f'<path class="g" d="M{x:.1f} {TOP}V{bottom}"/>')
        parts.append(text(x, bottom + 15, tick(value, axis.get("ticksuffix", ""))))
    for row, name in enumerate(names):
        y = TOP + ROW * row + (ROW - BAR) / 2
        parts.append(text(left - 8, y + BAR / 2 + 4, name, "end"))
        x = left
        for trace in traces:
            width = (WIDTH - left - RIGHT) * trace["x"][row] / most
            colour = trace["marker"]["color"]
            if width:
                parts.append(
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BAR}" fill="{colour}">'
                    f"{told(trace['hovertext'][row])}</rect>"
                )
            if "text" in trace and trace["text"][row]:
                style = f' style="fill:{ink(colour)}"'
                parts.append(text(x + width / 2, y + BAR / 2 + 4, trace["text"][row], more=style))
            x += width
    return svg_text(title, bottom + BOTTOM, parts)
