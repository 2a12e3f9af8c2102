"""PyTorch's CUDA caching allocator, modelled from its public rules (c10/cuda/CUDACachingAllocator.cpp), one stream.

A request is rounded up to 512 bytes. Up to 1 MiB it is served from segments of 2 MiB; larger ones from segments of
20 MiB, and from 10 MiB on from segments of their own size, rounded up to 2 MiB. The smallest free block that is large
enough is taken, and split if what remains is worth it: 512 bytes in small segments, more than 1 MiB in large ones.
Freed blocks join free neighbours; segments go back to CUDA only when memory runs out.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

import msgspec

from .script import Script

MIN_BLOCK = 512
SMALL = 1 << 20
SMALL_SEGMENT = 2 << 20
LARGE_SEGMENT = 20 << 20
OWN_SEGMENT = 10 << 20
ROUND_LARGE = 2 << 20
"""Constants of the same meaning in PyTorch: kMinBlockSize, kSmallSize, kSmallBuffer, kLargeBuffer, kMinLargeAlloc,
kRoundLarge."""


class OutOfMemoryError(Exception):
    """There is no room for a request."""


class Block(msgspec.Struct, frozen=True, gc=False):
    """A piece of a segment that is taken: its address and size, and what was asked for."""

    address: int
    size: int
    requested: int


def rounded(size: int) -> int:
    """What a request takes: a multiple of 512 bytes, and no less."""
    return -(-size // MIN_BLOCK) * MIN_BLOCK or MIN_BLOCK


def segment_size(size: int) -> int:
    """What is asked of CUDA for a (rounded) request."""
    if size <= SMALL:
        return SMALL_SEGMENT
    if size < OWN_SEGMENT:
        return LARGE_SEGMENT
    return -(-size // ROUND_LARGE) * ROUND_LARGE


class Allocator:
    """The allocator's state, and its peaks.

    Args:
        limit: bytes that segments may take in all; None: any number.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.requested = self.allocated = self.reserved = 0
        self.peak_requested = self.peak_allocated = self.peak_reserved = 0
        self._small: list[tuple[int, int]] = []  # free blocks as (size, address), in order
        self._large: list[tuple[int, int]] = []
        self._starts: dict[int, int] = {}  # address of a free block -> its size
        self._ends: dict[int, int] = {}  # address behind a free block -> its own
        self._segments: dict[int, int] = {}  # address -> size
        self._served: dict[int, Block] = {}  # a script's allocation -> its block
        self._next = 1 << 40

    def copy(self, limit: int | None = None) -> Allocator:
        """One in the same state that goes its own way, within another limit."""
        other = Allocator(limit)
        for name, value in vars(self).items():
            if name != "limit":
                setattr(other, name, value if isinstance(value, int) else value.copy())
        return other

    def allocate(self, size: int) -> Block:
        """A block for ``size`` bytes.

        Raises:
            OutOfMemoryError: the limit would be exceeded, also after everything unused was given back.
        """
        wanted = rounded(size)
        small = wanted <= SMALL
        free = self._small if small else self._large
        # The smallest free block that is large enough; of equal ones the one at the lowest address.
        at = bisect_left(free, (wanted,))
        if at < len(free):
            given, address = free.pop(at)
            del self._starts[address]
        else:
            given, address = self._segment(wanted)
        rest = given - wanted
        if rest >= MIN_BLOCK if small else rest > SMALL:
            insort(free, (rest, address + wanted))
            self._starts[address + wanted] = rest
            self._ends[address + given] = address + wanted
            given = wanted
        else:
            self._ends.pop(address + given, None)
        self.requested += size
        self.allocated += given
        # A replay comes here ten thousand times.
        if self.requested > self.peak_requested:
            self.peak_requested = self.requested
        if self.allocated > self.peak_allocated:
            self.peak_allocated = self.allocated
        return Block(address, given, size)

    def free(self, block: Block) -> None:
        """Give a block back; it joins free neighbours. Segments never touch each other."""
        address, size = block.address, block.size
        self.requested -= block.requested
        self.allocated -= size
        free = self._small if rounded(block.requested) <= SMALL else self._large
        before = self._ends.pop(address, None)
        if before is not None:
            joined = self._starts.pop(before)
            del free[bisect_left(free, (joined, before))]
            address = before
            size += joined
        joined = self._starts.pop(address + size, 0)
        if joined:
            del free[bisect_left(free, (joined, address + size))]
            size += joined
        insort(free, (size, address))
        self._starts[address] = size
        self._ends[address + size] = address

    def replay(self, script: Script, sizes: Sequence[int] | None = None, start: int = 0, end: int | None = None) -> None:
        """Serve a script, or a part of its events; empty tensors ask for nothing."""
        sizes = script.sizes if sizes is None else sizes
        served = self._served
        for event in script.events[start:end]:
            if event < 0:
                if sizes[~event]:
                    self.free(served.pop(~event))
            elif sizes[event]:
                served[event] = self.allocate(sizes[event])

    def serves(self, script: Script, sizes: Sequence[int] | None = None, start: int = 0) -> bool:
        """Whether a script, or the rest of it, can be served within the limit."""
        try:
            self.replay(script, sizes, start)
        except OutOfMemoryError:
            return False
        return True

    def _segment(self, wanted: int) -> tuple[int, int]:
        """Size and address of a new segment."""
        size, address = segment_size(wanted), self._next
        if self.limit is not None and self.reserved + size > self.limit:
            self._release_unused()
            if self.reserved + size > self.limit:
                raise OutOfMemoryError
        self.reserved += size
        self.peak_reserved = max(self.peak_reserved, self.reserved)
        self._segments[address] = size
        self._next += size + (1 << 30)
        return size, address

    def _release_unused(self) -> None:
        for free in (self._small, self._large):
            for size, address in [each for each in free if self._segments.get(each[1]) == each[0]]:
                free.remove((size, address))
                del self._segments[address], self._starts[address], self._ends[address + size]
                self.reserved -= size
