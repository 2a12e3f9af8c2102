"""Reports as JSON: raw integers under versioned keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from .memory import Memory
    from .records import Report
    from .roofline import Roofline

SCHEMA = 1
"""Version of the JSON; fields are only added within a version."""


def content(report: Report, convention: str | None) -> dict[str, Any]:
    """What the JSON of a report holds; ``convention`` adds the total as others print it."""
    about = report.about
    found = {
        "architecture": {
            "name": about.name,
            "title": about.title,
            "family": about.family,
            "source": about.source,
            "reference": about.reference,
            "accuracy": about.accuracy,
        },
        "settings": report.settings,
        "convention": report.convention(convention) if convention else None,
        "totals": report.totals,
        "breakdown": report.breakdown,
        "layers": [layer.to_dict() for layer in report.layers],
        "published": report.published,
        "coverage": report.coverage,
        "warnings": report.warnings,
    }
    return versioned(found)


def versioned(found: dict[str, Any]) -> dict[str, Any]:
    """What any JSON of convcost begins with, and then this."""
    from .. import __version__

    return {"schema": SCHEMA, "convcost": __version__, **found}


def text(
    report: Report, convention: str | None, indent: int, memory: Memory | None = None, roofline: Roofline | None = None
) -> str:
    """The content as text; ``indent`` 0 gives one line; ``memory`` and ``roofline`` stand under keys of their own."""
    more = {"memory": memory, "roofline": roofline}
    added = {key: record.to_dict() for key, record in more.items() if record is not None}
    return encoded({**content(report, convention), **added}, indent)


def encoded(found: dict[str, Any], indent: int = 2) -> str:
    """JSON text; ``indent`` 0 gives one line."""
    line = msgspec.json.encode(found)
    return (msgspec.json.format(line, indent=indent) if indent else line).decode()
