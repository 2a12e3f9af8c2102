"""What renderers write, and reading it back."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from typing import Any

from convcost import Report
from convcost.render import render
from convcost.render.documents.analysis import analysis_document

ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(report: Report, format: str, units: str = "iec", terminal: bool = False, **options: Any) -> str:
    """A report in one of the formats; ``options`` are those of ``analysis_document``."""
    out = Terminal() if terminal else io.StringIO()
    render(analysis_document(report, **options, style=units), format, out, units)
    return out.getvalue()


def table_rows(text: str) -> list[list[str]]:
    """Cells of the first table of a terminal's text; names and numbers hold no spaces."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.strip().startswith("──")) + 1
    rows = []
    for line in lines[start:]:
        if line.strip():
            rows.append(line.split())
        if line.split()[:1] == ["total"]:
            return rows
    return rows


def markdown_rows(text: str) -> list[list[str]]:
    """Cells of the first table of a Markdown text."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if re.match(r"\| :?-+:? \|", line)) + 1
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        cells = re.split(r"(?<!\\)\|", line)[1:-1]
        rows.append([re.sub(r"\\(.)", r"\1", cell.replace("&emsp;", "").strip(" *")) for cell in cells])
    return rows


def csv_rows(text: str) -> list[list[str]]:
    """Cells of a CSV without its heading."""
    return list(csv.reader(io.StringIO(text)))[1:]


class _Tables(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "tags are balanced"

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data


def html_tables(text: str) -> list[list[list[str]]]:
    """Cells of every table of an HTML text, headings included."""
    parser = _Tables()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser.tables


def whole(text: str) -> int:
    """A number as it is printed raw: thousands in groups, nothing rounded."""
    assert re.fullmatch(r"[0-9]{1,3}(,[0-9]{3})*|[0-9]+", text), text
    return int(text.replace(",", ""))
