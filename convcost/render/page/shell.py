"""The frame of a page: head, style, scripts, and a policy that lets nothing else run."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from html import escape
from typing import Any

import msgspec

_FOLDER = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = ("core.js", "tables.js", "layers.js", "layout.js", "diagram.js", "charts.js")
MAX_TITLE = 120
NAMES = {"where": "Where", "claims": "Claims", "about": "Conventions"}
"""Headings that are too long for the bar above."""


@cache
def asset(name: str) -> str:
    """The text of a file that lies beside this module."""
    with open(os.path.join(_FOLDER, name), encoding="utf-8") as file:
        return file.read()


def as_script_data(value: Mapping[str, Any]) -> str:
    """JSON that may stand inside a script element: no text in it can end the element."""
    text = msgspec.json.encode(value).decode()
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def page(title: str, sections: Iterable[tuple[str, str, str]], head: str, data: Mapping[str, Any], plotly: str) -> str:
    """A page as text.

    Args:
        sections: (id, heading, HTML) in order.
        head: HTML above them.
        plotly: the text of plotly.js, or ``src:PATH`` for a file beside the page; "" where no chart is drawn.
    """
    shown = list(sections)
    code = "\n".join(asset(name) for name in SCRIPTS)
    linked = plotly.removeprefix("src:") if plotly.startswith("src:") else None
    inline = [code] if linked is not None else [code, plotly]
    drawing = f'<script src="{escape(linked)}"></script>' if linked is not None else f"<script>{plotly}</script>"
    if not data["charts"]:
        inline, drawing = [code], ""
    title = title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1] + "…"
    links = "".join(f'<a href="#{key}">{escape(NAMES.get(key, heading))}</a>' for key, heading, _ in shown)
    body = "".join(
        f'<section id="{key}" aria-labelledby="h-{key}"><h2 id="h-{key}">{escape(heading)}</h2>{html}</section>'
        for key, heading, html in shown
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(inline, linked is not None)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="generator" content="convcost">\n'
        f"<title>{escape(title)}</title>\n<style>{asset('page.css')}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#main">Skip to the content</a>\n'
        f'<nav class="bar" aria-label="Sections"><span class="links">{links}</span>'
        '<span class="tools"><button type="button" id="exact" aria-pressed="false" '
        'title="Show every digit">Exact</button><button type="button" id="theme" aria-pressed="false" '
        'title="Dark or light">Dark</button></span></nav>\n'
        f'<main id="main">\n{head}\n{body}\n</main>\n'
        "<noscript><p class='hint'>The layer table, the diagram and the charts need JavaScript; nothing is loaded from "
        "a network.</p></noscript>\n"
        f'<script type="application/json" id="data">{as_script_data(data)}</script>\n'
        f"<script>{code}</script>\n{drawing}\n</body>\n</html>\n"
    )


def _policy(scripts: Iterable[str], linked: bool) -> str:
    """Only the scripts of this page may run, by their hashes, and nothing may be fetched."""
    hashes = " ".join(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in scripts)
    # A page opened from a disk has no origin that 'self' could name.
    beside = " 'self' file:" if linked else ""
    return (
        f"default-src 'none'; script-src {hashes}{beside}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
