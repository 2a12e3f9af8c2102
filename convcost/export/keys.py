"""What boxes have in common: two boxes with one key are calls of one block, with other sizes at most."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from ..graph import Reference
from ..spec.vocabulary import literal_kind
from ..tensor import Tensor
from .layers import Values
from .tree import Box, Item, Join, Leaf, leaves


def parameter_fields(leaf: Leaf) -> list[str]:
    """The fields of a layer that may differ between the calls of a block."""
    return [
        field.name
        for field in msgspec.structs.fields(type(leaf.op))
        if field.name != "inplace"
        and (is_numeric(getattr(leaf.op, field.name)) or literal_kind(type(leaf.op), field.name))
    ]


def outline(value: object) -> object:
    """What an operator was called with, apart from its numbers."""
    if isinstance(value, tuple):
        return tuple(map(outline, value))
    if isinstance(value, Tensor):
        return ("tensor", len(value.shape), value.dtype)
    # A decimal stays: as an argument of a block, 2.0 would be 2.
    return int if type(value) is int else (type(value), value)


def is_numeric(value: object) -> bool:
    """True for numbers, truth values and rows of them: what an argument of a block can be."""
    if isinstance(value, tuple):
        return all(map(is_numeric, value))
    return isinstance(value, int | float)


class Keys:
    """The keys of all boxes below one; equal keys are one number."""

    def __init__(self, values: Values) -> None:
        self.values = values
        self.numbers: dict[Any, int] = {}
        self.known: dict[int, int | None] = {}

    def of(self, box: Box) -> int | None:
        """The key of a box; None if it cannot be a block: its layers use the weights of layers outside."""
        if id(box) not in self.known:
            self.known[id(box)] = self._of(box)
        return self.known[id(box)]

    def _of(self, box: Box) -> int | None:
        if any(leaf.owner is not None and not box.holds(leaf.owner) for leaf in leaves(box.items)):
            return None
        return self.number(box, box.items)

    def body(self, box: Box) -> int | None:
        """The key that a box has whose layers are those of the residual that ``box`` is, without the addition."""
        join = box.items[0]
        assert isinstance(join, Join)
        return None if self.of(box) is None else self.number(box, join.bodies[0])

    def number(self, box: Box, items: list[Item]) -> int:
        """The number of a key."""
        inside = _Inside(box)
        key = (bool(box.entry), len(box.externals), tuple(inside.key(item) for item in items))
        return self.numbers.setdefault(key, len(self.numbers))


class _Inside:
    """Keys of what is inside one box, where references are relative to it."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.local: dict[int, tuple[str, int]] = {}
        self.counts: Counter[str] = Counter()
        # Projections are there in some calls of a block only: they must not move the numbers of what follows.
        self.number(box.items, "layer")

    def number(self, items: list[Item], space: str) -> None:
        for item in items:
            if isinstance(item, Leaf):
                self.add(item, space)
            elif isinstance(item, Box):
                self.number(item.items, space)
            else:
                for k, body in enumerate(item.bodies):
                    self.number(body, "projection" if k and item.kind == "residual" else space)
                if item.leaf is not None:
                    self.add(item.leaf, "merge")

    def add(self, leaf: Leaf, space: str) -> None:
        self.counts[space] += 1
        self.local[leaf.position] = (space, self.counts[space])

    def reference(self, ref: Reference) -> Any:
        position, output = ref
        if position in self.local:
            return (*self.local[position], output)
        if ref in self.box.entry:
            return ("entry", self.box.entry.index(ref))
        return ("external", self.box.externals.index(ref))

    def key(self, item: Item) -> Any:
        if isinstance(item, Leaf):
            if item.reads == self.box.entry:
                return self.leaf(item, "entry")  # of as many values as arrive
            return self.leaf(item, tuple(map(self.reference, item.reads)))
        if isinstance(item, Box):
            return ("box", item.segment, tuple(map(self.key, item.items)))
        return self.join(item)

    def leaf(self, leaf: Leaf, reads: Any) -> Any:
        varying = parameter_fields(leaf)
        fixed = tuple([(field, getattr(leaf.op, field)) for field in leaf.op.__struct_fields__ if field not in varying])
        fixed += tuple(
            [(field, outline(getattr(leaf.op, field))) for field in varying if literal_kind(type(leaf.op), field)]
        )
        owner = None if leaf.owner is None else self.local[leaf.owner]
        values = None if leaf.values is None else tuple(map(self.reference, leaf.values))
        return (leaf.verb, leaf.segment if not leaf.auto else None, fixed, leaf.count, owner, values, reads)

    def join(self, join: Join) -> Any:
        bodies = tuple(tuple(map(self.key, body)) for body in join.bodies)
        if join.kind == "residual":
            # With a projection or without: that is a matter of shapes.
            return ("residual", bodies[0], self.leaf(join.merge, None))
        return ("branches", bodies, self.leaf(join.merge, None))


def projection_key(join: Join, box: Box) -> Any:
    """The key of a residual's projection inside ``box``; None if it has none."""
    if not join.bodies[1]:
        return None
    inside = _Inside(box)
    return tuple(map(inside.key, join.bodies[1]))
