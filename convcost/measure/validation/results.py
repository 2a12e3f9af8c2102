"""The records that ``validate`` returns. They do not need PyTorch; their fields are the keys of the JSON output."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ...display import Shown

Value = int | str | tuple[str, ...] | None
"""A number, or shapes as text; None if one side has no figure."""

Status = Literal["agrees", "explained", "differs", "not run"]


class Difference(msgspec.Struct, frozen=True):
    """A figure that differs without an explanation."""

    layer: str
    """The name of the layer or module; ``""`` for the whole network."""
    op: str
    ours: Value
    theirs: Value
    reason: str = ""
    """The probable cause."""


class Explained(msgspec.Struct, frozen=True):
    """Layers that a counter counts by another rule than convcost, and whose figures this rule gives exactly."""

    reason: str
    layers: int
    """The number of layers."""
    ours: int
    """The sum of convcost's figures for these layers."""
    theirs: int
    """The sum of the counter's figures for these layers."""
    first: str
    """The name of the first of these layers."""


class Check(msgspec.Struct, frozen=True):
    """The comparison of one quantity with one tool, layer by layer."""

    quantity: str
    """Such as "params" or "macs"."""
    witness: str
    """What convcost is compared with, such as "PyTorch" or "fvcore"."""
    compared: int = 0
    """The number of layers compared."""
    equal: int = 0
    """The number of layers whose figures are equal."""
    ours: int | None = None
    """The total of convcost's figures; None if a total makes no sense."""
    theirs: int | None = None
    """The total of the other figures, likewise."""
    explained: tuple[Explained, ...] = ()
    differences: tuple[Difference, ...] = ()
    note: str = ""
    """A remark, such as why the check was not run."""

    @property
    def status(self) -> Status:
        """The result: "agrees", "explained" (agrees except for known rules of a counter), "differs" or "not run"."""
        if self.differences:
            return "differs"
        if self.note and not self.compared:
            return "not run"
        return "explained" if self.explained else "agrees"


class Validation(msgspec.Struct, Shown, frozen=True):
    """The validation of one network: how it was run, and all checks."""

    name: str
    source: str
    device: str
    dtype: str = ""
    mode: str = ""
    """The mode, "train" or "eval"."""
    input_shapes: dict[str, tuple[int, ...]] = {}
    layers: int = 0
    """The number of layers."""
    checks: tuple[Check, ...] = ()
    versions: dict[str, str] = {}
    """The versions of torch and fvcore."""
    seconds: float = 0.0
    error: str = ""
    """Why the network could not be validated; then there are no checks."""

    @property
    def ok(self) -> bool:
        """True if nothing differs without an explanation."""
        return not self.error and all(check.status != "differs" for check in self.checks)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """All differences without an explanation."""
        return tuple(difference for check in self.checks for difference in check.differences)

    def check(self, quantity: str, witness: str) -> Check:
        """The check of a quantity against a witness, such as ``check("macs", "fvcore")``.

        Raises:
            KeyError: there is no such check.
        """
        for check in self.checks:
            if (check.quantity, check.witness) == (quantity, witness):
                return check
        raise KeyError(f"{quantity} against {witness}")

    def to_dict(self) -> dict[str, Any]:
        """The validation as in the JSON output, of dicts, lists and plain values."""
        record: dict[str, Any] = msgspec.to_builtins(self)
        for check, entry in zip(self.checks, record["checks"], strict=True):
            entry["status"] = check.status
        return {**record, "ok": self.ok}
