"""Layers as YAML in the style of the shipped specs: what fits a line stands on one."""

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

_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_.$/+-]*\Z")


class Arguments(dict[str, str]):
    """The arguments of a block by name; ``order`` is that of its parameters."""

    def __init__(self, given: Mapping[str, str], order: tuple[str, ...]) -> None:
        super().__init__(given)
        self.order = order

    def short(self) -> Any:
        """As they are written: one value, a row if they are the first parameters, else by name."""
        values = list(self.values())
        if tuple(self) != self.order[: len(self)]:
            return dict(self)
        return values[0] if len(values) == 1 and not values[0].startswith("[") else values


class Call:
    """One item of a list of layers. ``arguments`` is None, a text, a row or a mapping of texts; a structure has bodies.

    ``adverbs`` are texts by name; ``first`` is a mapping of them.
    """

    __slots__ = ("adverbs", "arguments", "bodies", "first", "merge", "projection", "segment", "verb")

    def __init__(self, verb: str, arguments: Any = None, adverbs: Mapping[str, str] | None = None) -> None:
        self.verb = verb
        self.arguments = arguments
        self.adverbs = dict(adverbs or {})
        self.first: dict[str, str] = {}
        self.bodies: list[list[Call]] = []
        self.projection: list[Call] | None = None
        self.merge: Call | None = None
        self.segment = ""


def value_text(value: Any, cls: type[Op] | None = None, field: str = "") -> str:
    """A field's value as a spec writes it."""
    kind = literal_kind(cls, field) if cls is not None else ""
    if isinstance(value, Tensor):
        return f"[{', '.join([*map(str, value.shape), *([value.dtype] if value.dtype else [])])}]"
    if isinstance(value, tuple | list):
        return f"[{', '.join(value_text(item, cls, field) for item in value)}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and not math.isfinite(value) and kind != "argument":
        raise UnwritableError(f"{field or 'a field'} is {value}, which no number of the spec language is")
    if isinstance(value, int | float):
        return repr(value)
    return str(value) if _PLAIN.match(str(value)) else quoted(str(value))


def quoted(text: str) -> str:
    """A text in single quotes."""
    return "'" + text.replace("'", "''") + "'"


def inline(call: Call) -> str | None:
    """A layer on one line, as it stands after a dash or in a list; None if it has blocks of lines."""
    head = _head(call)
    if head is None:
        return None
    entries = [head, *_tail(call)]
    if any(entry is None for entry in entries):
        return None
    if len(entries) == 1 and call.arguments is None and not call.bodies:
        return call.verb
    if len(entries) == 1:
        return head
    if call.arguments is None and not call.bodies:
        entries[0] = f"{call.verb}: {{}}"
    return "{" + ", ".join(entries) + "}"


def _head(call: Call) -> str | None:
    if call.verb == "branches" and call.bodies:
        rows = [_row(body) for body in call.bodies]
        return f"branches: [{', '.join(rows)}]" if None not in rows else None  # type: ignore[arg-type]
    if call.bodies:
        row = _row(call.bodies[0])
        return f"{call.verb}: {row}" if row is not None else None
    return call.verb if call.arguments is None else f"{call.verb}: {arguments_text(call.arguments)}"


def _tail(call: Call) -> list[str]:
    found = []
    if call.projection is not None:
        row = _row(call.projection) if call.projection else "none"
        found.append(f"projection: {row}" if row is not None else None)
    if call.merge is not None:
        found.append(f"merge: {_braced(inline(call.merge))}")
    found += [f"{key}: {value}" for key, value in call.adverbs.items()]
    if call.first:
        found.append(f"first: {arguments_text(call.first)}")
    return found  # type: ignore[return-value]


def _braced(text: str | None) -> str:
    """A layer where a value is wanted: ``{chunk: 2}``."""
    assert text is not None
    return f"{{{text}}}" if ": " in text and not text.startswith("{") else text


def _row(calls: Sequence[Call]) -> str | None:
    found = [inline(call) for call in calls]
    if None in found:
        return None
    text = f"[{', '.join(found)}]"  # type: ignore[arg-type]
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


def lines(calls: Sequence[Call], indent: int) -> list[str]:
    """A list of layers with dashes."""
    found: list[str] = []
    for call in calls:
        found += _item(call, indent)
    return found


def _item(call: Call, indent: int) -> list[str]:
    margin = " " * indent
    text = inline(call)
    if text is not None and len(text) + indent + 2 <= WIDTH:
        return [f"{margin}- {text}"]
    if not call.bodies:
        return _long(call, indent)
    inner = " " * (indent + 2)
    # What a group is called stands before what is in it.
    before = [key for key in call.adverbs if call.verb == "layers"]
    found = [f"{inner}{key}: {call.adverbs[key]}" for key in before]
    if call.verb == "branches":
        found.append(f"{inner}branches:")
        for body in call.bodies:
            found += _branch(body, indent + 4)
    else:
        found += _body(call.verb, call.bodies[0], indent + 2)
    if call.projection is not None:
        found += _body("projection", call.projection, indent + 2)
    if call.merge is not None:
        found.append(f"{inner}merge: {_braced(inline(call.merge))}")
    found += [f"{inner}{key}: {value}" for key, value in call.adverbs.items() if key not in before]
    found[0] = f"{margin}- {found[0][indent + 2 :]}"
    return found


def _long(call: Call, indent: int) -> list[str]:
    """A layer with much to say: an adverb a line."""
    entries = [_head(call) or "", *_tail(call)]
    if call.arguments is None:
        entries[0] = f"{call.verb}: {{}}" if len(entries) > 1 else call.verb
    found: list[str] = []
    for entry in entries:
        line = " " * (indent + 2)
        for piece in re.split(r"(?<=,) ", entry):
            if len(line) + len(piece) > WIDTH and line.strip():
                found.append(line.rstrip())
                line = " " * (indent + 4)
            line += piece + " "
        found.append(line.rstrip())
    return [f"{' ' * indent}- {found[0].lstrip()}", *found[1:]]


def _body(key: str, calls: Sequence[Call], indent: int) -> list[str]:
    margin = " " * indent
    row = _row(calls) if calls else "none"
    if row is not None and len(row) + len(key) + indent + 2 <= WIDTH:
        return [f"{margin}{key}: {row}"]
    return [f"{margin}{key}:", *lines(calls, indent + 2)]


def _branch(calls: Sequence[Call], indent: int) -> list[str]:
    margin = " " * indent
    row = _row(calls)
    if row is not None and len(row) + indent + 2 <= WIDTH:
        return [f"{margin}- {row}"]
    inside = lines(calls, indent + 2)
    return [f"{margin}- {inside[0].lstrip()}", *inside[1:]]
