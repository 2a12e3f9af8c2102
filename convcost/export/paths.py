"""Converts the names of a graph to names that a spec can have, and builds the tree of boxes from them.

The names of a graph that was read from a spec are kept. In a captured graph, a numbered module ``layer1.0`` becomes
``layer1_1``, numbered from 1 as ``repeat`` does, and a numbered layer gets a generated name such as ``conv2d_1``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set

from ..graph import Graph
from ..spec.problems import MAX_NAME
from .tree import Box, Leaf

Path = tuple[str, ...]

Shadow = tuple[tuple[int, int], str]
"""A name that must be changed, with the place of its box, because it hides a layer outside that is read inside."""

_INVALID = re.compile(r"[^A-Za-z0-9_]+")
_REPEATED_CALL = re.compile(r"[0-9]+_[0-9]+\Z")
_RESERVED = ("previous", "input")


def build_tree(graph: Graph, leaves: Sequence[Leaf], flat: bool, avoid: Set[Shadow]) -> Box:
    """Build the tree of the leaves.

    Args:
        graph: the graph.
        leaves: its leaves, whose ``segment`` and ``auto`` are set.
        flat: put all leaves in the root, with the segments of their names joined by underscores.
        avoid: names that must not be used.

    Returns:
        The root.
    """
    captured = not graph.batch_free
    paths = _paths([node.name for node in graph.nodes], leaves, captured)
    if flat:
        joined = ["_".join(filter(None, path)) for path in paths]
        paths = [(name if path[-1] else "",) for name, path in zip(joined, paths, strict=True)]
    root = Box("", None, 0)
    root.segments.update(input_names(graph))
    _TreeBuilder(root, captured, avoid).fill(leaves, paths)
    return root


def input_names(graph: Graph) -> list[str]:
    """The names of the network's inputs in the spec."""
    names: list[str] = []
    for name, _ in graph.inputs:
        free = name if name == "input" else _clean(name)
        while free in names:
            free += "_"
        names.append(free)
    return names


def valid_name(text: str, fallback: str = "network") -> str:
    """Any text as a valid name; ``fallback`` if nothing is left of it."""
    return _clean(text) if _INVALID.sub("", text) else fallback


def _clean(segment: str) -> str:
    segment = _INVALID.sub("_", segment)
    if not segment or segment[0].isdigit() or segment in _RESERVED:
        segment = f"_{segment}"
    return segment[:MAX_NAME]


def _paths(names: Sequence[str], leaves: Sequence[Leaf], captured: bool) -> list[Path]:
    """The segments of each layer's name in the spec. The last one is "" if the name is to be generated."""
    split = [tuple(name.split(".")) for name in names]
    modules = {path[:cut] for path in split for cut in range(1, len(path))}
    # A layer with the name of a module is put into this module.
    split = [(*path, leaf.op.op) if path in modules else path for path, leaf in zip(split, leaves, strict=True)]
    if not captured:
        return [tuple(map(_clean, path)) for path in split]
    numbered = {path[:-1] for path in modules if path[-1].isdigit()}
    among_layers = {path[:-1] for path in split if path[-1].isdigit()}
    # In a module that is itself numbered, numbered layers and numbered modules stay together.
    numbered -= {path for path in among_layers if path and path[-1].isdigit()}
    return [_renamed(path, numbered) for path in split]


def _renamed(path: Path, numbered: set[Path]) -> Path:
    """``layer1.0.conv1`` -> ``layer1_1.conv1``. ``numbered``: modules whose submodules are numbered."""
    renamed: list[str] = []
    for depth, segment in enumerate(path):
        is_layer = depth == len(path) - 1
        if is_layer and _REPEATED_CALL.match(segment):
            renamed.append("")
        elif not segment.isdigit():
            renamed.append(_clean(segment))
        elif renamed and renamed[-1] and path[:depth] in numbered:
            renamed[-1] = _clean(f"{renamed[-1]}_{int(segment) + 1}")
        else:
            renamed.append("" if is_layer else f"part_{int(segment) + 1}")
    return tuple(renamed)


class _TreeBuilder:
    """Puts leaves into boxes, in order of execution. The names in a box are unique."""

    def __init__(self, root: Box, captured: bool, avoid: Set[Shadow]) -> None:
        self.root = root
        self.avoid = avoid
        self.captured = captured
        self.counts: dict[tuple[int, str], int] = {}

    def fill(self, leaves: Sequence[Leaf], paths: Sequence[Path]) -> None:
        """Append each leaf to the box of its path. A box holds consecutive layers, so it is never entered again."""
        opened: list[tuple[str, Box]] = []
        for leaf, path in zip(leaves, paths, strict=True):
            depth = 0
            while depth < min(len(opened), len(path) - 1) and opened[depth][0] == path[depth]:
                depth += 1
            del opened[depth:]
            box = opened[-1][1] if opened else self.root
            for segment in path[depth:-1]:
                inner = Box(self.free(box, segment or "part"), box, leaf.position)
                box.segments.add(inner.segment)
                box.items.append(inner)
                opened.append((segment, inner))
                box = inner
            self.place(leaf, box, path[-1])
            for _, outer in opened:
                outer.end = leaf.end
            self.root.end = leaf.end

    def place(self, leaf: Leaf, box: Box, segment: str) -> None:
        op = leaf.op.op
        count = self.counts.get((id(box), op), 0) + 1
        generated = f"{op}_{count}"
        named_after_op = not segment or (
            self.captured and (segment == op or re.fullmatch(re.escape(op) + "_[0-9]+", segment) is not None)
        )
        if (named_after_op or segment == generated) and not self.taken(box, generated):
            leaf.auto, leaf.segment = True, generated
            self.counts[id(box), op] = count
        else:
            leaf.segment = self.free(box, segment or op)
        box.segments.add(leaf.segment)
        box.items.append(leaf)

    def free(self, box: Box, segment: str) -> str:
        """``segment``, with a number appended if it is not free in ``box``."""
        name, number = segment, 2
        while self.taken(box, name) or self.is_generated(box, name):
            name = f"{segment[: MAX_NAME - 8]}_{number}" if number < 3 else f"{segment[: MAX_NAME - 8]}__{number}"
            number += 1
        return name

    def taken(self, box: Box, segment: str) -> bool:
        return segment in box.segments or (bool(self.avoid) and (box.place(), segment) in self.avoid)

    def is_generated(self, box: Box, segment: str) -> bool:
        """True if the spec language generates this name for an earlier layer in the box."""
        op, _, number = segment.rpartition("_")
        return number.isdigit() and int(number) <= self.counts.get((id(box), op), 0)
