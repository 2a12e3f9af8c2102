"""A check as JUnit XML: a test case for each source, for CI systems that show test results."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from ..documents.check import line
from ..documents.difference import fields_text

if TYPE_CHECKING:
    from ...gate.findings import CheckReport, Finding


def render(report: CheckReport, out: IO[str], units: str = "iec") -> None:
    """The check as JUnit XML. ``units`` changes nothing: figures are raw."""
    cases = [(checked.source, checked.findings, checked.where) for checked in report.sources]
    if report.findings:
        cases.insert(0, (report.config, report.findings, None))
    failures = sum(any(x.kind not in ("error", "note") for x in found) for _, found, _ in cases)
    errors = sum(any(x.kind == "error" for x in found) for _, found, _ in cases)
    counts = f'tests="{len(cases)}" failures="{failures}" errors="{errors}"'
    out.write('<?xml version="1.0" encoding="utf-8"?>\n')
    out.write(f'<testsuites name="convcost" {counts}>\n  <testsuite name="convcost check" {counts}>\n')
    for name, findings, where in cases:
        path, line_number, _ = where.rsplit(":", 2) if where else ("", "", "")
        file = f" file={quoteattr(path)} line={quoteattr(line_number)}" if where else ""
        out.write(f'    <testcase classname="convcost.check" name={quoteattr(_clean(name))}{file} time="0">\n')
        for finding in findings:
            out.write(_element(finding, name))
        out.write("    </testcase>\n")
    out.write("  </testsuite>\n</testsuites>\n")


def _element(finding: Finding, source: str) -> str:
    text = _clean("\n".join([line(finding, source), *map(_change, finding.changes)]))
    if finding.kind == "note":
        return f"      <system-out>{escape(text)}</system-out>\n"
    tag = "error" if finding.kind == "error" else "failure"
    message = quoteattr(_clean(finding.message))
    return f'      <{tag} type="{finding.kind}" message={message}>{escape(text)}</{tag}>\n'


def _change(change: object) -> str:
    fields = fields_text(change) or change.op  # type: ignore[attr-defined, arg-type]
    return f"{change.kind} {change.name}: {fields}"  # type: ignore[attr-defined]


def _clean(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return "".join(letter for letter in text if letter in "\t\n" or letter >= " ")
