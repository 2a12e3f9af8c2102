"""Records as JSON: raw integers under versioned keys."""

from __future__ import annotations

from typing import Any

import msgspec

from ..version import __version__

SCHEMA = 1
"""Version of the JSON; fields are only added within a version."""


def versioned(content: dict[str, Any]) -> dict[str, Any]:
    """``content`` behind the keys that every JSON of convcost begins with."""
    return {"schema": SCHEMA, "convcost": __version__, **content}


def encoded(content: dict[str, Any], indent: int = 2) -> str:
    """JSON text; ``indent`` 0 gives one line."""
    line = msgspec.json.encode(content)
    return (msgspec.json.format(line, indent=indent) if indent else line).decode()
