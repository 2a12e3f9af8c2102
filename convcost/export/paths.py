"""Names of a graph as the spec language can have them, and the tree of boxes that they make.

A spec keeps its names. In a capture, ``layer1.0`` is not a name that a spec can have: numbered modules that hold others
become ``layer1_1``, ``layer1_2``, numbered as ``repeat`` numbers; numbered layers get the language's own names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set

from ..graph import Graph
from ..spec.problems import MAX_NAME
from .tree import Box, Leaf

Path = tuple[str, ...]

Shadow = tuple[tuple[int, int], str]
"""A box's place and a name: something outside is called so, too, and is read from inside."""

_STRANGE = re.compile(r"[^A-Za-z0-9_]+")
_AGAIN = re.compile(r"[0-9]+_[0-9]+\Z")
_RESERVED = ("previous", "input")


def grow(graph: Graph, leaves: Sequence[Leaf], flat: bool, avoid: Set[Shadow]) -> Box:
    """The tree of the layers. ``flat``: all of them at the top, under joined names. ``avoid``: names by their box."""
    captured = not graph.batch_free
    paths = _paths([node.name for node in graph.nodes], leaves, captured)
    if flat:
        joined = ["_".join(filter(None, path)) for path in paths]
        paths = [(name if path[-1] else "",) for name, path in zip(joined, paths, strict=True)]
    root = Box("", None, 0)
    root.segments.update(name for name, _ in _input_names(graph))
    _Frames(root, captured, avoid).fill(leaves, paths)
    return root


def _input_names(graph: Graph) -> list[tuple[str, str]]:
    """The inputs' names as a spec has them, with those they had."""
    found: dict[str, str] = {}
    for name, _ in graph.inputs:
        fresh = name if name == "input" else _clean(name)
        while fresh in found:
            fresh += "_"
        found[fresh] = name
    return list(found.items())


def input_names(graph: Graph) -> list[str]:
    """The inputs' names as a spec can have them."""
    return [fresh for fresh, _ in _input_names(graph)]


def word(name: str, fallback: str = "network") -> str:
    """Any text as a name."""
    return _clean(name) if _STRANGE.sub("", name) else fallback


def _clean(segment: str) -> str:
    segment = _STRANGE.sub("_", segment)
    if not segment or segment[0].isdigit() or segment in _RESERVED:
        segment = f"_{segment}"
    return segment[:MAX_NAME]


def _paths(names: Sequence[str], leaves: Sequence[Leaf], captured: bool) -> list[Path]:
    split = [tuple(name.split(".")) for name in names]
    holders = {path[:cut] for path in split for cut in range(1, len(path))}
    # A layer that is called like a module that holds others lies in that module.
    split = [(*path, leaf.op.op) if path in holders else path for path, leaf in zip(split, leaves, strict=True)]
    if not captured:
        return [tuple(map(_clean, path)) for path in split]
    numbered = {path[:-1] for path in holders if path[-1].isdigit()}
    among_layers = {path[:-1] for path in split if path[-1].isdigit()}
    # In a module that is one of several, numbered layers and modules stay together.
    numbered -= {path for path in among_layers if path and path[-1].isdigit()}
    return [_renamed(path, numbered) for path in split]


def _renamed(path: Path, numbered: set[Path]) -> Path:
    """``layer1.0.conv1`` -> ``layer1_1.conv1``; a numbered layer among layers -> "" (the language names it)."""
    found: list[str] = []
    for depth, segment in enumerate(path):
        is_layer = depth == len(path) - 1
        if is_layer and _AGAIN.match(segment):
            found.append("")  # the second call of a numbered layer
        elif not segment.isdigit():
            found.append(_clean(segment))
        elif found and found[-1] and path[:depth] in numbered:
            found[-1] = _clean(f"{found[-1]}_{int(segment) + 1}")
        else:
            found.append("" if is_layer else f"part_{int(segment) + 1}")
    return tuple(found)


class _Frames:
    """Puts layers into boxes, in order of execution; no two names in a box are equal."""

    def __init__(self, root: Box, captured: bool, avoid: Set[Shadow]) -> None:
        self.root = root
        self.avoid = avoid
        self.captured = captured
        self.counts: dict[tuple[int, str], int] = {}

    def fill(self, leaves: Sequence[Leaf], paths: Sequence[Path]) -> None:
        """Append each leaf to the box of its path; a box that was left is not entered again."""
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
        known = leaf.op.op
        count = self.counts.get((id(box), known), 0) + 1
        auto = f"{known}_{count}"
        like_op = not segment or (
            self.captured and (segment == known or re.fullmatch(re.escape(known) + "_[0-9]+", segment) is not None)
        )
        if (like_op or segment == auto) and not self.taken(box, auto):
            leaf.auto, leaf.segment = True, auto
            self.counts[id(box), known] = count
        else:
            leaf.segment = self.free(box, segment or known)
        box.segments.add(leaf.segment)
        box.items.append(leaf)

    def free(self, box: Box, segment: str) -> str:
        """``segment``, or what is next to it and free in ``box``."""
        found, number = segment, 2
        while self.taken(box, found) or self.like_auto(box, found):
            found = f"{segment[: MAX_NAME - 8]}_{number}" if number < 3 else f"{segment[: MAX_NAME - 8]}__{number}"
            number += 1
        return found

    def taken(self, box: Box, segment: str) -> bool:
        return segment in box.segments or (bool(self.avoid) and (box.place(), segment) in self.avoid)

    def like_auto(self, box: Box, segment: str) -> bool:
        """True if the language gave this name to an earlier layer, or counts past it."""
        known, _, number = segment.rpartition("_")
        return number.isdigit() and int(number) <= self.counts.get((id(box), known), 0)
