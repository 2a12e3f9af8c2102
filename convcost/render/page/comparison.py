"""The page about several networks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from ... import units
from ..analysis import breakdown_sheet, headline
from ..charts import Chart, network_charts
from ..charts.networks import ERRORS
from ..html_table import number, table
from .data import chart_data
from .sections import chart_html, claims_html, command_html, conventions_html, reference
from .shell import Assets, page

if TYPE_CHECKING:
    from ...analysis.records import Report

_HEADS = (
    "Network", "Input", "Parameters", "Weights", "MACs", "FLOPs", "Activations", "Depth", "Top-1 error", "Top-5 error",
)  # fmt: skip


def comparison_page(
    reports: Sequence[Report],
    command: Sequence[str],
    assets: Assets,
    version: str,
    convention: str | None = None,
    charts: Sequence[Chart] | None = None,
) -> str:
    """The page as text; arguments as for ``report_page``."""
    drawn = tuple(charts or network_charts(reports))
    names = ", ".join(report.about.name for report in reports)
    short = names if len(names) <= 100 else f"{len(reports)} networks"
    head = (
        f'<header><p class="kicker">comparison</p><h1>{escape(short)}</h1>'
        f'<p class="headline">{_summary(reports)}</p></header>'
    )
    missing = [chart for chart in drawn if chart.figure is None]
    sections = [
        ("networks", "Side by side", _table(reports)),
        *((chart.key, chart.title, chart_html(chart)) for chart in drawn if chart.figure is not None),
        ("each", "Each network", "".join(_details(report, convention) for report in reports)),
        ("made", "How this page was made", "".join(map(chart_html, missing)) + command_html(command, version)),
    ]
    return page(f"{short}: what they cost", sections, head, {"charts": chart_data(drawn)}, assets)


def _summary(reports: Sequence[Report]) -> str:
    """The least and the most of each quantity, in one sentence."""
    parts = []
    for key, name, unit in (
        ("params", "Parameters", "count"), ("macs", "MACs", "count"), ("activation_bytes", "activations", "bytes"),
    ):  # fmt: skip
        ordered = sorted(reports, key=lambda report, key=key: getattr(report.totals, key))  # type: ignore[misc]
        least, most = (
            f"{number(getattr(report.totals, key), unit)} ({escape(report.about.name)})"
            for report in (ordered[0], ordered[-1])
        )
        parts.append(f"{name} from {least} to {most}")
    return "; ".join(parts) + "."


def _table(reports: Sequence[Report]) -> str:
    heads = "".join(f'<th scope="col">{head}</th>' for head in _HEADS)
    rows = "".join(map(_row, reports))
    return (
        '<div class="wide"><table class="networks sortable"><caption class="unseen">The networks side by side</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(report: Report) -> str:
    totals = report.totals
    inputs = ", ".join(units.shape(shape) for shape in report.settings.input_shapes.values())
    cells = [
        escape(inputs), number(totals.params), number(totals.weight_bytes, "bytes"), number(totals.macs),
        number(totals.flops), number(totals.activation_bytes, "bytes"),
        f'<data value="{totals.depth}">{totals.depth}</data>', *(_error(report, kind) for kind in ERRORS),
    ]  # fmt: skip
    return f'<tr><th scope="row">{escape(report.about.name)}</th>' + "".join(f"<td>{c}</td>" for c in cells) + "</tr>"


def _error(report: Report, kind: str) -> str:
    error = report.about.error(kind)
    if error is None:
        return ""
    where = f"{report.about.accuracy.get('dataset', '')}, {report.about.accuracy.get('source', '')}"
    return f'<data class="error" value="{error:g}" title="{escape(where)}">{error:g}%</data>'


def _details(report: Report, convention: str | None) -> str:
    groups = table(breakdown_sheet(report), "groups", "Sums by group of layers")
    return (
        f"<details><summary>{escape(report.about.title or report.about.name)}</summary>"
        f"<p>{escape(headline(report))}</p>{reference(report)}"
        f'<div class="wide">{groups}</div>{claims_html(report)}{conventions_html(report, convention)}</details>'
    )
