"""Records as HTML for notebooks. All text is escaped."""

from __future__ import annotations

from html import escape
from typing import Any

from .documents import document_of
from .formats.grid import spark_line
from .formats.html_table import table
from .sheet import Curve, Paragraph, Sheet

_STYLE = (
    "<style>.convcost td,.convcost th{text-align:right;white-space:nowrap;padding:2px 9px}"
    ".convcost td:first-child,.convcost th:first-child{text-align:left}</style>"
)


def html(record: Any) -> str:
    """A record as a notebook shows it: its sentences, pictures, tables and curves."""
    first, *rest = (_part(part) for part in document_of(record).parts)
    return "".join((_STYLE, first, _picture(record), *rest))


def _part(part: Paragraph | Sheet | Curve) -> str:
    if isinstance(part, Sheet):
        return table(part, "convcost", part.title)
    if isinstance(part, Curve):
        return f"<pre>{escape(spark_line(part))}</pre>"
    text = escape(part.marked)
    return f"<p><b>{text}</b></p>" if part.kind in ("headline", "warning") else f"<p>{text}</p>"


def _picture(record: Any) -> str:
    if type(record).__name__ != "Report":
        return ""
    from .charts import CHARTS, NetworkRecords, picture

    return picture(CHARTS["layers"].drawn(NetworkRecords(record))) or ""
