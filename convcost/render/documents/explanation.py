"""Explanations as a document: one sheet per layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ... import units
from ...errors import UsageError
from ..sheet import Column, Document, Line, Paragraph, Sheet

if TYPE_CHECKING:
    from ...analysis.explain import Explanation
    from ...ops.base import ExplanationStep

MAX_VALUE = 18
"""Characters of a field's value on the command line: numbers stay below 10^18."""

_COLUMNS = (
    Column("label", ""),
    Column("formula", "Formula"),
    Column("substitution", "With numbers"),
    Column("value", "Value", "word"),
)


def explanation_document(explanations: Sequence[Explanation]) -> Document:
    """One sheet for each layer, with its warnings below it."""
    parts: list[Paragraph | Sheet] = []
    for found in explanations:
        fields = ", ".join(f"{name}={_field(value)}" for name, value in found.fields.items())
        shapes = " + ".join(map(units.shape, found.input_shapes)) or "nothing"
        results = ", ".join(map(units.shape, found.output_shapes))
        parts.append(Paragraph(f"{found.name}: {found.op}({fields}), {shapes} -> {results}", "headline"))
        parts.append(Sheet("", _COLUMNS, tuple(Line(step_cells(step)) for step in found.steps)))
        parts += [Paragraph(text, "warning") for text in found.warnings]
    return Document(tuple(parts))


def step_cells(step: ExplanationStep) -> tuple[str, str, str, str]:
    """What a step is about, its formula, the formula with numbers, and its value, as texts."""
    # Spaces around the signs, so that a narrow terminal breaks lines between the numbers.
    formula, substitution = (text.replace("*", " * ") for text in (step.formula, step.substitution))
    return step.label, formula, substitution, _value(step)


def _value(step: ExplanationStep) -> str:
    value: Any = step.value
    if isinstance(value, tuple):
        return units.shape(value)
    if isinstance(value, str):
        return value
    if step.unit == "bytes" and value:
        return f"{units.size(value)} = {units.size(value, 'si')}" if value >= 1000 else f"{value} B"
    return units.count(value, "raw") if isinstance(value, int) else units.number(value)


def _field(value: Any) -> str:
    text = (
        "x".join(map(str, value)) if isinstance(value, tuple) and all(isinstance(v, int) for v in value) else str(value)
    )
    return text if len(text) <= 40 else text[:37] + "..."


def op_fields(words: Sequence[str]) -> dict[str, object]:
    """``["out_channels=96", "padding=1x2"]`` as fields: numbers, truth values, 1x2 or 1,2 as tuples, else the word.

    Raises:
        UsageError: a word without '=', or a field given twice.
    """
    found: dict[str, object] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise UsageError(f"{word!r} is not a field; write NAME=VALUE, such as kernel_size=3")
        if name in found:
            raise UsageError(f"the field {name!r} is given twice")
        found[name] = _parsed(value)
    return found


def _parsed(text: str) -> object:
    constants: dict[str, object] = {"true": True, "false": False, "null": None}
    if text.lower() in constants:
        return constants[text.lower()]
    if len(text) > MAX_VALUE:
        raise UsageError(f"a value of {len(text):,} characters is too long: {text[:20]}...")
    for separator in (",", "x"):
        parts = text.strip("[]").split(separator)
        if len(parts) > 1 and all(part.strip().lstrip("-").isdecimal() for part in parts):
            return tuple(map(int, parts))
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
