"""What all pictures share: the document with its style, texts, legends, ticks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape, unescape
from math import floor, log10
from re import sub

from .... import units

WIDTH = 860
# Under a class of its own, for in a notebook the style of one picture holds for the whole page.
_STYLE = (
    ".convcost-picture text{font:11px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:#57606a}"
    ".convcost-picture .t{font-weight:600}.convcost-picture .g{stroke:#8b93a1;stroke-opacity:.3;fill:none}"
    "@media (prefers-color-scheme:dark){.convcost-picture text{fill:#9aa4b2}}"
)


def svg_text(title: str, height: float, parts: Iterable[str]) -> str:
    """The picture as text; it follows the reader's choice of dark or light."""
    return (
        f'<svg class="convcost-picture" xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'style="max-width:100%;height:auto" aria-label="{escape(title)}"><style>{_STYLE}</style>{"".join(parts)}</svg>'
    )


def text(x: float, y: float, shown: str, anchor: str = "middle", more: str = "") -> str:
    """A text that is written for plotly, which escapes names and reads tags."""
    return f'<text text-anchor="{anchor}" x="{x:.1f}" y="{y:.1f}"{more}>{escape(unescape(shown))}</text>'


def told(hover: str) -> str:
    """What plotly would say over a shape, as its title."""
    return f"<title>{escape(unescape(sub('<[^>]*>', ' ', hover.replace('<br>', '; '))))}</title>"


def legend(entries: Iterable[tuple[str, str]], x: float) -> Iterator[str]:
    """(name, colour) of each, in a row from ``x``."""
    for name, colour in entries:
        yield f'<rect x="{x:.0f}" y="8" width="11" height="11" rx="2" fill="{colour}"/>'
        yield text(x + 16, 18, name, "start")
        x += 34 + 6.2 * len(unescape(name))


def ticks(most: float) -> list[int]:
    """Three or four round numbers up to ``most``."""
    power = 10 ** max(0, floor(log10(max(1, most))))
    steps = [power * part // 10 for part in (2, 5, 10, 20, 50)]
    step = next(step for step in steps if step and most <= 4 * step)
    return list(range(0, floor(most) + 1, step))


def tick(value: int, suffix: str = "") -> str:
    """A round number as an axis shows it: 2G, 500 kB."""
    if suffix == "B":
        return units.size(value, "si").replace(".00", "")
    for factor, letter in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "K")):
        if value >= factor:
            return f"{value / factor:g}{letter}{suffix}"
    return f"{value}{suffix}"
