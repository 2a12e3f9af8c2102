"""A model of PyTorch's CUDA caching allocator, from its public rules (c10/cuda/CUDACachingAllocator.cpp), one stream.

A request is rounded up to 512 bytes. Up to 1 MiB it is served from segments of 2 MiB; larger ones from segments of
20 MiB, and from 10 MiB on from segments of their own size, rounded up to 2 MiB. The smallest free block that is large
enough is taken, and split if what remains is worth it: 512 bytes in small segments, more than 1 MiB in large ones.
Freed blocks join free neighbours; segments go back to CUDA only when memory runs out.

Tests compare it with recordings of the allocator of PyTorch 2.13, in its default settings, block by block.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from .events import Schedule

MIN_BLOCK = 512
SMALL = 1 << 20
SMALL_SEGMENT = 2 << 20
LARGE_SEGMENT = 20 << 20
OWN_SEGMENT = 10 << 20
ROUND_LARGE = 2 << 20
"""Constants of the same meaning in PyTorch: kMinBlockSize, kSmallSize, kSmallBuffer, kLargeBuffer, kMinLargeAlloc,
kRoundLarge."""


class OutOfMemoryError(Exception):
    """A request does not fit the limit, although only ``allocated`` bytes are in use."""

    def __init__(self, allocated: int) -> None:
        super().__init__(f"out of memory with {allocated:,} bytes allocated")
        self.allocated = allocated


def rounded(size: int) -> int:
    """What a request takes: a multiple of 512 bytes; nothing for 0 bytes."""
    return -(-size // MIN_BLOCK) * MIN_BLOCK


def segment_size(size: int) -> int:
    """What is asked of CUDA for a (rounded) request."""
    if size <= SMALL:
        return SMALL_SEGMENT
    if size < OWN_SEGMENT:
        return LARGE_SEGMENT
    return -(-size // ROUND_LARGE) * ROUND_LARGE


class _Pool:
    """Free blocks: ``addresses`` by size, the lowest at the end of each list and negative, and the sizes in order."""

    __slots__ = ("addresses", "sizes")

    def __init__(self, addresses: dict[int, list[int]], sizes: list[int]) -> None:
        self.addresses = addresses
        self.sizes = sizes

    def copy(self) -> _Pool:
        return _Pool({size: addresses.copy() for size, addresses in self.addresses.items()}, self.sizes.copy())

    def remove(self, size: int, address: int) -> None:
        addresses = self.addresses[size]
        del addresses[bisect_left(addresses, -address)]
        if not addresses:
            del self.addresses[size], self.sizes[bisect_left(self.sizes, size)]


class Allocator:
    """The allocator's state, and its peaks.

    ``blocks`` holds the blocks in use: address and size by the number of the request. ``idle`` holds the sizes of free
    blocks, and ``segments`` those of segments from CUDA, by address. Each new segment lies at a higher address.

    Args:
        limit: the most bytes that all segments may have together; None: no limit.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.allocated = self.reserved = self.peak_allocated = self.peak_reserved = 0
        self.blocks: dict[int, tuple[int, int]] = {}
        self._small, self._large = _Pool({}, []), _Pool({}, [])
        self.idle: dict[int, int] = {}
        self._ends: dict[int, int] = {}  # address behind a free block -> its own
        self.segments: dict[int, int] = {}
        self._next = 1 << 40

    def copy(self, limit: int | None = None) -> Allocator:
        """An allocator in the same state, with a limit of its own."""
        other = Allocator()
        state = {name: value.copy() if isinstance(value, dict | _Pool) else value for name, value in vars(self).items()}
        vars(other).update(state, limit=limit)
        return other

    def replay(self, schedule: Schedule) -> None:
        """Serve a schedule.

        Raises:
            OutOfMemoryError: as ``serve``.
        """
        self.serve(schedule.events, [rounded(size) for size in schedule.sizes])

    def serves(self, schedule: Schedule) -> bool:
        """Whether a schedule can be served within the limit."""
        try:
            self.replay(schedule)
        except OutOfMemoryError:
            return False
        return True

    def serve(self, events: Sequence[int], wanted: Sequence[int]) -> None:
        """Serve requests by their numbers; ``~number`` frees the block of a request.

        Args:
            events: in order.
            wanted: the bytes of each request, rounded by ``rounded``. Requests of 0 bytes are skipped.

        Raises:
            OutOfMemoryError: the limit would be exceeded, even after all unused segments have been released.
        """
        # A search runs this loop a hundred thousand times, so that it avoids calls and attributes where it can.
        blocks, starts, ends = self.blocks, self.idle, self._ends
        small, small_sizes = self._small.addresses, self._small.sizes
        large, large_sizes = self._large.addresses, self._large.sizes
        allocated, peak = self.allocated, self.peak_allocated
        for event in events:
            if event >= 0:
                taken = wanted[event]
                if not taken:
                    continue
                if taken <= SMALL:
                    free, order, least = small, small_sizes, MIN_BLOCK
                else:
                    free, order, least = large, large_sizes, SMALL + 1
                # The smallest free block that is large enough; of equal ones that of the oldest segment, and in it the
                # first: PyTorch counts its segments. As addresses only grow, it is that at the lowest one.
                at = bisect_left(order, taken)
                if at < len(order):
                    size = order[at]
                    addresses = free[size]
                    address = -addresses.pop()
                    if not addresses:
                        del free[size], order[at]
                    del starts[address], ends[address + size]
                else:
                    size, address = self._segment(taken)
                rest, behind = size - taken, address + taken
                if rest < least:
                    taken, rest = size, 0
                blocks[event] = address, taken
                allocated += taken
                if allocated > peak:  # noqa: PLR1730 (max() is a call)
                    peak = allocated
            elif wanted[~event]:
                behind, rest = blocks.pop(~event)
                allocated -= rest
                free, order = (small, small_sizes) if rest <= SMALL else (large, large_sizes)
                if behind in ends or behind + rest in starts:
                    behind, rest = self._joined(behind, rest)
            else:
                continue
            if rest:  # what is free now
                if rest in free:
                    insort(free[rest], -behind)
                else:
                    free[rest] = [-behind]
                    insort(order, rest)
                starts[behind] = rest
                ends[behind + rest] = behind
        self.allocated, self.peak_allocated = allocated, peak

    def _joined(self, address: int, size: int) -> tuple[int, int]:
        """Address and size of a freed block joined with its free neighbours. Segments are never next to each other."""
        pool = self._small if size <= SMALL else self._large
        if address in self._ends:
            before = self._ends.pop(address)
            joined = self.idle.pop(before)
            pool.remove(joined, before)
            address, size = before, size + joined
        end = address + size
        if end in self.idle:
            joined = self.idle.pop(end)
            pool.remove(joined, end)
            del self._ends[end + joined]
            size += joined
        return address, size

    def _segment(self, taken: int) -> tuple[int, int]:
        """Size and address of a new segment."""
        size, address = segment_size(taken), self._next
        if self.limit is not None and self.reserved + size > self.limit:
            self._release_unused()
            if self.reserved + size > self.limit:
                self.allocated = self.reserved - sum(self.idle.values())
                raise OutOfMemoryError(self.allocated)
        self.reserved += size
        if self.reserved > self.peak_reserved:  # noqa: PLR1730
            self.peak_reserved = self.reserved
        self.segments[address] = size
        self._next += size + (1 << 30)
        return size, address

    def _release_unused(self) -> None:
        for address, size in [*self.idle.items()]:
            if self.segments.get(address) == size:
                (self._small if size == SMALL_SEGMENT else self._large).remove(size, address)
                del self.segments[address], self.idle[address], self._ends[address + size]
                self.reserved -= size
