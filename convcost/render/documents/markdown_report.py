"""Documents of Markdown reports, which end with the command that generates them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..charts.networks import ERRORS
from ..sheet import Column, Curve, Document, Line, Paragraph, Sheet
from .analysis import analysis_document, breakdown_sheet, claims, conventions, headline
from .roofline import roofline_parts

if TYPE_CHECKING:
    from ...analysis.report import Report
    from ...analysis.roofline import Roofline


def network_report(
    report: Report,
    command: Sequence[str],
    convention: str | None = None,
    pictures: Sequence[Paragraph] = (),
    roofline: Roofline | None = None,
    measured: Sequence[Paragraph | Sheet | Curve] = (),
) -> Document:
    """The report of one network. ``pictures``: images in the same folder. ``measured``: parts of a profile."""
    title = Paragraph(report.about.title or report.about.name, "title")
    first, *rest = analysis_document(report, convention=convention).parts
    bound = roofline_parts(roofline) if roofline is not None else ()
    found = (Paragraph("Measured", "section"), *measured) if measured else ()
    return Document((title, first, *pictures, *rest, *bound, *found, _made_by(command)))


def comparison_report(reports: Sequence[Report], command: Sequence[str], convention: str | None = None) -> Document:
    """The table of all networks, then the sums by group and the published figures of each."""
    parts: list[Paragraph | Sheet] = [Paragraph(", ".join(report.about.name for report in reports), "title")]
    parts.append(_side_by_side(reports))
    for report in reports:
        parts += [Paragraph(report.about.title or report.about.name, "section"), Paragraph(headline(report))]
        parts += [breakdown_sheet(report), *claims(report)]
        parts += [Paragraph(text, "warning") for text in report.warnings]
        parts += [Paragraph(text) for text in conventions(report, convention)]
    return Document((*parts, _made_by(command)))


def _made_by(command: Sequence[str]) -> Paragraph:
    return Paragraph(shlex.join(command), "command")


def _side_by_side(reports: Sequence[Report]) -> Sheet:
    columns = (
        Column("name", "Network"), Column("input", "Input", "shape"), Column("params", "Params", "count"),
        Column("weight_bytes", "Weights", "bytes"), Column("macs", "MACs", "count"), Column("flops", "FLOPs", "count"),
        Column("activation_bytes", "Activations", "bytes"), Column("depth", "Depth", "plain"),
        Column("top1_error", "Top-1 error", "plain"), Column("top5_error", "Top-5 error", "plain"),
    )  # fmt: skip
    lines = []
    for report in reports:
        totals = report.totals
        errors = [report.about.error(kind) for kind in ERRORS]
        lines.append(Line((
            report.about.name, next(iter(report.settings.input_shapes.values()), ()), totals.params,
            totals.weight_bytes, totals.macs, totals.flops, totals.activation_bytes, totals.depth,
            *(None if error is None else f"{error:g}%" for error in errors),
        )))  # fmt: skip
    return Sheet("", columns, tuple(lines))
