"""The JSON Schema (2020-12) of spec files, for editors: written to ``convcost/spec.schema.json``.

It is made from the registry of ops and the table of keywords; a new form of a value is added to ``_forms``.
It checks forms and the fields of known ops; blocks and parameters are free words, so what a spec calls by such a word
only ``convcost`` itself can check. Nothing imports this module; ``python -m convcost.spec.json_schema`` prints the
schema.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import textwrap
from typing import Any

import msgspec

from ..graph import CLAIM_CONVENTIONS, CLAIM_QUANTITIES
from ..ops import REGISTRY
from ..ops.base import Margins, NonNegative, Op, Positive, Probability, Sizes
from ..tensor import ITEM_BYTES
from .expressions import MAX_LENGTH
from .keywords import ADVERBS, KEYWORDS, RESERVED, STRUCTURES, Kind, companions
from .vocabulary import in_place_ops, is_operator, literal_kind

Schema = dict[str, Any]

WORD = "^[A-Za-z_][A-Za-z0-9_]*$"
REFERENCE = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*$"

LITERALS = {"argument": "literals", "tensor": "tensors"}
"""The names of what fields hold of the call of an operator."""

FIELD_TYPES: dict[str, Any] = {
    "truth": bool,
    "integer": int,
    "number": float,
    "positive": Positive,
    "whole": NonNegative,
    "probability": Probability,
    "sizes": Sizes,
    "margins": Margins,
}
"""Types that many fields have; each stands once in the schema, under this name. An expression may stand for a value."""


def schema() -> Schema:
    """The JSON Schema of a spec file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "Made by python -m convcost.spec.json_schema; do not edit.",
        "title": "A convcost spec",
        "description": "One network, or one family of networks, layer by layer.",
        **_mapping("file", "shared"),
        "oneOf": [{"required": ["input"]}, {"required": ["inputs"]}],
        "$defs": {**_values(), **_forms(), "layer_with_argument": _layer(), **_ops()},
    }


def first_sentence(op: type[Op]) -> str:
    """The first sentence of an op's docstring."""
    paragraph = (inspect.getdoc(op) or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")
    return re.split(r"(?<=\.) ", paragraph)[0]


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _list(name: str, **limits: int) -> Schema:
    return {"type": "array", "items": _ref(name), **limits}


def _by_name(key: str, value: str, **limits: int) -> Schema:
    return {"type": "object", "propertyNames": _ref(key), "additionalProperties": _ref(value), **limits}


def _either(*choices: Schema) -> Schema:
    return {"anyOf": list(choices)}


def _only(words: tuple[str, ...]) -> Schema:
    return {"propertyNames": {"pattern": f"^({'|'.join(words)})$"}}


# --- the language


def _properties(*kinds: Kind) -> Schema:
    return {row.name: {**_ref(row.form), "description": row.description} for row in KEYWORDS if row.kind in kinds}


def _mapping(*kinds: Kind) -> Schema:
    """A mapping whose keys are the keywords of these kinds."""
    needed = [row.name for row in KEYWORDS if row.kind in kinds and row.required]
    return {
        "type": "object",
        "properties": _properties(*kinds),
        **({"required": needed} if needed else {}),
        "additionalProperties": False,
    }


def _values() -> dict[str, Schema]:
    """Words, expressions, and lists of them, by the names that the table of keywords gives to them."""
    scalar = {"type": ["number", "boolean", "null"]}
    return {
        "text": {"type": "string"},
        "boolean": {"type": "boolean"},
        "object": {"type": "object"},
        "word": {"type": "string", "pattern": WORD},
        "free_name": {
            **_ref("word"),
            "not": {"enum": list(dict.fromkeys([*_own_words(), *RESERVED]))},
            "description": "A name that is no op and no word of the language.",
        },
        "reference": {
            "type": "string", "pattern": REFERENCE, "description": "An earlier layer: enc1, conv3_2, down1.skip.",
        },
        "references": _either(_ref("reference"), _list("reference", minItems=1)),
        "sources": _either(_ref("references"), {"const": []}),
        "expression": {
            "type": "string", "pattern": "^[A-Za-z0-9_ .,+*/%()<>=!-]+$", "maxLength": MAX_LENGTH,
            "description": "A name or an expression, such as 4 * width or kernel_size // 2.",
        },
        **{name: _field(msgspec.json.schema(kind), share=False) for name, kind in FIELD_TYPES.items()},
        "value": {
            **_either(scalar, _ref("expression"), _list("value")),
            "description": "A number, a truth value, a word, an expression, or a list of them.",
        },
        "literal": _either({"type": [*scalar["type"], "string"]}, _ref("literals")),
        "literals": {**_list("literal"), "description": "As it was called; $0: its input."},
        "tensors": {
            "type": "array", "items": {"type": "array", "items": _either(_ref("whole"), _ref("expression"))},
            "description": "Shapes, each with a dtype behind its sizes if it does not follow the inputs.",
        },
        "arguments": _by_name("word", "value"),
    }  # fmt: skip


def _forms() -> dict[str, Schema]:
    """The forms of the values of the other keywords."""
    return {
        "shape": _list("positive"),
        "dtype": {"enum": list(ITEM_BYTES)},
        "input": _either(_ref("shape"), _mapping("input")),
        "inputs": _by_name("word", "input", minProperties=1),
        "parameters": _list("parameter"),
        "parameter": {
            "if": {"type": "object"},
            "then": _by_name("free_name", "value", minProperties=1, maxProperties=1),
            "else": _ref("free_name"),
            "description": "A name, or a name with a default: 'stride: 1'.",
        },
        "let": _by_name("free_name", "value"),
        "chosen": _either(_list("value"), _ref("arguments")),
        "variants": _by_name("word", "variant"),
        "variant": _mapping("variant", "shared"),
        "claims": _list("claim"),
        "claim": _mapping("claim"),
        "quantity": {"enum": list(CLAIM_QUANTITIES)},
        "convention": {"enum": list(CLAIM_CONVENTIONS)},
        "figure": _either({"type": ["string", "number"]}, _list("value")),
        "blocks": _by_name("free_name", "block"),
        "block": {"if": {"type": "object"}, "then": _mapping("block"), "else": _ref("layers")},
        "network": _list("layer", minItems=1),
        "layers": _list("layer"),
        "branches": _either(_list("layers", minItems=1), _by_name("word", "layers", minProperties=1)),
        "projection": _either({"const": "none"}, _ref("layers")),
        "layer": {
            "if": {"type": "object"},
            "then": _ref("layer_with_argument"),
            "else": _either({"enum": _bare_words()}, _ref("layer_word")),
        },
        "layer_word": {**_ref("word"), "not": {"enum": _words_with_required_fields()}},
        "call": {
            **_either({"type": ["number", "boolean"]}, _ref("expression"), _list("value"), _ref("arguments")),
            "description": "Arguments of a block: the first one, all in order, or by name.",
        },
    }  # fmt: skip


def _layer() -> Schema:
    """A layer with an argument or adverbs: exactly one verb, as far as its verb is known."""
    words = _properties("structure", "companion", "adverb")
    ops = {word: _ref(f"op_{name}") for word, name in _own_words().items()}
    # A file may give these words a meaning of its own.
    ops |= {word: _either(_ref(f"op_{word}"), _ref("call")) for word in REGISTRY if is_operator(word)}
    alone = {word: _only((word, *ADVERBS)) for word in ops}
    alone |= {verb: _only((verb, *companions(verb), *ADVERBS)) for verb in STRUCTURES}
    for row in KEYWORDS:
        if row.beside and row.name not in ops:
            alone[row.name] = {**alone.get(row.name, {}), **_either(*({"required": [word]} for word in row.beside))}
    # 'split' is an op, and beside 'branches' the key that says which op divides their input.
    alone["split"] = _only(("split", "branches", "merge", *ADVERBS))
    return {
        "type": "object",
        "properties": {**ops, **words, "split": True},
        "propertyNames": _ref("word"),
        "additionalProperties": _ref("call"),
        "not": _only(ADVERBS),
        "dependentSchemas": alone,
        "if": {"required": ["branches"]},
        "then": {"properties": {"split": words["split"]}},
        "else": {"properties": {"split": ops["split"]}},
    }


# --- ops


def _op_words() -> dict[str, str]:
    """Every word that calls an op, with the op's name: ``relu_`` calls relu."""
    return {name: name for name in REGISTRY} | {f"{name}_": name for name in in_place_ops()}


def _own_words() -> dict[str, str]:
    """The words of ops that no file may give another meaning."""
    return {word: name for word, name in _op_words().items() if not is_operator(name)}


def _required(op: type[Op]) -> list[str]:
    return [field.name for field in msgspec.structs.fields(op) if field.required]


def _words_with_required_fields() -> list[str]:
    return [word for word, name in _own_words().items() if _required(REGISTRY[name])]


def _bare_words() -> list[str]:
    return [word for word, name in _own_words().items() if not _required(REGISTRY[name])]


def _ops() -> dict[str, Schema]:
    """What each op takes: its fields by name, or its first field alone."""
    names = list(dict.fromkeys(_op_words().values()))
    _, components = msgspec.json.schema_components([REGISTRY[name] for name in names])
    found: dict[str, Schema] = {}
    for name in names:
        op = REGISTRY[name]
        made = components[op.__name__]
        fields = {
            key: _ref(LITERALS[literal_kind(op, key)]) if literal_kind(op, key) else _field(inner)
            for key, inner in made["properties"].items()
        }
        required = _required(op)
        by_name: Schema = {"properties": fields, "additionalProperties": False}
        if required:
            by_name["required"] = required
        first = next((key for key in fields if key != "inplace"), None)
        about = {"title": name, "description": first_sentence(op)}
        if first is None or set(required) - {first}:
            found[f"op_{name}"] = {**about, "type": "object", **by_name}
        else:
            found[f"op_{name}"] = {**about, "if": {"type": "object"}, "then": by_name, "else": fields[first]}
    return found


def _field(made: Schema, share: bool = True) -> Schema:
    """msgspec's schema of a field, where an expression may stand for each value."""
    kept = {} if made.get("default") is None else {"default": made["default"]}
    inner = {key: value for key, value in made.items() if key != "default"}
    choices = inner.get("anyOf", [inner])
    apart = [choice for choice in choices if "enum" in choice or choice.get("type") == "null"]
    values = [choice for choice in choices if choice not in apart]
    name = _shared(values) if share else None
    if name is not None:
        choices = [_ref(name), *apart]
    else:
        choices = [_items(value) for value in values] + apart
        if any(choice.get("type") != "string" for choice in choices):
            choices.append(_ref("expression"))
    return {"anyOf": choices, **kept} if len(choices) > 1 else {**choices[0], **kept}


def _shared(values: list[Schema]) -> str | None:
    """The name under which these choices stand in the schema already, if they do."""
    for name, kind in FIELD_TYPES.items():
        made = msgspec.json.schema(kind)
        if made.get("anyOf", [made]) == values:
            return name
    return None


def _items(made: Schema) -> Schema:
    return {**made, "items": _field(made["items"])} if "items" in made else made


# --- text


def text() -> str:
    """The schema as JSON: what fits a line stands on one."""
    return _written(schema(), 0) + "\n"


def _written(value: Any, indent: int) -> str:
    plain = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(plain) + indent <= 110:
        return plain
    inside = " " * (indent + 2)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        filled = textwrap.wrap(plain[1:-1], 110, initial_indent=inside, subsequent_indent=inside)
        return "[\n" + "\n".join(filled) + "\n" + " " * indent + "]"
    if isinstance(value, dict):
        lines = [f"{inside}{json.dumps(key)}: {_written(item, indent + 2)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + "\n" + " " * indent + "}"
    lines = [f"{inside}{_written(item, indent + 2)}" for item in value]
    return "[\n" + ",\n".join(lines) + "\n" + " " * indent + "]"


if __name__ == "__main__":
    sys.stdout.write(text())
