"""The allocator's model beside recordings of PyTorch's own, block by block and with no tolerance.

benchmarks/allocator made the recordings: compiled code of PyTorch's CUDA wheel, run over a stand-in for the CUDA
runtime. Every row of them is compared: the segment, the offset and the size of each block, segments taken and given
back, requests that find no room, what is free at the end, and the peaks.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from convcost.analysis.memory.allocator import Allocator, OutOfMemoryError, rounded
from support.allocator_recorded import asked, modelled, read

RECORDINGS = Path(__file__).parent / "allocator"
UNLIMITED = (
    "random.csv",
    "alexnet_inference.csv", "alexnet_train.csv",
    "resnet18_inference.csv", "resnet18_train.csv",
    "mobilenet_v2_inference.csv", "mobilenet_v2_train.csv",
    "densenet121_inference.csv", "densenet121_train.csv",
)  # fmt: skip
ENOUGH = ("resnet18_train_in_462_mib.csv",)
"""Everything fits, to the last byte."""
GIVING_BACK = ("random_in_1000_mib.csv", "resnet18_train_in_460_mib.csv")
"""Everything fits once unused segments were given back."""
TOO_LITTLE = ("random_in_400_mib.csv", "mobilenet_v2_train_in_672_mib.csv")
"""Some requests find no room even so."""
ALL = [*UNLIMITED, *ENOUGH, *GIVING_BACK, *TOO_LITTLE]


@pytest.mark.parametrize("name", ALL)
def test_every_block_lies_where_pytorchs_allocator_put_it(name):
    recorded = read(RECORDINGS / name)
    for row, (our, its) in enumerate(zip(modelled(asked(recorded)), recorded, strict=True)):
        assert our == its, f"row {row}"


@pytest.mark.parametrize("name", ALL)
def test_a_script_served_at_once_comes_to_the_recorded_end(name):
    recorded = read(RECORDINGS / name)
    happened, last = Counter(row.event for row in recorded), {row.event: row.bytes for row in recorded}
    assert (happened["release"] > 0) == (name in GIVING_BACK + TOO_LITTLE)
    assert (happened["oom"] > 0) == (name in TOO_LITTLE)
    wanted = asked(recorded)
    allocator, sizes = Allocator(wanted.limit), [rounded(size) for size in wanted.sizes]
    if name in TOO_LITTLE:
        # What comes before the first request that finds no room is served.
        first = wanted.events.index(next(row.number for row in recorded if row.event == "oom"))
        allocator.serve(wanted.events[:first], sizes)
        with pytest.raises(OutOfMemoryError):
            allocator.serve(wanted.events[first : first + 1], sizes)
        return
    allocator.serve(wanted.events, sizes)
    assert allocator.peak_allocated == last["peak_allocated"]
    assert allocator.peak_reserved == last["peak_reserved"]
