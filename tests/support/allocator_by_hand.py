"""The allocator's model, asked request by request."""

from __future__ import annotations

from typing import Any, NamedTuple

from convcost.analysis.memory.allocator import Allocator, rounded


class Block(NamedTuple):
    """What a request was given."""

    number: int
    address: int
    size: int
    requested: int


class Hand:
    """An allocator that is asked by hand, request by request."""

    def __init__(self, limit: int | None = None) -> None:
        self.allocator = Allocator(limit)
        self.wanted: list[int] = []

    def allocate(self, size: int) -> Block:
        self.wanted.append(rounded(size))
        number = len(self.wanted) - 1
        self.allocator.serve([number], self.wanted)
        return Block(number, *self.allocator.blocks[number], size)

    def free(self, block: Block) -> None:
        self.allocator.serve([~block.number], self.wanted)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.allocator, name)
