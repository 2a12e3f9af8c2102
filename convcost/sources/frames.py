"""What names mean in the body that is being expanded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import Where
from ..graph import Reference
from .draft import Refs


class LayerValue(tuple[Reference, ...]):
    """An earlier layer handed to a block as an argument."""

    __slots__ = ()


class Frame:
    """One body being expanded: what its names mean and how many of each word it has had."""

    __slots__ = ("block", "counts", "env", "layers", "outer", "prefix", "used_at")

    def __init__(
        self,
        env: dict[str, Any],
        prefix: str,
        outer: Frame | None = None,
        block: str = "",
        used_at: Where | None = None,
    ) -> None:
        self.env = env
        self.prefix = prefix
        self.outer = outer
        self.block = block
        self.used_at = used_at
        self.counts: dict[str, int] = {}
        self.layers: dict[str, Refs] = {}

    def numbered(self, word: str) -> str:
        """``relu_1``, ``relu_2``: a name for the next layer with this word."""
        word = word.rstrip("_")
        number = self.counts.get(word, 0) + 1
        self.counts[word] = number
        return f"{word}_{number}"

    def chain(self) -> Iterator[Frame]:
        """The frame itself and those it lies in, from the inside out."""
        frame: Frame | None = self
        while frame is not None:
            yield frame
            frame = frame.outer
