"""Which packages are installed in another version than constraints.txt pins."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"


def other_versions(*names: str) -> list[str]:
    """The packages among ``names`` that are not of the pinned version; a local version (2.13.0+cpu) is the same."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line and line[0] != "#")
    found = []
    for name in names:
        try:
            installed = version(name).partition("+")[0]
        except PackageNotFoundError:
            installed = "missing"
        if installed != pinned[name]:
            found.append(f"{name} {installed} (pinned: {pinned[name]})")
    return found
