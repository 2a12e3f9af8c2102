"""Groups layers into blocks by their paths: the lines of a table, and the layers that each line covers."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ...errors import UsageError

AUTOMATIC_LINES = 60
"""If no depth is given, blocks are collapsed until the table has at most this many lines."""

Path = tuple[str, ...]


class Fold(msgspec.Struct, frozen=True):
    """One line of a table: its ``segment`` of the path, nesting level, and layers ``start`` to ``stop``.

    ``leaf`` is False for a block.
    """

    segment: str
    level: int
    start: int
    stop: int
    leaf: bool


def folded(paths: Sequence[Path], depth: int | None = None) -> list[Fold]:
    """The lines for layers with these paths, in order; a block precedes its contents.

    Args:
        depth: collapse blocks below this level; None: the deepest level with at most ``AUTOMATIC_LINES`` lines.

    Raises:
        UsageError: a depth below 1.
    """
    if depth is not None and depth < 1:
        raise UsageError(f"--depth must be 1 or more, not {depth}")
    deepest = max(map(len, paths), default=1)
    if depth is None:
        depth = next((level for level in range(deepest, 1, -1) if _count(paths, level) <= AUTOMATIC_LINES), 1)
    lines: list[Fold] = []
    _fold(paths, 0, len(paths), 0, min(depth, deepest), lines)
    return lines


def _count(paths: Sequence[Path], depth: int) -> int:
    """Number of lines at a depth: the distinct prefixes of the paths up to that level."""
    return len({path[:level] for path in paths for level in range(1, min(depth, len(path)) + 1)})


def _fold(paths: Sequence[Path], start: int, stop: int, level: int, depth: int, lines: list[Fold]) -> None:
    """Append one line per run of layers with the same segment at ``level``, each followed by its contents."""
    while start < stop:
        path = paths[start]
        segment = path[level]
        end = start + 1
        while end < stop and len(paths[end]) > level and paths[end][level] == segment:
            end += 1
        leaf = len(path) == level + 1
        lines.append(Fold(segment, level, start, end, leaf))
        if not leaf and level + 1 < depth:
            _fold(paths, start, end, level + 1, depth, lines)
        start = end
