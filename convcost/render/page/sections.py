"""Sections of pages as HTML: totals, published figures, charts, conventions. All text is escaped here."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from ... import units
from ..charts import Chart
from ..documents.analysis import conventions, quantity_of
from ..documents.roofline import ceiling_sheet, contrast, group_sheet, meaning
from ..documents.roofline import headline as bound
from ..formats.html_table import number, table
from ..sheet import Document, Paragraph, Sheet

if TYPE_CHECKING:
    from ...analysis.records import Verdict
    from ...analysis.report import Report
    from ...analysis.roofline import Roofline

_ARXIV = re.compile(r"[0-9]{4}\.[0-9]{4,5}|[a-z-]+/[0-9]{7}")


def reference(report: Report) -> str:
    """Who published the network, where and when."""
    found = report.about.reference
    authors = found.get("authors")
    names = ", ".join(map(str, authors)) if isinstance(authors, list | tuple) else str(authors or "")
    parts = [escape(names), f"<cite>{escape(str(found['title']))}</cite>" if "title" in found else ""]
    parts.append(escape(str(found.get("year", ""))))
    arxiv = str(found.get("arxiv", ""))
    if _ARXIV.fullmatch(arxiv):
        parts.append(f'<a href="https://arxiv.org/abs/{arxiv}">arXiv {arxiv}</a>')
    shown = ", ".join(filter(None, parts))
    return f'<p class="reference">{shown}</p>' if shown else ""


def cards(report: Report) -> str:
    """The totals, as large figures."""
    totals = report.totals
    found = [
        ("Parameters", number(totals.params), f"{totals.buffers:,} buffers"),
        ("Weights", number(totals.weight_bytes, "bytes"), f"{units.size(totals.weight_bytes, 'si')}"),
        ("MACs", number(totals.macs), "multiply-accumulates"),
        ("FLOPs", number(totals.flops), "2 × MACs + other operations"),
        ("Activations", number(totals.activation_bytes, "bytes"), f"{units.size(totals.activation_bytes, 'si')}"),
        ("Depth", f'<data value="{totals.depth}">{totals.depth}</data>',
         f"weight layers of {totals.layers:,} operations"),
    ]  # fmt: skip
    shown = "".join(
        f"<div class='card'><dt>{name}</dt><dd>{value}</dd><dd class='sub'>{escape(sub)}</dd></div>"
        for name, value, sub in found
    )
    return f'<dl class="cards">{shown}</dl>'


def settings(report: Report) -> str:
    """What was analysed, as a row of small labels."""
    found = report.settings
    shapes = [f"{name} {units.shape(shape)}" for name, shape in found.input_shapes.items()]
    labels = [*shapes, f"batch {found.batch:,}", found.dtype, found.mode]
    shown = "".join(f"<span>{escape(text)}</span>" for text in labels)
    checked, differ = _counts(report)
    if differ:
        shown += f'<a href="#claims">{differ} of {checked} published figures differ from the computed ones</a>'
    return f"<p class='labels'>{shown}</p>"


def chart_html(chart: Chart) -> str:
    """The element in which the script draws a chart, or the reason why there is none."""
    if chart.figure is None:
        said = f"{chart.title}: not shown, because {chart.missing}."
        return f'<p class="hint" data-missing="{chart.key}">{escape(said)}</p>'
    buttons = "".join(
        f'<button type="button" aria-pressed="{"false" if place else "true"}" data-view="{place}">'
        f"{escape(view.label)}</button>"
        for place, view in enumerate(chart.views)
    )
    switch = f'<div class="switch" role="group" aria-label="{escape(chart.title)}: show">{buttons}</div>'
    height = chart.figure["layout"]["height"]
    return (
        f'<figure class="chart" data-chart="{chart.key}"><figcaption><span>{escape(chart.note)}</span>'
        f"{switch if chart.views else ''}</figcaption>"
        f'<div class="plot" style="min-height:{height}px" role="img" aria-label="{escape(chart.title)}. '
        f'{escape(chart.note)}"></div></figure>'
    )


def roofline_html(roofline: Roofline, chart: str) -> str:
    """The bound in words, its ``chart``, groups, peak rates and assumptions."""
    said, meant = (
        "".join(f"<p>{escape(text)}</p>" for text in texts)
        for texts in ((bound(roofline), *contrast(roofline)), meaning(roofline))
    )
    groups = table(group_sheet(roofline), "groups", "The bound by group of layers")
    ceilings = table(ceiling_sheet(roofline), "groups", "Peak rates")
    return f'{said}{chart}<div class="wide">{groups}</div><div class="wide">{ceilings}</div>{meant}'


def document_html(found: Document) -> str:
    """Any document as a section: its sentences and tables."""
    return "".join(
        f'<div class="wide">{table(part, "groups", part.title)}</div>'
        if isinstance(part, Sheet)
        else f"<p>{escape(part.marked)}</p>"
        for part in found.parts
        if isinstance(part, Sheet | Paragraph)
    )


def claims_html(report: Report) -> str:
    """Published figures with verdicts, each with what is known about it."""
    if not report.published:
        return '<p class="hint">There are no published figures of this network.</p>'
    rows = "".join(map(_claim, report.published))
    heads = ("Published", "Claimed", "Computed", "Verdict", "Source")
    checked, differ = _counts(report)
    said = (
        f"<p>{checked} of {len(report.published)} published figures could be checked; {differ} "
        f"{'differs' if differ == 1 else 'differ'} from the computed one.</p>"
    )
    # On a phone its rows are no rows of a table to a browser: the roles are said in words.
    headed = "".join(f'<th role="columnheader" scope="col">{head}</th>' for head in heads)
    return (
        f'{said}<div class="wide"><table class="claims" role="table">'
        '<caption class="unseen">Published figures</caption>'
        f'<thead role="rowgroup"><tr role="row">{headed}</tr></thead>'
        f'<tbody role="rowgroup">{rows}</tbody></table></div>'
    )


def _counts(report: Report) -> tuple[int, int]:
    """How many published figures were checked, and how many of them differ."""
    verdicts = [claim.verdict for claim in report.published if claim.verdict != "unchecked"]
    return len(verdicts), verdicts.count("differs")


def _claim(claim: Verdict) -> str:
    claimed = units.shape(claim.claimed) if isinstance(claim.claimed, tuple) else claim.claimed
    computed = claim.computed
    exact = (
        "" if computed is None
        else units.shape(computed) if isinstance(computed, tuple)
        else f'<data value="{computed}">{computed:,}</data>'
    )  # fmt: skip
    note = f'<div class="note">{escape(claim.note)}</div>' if claim.note else ""
    cells = (
        ("claimed", escape(claimed)), ("exact", exact),
        ("is", f'<span class="verdict">{escape(claim.verdict)}</span>'), ("source", escape(claim.source) + note),
    )  # fmt: skip
    row = "".join(f'<td role="cell" class="{kind}">{html}</td>' for kind, html in cells)
    return (
        f'<tr role="row" data-verdict="{escape(claim.verdict)}"><th role="rowheader" scope="row">'
        f"{escape(quantity_of(claim))}</th>{row}</tr>"
    )


def conventions_html(report: Report, convention: str | None) -> str:
    """What the numbers mean."""
    return "".join(f"<p>{escape(text)}</p>" for text in conventions(report, convention))


def command_html(words: Sequence[str], version: str) -> str:
    """The command that makes this page again."""
    text = shlex.join(words)
    return f'<p>convcost {escape(version)} makes this page with</p><pre><code id="command">{escape(text)}</code></pre>'


def warnings_html(texts: Iterable[str]) -> str:
    """Warnings, most visible."""
    shown = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<ul class="warnings" role="note" aria-label="Warnings">{shown}</ul>' if shown else ""
