"""The result of a check: findings by source, and the exit status. A new kind of finding is an entry of ``Kind``."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ..analysis.comparison.changes import Change

Kind = Literal["budget", "lock", "published", "error", "note"]


class Finding(msgspec.Struct, frozen=True):
    """One result of a check.

    Args:
        kind: "budget" (a figure exceeds its budget), "lock" (a figure differs from the lock), "published" (a published
            figure or its verdict differs from the lock), "error" (the check failed) or "note" (no failure).
        message: a sentence for people.
        quantity: the key of the quantity; None if the finding is not about one.
        allowed: the bound, or the locked figure.
        found: the computed or measured figure.
        where: file and line that the finding refers to.
        changes: the layers that changed.
    """

    kind: Kind
    message: str
    quantity: str | None = None
    allowed: str | int | None = None
    found: int | float | None = None
    where: str | None = None
    changes: tuple[Change, ...] = ()


class Checked(msgspec.Struct, frozen=True):
    """One checked source. ``figures`` is empty if it could not be read; ``where`` is its line in the settings."""

    source: str
    where: str | None
    figures: dict[str, int]
    findings: tuple[Finding, ...]

    @property
    def status(self) -> Literal["ok", "differs", "error"]:
        """The most severe of its findings."""
        kinds = {finding.kind for finding in self.findings}
        return "error" if "error" in kinds else "differs" if kinds - {"note"} else "ok"


class CheckReport(msgspec.Struct, frozen=True):
    """The result of a check. ``findings``: those that belong to no source, such as mistakes in the settings."""

    config: str
    lock: str | None
    sources: tuple[Checked, ...]
    findings: tuple[Finding, ...]
    updated: tuple[str, ...] | None = None
    """After an update, the sources whose lock entries were added, changed or removed."""

    @property
    def exit_status(self) -> int:
        """0 if all checks passed, 1 if a figure differs or exceeds a budget, 2 if a check could not be made."""
        kinds = {finding.kind for finding in self.findings}
        states = {checked.status for checked in self.sources}
        if "error" in kinds or "error" in states:
            return 2
        return 1 if kinds - {"note"} or "differs" in states else 0

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data, as in the JSON; ``"schema": 1``."""
        from ..analysis.json import versioned

        content = {
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
        plain: dict[str, Any] = msgspec.to_builtins(versioned(content))
        return plain

    def to_json(self, indent: int = 2) -> str:
        """The result as JSON text."""
        from ..analysis.json import encoded

        return encoded(self.to_dict(), indent)
