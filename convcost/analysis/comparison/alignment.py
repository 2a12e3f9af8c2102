"""Aligns two lists of layers: finds for each layer its counterpart, by structure first and by name second.

The alignment is a longest common subsequence with weights; the constants below are the weights.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from .layer_keys import Placed

Pair = tuple[int | None, int | None]
"""The positions of a layer in both lists; None if it is in only one of them."""

SAME, SAME_OWN, SAME_OP, SAME_GROUP = 16, 14, 8, 2
"""The score of a pair: equal layers; equal except for fields that follow from the layers before; layers with the same
op, with up to 4 more for equal fields; layers of the same group."""
NAMED, INSIDE, NUMBERED = 4, 3, 2
"""What an equal name adds to the score: a name from the user; a generated name in a block with a name from the user
(``head.relu_1``); a generated name (``relu_3``, ``features.4``)."""

CELLS = 2_000_000
"""A table with more pairs than this takes seconds, so the lists are first split at layers that are certainly equal."""
MOST_CELLS = 30_000_000
"""If there are more pairs than this after the split, the layers in between are not aligned."""

_GENERATED = re.compile(r"(?:.*\.)?(?:[0-9]+|(.+)_[0-9]+)\Z")


def align(before: Sequence[Placed], after: Sequence[Placed]) -> list[Pair]:
    """Pair the layers of two lists. Each layer is in exactly one pair, and the order of both lists is kept."""
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
        """The pairs of the layers i to i_end and j to j_end."""
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
        """The longest list of pairs with equal name and structure that are in the same order in both lists."""
        candidates = [
            (x, y)
            for x in range(i, i_end)
            if (y := self.place.get(self.before[x].name, -1)) >= j and y < j_end and self.a[x] == self.b[y]
        ]
        # Longest increasing subsequence: ends[k] is the smallest end of an increasing sequence of length k + 1.
        ends: list[int] = []
        last: list[int] = []
        previous: list[int] = []
        for number, (_, y) in enumerate(candidates):
            length = bisect_left(ends, y)
            previous.append(last[length - 1] if length else -1)
            ends[length:] = [y]
            last[length:] = [number]
        chain = []
        number = last[-1] if last else -1
        while number >= 0:
            chain.append(candidates[number])
            number = previous[number]
        return chain[::-1]

    def best(self, i: int, i_end: int, j: int, j_end: int) -> list[Pair]:
        """The pairs with the highest total score (longest common subsequence with weights)."""
        scores: dict[int, list[int]] = {}
        row = [0] * (j_end - j + 1)
        rows = [row]
        for x in range(i, i_end):
            kind = self.a[x]
            if kind not in scores:
                scores[kind] = [self.score(kind, other) for other in self.b[j:j_end]]
            score = scores[kind]
            y = self.place.get(self.before[x].name, -1)
            if j <= y < j_end:
                score = score.copy()
                score[y - j] += self.name_score(x, y, score[y - j])
            left = 0
            new = [0]
            append = new.append
            for up, corner, pair in zip(row[1:], row, score, strict=False):
                # A score of 0 means that the two layers are not a pair.
                if pair and (met := corner + pair) > up and met > left:
                    left = met
                elif up > left:
                    left = up
                append(left)
            rows.append(new)
            row = new
        return self.traced(rows, i, j)

    @staticmethod
    def traced(rows: list[list[int]], i: int, j: int) -> list[Pair]:
        """The pairs, traced back through the table. Of several equal layers the last ones count as inserted."""
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
        """The score of two structures, given by their ids; 0 if they are not a pair."""
        if kind == other:
            return SAME
        key = (kind, other)
        if key not in self.scores:
            self.scores[key] = _score(self.examples[kind], self.examples[other])
        return self.scores[key]

    def name_score(self, x: int, y: int, score: int) -> int:
        """What an equal name adds to a score. A name from the user makes any two layers a pair, a generated one not."""
        name = self.before[x].name
        if is_given(name):
            return NAMED
        *blocks, last = name.split(".")
        inside = not last.isdigit() and any(map(is_given, blocks))
        return (INSIDE if inside else NUMBERED) if score else 0


def is_given(name: str) -> bool:
    """True for a name from the user, False for a generated one such as ``relu_3`` or ``features.4``."""
    return not _GENERATED.match(name)


def _score(one: Placed, other: Placed) -> int:
    if one.op != other.op:
        return SAME_GROUP if one.group == other.group != "other" else 0
    if one.own == other.own:
        return SAME_OWN
    keys = one.own.keys() | other.own.keys()
    alike = sum(1 for key in keys if one.own.get(key) == other.own.get(key))
    return SAME_OP + 4 * alike // len(keys)
