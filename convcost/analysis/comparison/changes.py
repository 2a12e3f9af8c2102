"""Lists the changes between two lists of layers, with the cost of each layer before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import msgspec

from .alignment import Pair, align, is_given
from .layer_keys import Placed, default_text, inferred_fields

Kind = Literal["inserted", "removed", "changed", "moved", "resized"]
"""The kind of a change.

"changed": the op, or a field that the user wrote, is different. "moved": an equal layer at another place. "resized": an
equal layer with inputs of another size, so that its cost can differ.
"""


class FieldChange(msgspec.Struct, frozen=True):
    """A field with another value, such as ``kernel_size``: ``11`` -> ``7``. The field is "op" if the op is another."""

    field: str
    before: str
    after: str


class Change(msgspec.Struct, frozen=True):
    """One layer that differs between two networks. Figures are pairs (before, after)."""

    kind: Kind
    before: str | None
    """The name of the layer in the first network; None if it is inserted."""
    after: str | None
    """The name of the layer in the second network; None if it is removed."""
    op: str
    fields: tuple[FieldChange, ...]
    params: tuple[int, int]
    macs: tuple[int, int]
    activation_bytes: tuple[int, int] | None = None
    block: str | None = None
    """The largest block that is inserted or removed as a whole and contains the layer."""
    where: str | None = None
    """The position of the layer in the second network's spec, as ``file:line:column``."""
    own: str = ""
    """The fields that the user wrote, for an inserted or removed layer: ``out_channels=64, kernel_size=3``."""

    @property
    def name(self) -> str:
        """The name of the layer in the second network, or in the first one if it is removed."""
        return self.after or self.before or ""


class Changes(msgspec.Struct, frozen=True):
    """The changes between two networks."""

    changes: tuple[Change, ...]
    """All changes, in the order of the second network."""
    same: int
    """The number of layers that are the same in both networks."""
    renamed: tuple[tuple[str, str], ...]
    """The old and the new name of layers that are otherwise the same or resized."""
    pairs: tuple[Pair, ...]
    """The alignment of the two lists."""


def changes(before: Sequence[Placed], after: Sequence[Placed]) -> Changes:
    """List the changes between two lists of layers. Their figures add up to the difference of the totals."""
    pairs = align(before, after)
    moved = _moved(before, after, pairs)
    back = {j: i for i, j in moved.items()}
    removed = _blocks(before, [i for i, j in pairs if j is None and i not in moved and i is not None])
    inserted = _blocks(after, [j for i, j in pairs if i is None and j not in back and j is not None])
    listed: list[Change] = []
    renamed = []
    same = 0
    for i, j in pairs:
        if j is None:
            if i is not None and i not in moved:
                listed.append(_in_one("removed", before[i], removed.get(i)))
        elif i is None and j not in back:
            listed.append(_in_one("inserted", after[j], inserted.get(j)))
        else:
            old, new = before[back[j] if i is None else i], after[j]
            change = _in_both(old, new, is_moved=i is None)
            if change is not None:
                listed.append(change)
            else:
                same += 1
            if old.name != new.name and (change is None or change.kind == "resized"):
                renamed.append((old.name, new.name))
    return Changes(tuple(listed), same, tuple(renamed), tuple(pairs))


def _moved(before: Sequence[Placed], after: Sequence[Placed], pairs: Sequence[Pair]) -> dict[int, int]:
    """Layers without a counterpart in place that are equal to one elsewhere: a map of positions.

    They must have the same name from the user, or have parameters and be the only ones with their structure.
    """
    gone = [i for i, j in pairs if j is None and i is not None]
    new = [j for i, j in pairs if i is None and j is not None]
    named = {(after[j].op, after[j].name, *after[j].own.items()): j for j in new}
    moved: dict[int, int] = {}
    for i in gone:
        layer = before[i]
        j = named.get((layer.op, layer.name, *layer.own.items()))
        if j is not None and is_given(layer.name):
            moved[i] = j
    taken = set(moved.values())
    gone = [i for i in gone if i not in moved and before[i].params]
    new = [j for j in new if j not in taken and after[j].params]
    by_structure = {after[j].structure: j for j in new}
    times_new, times_gone = Counter(after[j].structure for j in new), Counter(before[i].structure for i in gone)
    for i in gone:
        key = before[i].structure
        if times_new[key] == times_gone[key] == 1:
            moved[i] = by_structure[key]
    return moved


def _in_one(kind: Kind, layer: Placed, block: str | None) -> Change:
    """The change for a layer that is in only one of the networks."""

    def figures(value: int) -> tuple[int, int]:
        return (0, value) if kind == "inserted" else (value, 0)

    names = (None, layer.name) if kind == "inserted" else (layer.name, None)
    memory = None if layer.activation_bytes is None else figures(layer.activation_bytes)
    where = str(layer.where) if layer.where and kind == "inserted" else None
    own = ", ".join(f"{key}={value}" for key, value in layer.own.items())
    before, after = names
    return Change(
        kind, before, after, layer.op, (), figures(layer.params), figures(layer.macs), memory, block, where, own
    )  # fmt: skip


def _in_both(old: Placed, new: Placed, is_moved: bool) -> Change | None:
    """The change for a layer that is in both networks; None if nothing but its name differs."""
    fields = _fields(old, new)
    memory = None
    if old.activation_bytes is not None and new.activation_bytes is not None:
        memory = old.activation_bytes, new.activation_bytes
    same_cost = old.params == new.params and old.macs == new.macs and (memory is None or memory[0] == memory[1])
    if is_moved:
        kind: Kind = "moved"
    elif any(change.field not in inferred_fields(new.op) for change in fields):
        kind = "changed"
    elif fields or not same_cost:
        kind = "resized"
    else:
        return None
    where = str(new.where) if new.where else None
    return Change(
        kind, old.name, new.name, new.op, fields, (old.params, new.params), (old.macs, new.macs), memory, None, where
    )


def _fields(old: Placed, new: Placed) -> tuple[FieldChange, ...]:
    if old.op != new.op:
        return (FieldChange("op", old.op, new.op),)
    if old.fields == new.fields:
        return ()
    keys = dict.fromkeys([*old.fields, *new.fields])
    texts = [
        (key, old.fields.get(key) or default_text(old.op, key), new.fields.get(key) or default_text(new.op, key))
        for key in keys
    ]
    return tuple(FieldChange(*text) for text in texts if text[1] != text[2])


def _blocks(layers: Sequence[Placed], positions: Sequence[int]) -> dict[int, str]:
    """For each inserted or removed layer, the largest block around it of which all layers are inserted or removed."""
    all_layers: Counter[str] = Counter()
    for layer in layers:
        all_layers.update(_prefixes(layer.name))
    changed: Counter[str] = Counter()
    for position in positions:
        changed.update(_prefixes(layers[position].name))
    blocks = {}
    for position in positions:
        for prefix in _prefixes(layers[position].name):
            if changed[prefix] == all_layers[prefix]:
                blocks[position] = prefix
                break
    return blocks


def _prefixes(name: str) -> list[str]:
    """The names of the blocks around a layer, the outermost first."""
    parts = name.split(".")
    return [".".join(parts[:level]) for level in range(1, len(parts))]
