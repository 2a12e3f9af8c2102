"""Charts as SVG text without a browser: the same figures, drawn plainly, for Markdown, READMEs and notebooks."""

from __future__ import annotations

from ..style import Chart
from .layers import bars
from .networks import circles, years
from .stacks import stacks

_DRAWN = {"layers": bars, "split": stacks, "totals": stacks, "bubble": circles, "depth": years}


def picture(chart: Chart) -> str | None:
    """The chart as an SVG document; None if it has no figure, or there are no pictures of its kind."""
    draw = _DRAWN.get(chart.key)
    return None if chart.figure is None or draw is None else draw(chart.title, chart.figure)
