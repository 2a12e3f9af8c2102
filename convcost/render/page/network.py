"""The page about one network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from ..charts import Chart, NetworkRecords, charts_of
from ..documents.analysis import breakdown_sheet, headline
from ..formats.html_table import table
from ..sheet import Document
from .data import chart_data, layer_data
from .sections import (
    cards,
    chart_html,
    claims_html,
    command_html,
    conventions_html,
    document_html,
    reference,
    roofline_html,
    settings,
    warnings_html,
)  # fmt: skip
from .shell import Assets, asset, page

if TYPE_CHECKING:
    from ...analysis.explain import Explanation
    from ...analysis.report import Report
    from ...analysis.roofline import Roofline


def report_page(
    report: Report,
    explanations: Sequence[Explanation],
    command: Sequence[str],
    assets: Assets,
    version: str,
    convention: str | None = None,
    charts: Sequence[Chart] | None = None,
    roofline: Roofline | None = None,
    measured: Document | None = None,
) -> str:
    """The page as text.

    Args:
        explanations: of every layer, in order.
        command: the words of the command that generates this page.
        assets: where style and scripts are.
        version: of convcost.
        charts: the charts to draw; default: those of the report.
        roofline: its text and tables are shown beside its chart.
        measured: a profile, in a section of its own.
    """
    drawn = {chart.key: chart for chart in charts or charts_of(NetworkRecords(report))}
    html = {key: chart_html(chart) for key, chart in drawn.items()}
    if roofline is not None:
        html["roofline"] = roofline_html(roofline, html["roofline"])
    title = report.about.title or report.about.name
    head = (
        f'<header><p class="kicker">{escape(report.about.name)}</p><h1>{escape(title)}</h1>'
        f'<p class="headline">{escape(headline(report))}</p>{reference(report)}{settings(report)}'
        f"{warnings_html(_warnings(report))}{cards(report)}</header>"
    )
    groups = f'<div class="wide">{table(breakdown_sheet(report), "groups", "Sums by group of layers")}</div>'
    missing = [key for key, chart in drawn.items() if chart.figure is None]
    sections = [
        ("where", "Parameters, MACs and activation memory by layer", html["layers"]),
        ("groups", "By group", html["split"] + groups),
        ("diagram", "Architecture", asset("diagram.html")),
        ("tree", drawn["tree"].title, html["tree"]),
        *([("measured", "Measured", document_html(measured))] if measured else []),
        ("table", "Layers", asset("layers.html")),
        *((key, drawn[key].title, html[key]) for key in drawn
          if key not in ("layers", "split", "tree") and key not in missing),
        ("claims", "Published figures", claims_html(report)),
        ("about", "What the numbers mean", conventions_html(report, convention)
         + "".join(html[key] for key in missing if key not in ("layers", "split", "tree"))
         + command_html(command, version)),
    ]  # fmt: skip
    data = {**layer_data(report, explanations), "charts": chart_data(tuple(drawn.values()))}
    return page(f"{title}: costs", sections, head, data, assets)


def _warnings(report: Report) -> list[str]:
    """The report's warnings, and operators that are not counted."""
    coverage = report.coverage
    missing = [
        f"Not counted, because there is no cost rule: {name} ({times} times)" for name, times in coverage.unmodelled
    ]
    return [*missing, *report.warnings]
