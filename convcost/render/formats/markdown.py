"""Writes documents as GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from typing import IO

from ..sheet import Curve, Document, Line, Paragraph, Sheet, text_of


def render(document: Document, out: IO[str], units: str = "iec") -> None:
    """Write the document as Markdown."""
    shown = [part for part in document.parts if not isinstance(part, Curve)]
    blocks = [_paragraph(part) if isinstance(part, Paragraph) else _table(part, units) for part in shown]
    out.write("\n\n".join(blocks) + "\n")


def _paragraph(part: Paragraph) -> str:
    if part.kind == "command":
        # A fence longer than any run of backticks inside: no argument ends the block.
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", part.text)), default=0))
        return f"Made by:\n\n{fence}console\n$ {part.text}\n{fence}"
    text = escape(part.text)
    if part.kind == "picture":
        return f"![{text}]({part.path})"
    return {
        "title": f"# {text}",
        "section": f"## {text}",
        "headline": f"**{text}**",
        "warning": f"> warning: {text}",
        "error": f"> {text}",
    }.get(part.kind, text)


def _table(sheet: Sheet, units: str) -> str:
    right = [column.unit not in ("text", "word", "shape") for column in sheet.columns]
    heading = [column.heading or ("%" if column.unit == "share" else "") for column in sheet.columns]
    rows = [heading, ["---:" if flag else ":---" for flag in right]]
    rows += [_cells(sheet, line, units) for line in sheet.lines]
    if sheet.total:
        rows.append([f"**{cell}**" if cell else "" for cell in _cells(sheet, sheet.total, units)])
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return f"### {escape(sheet.title)}\n\n{table}" if sheet.title else table


def _cells(sheet: Sheet, line: Line, units: str) -> list[str]:
    cells = [
        escape(text_of(value, column.unit, units)) for column, value in zip(sheet.columns, line.cells, strict=True)
    ]
    for best in line.best:
        cells[best] = f"**{cells[best]}**"
    cells[0] = "&emsp;" * line.level + cells[0]
    return cells


def escape(text: str) -> str:
    """Text that Markdown shows as it is: no table cell, tag or emphasis comes out of a name."""
    for letter in "\\`*_|<>[]":
        text = text.replace(letter, "\\" + letter)
    return text.replace("\n", " ")
