"""The page about several networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from ... import units
from ..charts import Chart, ComparisonRecords, charts_of
from ..charts.networks import ERRORS
from ..documents.analysis import breakdown_sheet, headline
from ..documents.comparison import further, notes
from ..formats.html_table import number, table
from ..sheet import Document
from .data import chart_data
from .sections import chart_html, claims_html, command_html, conventions_html, document_html, reference
from .shell import Assets, page

if TYPE_CHECKING:
    from ...analysis.comparison.compare import Comparison
    from ...analysis.report import Report

_HEADS = (
    "Network", "Input", "Parameters", "Weights", "MACs", "FLOPs", "Activations", "Depth", "Top-1 error", "Top-5 error",
)  # fmt: skip
_KEYS = ("", "params", "", "macs", "flops", "activation_bytes", "", *ERRORS)
"""The quantities of the columns after the name, whose best values are highlighted."""


def comparison_page(
    reports: Sequence[Report],
    command: Sequence[str],
    assets: Assets,
    version: str,
    convention: str | None = None,
    charts: Sequence[Chart] | None = None,
    compared: Comparison | None = None,
    measured: Document | None = None,
) -> str:
    """The page as text; arguments as for ``report_page``.

    ``compared`` adds the tables of ``convcost compare``; ``measured`` adds figures of saved profiles.
    """
    drawn = tuple(charts or charts_of(ComparisonRecords(reports)))
    names = [row.name for row in compared.networks] if compared else [report.about.name for report in reports]
    short = names[0] if len(names) == 1 else f"{len(names)} networks"
    if len(", ".join(names)) <= 100:
        short = ", ".join(names)
    head = (
        f'<header><p class="kicker">comparison</p><h1>{escape(short)}</h1>'
        f'<p class="headline">{_summary(reports)}</p></header>'
    )
    missing = [chart for chart in drawn if chart.figure is None]
    sections = [
        ("networks", "Comparison", _table(reports, names, compared.best if compared else {})),
        *(_compared(compared) if compared else ()),
        *((chart.key, chart.title, chart_html(chart)) for chart in drawn if chart.figure is not None),
        *([("same", "Measured times by setting", document_html(measured))] if measured and measured.parts else ()),
        ("each", "The networks", "".join(_details(report, convention) for report in reports)),
        ("made", "How this page was generated", "".join(map(chart_html, missing)) + command_html(command, version)),
    ]
    return page(f"{short}: costs", sections, head, {"charts": chart_data(drawn)}, assets)


def _compared(found: Comparison) -> Iterator[tuple[str, str, str]]:
    """The further tables of a comparison as sections; the last one ends with the notes."""
    said = "".join(f"<p>{escape(text)}</p>" for text in notes(found))
    for key, sheet in further(found).items():
        drawn = f'<div class="wide">{table(sheet)}</div>'
        yield key, sheet.title, drawn + (said if key == "shares" else "")


def _summary(reports: Sequence[Report]) -> str:
    """The minimum and maximum of each quantity, in one sentence."""
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


def _table(reports: Sequence[Report], names: Sequence[str], best: Mapping[str, tuple[str, ...]]) -> str:
    heads = "".join(f'<th scope="col">{head}</th>' for head in _HEADS)
    rows = "".join(_row(report, name, best) for report, name in zip(reports, names, strict=True))
    return (
        '<div class="wide"><table class="networks sortable"><caption class="unseen">Comparison of networks</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(report: Report, name: str, best: Mapping[str, tuple[str, ...]]) -> str:
    totals = report.totals
    inputs = ", ".join(units.shape(shape) for shape in report.settings.input_shapes.values())
    cells = [
        escape(inputs), number(totals.params), number(totals.weight_bytes, "bytes"), number(totals.macs),
        number(totals.flops), number(totals.activation_bytes, "bytes"),
        f'<data value="{totals.depth}">{totals.depth}</data>', *(_error(report, kind) for kind in ERRORS),
    ]  # fmt: skip
    classes = [' class="best"' if name in best.get(key, ()) else "" for key in _KEYS]
    drawn = [f"<td{kind}>{cell}</td>" for cell, kind in zip(cells, classes, strict=True)]
    return f'<tr><th scope="row">{escape(name)}</th>' + "".join(drawn) + "</tr>"


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
