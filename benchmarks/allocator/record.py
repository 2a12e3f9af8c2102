"""Records how PyTorch's CUDA caching allocator serves sequences of requests, in tests/analysis/memory/allocator.

Run: python benchmarks/allocator/record.py FOLDER [--compare SEQUENCES]

FOLDER is the argument of build.sh. ``--compare`` writes nothing: it compares convcost's model with PyTorch's allocator
on all shipped networks and on SEQUENCES random sequences.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import convcost  # noqa: E402
from convcost.sources import shipped  # noqa: E402
from support.allocator_recorded import Asked, Row, modelled, write  # noqa: E402

RECORDINGS = ROOT / "tests" / "analysis" / "memory" / "allocator"
NETWORKS = ("alexnet", "resnet18", "mobilenet_v2", "densenet121")
BATCH = 8
KIB, MIB = 1 << 10, 1 << 20
LARGEST = 300 * 10**6
EDGES = (0, 512, KIB, 512 * KIB, MIB, 2 * MIB, 9 * MIB, 10 * MIB, 12 * MIB, 19 * MIB, 20 * MIB, 22 * MIB, 40 * MIB)
BESIDE = (0, 0, 1, 511, 512, 513, MIB - 512, MIB, MIB + 1, MIB + 512)


def drawn(draw: random.Random, sizes: list[int]) -> int:
    """A size: of any order of magnitude, beside an edge of the rules, or beside an earlier one."""
    kind = draw.random()
    if kind < 0.4:
        return int(LARGEST ** draw.random())
    size = draw.choice(EDGES if kind < 0.7 or not sizes else sizes) + draw.choice((1, -1)) * draw.choice(BESIDE)
    return min(max(size, 0), LARGEST)


def sequence(seed: int, requests: int, limit: int | None = None) -> Asked:
    """Random requests; now and then many are given back one after the other."""
    draw = random.Random(seed)
    events: list[int] = []
    sizes: list[int] = []
    held: list[int] = []
    while len(sizes) < requests:
        for _ in range(draw.randint(1, 12)):
            held.append(len(sizes))
            events.append(len(sizes))
            sizes.append(drawn(draw, sizes))
        back = min(draw.choice((1, 4, 8, 12, 40)), len(held))
        events.extend(~held.pop(draw.randrange(len(held))) for _ in range(back))
    return Asked(events, sizes, limit)


def network(name: str, mode: Literal["inference", "train"], limit: int | None = None) -> Asked:
    """What convcost says that a network asks for."""
    schedule = convcost.memory(convcost.load(name), BATCH, mode=mode).schedule
    return Asked(schedule.events, schedule.sizes, limit)


def recorded(folder: Path, wanted: Asked) -> list[Row]:
    """What PyTorch's allocator does with it."""
    lines = [f"free {~event}" if event < 0 else f"alloc {event} {wanted.sizes[event]}" for event in wanted.events]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTORCH")}
    environment["TORCH_CPP_LOG_LEVEL"] = "ERROR"  # each request without room would be a warning
    if wanted.limit is not None:
        environment["STANDIN_BYTES"] = str(wanted.limit)
    command, text = [folder / "build" / "replay"], "\n".join(lines)
    found = subprocess.run(command, input=text, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    limited = [] if wanted.limit is None else [Row("limit", bytes=wanted.limit)]
    return [*limited, *rows(found.stdout, wanted.sizes)]


def rows(text: str, sizes: list[int]) -> Iterator[Row]:
    """What replay.cpp wrote, with numbers and offsets in place of addresses.

    A block's bytes are what PyTorch's statistics grow by; they must agree with its snapshot and its segments.
    """
    numbers: dict[int, int] = {}  # address of a segment -> its number
    held: dict[int, int] = {}  # segments that are there, and their bytes
    blocks: dict[int, int] = {}  # address -> bytes
    places: dict[int, int] = {}  # number of a request -> address
    released: list[Row] = []  # in no order that matters: one by one in the order of their numbers
    idle: list[Row] = []
    taken: dict[int, int] = {}
    allocated = 0

    def place(address: int) -> tuple[int, int]:
        start = next(start for start, size in held.items() if start <= address < start + size)
        return numbers[start], address - start

    for word, *values in map(str.split, text.splitlines()):
        first, *rest = map(int, values)
        if word == "release":
            released.append(Row("release", segment=numbers[first], bytes=held.pop(first)))
            continue
        yield from sorted(released, key=lambda row: row.segment)
        released.clear()
        if word == "segment":
            numbers[first], held[first] = len(numbers), rest[0]
            yield Row("segment", segment=numbers[first], bytes=rest[0])
        elif word in ("alloc", "free", "oom"):
            *at, now, reserved = rest
            size, allocated = abs(now - allocated), now
            assert reserved == sum(held.values())
            requested = None if word == "free" else sizes[first]
            if at and at[0]:
                places[first], blocks[at[0]] = at[0], size
                yield Row(word, first, requested, *place(at[0]), size)
            else:
                if first in places:
                    assert blocks.pop(places.pop(first)) == size
                yield Row(word, first, requested, bytes=size)
        elif word == "block":
            address, size, _, is_taken = rest
            if is_taken:
                taken[address] = size
            else:
                idle.append(Row("idle", None, None, *place(address), size))
        else:
            assert taken == blocks
            yield from sorted(idle, key=lambda row: (row.segment, row.offset))
            yield Row("peak_allocated", bytes=first)
            yield Row("peak_reserved", bytes=rest[0])


def plan() -> Iterator[tuple[str, Asked]]:
    """The recordings that are kept."""
    yield "random.csv", sequence(1, 500)
    for mib in (400, 1000):
        yield f"random_in_{mib}_mib.csv", sequence(1, 250, mib * MIB)
    for name in NETWORKS:
        for mode in ("inference", "train"):
            yield f"{name}_{mode}.csv", network(name, mode)
    # Just enough for all segments; enough once unused ones are given back; too little.
    for name, mib in (("resnet18", 462), ("resnet18", 460), ("mobilenet_v2", 672)):
        yield f"{name}_train_in_{mib}_mib.csv", network(name, "train", mib * MIB)


def compared(sequences: int) -> Iterator[tuple[str, Asked]]:
    """Every network that ships, and random sequences, half of them within a limit."""
    for name, _, _ in shipped.shipped():
        for mode in ("inference", "train"):
            yield f"{name}, {mode}", network(name, mode)
    for seed in range(1000, 1000 + sequences):
        draw = random.Random(seed)
        limit = draw.choice((None, draw.randint(50, 2000) * 2 * MIB))
        yield f"sequence {seed}", sequence(seed, draw.randint(20, 1500), limit)


def compare(folder: Path, sequences: int) -> None:
    """Stop at the first sequence that the model does otherwise."""
    count = events = 0
    happened: Counter[str] = Counter()
    for name, wanted in compared(sequences):
        theirs = recorded(folder, wanted)
        for row, (our, their) in enumerate(zip_longest(modelled(wanted), theirs)):
            if our != their:
                sys.exit(f"{name}, row {row}:\n  PyTorch: {their}\n  model:   {our}")
        count, events = count + 1, events + len(wanted.events)
        happened.update(row.event for row in theirs)
    print(f"{count} sequences, {events:,} events: no difference; {dict(happened)}")


def main() -> None:
    """Record, or compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--compare", type=int, metavar="SEQUENCES")
    options = parser.parse_args()
    if options.compare:
        compare(options.folder, options.compare)
        return
    version = re.search(r"__version__ = '(.*)'", (options.folder / "torch" / "version.py").read_text())[1]
    origin = (
        f"PyTorch's libc10_cuda of torch {version} over a stand-in for the CUDA runtime, whose addresses rise and fall "
        "by turns (benchmarks/allocator)"
    )
    RECORDINGS.mkdir(exist_ok=True)
    for name, wanted in plan():
        write(RECORDINGS / name, origin, recorded(options.folder, wanted))
        print(name)


if __name__ == "__main__":
    main()
