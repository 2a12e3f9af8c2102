"""The allocator's model, asked request by request."""

from __future__ import annotations

from typing import Any, NamedTuple

from convcost.analysis.memory.allocator import Allocator


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
        self.sizes: list[int] = []

    def allocate(self, size: int) -> Block:
        self.sizes.append(size)
        number = len(self.sizes) - 1
        self.allocator.serve([number], self.sizes)
        return Block(number, *self.allocator.blocks[number], size)

    def free(self, block: Block) -> None:
        self.allocator.serve([~block.number], self.sizes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.allocator, name)
