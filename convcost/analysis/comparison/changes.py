"""What changes from one list of layers to another: inserted, removed, changed, moved, resized, each with its cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import msgspec

from .alignment import Pair, align, is_given
from .layer_keys import Placed, default_text, inferred_fields

Kind = Literal["inserted", "removed", "changed", "moved", "resized"]


class FieldChange(msgspec.Struct, frozen=True):
    """A field of an op that has another value: ``kernel_size``: ``11`` -> ``7``; "op" if the op itself is another."""

    field: str
    before: str
    after: str


class Change(msgspec.Struct, frozen=True):
    """One layer that is not what it was.

    ``kind``: "inserted", "removed", "changed" (its op or a field that somebody wrote), "moved" (equal, at another
    place), or "resized" (equal, but other sizes arrive: what it costs follows). ``before`` and ``after`` are its names.
    ``block``: the largest block that is inserted or removed with it as a whole. Figures are (before, after).
    """

    kind: Kind
    before: str | None
    after: str | None
    op: str
    fields: tuple[FieldChange, ...]
    params: tuple[int, int]
    macs: tuple[int, int]
    activation_bytes: tuple[int, int] | None = None
    block: str | None = None
    where: str | None = None
    own: str = ""
    """The written fields of a layer that is inserted or removed, ``out_channels=64, kernel_size=3``."""

    @property
    def name(self) -> str:
        """Its name now, or what it was called."""
        return self.after or self.before or ""


class Changes(msgspec.Struct, frozen=True):
    """All changes in the order of the new network, how many layers are the same, and which of them are renamed."""

    changes: tuple[Change, ...]
    same: int
    renamed: tuple[tuple[str, str], ...]
    pairs: tuple[Pair, ...]


def changes(before: Sequence[Placed], after: Sequence[Placed]) -> Changes:
    """What changes from ``before`` to ``after``. The figures of all changes add up to the difference of the totals."""
    pairs = align(before, after)
    moved = _moved(before, after, pairs)
    back = {j: i for i, j in moved.items()}
    removed = _blocks(before, [i for i, j in pairs if j is None and i not in moved and i is not None])
    inserted = _blocks(after, [j for i, j in pairs if i is None and j not in back and j is not None])
    found: list[Change] = []
    renamed = []
    same = 0
    for i, j in pairs:
        if j is None:
            if i is not None and i not in moved:
                found.append(_alone("removed", before[i], removed.get(i)))
        elif i is None and j not in back:
            found.append(_alone("inserted", after[j], inserted.get(j)))
        else:
            old, new = before[back[j] if i is None else i], after[j]
            change = _pair(old, new, is_moved=i is None)
            if change is not None:
                found.append(change)
            else:
                same += 1
            if old.name != new.name and (change is None or change.kind == "resized"):
                renamed.append((old.name, new.name))
    return Changes(tuple(found), same, tuple(renamed), tuple(pairs))


def _moved(before: Sequence[Placed], after: Sequence[Placed], pairs: Sequence[Pair]) -> dict[int, int]:
    """Layers that left one place and stand at another: the same structure under a name that somebody gave, or the only
    one of its structure that has parameters."""  # noqa: D205, D209 (one sentence)
    gone = [i for i, j in pairs if j is None and i is not None]
    come = [j for i, j in pairs if i is None and j is not None]
    named = {(after[j].op, after[j].name, *after[j].own.items()): j for j in come}
    found: dict[int, int] = {}
    for i in gone:
        layer = before[i]
        j = named.get((layer.op, layer.name, *layer.own.items()))
        if j is not None and is_given(layer.name):
            found[i] = j
    taken = set(found.values())
    gone = [i for i in gone if i not in found and before[i].params]
    come = [j for j in come if j not in taken and after[j].params]
    there = {after[j].structure: j for j in come}
    once = Counter(after[j].structure for j in come), Counter(before[i].structure for i in gone)
    for i in gone:
        key = before[i].structure
        if once[0][key] == once[1][key] == 1:
            found[i] = there[key]
    return found


def _alone(kind: Kind, layer: Placed, block: str | None) -> Change:
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


def _pair(old: Placed, new: Placed, is_moved: bool) -> Change | None:
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
    """For layers that are all new or all gone: the largest block that has no others inside."""
    whole: Counter[str] = Counter()
    for layer in layers:
        whole.update(_prefixes(layer.name))
    part: Counter[str] = Counter()
    for position in positions:
        part.update(_prefixes(layers[position].name))
    found = {}
    for position in positions:
        for prefix in _prefixes(layers[position].name):
            if part[prefix] == whole[prefix]:
                found[position] = prefix
                break
    return found


def _prefixes(name: str) -> list[str]:
    """The blocks that a layer stands in, outermost first."""
    parts = name.split(".")
    return [".".join(parts[:level]) for level in range(1, len(parts))]
