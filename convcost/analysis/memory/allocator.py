"""PyTorch's CUDA caching allocator, modelled from its public rules (c10/cuda/CUDACachingAllocator.cpp), one stream.

A request is rounded up to 512 bytes. Up to 1 MiB it is served from segments of 2 MiB; larger ones from segments of
20 MiB, and from 10 MiB on from segments of their own size, rounded up to 2 MiB. The smallest free block that is large
enough is taken, and split if what remains is worth it: 512 bytes in small segments, more than 1 MiB in large ones.
Freed blocks join free neighbours; segments go back to CUDA only when memory runs out.
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


class OutOfMemoryError(Exception):
    """There is no room for a request."""


class Block:
    """A piece of a segment: its address and size, its neighbours, and what was asked for if it is taken."""

    __slots__ = ("address", "after", "before", "requested", "size", "small", "taken")

    def __init__(self, address: int, size: int, small: bool) -> None:
        self.address = address
        self.size = size
        self.small = small
        self.taken = False
        self.requested = 0
        self.before: Block | None = None
        self.after: Block | None = None


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
        self._free: dict[bool, list[tuple[int, int]]] = {True: [], False: []}  # (size, address), in order
        self._blocks: dict[int, Block] = {}  # free ones by address
        self._next = 1 << 40

    def allocate(self, size: int) -> Block:
        """A block for ``size`` bytes.

        Raises:
            OutOfMemoryError: the limit would be exceeded, also after everything unused was given back.
        """
        wanted = rounded(size)
        small = wanted <= SMALL
        block = self._take(wanted, small) or self._segment(wanted, small)
        rest = block.size - wanted
        if rest >= MIN_BLOCK if small else rest > SMALL:
            self._split(block, wanted)
        block.taken = True
        block.requested = size
        self.requested += size
        self.allocated += block.size
        # A replay comes here ten thousand times.
        self.peak_requested = max(self.peak_requested, self.requested)
        self.peak_allocated = max(self.peak_allocated, self.allocated)
        return block

    def free(self, block: Block) -> None:
        """Give a block back; it joins free neighbours."""
        self.requested -= block.requested
        self.allocated -= block.size
        block.taken = False
        before, after = block.before, block.after
        if before is not None and not before.taken:
            self._forget(before)
            before.size += block.size
            before.after = after
            if after is not None:
                after.before = before
            block = before
        if after is not None and not after.taken:
            self._forget(after)
            block.size += after.size
            block.after = after.after
            if block.after is not None:
                block.after.before = block
        self._remember(block)

    def replay(self, script: Script, sizes: Sequence[int] | None = None) -> None:
        """Serve a script; empty tensors ask for nothing."""
        sizes = script.sizes if sizes is None else sizes
        served: dict[int, Block] = {}
        for event in script.events:
            if event < 0:
                if sizes[~event]:
                    self.free(served.pop(~event))
            elif sizes[event]:
                served[event] = self.allocate(sizes[event])

    def serves(self, script: Script, sizes: Sequence[int] | None = None) -> bool:
        """Whether a script can be served within the limit."""
        try:
            self.replay(script, sizes)
        except OutOfMemoryError:
            return False
        return True

    # --- blocks

    def _take(self, wanted: int, small: bool) -> Block | None:
        """The smallest free block that is large enough; of equal ones the one at the lowest address."""
        free = self._free[small]
        at = bisect_left(free, (wanted, 0))
        if at == len(free):
            return None
        _, address = free.pop(at)
        return self._blocks.pop(address)

    def _segment(self, wanted: int, small: bool) -> Block:
        size = segment_size(wanted)
        if self.limit is not None and self.reserved + size > self.limit:
            self._release_unused()
            if self.reserved + size > self.limit:
                raise OutOfMemoryError
        self.reserved += size
        self.peak_reserved = max(self.peak_reserved, self.reserved)
        block = Block(self._next, size, small)
        self._next += size + (1 << 30)
        return block

    def _release_unused(self) -> None:
        for pool in self._free.values():
            for size, address in list(pool):
                block = self._blocks[address]
                if block.before is None and block.after is None:
                    self._forget(block)
                    self.reserved -= size

    def _split(self, block: Block, wanted: int) -> None:
        rest = Block(block.address + wanted, block.size - wanted, block.small)
        rest.before, rest.after = block, block.after
        if rest.after is not None:
            rest.after.before = rest
        block.after, block.size = rest, wanted
        self._remember(rest)

    def _remember(self, block: Block) -> None:
        insort(self._free[block.small], (block.size, block.address))
        self._blocks[block.address] = block

    def _forget(self, block: Block) -> None:
        free = self._free[block.small]
        del free[bisect_left(free, (block.size, block.address))]
        del self._blocks[block.address]
