"""The JSON Schema (2020-12) of spec files, for editors: written to ``convcost/spec.schema.json``.

It is made from the registry of ops and the words of the language. It checks forms and the fields of known ops, not what
blocks and parameters of a spec stand for. ``python -m convcost.spec.json_schema`` prints the schema.
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
from .expressions import CONSTANTS, FUNCTIONS, KEYWORDS, MAX_LENGTH
from .header import TOP_KEYS, VARIANT_KEYS
from .parse import ADVERBS
from .vocabulary import RESERVED, STRUCTURES, in_place_ops, is_operator, literal_kind

Schema = dict[str, Any]

WORD = "^[A-Za-z_][A-Za-z0-9_]*$"
REFERENCE = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*$"
COMPANIONS = {"layers": (), "residual": ("projection", "merge"), "branches": ("merge", "split")}
"""Keys that a structure has beside the adverbs."""

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
"""Types that many fields have; each stands once in the schema, under this name."""


def schema() -> Schema:
    """The JSON Schema of a spec file."""
    keys = _keys()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "Made by python -m convcost.spec.json_schema; do not edit.",
        "title": "A convcost spec",
        "description": "One network, or one family of networks, layer by layer.",
        "type": "object",
        "properties": {key: keys[key] for key in TOP_KEYS},
        "required": ["name", "layers"],
        "oneOf": [{"required": ["input"]}, {"required": ["inputs"]}],
        "additionalProperties": False,
        "$defs": {**_values(), **_claims(), **_structure(keys), **_ops()},
    }


def first_sentence(op: type[Op]) -> str:
    """The first sentence of an op's docstring."""
    paragraph = (inspect.getdoc(op) or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")
    return re.split(r"(?<=\.) ", paragraph)[0]


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _only(words: tuple[str, ...]) -> Schema:
    return {"propertyNames": {"pattern": f"^({'|'.join(words)})$"}}


# --- the language


def _keys() -> dict[str, Schema]:
    """The keys of a file and of a variant."""
    return {
        "name": {**_ref("word"), "description": "What the network is called."},
        "title": {"type": "string", "description": "Its name for people."},
        "family": {"type": "string", "description": "What related networks share; default: name."},
        "reference": {"type": "object", "description": "Where it was published: title, authors, year, arxiv."},
        "input": {**_ref("input"), "description": "The size of the input without the batch: [3, 224, 224]."},
        "inputs": {
            "type": "object", "minProperties": 1, "propertyNames": _ref("word"), "additionalProperties": _ref("input"),
            "description": "Several inputs by name; the layers start at the first.",
        },
        "outputs": {**_ref("references"), "description": "Layers whose values the network gives; default: the last."},
        "parameters": {**_ref("parameters"), "description": "Values that variants set with 'with'."},
        "let": {**_ref("let"), "description": "Values worked out once from the parameters, in order."},
        "variants": {
            "type": "object", "propertyNames": _ref("word"), "additionalProperties": _ref("variant"),
            "description": "The networks of a family.",
        },
        "blocks": {
            "type": "object", "propertyNames": _ref("free_name"), "additionalProperties": _ref("block"),
            "description": "Lists of layers with a name, called like an op.",
        },
        "layers": {**_ref("layers"), "minItems": 1, "description": "The network, in order of execution."},
        "published": {
            "type": "array", "items": _ref("claim"),
            "description": "Published figures, as printed; convcost analyze holds them against its own.",
        },
        "accuracy": {"type": "object", "description": "Published accuracy; shown, never used."},
        "recorded": {
            "type": "boolean",
            "description": "True for a record of a run: layers that reach no output stand as they ran.",
        },
    }  # fmt: skip


def _values() -> dict[str, Schema]:
    taken = [*_own_words(), *FUNCTIONS, *CONSTANTS, *KEYWORDS, *RESERVED]
    shared = {name: _field(msgspec.json.schema(kind), share=False) for name, kind in FIELD_TYPES.items()}
    return {
        "word": {"type": "string", "pattern": WORD},
        "free_name": {
            "type": "string",
            "pattern": WORD,
            "not": {"enum": list(dict.fromkeys(taken))},
            "description": "A name that is no op and no word of the language.",
        },
        "reference": {
            "type": "string", "pattern": REFERENCE, "description": "An earlier layer: enc1, conv3_2, down1.skip.",
        },
        "references": {"anyOf": [_ref("reference"), {"type": "array", "minItems": 1, "items": _ref("reference")}]},
        "expression": {
            "type": "string",
            "pattern": "^[A-Za-z0-9_ .,+*/%()<>=!-]+$",
            "maxLength": MAX_LENGTH,
            "description": "A name or an expression, such as 4 * width or kernel_size // 2.",
        },
        "value": {
            "anyOf": [
                {"type": ["number", "boolean", "null"]}, _ref("expression"), {"type": "array", "items": _ref("value")},
            ],
            "description": "A number, a truth value, a word, an expression, or a list of them.",
        },
        "literal": {"anyOf": [{"type": ["number", "boolean", "null", "string"]}, _ref("literals")]},
        "literals": {"type": "array", "items": _ref("literal"), "description": "As it was called; $0: its input."},
        "tensors": {
            "type": "array", "items": {"type": "array", "items": {"anyOf": [_ref("whole"), _ref("expression")]}},
            "description": "Shapes, each with a dtype behind its sizes if it does not follow the inputs.",
        },
        "arguments": {"type": "object", "propertyNames": _ref("word"), "additionalProperties": _ref("value")},
        **shared,
    }  # fmt: skip


def _claims() -> dict[str, Schema]:
    figure = {"type": ["string", "number"]}
    return {
        "claim": {
            "type": "object",
            "properties": {
                "quantity": {"enum": list(CLAIM_QUANTITIES)},
                "value": {
                    "anyOf": [figure, {"type": "array", "items": _ref("value")}],
                    "description": "As printed, such as 138M or 60,000 or 93MB; a shape as a list without the batch.",
                },
                "layer": {**_ref("reference"), "description": "Of this layer or block; default: of the whole network."},
                "convention": {"enum": list(CLAIM_CONVENTIONS), "description": "What the source counted."},
                "source": {"type": "string", "description": "Where it is printed: table 2."},
                "note": {"type": "string"},
            },
            "required": ["quantity", "value", "source"],
            "additionalProperties": False,
        }
    }  # fmt: skip


def _structure(keys: dict[str, Schema]) -> dict[str, Schema]:
    layers = _ref("layers")
    size = {"type": "array", "items": _ref("positive")}
    tensor = {
        "type": "object",
        "properties": {"shape": size, "dtype": {"enum": list(ITEM_BYTES)}},
        "required": ["shape"],
        "additionalProperties": False,
    }
    parameter = {
        "if": {"type": "object"},
        "then": {
            "minProperties": 1, "maxProperties": 1,
            "propertyNames": _ref("free_name"), "additionalProperties": _ref("value"),
        },
        "else": _ref("free_name"),
        "description": "A name, or a name with a default: 'stride: 1'.",
    }  # fmt: skip
    chosen = {"anyOf": [{"type": "array", "items": _ref("value")}, _ref("arguments")]}
    return {
        "input": {"anyOf": [size, tensor]},
        "parameters": {"type": "array", "items": parameter},
        "let": {"type": "object", "propertyNames": _ref("free_name"), "additionalProperties": _ref("value")},
        "variant": {
            "type": "object",
            "properties": {
                "with": {**chosen, "description": "Values of the file's parameters, in order or by name."},
                **{key: keys[key] for key in VARIANT_KEYS if key != "with"},
            },
            "additionalProperties": False,
        },
        "block": {
            "if": {"type": "object"},
            "then": {
                "properties": {
                    "parameters": {**_ref("parameters"), "description": "What the block takes, in order."},
                    "let": {**_ref("let"), "description": "Values worked out at each call, in order."},
                    "layers": layers,
                },
                "required": ["layers"],
                "additionalProperties": False,
            },
            "else": layers,
        },
        "layers": {"type": "array", "items": _ref("layer")},
        "layer": {
            "if": {"type": "object"},
            "then": _ref("layer_with_argument"),
            "else": {"anyOf": [{"enum": _bare_words()}, _ref("layer_word")]},
        },
        "layer_word": {"type": "string", "pattern": WORD, "not": {"enum": _words_with_required_fields()}},
        "layer_with_argument": _layer(layers),
        "call": {
            "anyOf": [
                {"type": ["number", "boolean"]}, _ref("expression"),
                {"type": "array", "items": _ref("value")}, _ref("arguments"),
            ],
            "description": "Arguments of a block: the first one, all in order, or by name.",
        },
    }  # fmt: skip


def _layer(layers: Schema) -> Schema:
    """A layer with an argument or adverbs: exactly one verb, as far as its verb is known."""
    adverbs: Schema = {
        "name": {**_ref("word"), "description": "What the layer is called; its segment of the path."},
        "from": {
            "anyOf": [_ref("references"), {"const": []}],
            "description": "Reads these earlier layers; default: previous.",
        },
        "repeat": {**_ref("whole"), "description": "So many times; 0 leaves it out."},
        "first": {**_ref("arguments"), "description": "Arguments that differ in the first repetition."},
        "last": {**_ref("arguments"), "description": "Arguments that differ in the last repetition."},
        "when": {**_ref("truth"), "description": "The layer is there only if this is true."},
        "shares": {**_ref("reference"), "description": "Uses the weights of this earlier layer."},
        "weights": {**_ref("references"), "description": "Uses these values as its weights."},
    }
    bodies = {"type": "object", "propertyNames": _ref("word"), "additionalProperties": layers}
    structures: Schema = {
        "layers": {**layers, "description": "A group."},
        "residual": {**layers, "description": "Adds its input to its result."},
        "branches": {
            "anyOf": [{"type": "array", "minItems": 1, "items": layers}, {**bodies, "minProperties": 1}],
            "description": "Lists of layers side by side; [] passes the input on.",
        },
        "merge": {**_ref("layer"), "description": "The op that joins the branches: concat, add, mul."},
        "projection": {
            "anyOf": [{"const": "none"}, layers],
            "description": "What the skip goes through where shapes differ; 'none' leaves it out there.",
        },
    }
    # The word 'split' is an op, and beside 'branches' the key that says which op divides their input.
    ops = {word: _ref(f"op_{name}") for word, name in _own_words().items() if word != "split"}
    # A file may give these words a meaning of its own.
    ops |= {word: {"anyOf": [_ref(f"op_{word}"), _ref("call")]} for word in REGISTRY if is_operator(word)}
    split = {**_ref("layer"), "description": "The op that gives each branch its own part: {chunk: 2}."}
    alone = {word: _only((word, *ADVERBS)) for word in ops}
    alone.update({verb: _only((verb, *COMPANIONS[verb], *ADVERBS)) for verb in STRUCTURES})
    alone["split"] = _only(("split", "branches", "merge", *ADVERBS))
    alone["merge"] = {"anyOf": [{"required": ["branches"]}, {"required": ["residual"]}]}
    return {
        "type": "object",
        "properties": {**adverbs, **structures, "split": True, **ops},
        "propertyNames": _ref("word"),
        "additionalProperties": _ref("call"),
        "not": _only(ADVERBS),
        "dependentRequired": {
            "first": ["repeat"], "last": ["repeat"], "branches": ["merge"], "projection": ["residual"],
        },
        "dependentSchemas": alone,
        "if": {"required": ["branches"]},
        "then": {"properties": {"split": split}},
        "else": {"properties": {"split": _ref("op_split")}},
    }  # fmt: skip


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
