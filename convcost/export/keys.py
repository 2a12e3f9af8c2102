"""Keys of boxes: two boxes have equal keys if they can be calls of one block, that is, differ at most in sizes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from ..graph import Reference
from ..spec.vocabulary import literal_kind
from ..tensor import Tensor
from .tree import Box, Item, Join, Leaf, leaves


def parameter_fields(leaf: Leaf) -> list[str]:
    """The fields of a layer that can differ between the calls of a block."""
    return [
        field.name
        for field in msgspec.structs.fields(type(leaf.op))
        if field.name != "inplace"
        and (is_numeric(getattr(leaf.op, field.name)) or literal_kind(type(leaf.op), field.name))
    ]


def outline(value: object) -> object:
    """The structure of an argument of a generic op: the value with all integers replaced by their type."""
    if isinstance(value, tuple):
        return tuple(map(outline, value))
    if isinstance(value, Tensor):
        return ("tensor", len(value.shape), value.dtype)
    # A float is kept, because an argument 2.0 of a block would become 2.
    return int if type(value) is int else (type(value), value)


def is_numeric(value: object) -> bool:
    """True for numbers, booleans and tuples of them, which can be arguments of a block."""
    if isinstance(value, tuple):
        return all(map(is_numeric, value))
    return isinstance(value, int | float)


class Keys:
    """The keys of the boxes of a tree. A key is a number, and equal for equal structures."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}
        self.known: dict[int, int | None] = {}

    def of(self, box: Box) -> int | None:
        """The key of a box; None if it cannot become a block, because it shares weights with a layer outside."""
        if id(box) not in self.known:
            self.known[id(box)] = self._of(box)
        return self.known[id(box)]

    def _of(self, box: Box) -> int | None:
        if any(leaf.owner is not None and not box.holds(leaf.owner) for leaf in leaves(box.items)):
            return None
        return self.number(box, box.items)

    def body(self, box: Box) -> int | None:
        """For a box that is a residual: the key of a box with its body alone, without the addition."""
        join = box.items[0]
        assert isinstance(join, Join)
        return None if self.of(box) is None else self.number(box, join.bodies[0])

    def number(self, box: Box, items: list[Item]) -> int:
        """The key of a box with these items."""
        inside = _KeysInBox(box)
        key = (bool(box.entry), len(box.externals), tuple(inside.key(item) for item in items))
        return self.numbers.setdefault(key, len(self.numbers))


class _KeysInBox:
    """Keys of the items in one box. References are numbered relative to the box."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.local: dict[int, tuple[str, int]] = {}
        self.counts: Counter[str] = Counter()
        # Projections are numbered separately, because they are in only some calls of a block.
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
                return self.leaf(item, "entry")  # of any number of values
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
        weights = None if leaf.given_weights is None else tuple(map(self.reference, leaf.given_weights))
        return (leaf.kind, leaf.segment if not leaf.auto else None, fixed, leaf.count, owner, weights, reads)

    def join(self, join: Join) -> Any:
        bodies = tuple(tuple(map(self.key, body)) for body in join.bodies)
        if join.kind == "residual":
            # Whether there is a projection depends on shapes, so it is not part of the key.
            return ("residual", bodies[0], self.leaf(join.merge, None))
        return ("branches", bodies, self.leaf(join.merge, None))


def projection_key(join: Join, box: Box) -> Any:
    """The key of the projection of a residual in ``box``; None if it has no projection."""
    if not join.bodies[1]:
        return None
    inside = _KeysInBox(box)
    return tuple(map(inside.key, join.bodies[1]))
