"""A check as annotations of GitHub Actions: messages at the lines of the files that they are about."""

from __future__ import annotations

import os
import re
from typing import IO, TYPE_CHECKING

from ..documents.check import check_document
from . import table

if TYPE_CHECKING:
    from ...gate.findings import CheckReport, Finding

_PLACE = re.compile(r"(.+?):(\d+)(?::(\d+))?\Z")
_LEVELS = {"note": "notice", "published": "error", "budget": "error", "lock": "error", "error": "error"}


def render(report: CheckReport, out: IO[str], units: str = "iec") -> None:
    """Write the check as text for the job's log, and an annotation for each finding."""
    folder = _folder()
    table.render(check_document(report), out, units)
    for finding in report.findings:
        out.write(annotation(finding, folder=folder))
    for checked in report.sources:
        for finding in checked.findings:
            out.write(annotation(finding, checked.source, folder))


def _folder() -> str:
    """The current folder, relative to the top of the repository that a job of GitHub Actions has checked out."""
    top = os.environ.get("GITHUB_WORKSPACE")
    path = os.path.relpath(os.getcwd(), os.path.realpath(top)) if top else ""
    return "" if path.startswith(os.pardir) else path


def annotation(finding: Finding, source: str = "", folder: str = "") -> str:
    """``::error file=net.yaml,line=6,col=5,title=convcost: net.yaml::message``; GitHub joins paths to its own top.

    ``folder``: the folder that the finding's path starts from, relative to the top of the repository.
    """
    properties = []
    place = _PLACE.match(finding.where or "")
    if place:
        file, line, column = place.groups()
        file = os.path.normpath(os.path.join(folder, file))
        named = (("file", file), ("line", line), ("col", column))
        properties = [f"{name}={_property(value)}" for name, value in named if value]
    title = f"convcost: {source}" if source else "convcost"
    properties.append(f"title={_property(title)}")
    lines = [finding.message, *(f"{x.kind} {x.name}" for x in finding.changes[:10])]
    if len(finding.changes) > 10:
        lines.append(f"and {len(finding.changes) - 10} more layers")
    return f"::{_LEVELS[finding.kind]} {','.join(properties)}::{_data(chr(10).join(lines))}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
