"""Sheets as HTML tables, for notebooks and pages. A number carries every digit, however short it is shown."""

from __future__ import annotations

from html import escape
from typing import Any

from ... import units
from ..sheet import Column, Line, Sheet, text_of


def table(sheet: Sheet, kind: str = "", caption: str = "") -> str:
    """A sheet as a table of this CSS class; ``caption`` is its name for screen readers."""
    heading = "".join(f'<th scope="col">{escape(column.heading or "%")}</th>' for column in sheet.columns)
    lines = "".join(_row(sheet, line) for line in sheet.lines)
    foot = f"<tfoot>{_row(sheet, sheet.total)}</tfoot>" if sheet.total else ""
    named = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<table class="{escape(kind)}">{named}<thead><tr>{heading}</tr></thead><tbody>{lines}</tbody>{foot}</table>'


def _row(sheet: Sheet, line: Line) -> str:
    cells = []
    for position, (column, value) in enumerate(zip(sheet.columns, line.cells, strict=True)):
        if position == 0:
            style = f' style="padding-left:{line.level}em"' if line.level else ""
            name = escape(text_of(value, column.unit, "iec"))
            cells.append(f'<th scope="row"{style}>{_marked(name, line.kind)}</th>')
        else:
            best = ' class="best"' if position in line.best else ""
            cells.append(f"<td{_share(column, value)}{best}>{cell(value, column.unit)}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _marked(name: str, kind: str) -> str:
    return f'<span class="group" data-group="{escape(kind)}">{name}</span>' if kind and kind != "block" else name


def _share(column: Column, value: Any) -> str:
    if column.unit != "share" or not value or not value[1]:
        return ""
    return f' class="share" style="--share:{100 * value[0] / value[1]:.3f}%"'


def cell(value: Any, unit: str) -> str:
    """A value as HTML: a count or a size as ``<data>`` with its exact integer, anything else as text."""
    if unit in ("count", "bytes") and isinstance(value, int):
        return number(value, unit)
    if unit.startswith("delta") and isinstance(value, int):
        exact = f"{value:+,}" if value else "0"
        suffix = " bytes" if unit == "delta_bytes" else ""
        return f'<data value="{value}" title="{exact}{suffix}">{escape(text_of(value, unit, "iec"))}</data>'
    return escape(text_of(value, unit, "iec"))


def number(value: int, unit: str = "count") -> str:
    """An integer, shown short: ``<data value="138357544" title="138,357,544">138.36M</data>``."""
    shown = units.size(value) if unit == "bytes" else units.count(value)
    suffix = " bytes" if unit == "bytes" else ""
    return f'<data value="{value}" title="{units.count(value, "raw")}{suffix}">{escape(shown)}</data>'
