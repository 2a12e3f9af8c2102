"""Which boxes become calls of blocks, and what those blocks are called."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from ..ops.combine import Add, Mul
from ..ops.pool import AdaptiveAvgPool
from .keys import Keys, projection_key
from .layers import Values
from .tree import Block, Box, Item, Join, Leaf, boxes, leaves

Part = Leaf | Box


def parts(items: Iterable[Item], at: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Part]]:
    """The layers and calls of a text with their places, which are the same in all calls of a block."""
    for number, item in enumerate(items):
        place = (*at, number)
        if isinstance(item, Leaf):
            yield place, item
        elif isinstance(item, Join):
            for branch, body in enumerate(item.bodies):
                yield from parts(body, (*place, branch))
            if item.leaf is not None:
                yield (*place, len(item.bodies)), item.leaf
        elif item.block is not None:
            yield place, item
        else:
            yield from parts(item.items, place)


def choose(root: Box, values: Values) -> list[Block]:
    """The blocks, the outer ones before those inside them: boxes that stand at two or more places of the text."""
    _leave_out(root, values)
    keys = Keys(values)
    alike: dict[Any, list[Box]] = defaultdict(list)
    heights: dict[int, int] = {}
    everywhere = list(boxes(root.items))
    for box in reversed(everywhere):
        heights[id(box)] = 1 + max((heights[id(inner)] for inner in boxes(box.items)), default=0)
        if keys.of(box) is not None and sum(1 for _ in leaves(box.items)) > 1:
            alike[keys.of(box)].append(box)
    found: list[Block] = []
    texts: list[list[Item]] = [root.items]
    for height in sorted(set(heights.values()), reverse=True):
        written = {id(box) for text in texts for box in _in_text(text) if heights[id(box)] == height}
        for group in list(alike.values()):
            if heights[id(group[0])] != height or sum(id(box) in written for box in group) <= 1:
                continue
            for calls in _consistent(group[::-1]):
                if sum(id(box) in written for box in calls) > 1:
                    block = Block(calls)
                    for box in calls:
                        box.block = block
                    found.append(block)
                    texts.append(block.representative.items)
    return found


def _in_text(items: Iterable[Item]) -> Iterator[Box]:
    for item in items:
        if isinstance(item, Join):
            for body in item.bodies:
                yield from _in_text(body)
        elif isinstance(item, Box):
            yield item
            if item.block is None:
                yield from _in_text(item.items)


def _joins(items: Iterable[Item]) -> Iterator[Join]:
    for item in items:
        if isinstance(item, Join):
            yield item
            for body in item.bodies:
                yield from _joins(body)
        elif isinstance(item, Box):
            yield from _joins(item.items)


def _consistent(group: list[Box]) -> list[list[Box]]:
    """A group without two different projections at one place: those of the first stay with those that have none."""
    found: dict[Any, list[Box]] = {}
    plain: list[Box] = []
    for box in group:
        joins = [join for join in _joins(box.items) if join.kind == "residual"]
        projections = tuple(projection_key(join, box) for join in joins)
        if any(key is not None for key in projections):
            found.setdefault(projections, []).append(box)
        else:
            plain.append(box)
    first, *rest = list(found.values()) or [[]]
    together = {id(box) for box in (*first, *plain)}
    return [[box for box in group if id(box) in together], *rest]


def _leave_out(root: Box, values: Values) -> None:
    """Boxes that are others' residuals without the addition, since shapes differ, become such residuals."""
    keys = Keys(values)
    residuals: dict[int, list[Join]] = defaultdict(list)
    everywhere = list(boxes(root.items))
    for box in everywhere:
        if _is_residual(box):
            key = keys.body(box)
            if key is not None:
                residuals[key].append(box.items[0])  # type: ignore[arg-type]
    for box in everywhere:
        key = keys.of(box)
        if key not in residuals or _is_residual(box) or len(box.entry) != 1 or isinstance(box.items[-1], Join):
            continue
        shapes = values.tensor(box.entry[0]).shape, values.outputs[box.end - 1][0].shape
        if shapes[0] != shapes[1]:
            for join in residuals[key]:
                join.optional = True
            made = Join("residual", [box.items, []], residuals[key][0].merge, box.entry[0])
            made.absent = made.optional = True
            box.items = [made]


def _is_residual(box: Box) -> bool:
    join = box.items[0]
    return len(box.items) == 1 and isinstance(join, Join) and join.kind == "residual" and not join.bodies[1]


# --- names

_GENERAL = {
    "features", "part", "stage", "stages", "module", "modules", "model", "net", "conv", "layer", "layers", "block",
    "blocks", "unit",
}  # fmt: skip


def name_blocks(found: list[Block], taken: set[str]) -> None:
    """Call each block after what its calls are called, or after what is in it."""
    for block in found:
        wanted = _wanted(block)
        name, number = wanted, 2
        while name in taken:
            name, number = f"{wanted}_v{number}", number + 1
        taken.add(name)
        block.name = name


def _wanted(block: Block) -> str:
    stems = {re.sub(r"[_0-9]+\Z", "", box.segment) or "part" for box in block.calls}
    if len(stems) == 1 and not stems & _GENERAL:
        return stems.pop()
    inside = list(leaves(block.representative.items))
    if len(inside) <= 4:
        return "_".join(leaf.op.abbreviation or leaf.op.op for leaf in inside)
    join = next((item for item in block.representative.items if isinstance(item, Join)), None)
    ops = [leaf.op for leaf in inside]
    if join is not None and isinstance(join.merge.op, Mul) and any(isinstance(op, AdaptiveAvgPool) for op in ops):
        return "squeeze_excite"
    if join is not None and isinstance(join.merge.op, Add):
        return _residual([op for op in ops if op.group == "conv"])
    shared = _common_start(min(stems), max(stems))
    if len(shared) >= LEAST and shared not in _GENERAL:
        return shared.rstrip("_0123456789")
    return f"{join.merge.op.op}_unit" if join is not None else "unit"


def _common_start(first: str, other: str) -> str:
    length = next(
        (k for k, (a, b) in enumerate(zip(first, other, strict=False)) if a != b), min(len(first), len(other))
    )
    return first[:length]


LEAST = 4
"""Letters that the names of calls have in common where their block is called so."""


def _residual(convolutions: list[Any]) -> str:
    sizes = [op.kernel_size for op in convolutions]
    if any(op.groups == op.in_channels > 1 for op in convolutions) and sizes[-1] == 1:
        return "inverted_residual"
    if sizes[:1] == [1]:
        return "bottleneck"
    return "basic" if sizes[:2] == [3, 3] else "residual_unit"
