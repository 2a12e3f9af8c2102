"""The layered layout of a network's diagram: the boxes in each row, and the paths of the lines.

Each block is laid out separately, so that a page can open and close blocks; the script computes sizes in pixels.
A line across several rows runs in a lane, one per value, from which the readers of the value branch off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ... import units
from ..blocks import LayerBlock, block_tree, is_wrapper, main_group

if TYPE_CHECKING:
    from ...analysis.layers import LayerRecord
    from ...analysis.report import Report

MAX_LANES = 20_000
"""Maximum number of lane items in one block. Above it, long lines are drawn straight."""

OPEN_BOXES = 48
"""Maximum number of boxes shown initially, before one example of each kind of block is opened."""

Item = tuple[str, int]
"""("child", index), ("in", position), ("out", position) or ("lane", number)."""


class Level:
    """The inside of one block: items in rows, and the segments of lines between them.

    ``segments`` are (from item, to item, value): the value is the position of the layer that computes it, negative for
    an input of the network.
    """

    def __init__(self, sources: Sequence[Iterable[int]], block: LayerBlock, read: set[int], inputs: int) -> None:
        self.items: list[Item] = []
        self.rank: list[int] = []
        self.segments: list[tuple[int, int, int]] = []
        self._lanes: dict[tuple[int, int], list[int]] = {}
        self._lay(sources, block, read, inputs)
        self.rows = self._rows()

    def _lay(self, sources: Sequence[Iterable[int]], block: LayerBlock, read: set[int], inputs: int) -> None:
        children = block.children
        child_of = {p: k for k, child in enumerate(children) for p in range(child.start, child.stop)}
        wanted = [_outside(sources, child.start, child.stop) for child in children]
        ports = sorted({p for values in wanted for p in values if p not in child_of}, key=lambda p: (p < 0, -p))
        if inputs:
            ports = [-1 - k for k in range(inputs)]
        home = {position: self._add(("in", position), 0) for position in ports}
        place: list[int] = []
        for k, values in enumerate(wanted):
            begins = [home[p] if p in home else place[child_of[p]] for p in values]
            place.append(self._add(("child", k), 1 + max((self.rank[b] for b in begins), default=0)))
            for begin, value in zip(begins, values, strict=True):
                self._line(begin, place[k], value)
        last = 1 + max(self.rank, default=0)
        for position in sorted(read):
            if position in child_of:
                self._line(place[child_of[position]], self._add(("out", position), last), position)

    def _add(self, item: Item, rank: int) -> int:
        self.items.append(item)
        self.rank.append(rank)
        return len(self.items) - 1

    def _line(self, begin: int, end: int, value: int) -> None:
        """A line of one value, along its lane if the end is further than the next row."""
        missing = self.rank[end] - self.rank[begin] - 1
        if missing > 0 and len(self.items) < MAX_LANES:
            lane = self._lanes.setdefault((begin, value), [begin])
            while len(lane) <= missing:
                lane.append(self._add(("lane", len(self.items)), self.rank[begin] + len(lane)))
                self.segments.append((lane[-2], lane[-1], value))
            begin = lane[missing]
        self.segments.append((begin, end, value))

    def _rows(self) -> list[list[int]]:
        """Items by row, in depth-first order with lanes last, so that lanes are outside of the boxes."""
        after: list[list[int]] = [[] for _ in self.items]
        before = [0] * len(self.items)
        for begin, end, _ in self.segments:
            after[begin].append(end)
            before[end] += 1
        rows: list[list[int]] = [[] for _ in range(1 + max(self.rank, default=0))]
        seen: set[int] = set()

        def order(item: int) -> tuple[bool, int]:
            return self.items[item][0] == "lane", item

        stack = sorted((item for item, count in enumerate(before) if not count), key=order, reverse=True)
        while stack:
            item = stack.pop()
            if item not in seen:
                seen.add(item)
                rows[self.rank[item]].append(item)
                stack += sorted(after[item], key=order, reverse=True)
        return rows


def _outside(sources: Sequence[Iterable[int]], start: int, stop: int) -> list[int]:
    """The values that layers ``start`` to ``stop`` read from other layers, without duplicates."""
    return list(dict.fromkeys(p for layer in range(start, stop) for p in sources[layer] if not start <= p < stop))


def diagram(report: Report, root: LayerBlock | None = None) -> dict[str, Any]:
    """The diagram as plain data for the page.

    ``blocks`` are all blocks, the network first; each has its ``label``, its ``group``, the layers ``start`` to
    ``stop`` and, unless it is a single layer, ``kids`` (indices of blocks), ``items``, ``rows`` and ``segments`` as
    ``Level`` makes them.
    ``open`` are the blocks that are open initially.
    """
    root = root or block_tree(report)
    sources = [[source for source, _ in layer.node.inputs] for layer in report.layers]
    readers: list[list[int]] = [[] for _ in sources]
    for position, found in enumerate(sources):
        for source in found:
            if source >= 0:
                readers[source].append(position)
    results = {source for source, _ in report.graph.outputs}
    blocks: list[dict[str, Any]] = []

    def add(block: LayerBlock) -> int:
        own = len(blocks)
        entry: dict[str, Any] = {"label": block.title, "start": block.start, "stop": block.stop, "times": block.times}
        entry["group"] = main_group(report.layers[block.start : block.stop])
        blocks.append(entry)
        if block.children:
            inside = range(block.start, block.stop)
            read = {p for p in inside if p in results or any(r >= block.stop for r in readers[p])}
            level = Level(sources, block, read, len(report.graph.inputs) if not own else 0)
            entry["kids"] = [add(child) for child in block.children]
            entry["items"] = [[kind, entry["kids"][k] if kind == "child" else k] for kind, k in level.items]
            entry["rows"], entry["segments"] = level.rows, level.segments
        return own

    add(root)
    inputs = [f"{name} {units.shape(shape)}" for name, shape in report.settings.input_shapes.items()]
    return {"blocks": blocks, "inputs": inputs, "open": opened(report, blocks)}


def opened(report: Report, blocks: Sequence[dict[str, Any]]) -> list[int]:
    """Blocks to show open: whole levels while the boxes are few, then the first of each kind that has branches."""
    shown, boxes = [0], list(blocks[0].get("kids", ()))
    while True:
        closed = [box for box in boxes if "kids" in blocks[box] and not is_wrapper(_inside(report, blocks[box]))]
        inside = [kid for box in closed for kid in blocks[box]["kids"]]
        if not closed or len(boxes) - len(closed) + len(inside) > OPEN_BOXES:
            break
        shown += closed
        boxes = [box for box in boxes if box not in closed] + inside
    kinds = set()
    for box in sorted(boxes):
        # A closed stage with few blocks is opened, so that it shows an example of its blocks.
        found = [box]
        if blocks[box]["times"] and len(blocks[box]["kids"]) <= OPEN_BOXES // 2:
            found = [box, *blocks[box]["kids"]]
        for block in found:
            entry = blocks[block]
            kind = tuple(layer.op for layer in _inside(report, entry))
            if kind not in kinds and _branches(entry) and len(entry["kids"]) <= OPEN_BOXES // 2:
                kinds.add(kind)
                shown += [box, block] if block != box else [box]
    return sorted(set(shown))


def _inside(report: Report, entry: dict[str, Any]) -> Sequence[LayerRecord]:
    return report.layers[entry["start"] : entry["stop"]]


def _branches(entry: dict[str, Any]) -> bool:
    return any(len(row) > 1 for row in entry.get("rows", ()))
