"""The allocator's model on sequences whose blocks follow from PyTorch's published rules by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convcost.analysis.memory.allocator import Allocator, OutOfMemoryError, rounded, segment_size
from support.allocator_by_hand import Hand

KIB, MIB = 1 << 10, 1 << 20


@pytest.mark.parametrize(
    ("asked", "given"),
    [(1, 512), (512, 512), (513, 1024), (4 * 1000, 4096), (MIB, MIB), (MIB + 1, MIB + 512)],
)
def test_requests_are_rounded_to_512_bytes(asked, given):
    assert rounded(asked) == given


@pytest.mark.parametrize(
    ("asked", "segment"),
    [(512, 2 * MIB), (MIB, 2 * MIB), (MIB + 512, 20 * MIB), (10 * MIB - 512, 20 * MIB), (10 * MIB, 10 * MIB),
     (10 * MIB + 512, 12 * MIB), (392 * MIB, 392 * MIB)],
)  # fmt: skip
def test_segments_are_2_and_20_mib_or_of_their_own_size(asked, segment):
    assert segment_size(asked) == segment


def layout(*blocks):
    """(offset in its segment, size) of blocks that lie in one segment."""
    first = blocks[0].address
    return [(block.address - first, block.size) for block in blocks]


def test_small_requests_share_a_segment_side_by_side():
    allocator = Hand()
    a, b, c = (allocator.allocate(size) for size in (100, 600 * KIB, 1000))
    assert layout(a, b, c) == [(0, 512), (512, 600 * KIB), (512 + 600 * KIB, 1024)]
    assert (allocator.reserved, allocator.allocated) == (2 * MIB, 512 + 600 * KIB + 1024)


def test_the_smallest_free_block_that_is_large_enough_is_taken():
    allocator = Hand()
    a, b, c, d, e = (allocator.allocate(size * KIB) for size in (256, 4, 64, 4, 128))
    allocator.free(a)
    allocator.free(c)
    assert allocator.allocate(60 * KIB).address == c.address
    assert allocator.allocate(60 * KIB).address == a.address
    assert e.address > d.address > b.address


def test_freed_neighbours_join():
    allocator = Hand()
    a, b, c = (allocator.allocate(300 * KIB) for _ in range(3))
    allocator.free(a)
    allocator.free(c)
    allocator.free(b)
    whole = allocator.allocate(MIB)
    assert (whole.address, allocator.reserved) == (a.address, 2 * MIB)
    assert allocator.allocate(MIB).address == a.address + MIB


def test_a_large_block_keeps_a_remainder_of_up_to_1_mib():
    allocator = Hand()
    block = allocator.allocate(11 * MIB + 1)  # a segment of 12 MiB of its own
    assert (block.size, allocator.allocated) == (12 * MIB, 12 * MIB)
    other = allocator.allocate(2 * MIB)  # from a segment of 20 MiB, split
    assert (other.size, allocator.reserved) == (2 * MIB, 32 * MIB)


def test_small_and_large_requests_have_pools_of_their_own():
    allocator = Hand()
    allocator.free(allocator.allocate(2 * MIB))
    allocator.allocate(512)
    assert allocator.reserved == 22 * MIB


def test_unused_segments_are_given_back_when_memory_runs_out():
    allocator = Hand(limit=30 * MIB)
    allocator.free(allocator.allocate(16 * MIB))
    allocator.allocate(20 * MIB)
    assert (allocator.reserved, allocator.peak_reserved) == (20 * MIB, 20 * MIB)
    with pytest.raises(OutOfMemoryError):
        allocator.allocate(12 * MIB)


def test_a_segment_in_use_is_not_given_back():
    allocator = Hand(limit=30 * MIB)
    kept = allocator.allocate(2 * MIB)  # splits a segment of 20 MiB
    with pytest.raises(OutOfMemoryError):
        allocator.allocate(20 * MIB)
    allocator.free(kept)
    allocator.allocate(20 * MIB)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40 * MIB)), max_size=60))
def test_blocks_never_overlap_and_everything_comes_back(actions):
    allocator, taken = Hand(), []
    for allocate, size in actions:
        if allocate or not taken:
            taken.append(allocator.allocate(size))
        else:
            allocator.free(taken.pop(size % len(taken)))
        spans = sorted((block.address, block.address + block.size) for block in taken)
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
        assert allocator.allocated == sum(block.size for block in taken)
        assert sum(block.requested for block in taken) <= allocator.allocated <= allocator.reserved
        assert all(rounded(block.requested) <= block.size for block in taken)
    for block in taken:
        allocator.free(block)
    assert (allocator.allocated, allocator.blocks) == (0, {})


@given(st.lists(st.integers(1, 12 * MIB), min_size=1, max_size=30), st.data())
def test_a_copy_goes_its_own_way(asked, data):
    sizes = [rounded(size) for size in asked]
    first = data.draw(st.integers(0, len(sizes)))
    numbers = range(len(sizes))
    begun, whole, limited = Allocator(), Allocator(), Allocator(limit=40 * MIB)
    whole.serve(numbers, sizes)
    begun.serve(numbers[:first], sizes)
    before = dict(begun.blocks), begun.reserved
    rest = begun.copy()
    rest.serve(numbers[first:], sizes)
    assert (rest.blocks, rest.reserved, rest.peak_allocated) == (whole.blocks, whole.reserved, whole.peak_allocated)
    assert (begun.blocks, begun.reserved) == before
    if whole.reserved > 40 * MIB:
        with pytest.raises(OutOfMemoryError):
            limited.serve(numbers, sizes)
