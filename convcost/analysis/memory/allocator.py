"""PyTorch's CUDA caching allocator, modelled from its public rules (c10/cuda/CUDACachingAllocator.cpp), one stream.

A request is rounded up to 512 bytes. Up to 1 MiB it is served from segments of 2 MiB; larger ones from segments of
20 MiB, and from 10 MiB on from segments of their own size, rounded up to 2 MiB. The smallest free block that is large
enough is taken, and split if what remains is worth it: 512 bytes in small segments, more than 1 MiB in large ones.
Freed blocks join free neighbours; segments go back to CUDA only when memory runs out.

Tests hold it against recordings of the allocator of PyTorch 2.13, in its default settings, block by block.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from .script import Script

MIN_BLOCK = 512
SMALL = 1 << 20
SMALL_SEGMENT = 2 << 20
LARGE_SEGMENT = 20 << 20
OWN_SEGMENT = 10 << 20
ROUND_LARGE = 2 << 20
"""Constants of the same meaning in PyTorch: kMinBlockSize, kSmallSize, kSmallBuffer, kLargeBuffer, kMinLargeAlloc,
kRoundLarge."""

_SHIFT = 64
_ADDRESS = (1 << _SHIFT) - 1
"""A free block as one number, its size before its address, sorts three times as fast as a pair."""


class OutOfMemoryError(Exception):
    """There is no room for a request, although no more than ``allocated`` bytes are taken."""

    def __init__(self, allocated: int) -> None:
        super().__init__(f"out of memory with {allocated:,} bytes allocated")
        self.allocated = allocated


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

    ``blocks`` holds what is taken: by the number of the request its address and size. ``idle`` holds the sizes of free
    blocks and ``segments`` those of what was taken from CUDA, each by its address. Addresses of segments only grow.

    Args:
        limit: bytes that segments may take in all; None: any number.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.allocated = self.reserved = self.peak_allocated = self.peak_reserved = 0
        self.blocks: dict[int, tuple[int, int]] = {}
        self._small: list[int] = []  # free blocks in order of size and address, which are one number here
        self._large: list[int] = []
        self.idle: dict[int, int] = {}
        self._ends: dict[int, int] = {}  # address behind a free block -> its own
        self.segments: dict[int, int] = {}
        self._next = 1 << 40

    def copy(self, limit: int | None = None) -> Allocator:
        """One in the same state that goes its own way, within another limit."""
        other = Allocator()
        for name, value in vars(self).items():
            setattr(other, name, value.copy() if isinstance(value, list | dict) else value)
        other.limit = limit
        return other

    def replay(self, script: Script) -> None:
        """Serve a script.

        Raises:
            OutOfMemoryError: as ``serve``.
        """
        self.serve(script.events, script.sizes)

    def serves(self, script: Script) -> bool:
        """Whether a script can be served within the limit."""
        try:
            self.replay(script)
        except OutOfMemoryError:
            return False
        return True

    def serve(self, events: Sequence[int], sizes: Sequence[int]) -> None:
        """Serve requests by their numbers, of ``sizes[number]`` bytes; ``~number`` gives one back, 0 bytes are none.

        Raises:
            OutOfMemoryError: the limit would be exceeded, also after everything unused was given back.
        """
        # A search comes here a hundred thousand times: no calls, no attributes.
        blocks, starts, ends, small, large = self.blocks, self.idle, self._ends, self._small, self._large
        allocated, peak = self.allocated, self.peak_allocated
        for event in events:
            if event >= 0:
                if not sizes[event]:
                    continue
                wanted = -(-sizes[event] // MIN_BLOCK) * MIN_BLOCK
                free, least = (small, MIN_BLOCK) if wanted <= SMALL else (large, SMALL + 1)
                # The smallest free block that is large enough; of equal ones that of the oldest segment, and
                # in it the first: PyTorch counts its segments. As addresses only grow, it is that at the lowest one.
                at = bisect_left(free, wanted << _SHIFT)
                if at < len(free):
                    address = free.pop(at) & _ADDRESS
                    size = starts.pop(address)
                    end = address + size
                    del ends[end]
                else:
                    size, address = self._segment(wanted)
                    end = address + size
                rest = size - wanted
                if rest >= least:
                    size = wanted
                    behind = address + wanted
                    insort(free, rest << _SHIFT | behind)
                    starts[behind] = rest
                    ends[end] = behind
                blocks[event] = address, size
                allocated += size
                if allocated > peak:  # noqa: PLR1730 (max() is a call)
                    peak = allocated
            elif sizes[~event]:
                address, size = blocks.pop(~event)
                allocated -= size
                free = small if size <= SMALL else large
                # It joins free neighbours; segments never touch each other.
                if address in ends:
                    before = ends.pop(address)
                    joined = starts.pop(before)
                    del free[bisect_left(free, joined << _SHIFT | before)]
                    address, size = before, size + joined
                end = address + size
                if end in starts:
                    joined = starts.pop(end)
                    del free[bisect_left(free, joined << _SHIFT | end)], ends[end + joined]
                    size += joined
                insort(free, size << _SHIFT | address)
                starts[address] = size
                ends[address + size] = address
        self.allocated, self.peak_allocated = allocated, peak

    def _segment(self, wanted: int) -> tuple[int, int]:
        """Size and address of a new segment."""
        size, address = segment_size(wanted), self._next
        if self.limit is not None and self.reserved + size > self.limit:
            self._release_unused()
            if self.reserved + size > self.limit:
                raise OutOfMemoryError(self.reserved - sum(self.idle.values()))
        self.reserved += size
        self.peak_reserved = max(self.peak_reserved, self.reserved)
        self.segments[address] = size
        self._next += size + (1 << 30)
        return size, address

    def _release_unused(self) -> None:
        for free in (self._small, self._large):
            for block in free.copy():
                size, address = block >> _SHIFT, block & _ADDRESS
                if self.segments.get(address) == size:
                    free.remove(block)
                    del self.segments[address], self.idle[address], self._ends[address + size]
                    self.reserved -= size
