"""How every chart looks: one colour per group, told apart by the colour-blind, on light and on dark ground."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from ...analysis.layers import LayerRecord

COLOURS = {
    "conv": "#0b76bd", "fc": "#c8500f", "attention": "#cc79a7", "norm": "#5cb8e6", "activation": "#0aa67a",
    "pool": "#e6a50f", "other": "#9097a3",
}  # fmt: skip
"""Near Okabe and Ito's palette; the two that are seen most are dark enough for white text on them."""

SERIES = ("#0b76bd", "#c8500f", "#0aa67a", "#cc79a7", "#e6a50f", "#5cb8e6", "#9a6fd8", "#9097a3")
"""Colours of networks beside each other, in their order."""

GREY = "#8b93a1"
"""Text and axes: legible on white and on black; a page may put its own colour there."""
GRID = "rgba(139, 147, 161, 0.25)"
NONE = "rgba(0,0,0,0)"

NAMES = {"conv": "convolution", "fc": "fully connected", "norm": "normalisation", "pool": "pooling"}
"""Groups whose word is short for something."""

MAX_LABEL = 40


class View(msgspec.Struct, frozen=True):
    """Another look at the same chart: what changes in its ``traces`` (one dict each) and in its ``layout``."""

    label: str
    traces: tuple[dict[str, Any], ...] = ()
    layout: dict[str, Any] = {}


class Chart(msgspec.Struct, frozen=True):
    """A chart as plain data: plotly's figure of dicts and lists, and one sentence on how to read it.

    ``views`` are looks that a reader can switch between; the figure shows the first. Without a figure, ``missing`` says
    why there is none. ``key`` and ``title`` come from the table of charts, unless the title depends on what is drawn.
    """

    note: str = ""
    figure: dict[str, Any] | None = None
    views: tuple[View, ...] = ()
    missing: str | None = None
    title: str = ""
    key: str = ""


def layout(height: int, **more: Any) -> dict[str, Any]:
    """The layout that all charts share, of this height in pixels, with what one of them adds."""
    return {
        "height": height,
        "autosize": True,
        "margin": {"l": 64, "r": 16, "t": 12, "b": 48},
        "paper_bgcolor": NONE,
        "plot_bgcolor": NONE,
        "font": {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 12, "color": GREY},
        "hoverlabel": {"align": "left", "font": {"size": 12}},
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "itemsizing": "constant"},
        **more,
    }


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """An axis with a quiet grid."""
    return {
        "title": {"text": title, "standoff": 8},
        "gridcolor": GRID,
        "zerolinecolor": GRID,
        "linecolor": GRID,
        "automargin": True,
        **more,
    }


def short(name: str, most: int = MAX_LABEL) -> str:
    """A name that a label has room for; its end says more than its middle."""
    return name if len(name) <= most else f"{name[: most // 3]}…{name[-(most - most // 3 - 1) :]}"


def ink(colour: str) -> str:
    """White or almost black, whichever is easier to read on this colour: at least 4.5 to 1 on all of ours."""
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue  # of WCAG 2.1
    return "#ffffff" if 1.05 / (luminance + 0.05) >= 4.5 else "#0b0f16"


def safe(text: str) -> str:
    """Text that plotly shows as it is: it reads a few tags and entities, and %{...} as a template."""
    return escape(re.sub(r"\s", " ", text), quote=False).replace("%{", "%&#123;")


def label(text: str, most: int = MAX_LABEL) -> str:
    """A name from a spec as a short, safe label."""
    return safe(short(text, most))


def arithmetic() -> Callable[[LayerRecord, str], str]:
    """A function that gives the arithmetic behind a layer's figure: ``("params") -> "weights + biases = 34,848 + 96"``.

    Equal layers are worked out once; where a layer's steps do not have the figure, the text is empty.
    """
    known: dict[tuple[int, int], dict[str, str]] = {}

    def told(layer: LayerRecord, step: str) -> str:
        key = (id(layer.node.op), id(layer.cost))
        if key not in known:
            steps = layer.node.op.steps(layer.cost.inputs, layer.cost.outputs)
            known[key] = {
                found.label: " = ".join(filter(None, (found.formula, found.substitution))).replace("*", " × ")
                for found in steps
            }
        return known[key].get(step, "")

    return told
