"""Reports in a notebook: the headline, the breakdown and the layers as one HTML fragment."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from .analysis import DEFAULT_COLUMNS, breakdown_sheet, headline, layer_sheet
from .sheet import Line, Sheet, text_of

if TYPE_CHECKING:
    from ..analysis.records import Report


def notebook(report: Report) -> str:
    """HTML for ``Report._repr_html_``; all names are escaped."""
    sheets = (breakdown_sheet(report), layer_sheet(report, None, DEFAULT_COLUMNS))
    return f"<p><b>{escape(headline(report))}</b></p>" + "".join(_table(sheet) for sheet in sheets)


def _table(sheet: Sheet) -> str:
    heading = "".join(f"<th>{escape(column.heading or '%')}</th>" for column in sheet.columns)
    lines = "".join(_row(sheet, line) for line in (*sheet.lines, *([sheet.total] if sheet.total else [])))
    return f"<table><thead><tr>{heading}</tr></thead><tbody>{lines}</tbody></table>"


def _row(sheet: Sheet, line: Line) -> str:
    cells = []
    for position, (column, value) in enumerate(zip(sheet.columns, line.cells, strict=True)):
        style = f"padding-left:{1 + line.level}em;text-align:left" if position == 0 else "text-align:right"
        cells.append(f'<td style="{style}">{escape(text_of(value, column.unit, "iec"))}</td>')
    return f"<tr>{''.join(cells)}</tr>"
