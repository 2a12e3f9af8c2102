"""The page about the way from one network to another."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from ..documents.difference import changes_sheet, headline, notes, totals_sheet
from ..formats.html_table import table
from .sections import command_html
from .shell import Assets, page

if TYPE_CHECKING:
    from ...analysis.comparison.diff import Diff


def difference_page(diff: Diff, verbose: bool, command: Sequence[str], version: str) -> str:
    """The page as text; ``verbose``: every layer, none folded. Other arguments as for ``report_page``."""
    title = f"{diff.before.name} → {diff.after.name}"
    head = (
        f'<header><p class="kicker">difference</p><h1>{escape(title)}</h1>'
        f'<p class="headline">{escape(headline(diff, "iec"))}</p></header>'
    )
    changes = table(changes_sheet(diff.changes, verbose), "changes", "Changes and their costs") if diff.changes else ""
    totals = table(totals_sheet(diff), "totals", "Totals of both networks")
    said = "".join(f"<p>{escape(text)}</p>" for text in notes(diff, verbose))
    sections = [
        ("totals", "Before and after", f'<div class="wide">{totals}</div>{said}'),
        ("made", "How this page was generated", command_html(command, version)),
    ]
    if changes:
        sections.insert(0, ("changes", "Changes", f'<div class="wide">{changes}</div>'))
    return page(f"{title}: differences", sections, head, {"charts": []}, Assets())
