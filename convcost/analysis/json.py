"""The common form of convcost's JSON output: a schema version, the version of convcost, and unscaled numbers."""

from __future__ import annotations

from typing import Any

import msgspec

from ..version import __version__

SCHEMA = 1
"""The version of the JSON schema. Within one version keys are only added."""


def versioned(content: dict[str, Any]) -> dict[str, Any]:
    """``content`` preceded by the keys "schema" and "convcost", with which all JSON output begins."""
    return {"schema": SCHEMA, "convcost": __version__, **content}


def encoded(content: dict[str, Any], indent: int = 2) -> str:
    """JSON text, indented by ``indent`` spaces; 0 gives a single line."""
    line = msgspec.json.encode(content)
    return (msgspec.json.format(line, indent=indent) if indent else line).decode()
