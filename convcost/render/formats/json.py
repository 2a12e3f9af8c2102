"""What a command shows as JSON: raw integers, indented."""

from __future__ import annotations

from typing import IO, Any

from ...analysis.json import encoded


def render(content: Any, out: IO[str], units: str = "iec") -> None:
    """Write a dict, or a record by its own ``to_json``. ``units`` changes nothing: figures are raw."""
    text = content.to_json() if hasattr(content, "to_json") else encoded(content)
    out.write(text.rstrip("\n") + "\n")
