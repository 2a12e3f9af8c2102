"""The index of a folder of reports, as an HTML page or as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from ... import units
from ..charts.networks import ERRORS
from ..formats.html_table import number
from ..formats.markdown import escape as markdown
from .shell import Assets, page

if TYPE_CHECKING:
    from ...analysis.report import Report

_HEADS = (
    "Network", "Year", "Input", "Params", "Weights (MB)", "Weights (MiB)", "Activations", "MACs", "Top-1 error",
    "Top-5 error", "Published figures that differ",
)  # fmt: skip


def file_name(name: str) -> str:
    """The file name for a network, without suffix."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:80].strip(".-") or "network"


def differing(report: Report) -> str:
    """Number of published figures that differ: "2 of 11"."""
    checked = [claim for claim in report.published if claim.verdict != "unchecked"]
    return f"{sum(1 for claim in checked if claim.verdict == 'differs')} of {len(checked)}" if checked else ""


def master_rows(reports: Sequence[Report]) -> list[list[str]]:
    """The cells of the master table after the name, as texts."""
    rows = []
    for report in reports:
        totals = report.totals
        errors = [report.about.error(kind) for kind in ERRORS]
        rows.append([
            str(report.about.year or ""),
            ", ".join(units.shape(shape[1:]) for shape in report.settings.input_shapes.values()),
            units.count(totals.params),
            units.size(totals.weight_bytes, "si"),
            units.size(totals.weight_bytes),
            units.size(totals.activation_bytes),
            units.count(totals.macs),
            *("" if error is None else f"{error:g}%" for error in errors),
            differing(report),
        ])  # fmt: skip
    return rows


def master_table(reports: Sequence[Report], links: Sequence[str]) -> str:
    """The master table as Markdown, each network linked to its report."""
    lines = ["| " + " | ".join(_HEADS) + " |", "|:---|" + "---:|" * (len(_HEADS) - 1)]
    for report, link, row in zip(reports, links, master_rows(reports), strict=True):
        lines.append("| " + " | ".join([f"[{markdown(report.about.name)}]({link})", *map(markdown, row)]) + " |")
    return "\n".join(lines)


def markdown_index(reports: Sequence[Report], links: Sequence[str]) -> str:
    """The list of reports as a Markdown file."""
    return f"# Reports\n\n{master_table(reports, links)}\n"


def html_index(reports: Sequence[Report], links: Sequence[str], assets: str | None = None) -> str:
    """The list of reports as a page. ``assets``: folder of style and scripts; None: they are in the page."""
    heads = "".join(f'<th scope="col">{head}</th>' for head in _HEADS)
    rows = "".join(map(_row, reports, links, master_rows(reports)))
    table = (
        '<div class="wide"><table class="networks sortable"><caption class="unseen">All networks</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
    head = f"<header><p class='kicker'>convcost</p><h1>Costs of {len(reports)} networks</h1></header>"
    sections = [("networks", "All networks", table)]
    return page("Costs of networks", sections, head, {"charts": []}, Assets(folder=assets or ""))


def _row(report: Report, link: str, texts: Sequence[str]) -> str:
    totals = report.totals
    exact = {
        2: number(totals.params), 3: f'<data value="{totals.weight_bytes}">{texts[3]}</data>',
        4: number(totals.weight_bytes, "bytes"), 5: number(totals.activation_bytes, "bytes"), 6: number(totals.macs),
    }  # fmt: skip
    cells = [exact.get(place, _plain(text)) for place, text in enumerate(texts)]
    name = f'<th scope="row"><a href="{escape(link)}">{escape(report.about.name)}</a></th>'
    return f"<tr>{name}" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _plain(text: str) -> str:
    value = re.match(r"[0-9.]+(?=%|\Z| of )", text)
    return f'<data value="{value.group()}">{escape(text)}</data>' if value else escape(text)
