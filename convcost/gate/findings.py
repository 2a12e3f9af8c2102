"""What a check gives: findings by source, and an exit status."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ..analysis.comparison.changes import Change

Kind = Literal["budget", "lock", "published", "error", "note"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that a check has to say.

    ``kind``: "budget" and "lock" (a figure is not what it may be), "published" (a published figure or its verdict is
    another), "error" (it could not be checked), or "note" (nothing is wrong). ``allowed`` is the bound or what is
    locked; ``found`` our figure. ``where``: file and line that it is about. ``changes``: the layers behind it.
    """

    kind: Kind
    message: str
    quantity: str | None = None
    allowed: str | int | None = None
    found: int | float | None = None
    where: str | None = None
    changes: tuple[Change, ...] = ()


class Checked(msgspec.Struct, frozen=True):
    """One source: its figures, none if it could not be read, and findings. ``where``: its line in the settings."""

    source: str
    where: str | None
    figures: dict[str, int]
    findings: tuple[Finding, ...]

    @property
    def status(self) -> Literal["ok", "differs", "error"]:
        """The worst of its findings."""
        kinds = {finding.kind for finding in self.findings}
        return "error" if "error" in kinds else "differs" if kinds - {"note"} else "ok"


class CheckReport(msgspec.Struct, frozen=True):
    """A whole check. ``findings``: those that belong to no source, such as mistakes in the settings."""

    config: str
    lock: str | None
    sources: tuple[Checked, ...]
    findings: tuple[Finding, ...]
    updated: tuple[str, ...] | None = None
    """With an update: the sources whose entries in the lock are new, changed or gone."""

    @property
    def exit_status(self) -> int:
        """0: all is well; 1: something differs; 2: something could not be checked."""
        kinds = {finding.kind for finding in self.findings}
        states = {checked.status for checked in self.sources}
        if "error" in kinds or "error" in states:
            return 2
        return 1 if kinds - {"note"} or "differs" in states else 0

    def to_dict(self) -> dict[str, Any]:
        """The check as in the JSON; ``"schema": 1``."""
        from ..analysis.json import versioned

        found = {
            "config": self.config,
            "lock": self.lock,
            "exit_status": self.exit_status,
            "findings": self.findings,
            "sources": [
                {"source": x.source, "status": x.status, "where": x.where, "figures": x.figures, "findings": x.findings}
                for x in self.sources
            ],
            "updated": self.updated,
        }
        plain: dict[str, Any] = msgspec.to_builtins(versioned(found))
        return plain

    def to_json(self, indent: int = 2) -> str:
        """The check as JSON text."""
        from ..analysis.json import encoded

        return encoded(self.to_dict(), indent)
