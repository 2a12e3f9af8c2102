"""Where branches come together: additions of a value to what was made of it, concatenations of branches."""

from __future__ import annotations

from ..graph import Reference
from ..ops.combine import Add
from .layers import GraphTensors
from .tree import Box, Item, Join, Leaf, Refs


def enter(box: Box) -> None:
    """Note what each box reads from outside: ``entry``, what arrives at it, and ``externals``, all else."""
    for item in box.items:
        if isinstance(item, Box):
            enter(item)
    reads = [leaf.reads + (leaf.given_weights or ()) for leaf in _layers(box)]
    outside = [tuple([ref for ref in refs if not box.holds(ref[0])]) for refs in reads]
    first = next((at for at, refs in enumerate(outside) if refs), None)
    if first is not None:
        box.entry = reads[first] if outside[first] == reads[first] else outside[first][:1]
        box.externals = tuple(dict.fromkeys([ref for refs in outside for ref in refs if ref not in box.entry]))


def _layers(box: Box) -> list[Leaf]:
    found: list[Leaf] = []
    for item in box.items:
        if isinstance(item, Leaf):
            found.append(item)
        elif isinstance(item, Box):
            found.extend(_layers(item))
    return found


def fold(box: Box, values: GraphTensors) -> None:
    """Replace layers by joins, in ``box`` and in all boxes inside it."""
    for item in box.items:
        if isinstance(item, Box):
            fold(item, values)
    found: list[Item] = []
    ends: dict[Reference, int] = {}  # a result -> its item's place in ``found``
    for item in box.items:
        join = _join(item, found, ends, box.entry, values) if isinstance(item, Leaf) else None
        if join is not None:
            del found[len(found) - _items(join) :]
        ends[(item.end - 1, 0)] = len(found)
        found.append(join or item)
    box.items = found


def _items(join: Join) -> int:
    return sum(map(len, join.bodies))


def _join(leaf: Leaf, found: list[Item], ends: dict[Reference, int], entry: Refs, values: GraphTensors) -> Join | None:
    if not leaf.op.merges_branches or len(leaf.reads) < 2 or leaf.count != 1 or not found:
        return None
    places = [ends.get(ref) for ref in leaf.reads]
    places = [at if at is not None and at < len(found) and _result(found[at]) == ref[0] else None
              for at, ref in zip(places, leaf.reads, strict=True)]  # fmt: skip
    if places[-1] is not None and places[0] is not None:
        after = places[0] + 1
        if after < len(found):
            start = _starts_from(found[after])
            join = len(start) == 1 and _of(leaf, start[0], places, found, ends, entry, values)
            if join:
                return join
    for source in dict.fromkeys(leaf.reads):
        join = _of(leaf, source, places, found, ends, entry, values)
        if join:
            return join
    return None


def _result(item: Item) -> int:
    return item.end - 1


def _of(
    leaf: Leaf, source: Reference, places: list[int | None], found: list[Item], ends: dict[Reference, int],
    entry: Refs, values: GraphTensors,
) -> Join | None:  # fmt: skip
    """The join of branches that all start from ``source``, if these are such."""
    if source in ends and ends[source] < len(found) and _result(found[ends[source]]) == source[0]:
        start = ends[source] + 1
    elif entry == (source,):
        start = 0
    else:
        return None
    bodies: list[list[Item]] = []
    for ref, place in zip(leaf.reads, places, strict=True):
        if ref == source:
            bodies.append([])
            continue
        if place is None or place < start or _starts_from(found[start]) != (source,):
            return None
        bodies.append(found[start : place + 1])
        start = place + 1
    if start != len(found) or not any(bodies):
        return None
    return Join(_kind(leaf, source, bodies, values), bodies, leaf, source)


def _kind(leaf: Leaf, source: Reference, bodies: list[list[Item]], values: GraphTensors) -> str:
    """A residual adds its input where shapes are equal, and a projection of it where they differ."""
    if len(bodies) != 2 or not bodies[0]:
        return "branches"
    equal = values.tensor(source).shape == values.tensor(leaf.reads[0]).shape
    if not bodies[1]:
        return "residual" if equal else "branches"
    return "residual" if not equal and isinstance(leaf.op, Add) else "branches"


def _starts_from(item: Item) -> Refs:
    """What the first layer of an item reads."""
    if isinstance(item, Leaf):
        return item.reads
    return item.entry if isinstance(item, Box) else (item.source,)
