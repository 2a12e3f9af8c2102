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
SCRIPTS = ("core.js", "tables.js", "layers.js", "layout.js", "diagram.js", "tree.js", "charts.js")
MAX_TITLE = 120
NAMES = {
    "where": "By layer", "roofline": "Roofline", "claims": "Claims", "about": "Conventions", "shares": "Conv and FC",
}  # fmt: skip
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


class Assets(msgspec.Struct, frozen=True):
    """Where a page has its style and scripts: inside it, with ``plotly`` the text of plotly.js, or in a ``folder``."""

    plotly: str = ""
    folder: str = ""


def code() -> str:
    """The page's own script."""
    return "\n".join(asset(name) for name in SCRIPTS)


def shared_files(plotly: str) -> dict[str, str]:
    """What lies in a folder that pages share, by name."""
    return {"page.css": asset("page.css"), "page.js": code(), "plotly.min.js": plotly}


def page(
    title: str, sections: Iterable[tuple[str, str, str]], head: str, data: Mapping[str, Any], assets: Assets
) -> str:
    """A page as text.

    Args:
        sections: (id, heading, HTML) in order.
        head: HTML above them.
        data: what the script reads; where it holds no charts, plotly.js is left out.
    """
    shown = list(sections)
    drawn = bool(data["charts"])
    if assets.folder:
        folder = escape(assets.folder)
        names = ["page.js", *(["plotly.min.js"] if drawn else [])]
        scripts = "\n".join(f'<script src="{folder}/{name}"></script>' for name in names)
        style = f'<link rel="stylesheet" href="{folder}/page.css">'
        # A page opened from a disk has no origin that 'self' could name.
        policy = "script-src 'self' file:; style-src 'unsafe-inline' 'self' file:"
    else:
        texts = [code(), *([assets.plotly] if drawn else [])]
        scripts = "\n".join(f"<script>{text}</script>" for text in texts)
        style = f"<style>{asset('page.css')}</style>"
        policy = f"script-src {' '.join(map(_hash, texts))}; style-src 'unsafe-inline'"
    title = title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1] + "…"
    links = "".join(f'<a href="#{key}">{escape(NAMES.get(key, heading))}</a>' for key, heading, _ in shown)
    body = "".join(
        f'<section id="{key}" aria-labelledby="h-{key}"><h2 id="h-{key}">{escape(heading)}</h2>{html}</section>'
        for key, heading, html in shown
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; {policy}; '
        "img-src data: blob:; base-uri 'none'; form-action 'none'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="generator" content="convcost">\n'
        f"<title>{escape(title)}</title>\n{style}\n</head>\n<body>\n"
        '<a class="skip" href="#main">Skip to the content</a>\n'
        f'<nav class="bar" aria-label="Sections"><span class="links">{links}</span>'
        '<span class="tools"><button type="button" id="exact" aria-pressed="false" '
        'title="Show every digit">Exact</button><button type="button" id="theme" aria-pressed="false" '
        'title="Dark or light">Dark</button></span></nav>\n'
        f'<main id="main">\n{head}\n{body}\n</main>\n'
        "<noscript><p class='hint'>The layer table, the diagram and the charts need JavaScript; nothing is loaded from "
        "a network.</p></noscript>\n"
        f'<script type="application/json" id="data">{as_script_data(data)}</script>\n'
        f"{scripts}\n</body>\n</html>\n"
    )


def _hash(script: str) -> str:
    """What the policy knows a script by: only those of the page may run, and nothing may be fetched."""
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
