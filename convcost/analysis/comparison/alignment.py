"""Two lists of layers aligned: which layer of the one is which of the other, by structure first and by name second."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from .layer_keys import Placed

Pair = tuple[int | None, int | None]
"""Positions before and after; None where a layer has no counterpart."""

SAME, SAME_OWN, SAME_OP, SAME_GROUP = 16, 14, 8, 2
"""What a pair is worth: equal; equal but for what it takes over; the same op, and up to 4 for equal fields; a group."""
NAMED, INSIDE, NUMBERED = 4, 3, 2
"""What an equal name adds: one that somebody gave; a counted one inside of such a block (``head.relu_1``); one that
only counts (``relu_3``, ``features.4``)."""

CELLS = 2_000_000
"""Above so many pairs a table of all of them takes seconds: anchors split it first."""
MOST_CELLS = 30_000_000
"""Above so many even then, what lies between the anchors is removed and inserted, not paired."""

_COUNTING = re.compile(r"(?:.*\.)?(?:[0-9]+|(.+)_[0-9]+)\Z")


def align(before: Sequence[Placed], after: Sequence[Placed]) -> list[Pair]:
    """Every layer of both lists once, in order, with its counterpart where it has one."""
    ids: dict[tuple[str, ...], int] = {}
    a = [ids.setdefault(layer.structure, len(ids)) for layer in before]
    b = [ids.setdefault(layer.structure, len(ids)) for layer in after]
    if a == b:
        return [(k, k) for k in range(len(a))]
    return _Alignment(before, after, a, b).between(0, len(a), 0, len(b), anchored=False)


class _Alignment:
    def __init__(self, before: Sequence[Placed], after: Sequence[Placed], a: list[int], b: list[int]) -> None:
        self.before, self.after, self.a, self.b = before, after, a, b
        self.place = {layer.name: position for position, layer in enumerate(after)}
        self.examples = dict(zip(a + b, [*before, *after], strict=True))
        self.scores: dict[tuple[int, int], int] = {}

    def equal(self, i: int, j: int) -> bool:
        return self.a[i] == self.b[j] and self.before[i].name == self.after[j].name

    def between(self, i: int, i_end: int, j: int, j_end: int, anchored: bool) -> list[Pair]:
        """The pairs of one stretch of both lists."""
        front: list[Pair] = []
        while i < i_end and j < j_end and self.equal(i, j):
            front.append((i, j))
            i, j = i + 1, j + 1
        back: list[Pair] = []
        while i < i_end and j < j_end and self.equal(i_end - 1, j_end - 1):
            i_end, j_end = i_end - 1, j_end - 1
            back.append((i_end, j_end))
        return front + self.middle(i, i_end, j, j_end, anchored) + back[::-1]

    def middle(self, i: int, i_end: int, j: int, j_end: int, anchored: bool) -> list[Pair]:
        cells = (i_end - i) * (j_end - j)
        if cells > CELLS and not anchored:
            pairs: list[Pair] = []
            for x, y in [*self.anchors(i, i_end, j, j_end), (i_end, j_end)]:
                pairs += self.between(i, x, j, y, anchored=True)
                if x < i_end:
                    pairs.append((x, y))
                i, j = x + 1, y + 1
            return pairs
        if not cells or cells > MOST_CELLS:
            return [(x, None) for x in range(i, i_end)] + [(None, y) for y in range(j, j_end)]
        return self.best(i, i_end, j, j_end)

    def anchors(self, i: int, i_end: int, j: int, j_end: int) -> list[tuple[int, int]]:
        """Layers of equal name and structure, as many as stand in the same order in both."""
        found = [
            (x, y)
            for x in range(i, i_end)
            if (y := self.place.get(self.before[x].name, -1)) >= j and y < j_end and self.a[x] == self.b[y]
        ]
        ends: list[int] = []
        last: list[int] = []
        previous: list[int] = []
        for number, (_, y) in enumerate(found):
            length = bisect_left(ends, y)
            previous.append(last[length - 1] if length else -1)
            ends[length:] = [y]
            last[length:] = [number]
        chain = []
        number = last[-1] if last else -1
        while number >= 0:
            chain.append(found[number])
            number = previous[number]
        return chain[::-1]

    def best(self, i: int, i_end: int, j: int, j_end: int) -> list[Pair]:
        """The pairs, in order, that are worth most together (the longest common subsequence, with weights)."""
        worth: dict[int, list[int]] = {}
        row = [0] * (j_end - j + 1)
        rows = [row]
        values = []
        for x in range(i, i_end):
            kind = self.a[x]
            if kind not in worth:
                worth[kind] = [self.score(kind, other) for other in self.b[j:j_end]]
            value = worth[kind]
            y = self.place.get(self.before[x].name, -1)
            if j <= y < j_end:
                value = value.copy()
                value[y - j] += self.name_score(x, y, value[y - j])
            left = 0
            new = [0]
            append = new.append
            for up, corner, pair in zip(row[1:], row, value, strict=False):
                # 0 stands for "these two are no pair".
                if pair and (met := corner + pair) > up and met > left:
                    left = met
                elif up > left:
                    left = up
                append(left)
            values.append(value)
            rows.append(new)
            row = new
        return self.traced(rows, values, i, j)

    @staticmethod
    def traced(rows: list[list[int]], values: list[list[int]], i: int, j: int) -> list[Pair]:
        """The way back through the table. What is inserted stands late among equals: names count upwards."""
        x, y = len(rows) - 1, len(rows[0]) - 1
        pairs: list[Pair] = []
        while x and y:
            if rows[x][y] == rows[x][y - 1]:
                y -= 1
                pairs.append((None, j + y))
            elif rows[x][y] == rows[x - 1][y]:
                x -= 1
                pairs.append((i + x, None))
            else:
                x, y = x - 1, y - 1
                pairs.append((i + x, j + y))
        pairs += [(None, j + k) for k in range(y - 1, -1, -1)] + [(i + k, None) for k in range(x - 1, -1, -1)]
        return pairs[::-1]

    def score(self, kind: int, other: int) -> int:
        """What a pair of these structures is worth; 0: they are no pair."""
        if kind == other:
            return SAME
        key = (kind, other)
        if key not in self.scores:
            self.scores[key] = _score(self.examples[kind], self.examples[other])
        return self.scores[key]

    def name_score(self, x: int, y: int, found: int) -> int:
        """An equal name makes a pair of any two layers if somebody gave it; a counted one only helps a pair."""
        name = self.before[x].name
        if is_given(name):
            return NAMED
        *blocks, last = name.split(".")
        inside = not last.isdigit() and any(map(is_given, blocks))
        return (INSIDE if inside else NUMBERED) if found else 0


def is_given(name: str) -> bool:
    """True for a name that somebody gave; False for one that counts."""
    return not _COUNTING.match(name)


def _score(one: Placed, other: Placed) -> int:
    if one.op != other.op:
        return SAME_GROUP if one.group == other.group != "other" else 0
    if one.own == other.own:
        return SAME_OWN
    keys = one.own.keys() | other.own.keys()
    alike = sum(1 for key in keys if one.own.get(key) == other.own.get(key))
    return SAME_OP + 4 * alike // len(keys)
