"""The files of the suite: one JSON for each slice in a folder for each device, and a log of what each slice took."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from convcost.files import atomic_write

LOG = "slices.json"
SCHEMA = 1


def slug(device_name: str) -> str:
    """The folder of a device."""
    return re.sub(r"\W+", "-", device_name).strip("-").lower() or "device"


def write(path: Path, content: dict[str, Any]) -> None:
    """A file that is there in full or not at all; lists of figures on one line each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(str(path)) as file:
        file.write(text({"schema": SCHEMA, **content}))


def text(content: dict[str, Any]) -> str:
    """JSON with a line for each entry of the outermost lists: small, and good to compare."""
    parts = []
    for key, value in content.items():
        if isinstance(value, list) and value:
            inner = ",\n".join(json.dumps(each) for each in value)
            parts.append(f"{json.dumps(key)}: [\n{inner}\n]")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{" + ",\n".join(parts) + "}\n"


def read(path: Path) -> dict[str, Any] | None:
    """What a file holds; None if there is none, or no JSON object."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def is_done(folder: Path, name: str) -> bool:
    """Whether a slice is there as a whole: not one that was interrupted, or in which a run failed."""
    found = read(folder / f"{name}.json")
    return found is not None and not found.get("interrupted") and not failure(found)


def failure(content: dict[str, Any]) -> str:
    """Why one of a profile's runs failed, "" if none did; that memory ended is a result."""
    runs = content.get("runs", [])
    return next((run.get("note") or "failed" for run in runs if run.get("status") == "failed"), "")


class Log:
    """What became of each slice that was tried, and what it took; written after each."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOG
        self.slices: dict[str, dict[str, Any]] = (read(self.path) or {}).get("slices", {})

    def add(self, name: str, kind: str, status: str, seconds: float, estimate_s: float, error: str = "") -> None:
        """A slice that was tried."""
        entry = {"kind": kind, "status": status, "seconds": round(seconds, 1), "estimate_s": round(estimate_s, 1)}
        self.slices[name] = {**entry, "error": error} if error else entry
        write(self.path, {"kind": "gpu suite log", "slices": self.slices})

    def failed(self, name: str) -> bool:
        """Whether it failed when it was last tried."""
        return self.slices.get(name, {}).get("status") == "failed"

    def factor(self, kind: str) -> float:
        """What slices took over their estimate: the middle of those of this kind; else of all, but no less than 1."""
        known = [
            (entry["kind"], entry["seconds"] / entry["estimate_s"])
            for entry in self.slices.values()
            if entry["status"] == "done" and entry["estimate_s"]
        ]
        own = sorted(ratio for its, ratio in known if its == kind)
        every = sorted(ratio for _, ratio in known)
        if own:
            return own[len(own) // 2]
        return max(1.0, every[len(every) // 2]) if every else 1.0
