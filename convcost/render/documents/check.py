"""Document of a check: one line per source, then the findings with the layers that changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..sheet import Column, Document, Line, Paragraph, Sheet
from .difference import changes_sheet

if TYPE_CHECKING:
    from ...gate.findings import Checked, CheckReport, Finding

WORDS = {"ok": "ok", "differs": "differs", "error": "error"}
QUIET = 20
"""With more sources than this, sources without findings are counted but not listed."""


def check_document(report: CheckReport, verbose: bool = False) -> Document:
    """The output of ``convcost check``; ``verbose``: all sources and all changed layers."""
    parts: list[Paragraph | Sheet] = []
    listed = [x for x in report.sources if verbose or len(report.sources) <= QUIET or x.status != "ok"]
    if listed:
        parts.append(_table(listed))
    for finding in report.findings:
        parts += _finding(finding, verbose)
    for checked in report.sources:
        for finding in checked.findings:
            parts += _finding(finding, verbose, checked.source)
    parts.append(Paragraph(verdict(report), "headline"))
    return Document(tuple(parts))


def _table(sources: Sequence[Checked]) -> Sheet:
    columns = (
        Column("source", "Source"), Column("status", "Result", "word"), Column("params", "Params", "count"),
        Column("macs", "MACs", "count"), Column("activation_bytes", "Activations", "bytes"),
        Column("weight_file_bytes", "Weight file", "bytes"),
    )  # fmt: skip
    keys = [column.key for column in columns[2:]]
    kinds = {"ok": "agrees", "differs": "differs", "error": "differs"}
    lines = [
        Line((x.source, WORDS[x.status], *(x.figures.get(key) for key in keys)), kind=kinds[x.status]) for x in sources
    ]
    return Sheet("", columns, tuple(lines))


def _finding(finding: Finding, verbose: bool, source: str = "") -> Iterator[Paragraph | Sheet]:
    yield Paragraph(line(finding, source), "note" if finding.kind == "note" else "error")
    # The changes of a note are allowed, so its message names only a few layers.
    if finding.changes and (verbose or finding.kind != "note"):
        yield changes_sheet(finding.changes, verbose)


def line(finding: Finding, source: str = "") -> str:
    """A finding in one line, starting with its position, such as ``convcost.toml:4: net.yaml: params is 2 ...``."""
    message = finding.message
    place = f"{finding.where}: " if finding.where else ""
    kind = f"{finding.kind}: " if finding.kind == "note" else ""
    said = not source or source in message or place.startswith(f"{source}:")
    return place + ("" if said else f"{source}: ") + kind + message


def verdict(report: CheckReport) -> str:
    """The result of the check in a sentence."""
    states = [checked.status for checked in report.sources]
    fine = states.count("ok")
    words = f"{fine} of {len(states)} source{'' if len(states) == 1 else 's'} ok"
    if differing := states.count("differs"):
        words += f", {differing} differ{'s' if differing == 1 else ''}"
    if broken := states.count("error"):
        words += f", {broken} could not be checked"
    if report.findings:
        words += f", {len(report.findings)} other finding{'' if len(report.findings) == 1 else 's'}"
    if report.updated is not None:
        return f"{words}. {_written(report)}"
    if "differs" in states and report.lock:
        words += "; to accept the current figures, run convcost check --update"
    return words + "."


def _written(report: CheckReport) -> str:
    updated = report.updated or ()
    if not updated:
        return f"{report.lock} was up to date."
    names = ", ".join(updated[:8]) + (f" and {len(updated) - 8} more" if len(updated) > 8 else "")
    return f"Wrote {report.lock}: {names}."
