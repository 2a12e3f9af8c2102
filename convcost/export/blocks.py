"""Finds boxes that can be written as calls of one block, and names the blocks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Any

from ..ops.combine import Add, Mul
from ..ops.pool import AdaptiveAvgPool
from .keys import Keys, projection_key
from .layers import GraphTensors
from .tree import Box, ExportedBlock, Item, Join, Leaf, boxes, leaves

Part = Leaf | Box


def parts(items: Iterable[Item], at: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Part]]:
    """All leaves and block calls below a list of items, each with its place.

    A place is a sequence of indices, and equal for corresponding parts in all calls of a block.
    """
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


def find_blocks(root: Box, tensors: GraphTensors) -> list[ExportedBlock]:
    """Find the blocks: boxes with equal keys that would be written at two or more places. Outer blocks come first."""
    _add_absent_residuals(root, tensors)
    keys = Keys()
    alike: dict[Any, list[Box]] = defaultdict(list)
    heights: dict[int, int] = {}
    for box in reversed(list(boxes(root.items))):
        heights[id(box)] = 1 + max((heights[id(inner)] for inner in boxes(box.items)), default=0)
        if keys.of(box) is not None and sum(1 for _ in leaves(box.items)) > 1:
            alike[keys.of(box)].append(box)
    blocks: list[ExportedBlock] = []
    texts: list[list[Item]] = [root.items]  # the text of the file, and of each block
    for height in sorted(set(heights.values()), reverse=True):
        in_texts = {id(box) for text in texts for box in _in_text(text) if heights[id(box)] == height}
        for group in list(alike.values()):
            if heights[id(group[0])] != height or sum(id(box) in in_texts for box in group) <= 1:
                continue
            for calls in _consistent(group[::-1]):
                if sum(id(box) in in_texts for box in calls) > 1:
                    block = ExportedBlock(calls)
                    for box in calls:
                        box.block = block
                    blocks.append(block)
                    texts.append(block.representative.items)
    return blocks


def _in_text(items: Iterable[Item]) -> Iterator[Box]:
    """The boxes that are written in a text, without those inside calls of blocks."""
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
    """Split a group of boxes by their projections, because a block has one projection at each place.

    Boxes without projections stay with the first boxes that have one.
    """
    by_projections: dict[Any, list[Box]] = {}
    without: list[Box] = []
    for box in group:
        joins = [join for join in _joins(box.items) if join.kind == "residual"]
        projections = tuple(projection_key(join, box) for join in joins)
        if any(key is not None for key in projections):
            by_projections.setdefault(projections, []).append(box)
        else:
            without.append(box)
    first, *rest = list(by_projections.values()) or [[]]
    together = {id(box) for box in (*first, *without)}
    return [[box for box in group if id(box) in together], *rest]


def _add_absent_residuals(root: Box, tensors: GraphTensors) -> None:
    """Turn a box that equals another box's residual without the addition into a residual with an absent addition.

    In some networks, such as MobileNetV2, a block has no addition where the shapes differ.
    """
    keys = Keys()
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
        if tensors.tensor(box.entry[0]).shape != tensors.outputs[box.end - 1][0].shape:
            for join in residuals[key]:
                join.optional = True
            absent = Join("residual", [box.items, []], residuals[key][0].merge, box.entry[0])
            absent.absent = absent.optional = True
            box.items = [absent]


def _is_residual(box: Box) -> bool:
    join = box.items[0]
    return len(box.items) == 1 and isinstance(join, Join) and join.kind == "residual" and not join.bodies[1]


# --- names

_GENERAL = {
    "features", "part", "stage", "stages", "module", "modules", "model", "net", "conv", "layer", "layers", "block",
    "blocks", "unit",
}  # fmt: skip
"""Names of modules that are too general for a block."""


def name_blocks(blocks: list[ExportedBlock], taken: set[str]) -> None:
    """Name each block after its boxes or their contents. New names are added to ``taken``."""
    for block in blocks:
        wanted = _wanted_name(block)
        name, number = wanted, 2
        while name in taken:
            name, number = f"{wanted}_v{number}", number + 1
        taken.add(name)
        block.name = name


def _wanted_name(block: ExportedBlock) -> str:
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
        return _residual_name([op for op in ops if op.group == "conv"])
    letters = takewhile(lambda pair: pair[0] == pair[1], zip(min(stems), max(stems), strict=False))
    shared = "".join(letter for letter, _ in letters)
    if len(shared) >= MIN_COMMON_LETTERS and shared not in _GENERAL:
        return shared.rstrip("_0123456789")
    return f"{join.merge.op.op}_unit" if join is not None else "unit"


MIN_COMMON_LETTERS = 4
"""A block is named after the common beginning of its boxes' names if it has this many letters."""


def _residual_name(convolutions: list[Any]) -> str:
    """The usual name of a residual block with these convolutions."""
    sizes = [op.kernel_size for op in convolutions]
    if any(op.groups == op.in_channels > 1 for op in convolutions) and sizes[-1] == 1:
        return "inverted_residual"
    if sizes[:1] == [1]:
        return "bottleneck"
    return "basic" if sizes[:2] == [3, 3] else "residual_unit"
