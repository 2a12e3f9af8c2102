"""Document of explanations, with one sheet per layer, and the parser of ``--op`` fields."""

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
"""Maximum length of a field's value on the command line, so that numbers are below 10^18."""

_COLUMNS = (
    Column("label", ""),
    Column("formula", "Formula"),
    Column("substitution", "With values"),
    Column("value", "Value", "word"),
)


def explanation_document(explanations: Sequence[Explanation]) -> Document:
    """One sheet for each layer, with its warnings below it."""
    parts: list[Paragraph | Sheet] = []
    for layer in explanations:
        fields = ", ".join(f"{name}={_field(value)}" for name, value in layer.fields.items())
        shapes = " + ".join(map(units.shape, layer.input_shapes)) or "nothing"
        results = ", ".join(map(units.shape, layer.output_shapes))
        parts.append(Paragraph(f"{layer.name}: {layer.op}({fields}), {shapes} -> {results}", "headline"))
        parts.append(Sheet("", _COLUMNS, tuple(Line(step_cells(step)) for step in layer.steps)))
        parts += [Paragraph(text, "warning") for text in layer.warnings]
    return Document(tuple(parts))


def step_cells(step: ExplanationStep) -> tuple[str, str, str, str]:
    """Label, formula, formula with values, and value of a step, as texts."""
    # With spaces around the signs, a narrow terminal breaks lines between the numbers.
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
    """``["out_channels=96", "padding=1x2"]`` as fields: numbers, booleans, tuples (1x2 or 1,2) or text.

    Raises:
        UsageError: a word without '=', or a field given twice.
    """
    fields: dict[str, object] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise UsageError(f"{word!r} is not a field; write NAME=VALUE, such as kernel_size=3")
        if name in fields:
            raise UsageError(f"the field {name!r} is given twice")
        fields[name] = _parsed(value)
    return fields


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
