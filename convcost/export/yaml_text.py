"""Formats layers as YAML in the style of the shipped specs: on one line if they fit."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..ops.base import Op
from ..spec.vocabulary import literal_kind
from ..tensor import Tensor
from .tree import UnwritableError

WIDTH = 120
"""The maximum length of a line."""

_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_.$/+-]*\Z")


class Arguments(dict[str, str]):
    """The arguments of a block call by name. ``order`` is the order of the block's parameters."""

    def __init__(self, given: Mapping[str, str], order: tuple[str, ...]) -> None:
        super().__init__(given)
        self.order = order

    def short(self) -> Any:
        """The shortest form: a single value, a list if the arguments are the first parameters, otherwise by name."""
        values = list(self.values())
        if tuple(self) != self.order[: len(self)]:
            return dict(self)
        return values[0] if len(values) == 1 and not values[0].startswith("[") else values


class YamlLayer:
    """One item of a list of layers in a spec.

    ``kind`` is an op, a block, or one of the structures "layers", "residual" and "branches", which have ``bodies``.
    ``arguments`` are the fields or arguments: None, a text, or texts in a list or by name. ``keywords`` are ``name``,
    ``from``, ``repeat`` and so on, as texts. ``first`` are the arguments that only the first repetition has. ``merge``
    and ``projection`` belong to structures. ``segment`` is the name of the layer, written or generated.
    """

    __slots__ = ("arguments", "bodies", "first", "keywords", "kind", "merge", "projection", "segment")

    def __init__(self, kind: str, arguments: Any = None, keywords: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self.arguments = arguments
        self.keywords = dict(keywords or {})
        self.first: dict[str, str] = {}
        self.bodies: list[list[YamlLayer]] = []
        self.projection: list[YamlLayer] | None = None
        self.merge: YamlLayer | None = None
        self.segment = ""


def value_text(value: Any, cls: type[Op] | None = None, field: str = "") -> str:
    """The value of a field in the syntax of a spec. ``cls`` and ``field``: the op and the name of the field.

    Raises:
        UnwritableError: the value is infinite or not a number.
    """
    kind = literal_kind(cls, field) if cls is not None else ""
    if isinstance(value, Tensor):
        return f"[{', '.join([*map(str, value.shape), *([value.dtype] if value.dtype else [])])}]"
    if isinstance(value, tuple | list):
        return f"[{', '.join(value_text(item, cls, field) for item in value)}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and not math.isfinite(value) and kind != "argument":
        raise UnwritableError(f"{field or 'a field'} is {value}, which the spec language cannot express")
    if isinstance(value, int | float):
        return repr(value)
    return str(value) if _PLAIN.match(str(value)) else quoted(str(value))


def quoted(text: str) -> str:
    """A text in single quotes."""
    return "'" + text.replace("'", "''") + "'"


def inline(layer: YamlLayer) -> str | None:
    """A layer on one line, as after a dash or in a list; None if it does not fit on one line."""
    head = _head(layer)
    if head is None:
        return None
    entries = [head, *_tail(layer)]
    if any(entry is None for entry in entries):
        return None
    if len(entries) == 1 and layer.arguments is None and not layer.bodies:
        return layer.kind
    if len(entries) == 1:
        return head
    if layer.arguments is None and not layer.bodies:
        entries[0] = f"{layer.kind}: {{}}"
    return "{" + ", ".join(entries) + "}"


def _head(layer: YamlLayer) -> str | None:
    if layer.kind == "branches" and layer.bodies:
        rows = [_row(body) for body in layer.bodies]
        return f"branches: [{', '.join(rows)}]" if None not in rows else None  # type: ignore[arg-type]
    if layer.bodies:
        row = _row(layer.bodies[0])
        return f"{layer.kind}: {row}" if row is not None else None
    return layer.kind if layer.arguments is None else f"{layer.kind}: {arguments_text(layer.arguments)}"


def _tail(layer: YamlLayer) -> list[str]:
    entries = []
    if layer.projection is not None:
        row = _row(layer.projection) if layer.projection else "none"
        entries.append(f"projection: {row}" if row is not None else None)
    if layer.merge is not None:
        entries.append(f"merge: {_braced(inline(layer.merge))}")
    entries += [f"{key}: {value}" for key, value in layer.keywords.items()]
    if layer.first:
        entries.append(f"first: {arguments_text(layer.first)}")
    return entries  # type: ignore[return-value]


def _braced(text: str | None) -> str:
    """A layer as the value of a key: ``{chunk: 2}``."""
    assert text is not None
    return f"{{{text}}}" if ": " in text and not text.startswith("{") else text


def _row(layers: Sequence[YamlLayer]) -> str | None:
    """A list of layers on one line; None if it does not fit."""
    items = [inline(layer) for layer in layers]
    if None in items:
        return None
    text = f"[{', '.join(items)}]"  # type: ignore[arg-type]
    return text if len(text) < WIDTH else None


def arguments_text(arguments: Any) -> str:
    """Arguments in flow style."""
    if isinstance(arguments, Arguments):
        arguments = arguments.short()
    if isinstance(arguments, str):
        return arguments
    if isinstance(arguments, Mapping):
        return "{" + ", ".join(f"{key}: {value}" for key, value in arguments.items()) + "}"
    return "[" + ", ".join(arguments) + "]"


def lines(layers: Sequence[YamlLayer], indent: int) -> list[str]:
    """A list of layers, each after a dash."""
    return [line for layer in layers for line in _item(layer, indent)]


def _item(layer: YamlLayer, indent: int) -> list[str]:
    margin = " " * indent
    text = inline(layer)
    if text is not None and len(text) + indent + 2 <= WIDTH:
        return [f"{margin}- {text}"]
    if not layer.bodies:
        return _long(layer, indent)
    inner = " " * (indent + 2)
    # The name of a group is written before its layers.
    before = [key for key in layer.keywords if layer.kind == "layers"]
    text_lines = [f"{inner}{key}: {layer.keywords[key]}" for key in before]
    if layer.kind == "branches":
        text_lines.append(f"{inner}branches:")
        for body in layer.bodies:
            text_lines += _branch(body, indent + 4)
    else:
        text_lines += _body(layer.kind, layer.bodies[0], indent + 2)
    if layer.projection is not None:
        text_lines += _body("projection", layer.projection, indent + 2)
    if layer.merge is not None:
        text_lines.append(f"{inner}merge: {_braced(inline(layer.merge))}")
    text_lines += [f"{inner}{key}: {value}" for key, value in layer.keywords.items() if key not in before]
    text_lines[0] = f"{margin}- {text_lines[0][indent + 2 :]}"
    return text_lines


def _long(layer: YamlLayer, indent: int) -> list[str]:
    """A layer that does not fit on one line, with one line for each keyword."""
    entries = [_head(layer) or "", *_tail(layer)]
    if layer.arguments is None:
        entries[0] = f"{layer.kind}: {{}}" if len(entries) > 1 else layer.kind
    text_lines: list[str] = []
    for entry in entries:
        line = " " * (indent + 2)
        for piece in re.split(r"(?<=,) ", entry):
            if len(line) + len(piece) > WIDTH and line.strip():
                text_lines.append(line.rstrip())
                line = " " * (indent + 4)
            line += piece + " "
        text_lines.append(line.rstrip())
    return [f"{' ' * indent}- {text_lines[0].lstrip()}", *text_lines[1:]]


def _body(key: str, layers: Sequence[YamlLayer], indent: int) -> list[str]:
    margin = " " * indent
    row = _row(layers) if layers else "none"
    if row is not None and len(row) + len(key) + indent + 2 <= WIDTH:
        return [f"{margin}{key}: {row}"]
    return [f"{margin}{key}:", *lines(layers, indent + 2)]


def _branch(layers: Sequence[YamlLayer], indent: int) -> list[str]:
    margin = " " * indent
    row = _row(layers)
    if row is not None and len(row) + indent + 2 <= WIDTH:
        return [f"{margin}- {row}"]
    inside = lines(layers, indent + 2)
    return [f"{margin}- {inside[0].lstrip()}", *inside[1:]]
