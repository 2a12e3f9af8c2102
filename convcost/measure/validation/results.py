"""What a validation gives: frozen records. They hold figures and reasons, and know nothing of PyTorch."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ...display import Shown

Value = int | str | tuple[str, ...] | None
"""A figure, a shape as text, or several of them; None where one side has none."""

Status = Literal["agrees", "explained", "differs", "not run"]


class Difference(msgspec.Struct, frozen=True):
    """One figure on which the two sides do not agree, and the likely reason; ``layer`` "" is the whole network."""

    layer: str
    op: str
    ours: Value
    theirs: Value
    reason: str = ""


class Explained(msgspec.Struct, frozen=True):
    """Layers where the other side counts by another rule, and its figure is exactly what that rule gives.

    ``ours`` and ``theirs`` are sums over these ``layers``; ``first`` is one of them.
    """

    reason: str
    layers: int
    ours: int
    theirs: int
    first: str


class Check(msgspec.Struct, frozen=True):
    """One quantity, layer by layer, against one witness.

    ``compared`` layers, of which ``equal`` are; ``ours`` and ``theirs`` are totals. ``note`` says why it was not run.
    """

    quantity: str
    witness: str
    compared: int = 0
    equal: int = 0
    ours: int | None = None
    theirs: int | None = None
    explained: tuple[Explained, ...] = ()
    differences: tuple[Difference, ...] = ()
    note: str = ""

    @property
    def status(self) -> Status:
        """Whether the two sides agree, agree after other rules are taken into account, or differ."""
        if self.differences:
            return "differs"
        if self.note and not self.compared:
            return "not run"
        return "explained" if self.explained else "agrees"


class Validation(msgspec.Struct, Shown, frozen=True):
    """One network held against PyTorch: what was run, and every check.

    ``error`` says why there was nothing to compare; then the checks are empty.
    """

    name: str
    source: str
    device: str
    dtype: str = ""
    mode: str = ""
    input_shapes: dict[str, tuple[int, ...]] = {}
    layers: int = 0
    checks: tuple[Check, ...] = ()
    versions: dict[str, str] = {}
    seconds: float = 0.0
    error: str = ""

    @property
    def ok(self) -> bool:
        """True if nothing differs without an explanation."""
        return not self.error and all(check.status != "differs" for check in self.checks)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Every unexplained difference."""
        return tuple(difference for check in self.checks for difference in check.differences)

    def check(self, quantity: str, witness: str) -> Check:
        """The check of a quantity against a witness. Raises KeyError if there is none."""
        for check in self.checks:
            if (check.quantity, check.witness) == (quantity, witness):
                return check
        raise KeyError(f"{quantity} against {witness}")

    def to_dict(self) -> dict[str, Any]:
        """The validation as in the JSON, of dicts, lists and raw figures only."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        for check, made in zip(self.checks, plain["checks"], strict=True):
            made["status"] = check.status
        return {**plain, "ok": self.ok}
