"""Document of validations: a table of results, the differences, and the known rules that explain them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ... import units
from ..sheet import Column, Document, Line, Paragraph, Sheet

if TYPE_CHECKING:
    from ...measure.validation.results import Check, Difference, Validation

SHOWN = 5
"""Maximum number of differences shown per check without ``verbose``."""

_KINDS = {"agrees": "agrees", "explained": "agrees", "differs": "differs", "not run": "unchecked"}
_WEIGHTS = ("params", "buffers", "weight bytes")
_MEMORY = ("activation bytes",)


def validation_document(validations: Sequence[Validation], verbose: bool = False) -> Document:
    """All checks of one network, or one line per network; then the differences and their explanations."""
    parts: list[Paragraph | Sheet] = []
    if len(validations) > 1:
        parts.append(_networks(validations))
    if len(validations) == 1 or verbose:
        for found in validations:
            parts += _one(found)
    parts += [part for found in validations for part in _differences(found, verbose)]
    if len(validations) > 1:
        parts += [Paragraph(f"{found.name}: {found.error}", "warning") for found in validations if found.error]
    else:
        parts += _explanations(validations[0])
    parts.append(Paragraph(_verdict(validations), "headline"))
    return Document(tuple(parts))


def _one(found: Validation) -> list[Paragraph | Sheet]:
    inputs = ", ".join(units.shape(size) for size in found.input_shapes.values())
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    words = f"{found.name} on {found.device}, {inputs}, {found.dtype}, {found.mode}: {found.layers} layers; {versions}."
    columns = (
        Column("quantity", "Quantity"), Column("witness", "Against"), Column("status", "Result", "word"),
        Column("equal", "Equal", "word"), Column("ours", "convcost", "plain"), Column("theirs", "Reference", "plain"),
    )  # fmt: skip
    lines = tuple(
        Line((check.quantity, check.witness, check.status, _equal(check), _figure(check.ours), _figure(check.theirs)),
             kind=_KINDS[check.status])
        for check in found.checks
    )  # fmt: skip
    notes = [Paragraph(f"{check.quantity}, {check.witness}: {check.note}.") for check in found.checks if check.note]
    return [Paragraph(words, "headline"), Sheet("", columns, lines), *notes]


def _equal(check: Check) -> str:
    return f"{check.equal} of {check.compared}" if check.compared else ""


def _figure(value: int | None) -> str | None:
    return None if value is None else f"{value:,}"


def _networks(validations: Sequence[Validation]) -> Sheet:
    columns = (
        Column("name", "Network"), Column("layers", "Layers", "plain"), Column("shapes", "Shapes", "word"),
        Column("weights", "Weights", "word"), Column("memory", "Memory", "word"), Column("torch", "torch", "word"),
        Column("fvcore", "fvcore", "word"), Column("seconds", "s", "plain"),
    )  # fmt: skip
    return Sheet("", columns, tuple(map(_network, validations)))


def _network(found: Validation) -> Line:
    groups = (
        [c for c in found.checks if c.quantity in ("output shapes", "runs")],
        [c for c in found.checks if c.quantity in _WEIGHTS],
        [c for c in found.checks if c.quantity.startswith(_MEMORY)],
        [c for c in found.checks if c.quantity == "macs" and "fvcore" not in c.witness],
        [c for c in found.checks if c.quantity == "macs" and "fvcore" in c.witness],
    )
    cells = (_short(found.name), found.layers or None, *map(_worst, groups), f"{found.seconds:.1f}")
    return Line(cells, kind="agrees" if found.ok else "differs")


def _short(name: str) -> str:
    return name if len(name) <= 22 else name[:19] + "..."


def _worst(checks: Sequence[Check]) -> str:
    """The worst result in short form: the number of layers that differ, or that a rule explains."""
    differing = sum(len(check.differences) for check in checks)
    if differing:
        return f"{differing} diff"
    if not checks or all(check.status == "not run" for check in checks):
        return "-"
    explained = sum(part.layers for check in checks for part in check.explained)
    return f"ok ({explained})" if explained else "ok"


def _differences(found: Validation, verbose: bool) -> Iterable[Paragraph]:
    for check in found.checks:
        shown = check.differences if verbose else check.differences[:SHOWN]
        for difference in shown:
            yield Paragraph(_sentence(found, check, difference), "warning")
        if len(shown) < len(check.differences):
            more = len(check.differences) - len(shown)
            yield Paragraph(f"{found.name}: {check.quantity}, {check.witness}: {more} more; --verbose shows them.")


def _sentence(found: Validation, check: Check, difference: Difference) -> str:
    layer = f", layer {difference.layer}" if difference.layer else ""
    op = f" ({difference.op})" if difference.op else ""
    ours, theirs = (_value(value) for value in (difference.ours, difference.theirs))
    reason = f" ({difference.reason})" if difference.reason else ""
    return f"{found.name}{layer}{op}: {check.quantity} {ours}, {check.witness} {theirs}{reason}"


def _value(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _explanations(found: Validation) -> Iterable[Paragraph]:
    for check in found.checks:
        for part in check.explained:
            layers = (
                f"{part.layers} layer{'' if part.layers == 1 else 's'}, such as {part.first or 'the network itself'}"
            )
            yield Paragraph(
                f"{check.witness}: {part.theirs:,} where convcost has {part.ours:,} in {layers}: {part.reason}. "
                "Its figures are equal to the result of this rule."
            )


def _verdict(validations: Sequence[Validation]) -> str:
    differing = sum(1 for found in validations if not found.ok and not found.error)
    broken = sum(1 for found in validations if found.error)
    if len(validations) == 1:
        return "Something differs." if differing else "Nothing differs without an explanation."
    fine = len(validations) - differing - broken
    words = f"{fine} of {len(validations)} networks agree with PyTorch in every layer"
    words += "; (n): layers where a counter's own rule explains its figure" if _any_explained(validations) else ""
    return f"{words}; {broken} could not be validated." if broken else f"{words}."


def _any_explained(validations: Sequence[Validation]) -> bool:
    return any(check.explained for found in validations for check in found.checks)
