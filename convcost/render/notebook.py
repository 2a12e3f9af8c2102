"""Records as HTML for notebooks. All text is escaped."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from .formats.grid import spark_line
from .formats.html_table import table
from .sheet import Curve, Document, Paragraph, Sheet

_STYLE = (
    "<style>.convcost td,.convcost th{text-align:right;white-space:nowrap;padding:2px 9px}"
    ".convcost td:first-child,.convcost th:first-child{text-align:left}</style>"
)


def html(record: Any) -> str:
    """A record as a notebook shows it: its sentences, pictures, tables and curves."""
    first, *rest = (_part(part) for part in _DOCUMENTS[type(record).__name__](record).parts)
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
    from .charts import layers_chart
    from .charts.svg import picture

    return picture(layers_chart(record)) or ""


# --- each kind of record as a document; its renderer is imported when one is shown


def _report(record: Any) -> Document:
    from .documents.analysis import DEFAULT_COLUMNS, breakdown_sheet, headline, layer_sheet

    sheets = (breakdown_sheet(record), layer_sheet(record, None, DEFAULT_COLUMNS))
    return Document((Paragraph(headline(record), "headline"), *sheets))


def _comparison(record: Any) -> Document:
    from .documents.comparison import document

    return document(record)


def _diff(record: Any) -> Document:
    from .documents.difference import document

    return document(record)


def _memory(record: Any) -> Document:
    from .documents.memory import document

    return document(record)


def _fit(record: Any) -> Document:
    from .documents.fit import fit_document

    return fit_document([record])


def _roofline(record: Any) -> Document:
    from .documents.roofline import parts

    return Document(tuple(parts(record)))


def _profile(record: Any) -> Document:
    from .documents.profile import document

    return document(record)


def _validation(record: Any) -> Document:
    from .documents.validation import document

    return document([record])


_DOCUMENTS: dict[str, Callable[[Any], Document]] = {
    "Report": _report,
    "Comparison": _comparison,
    "Diff": _diff,
    "Memory": _memory,
    "Fit": _fit,
    "Roofline": _roofline,
    "Profile": _profile,
    "Validation": _validation,
}
