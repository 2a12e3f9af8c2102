"""What a layer is apart from its name and its place: its op, and its fields as text. For diffs and locks."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from ...errors import Where
from ...graph import OWN
from ...ops import REGISTRY
from ...ops.base import Op
from ..layers import LayerRecord

_PLAIN = re.compile(r"[\w.+/-]+\Z")


class Placed(msgspec.Struct, frozen=True, gc=False):
    """A layer at its place: name, structure and exact cost. ``fields`` are those that are not the op's defaults.

    ``activation_bytes`` is None where it is not known (in a lock).
    """

    name: str
    op: str
    fields: Mapping[str, str]
    params: int
    macs: int
    activation_bytes: int | None = None
    where: Where | None = None

    @property
    def group(self) -> str:
        """The group of the op; "other" for one that is not registered here."""
        return REGISTRY[self.op].group if self.op in REGISTRY else "other"

    @property
    def own(self) -> dict[str, str]:
        """The fields that somebody wrote: those without what is inferred from the layers before."""
        inferred = inferred_fields(self.op)
        return {key: value for key, value in self.fields.items() if key not in inferred}

    @property
    def structure(self) -> tuple[str, ...]:
        """A key that equal layers share, whatever they are called."""
        return (self.op, *(f"{key}={value}" for key, value in self.fields.items()))


def inferred_fields(op: str) -> Collection[str]:
    """The fields that an op fills from what arrives; those of all ops for one that is not registered (in a lock)."""
    if op in REGISTRY:
        return REGISTRY[op].inferred_fields
    return {field for known in REGISTRY.values() for field in known.inferred_fields}


def placed(layers: Sequence[LayerRecord]) -> list[Placed]:
    """Layers of a report, apart from what their neighbours are. Equal ops share their fields."""
    known: dict[int, Mapping[str, str]] = {}
    found = []
    for layer in layers:
        node = layer.node
        fields = known.get(id(node.op))
        if fields is None:
            fields = known[id(node.op)] = fields_text(node.op)
        if node.owner != OWN:
            fields = {**fields, "shares": layer.shares or "values"}
        cost = layer.cost
        found.append(Placed(node.name, node.op.op, fields, cost.params, cost.macs, cost.activation_bytes, node.where))
    return found


def fields_text(op: Op) -> dict[str, str]:
    """The fields of an op that are not its defaults, as text."""
    names, defaults = op.__struct_fields__, _defaults(type(op))
    values = ((name, getattr(op, name)) for name in names)
    return {name: value_text(value) for name, value in values if name not in defaults or value != defaults[name]}


def default_text(op: str, field: str) -> str:
    """A field's default as text; "none" where it is not known."""
    return value_text(_defaults(REGISTRY[op]).get(field)) if op in REGISTRY else "none"


@cache
def _defaults(cls: type[Op]) -> dict[str, Any]:
    return dict(zip(cls.__struct_fields__[::-1], cls.__struct_defaults__[::-1], strict=False))


def value_text(value: Any) -> str:
    """A field's value as one word: ``3``, ``true``, ``none``, ``[1,2]``, ``same``; odd texts in quotes."""
    if value is None:
        return "none"
    if isinstance(value, str):
        # No blanks inside, so that a line of a lock splits into words.
        return value if _PLAIN.match(value) else json.dumps(value).replace(" ", "\\u0020")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list)):
        return f"[{','.join(map(value_text, value))}]"
    return str(value).replace(" ", "")
