"""What an allocator did, event by event, in rows: recorded of PyTorch's, or asked of the model in the same form."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from convcost.analysis.memory.allocator import Allocator, OutOfMemoryError, rounded


class Row(NamedTuple):
    """One thing that happened.

    ``event`` is one of: "limit" (``bytes`` of the device), "segment" (taken from CUDA), "release" (given back to it),
    "alloc", "free", "oom" (a request that found no room); at the end "idle" (a free block) and "peak_allocated" and
    "peak_reserved". Requests have numbers, and so have segments, in the order in which they were taken; ``offset``
    is the bytes from the beginning of the segment.
    """

    event: str
    number: int | None = None
    requested: int | None = None
    segment: int | None = None
    offset: int | None = None
    bytes: int | None = None


class Asked(NamedTuple):
    """Requests by number and ``~number`` where one is freed, as in a schedule; and the bytes of the device."""

    events: Sequence[int]
    sizes: Sequence[int]
    limit: int | None = None


def read(path: Path) -> list[Row]:
    """The rows of a recording; its first line says where it comes from."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(line for line in file if not line.startswith("#"))
        assert tuple(next(lines)) == Row._fields
        return [Row(event, *(int(value) if value else None for value in values)) for event, *values in lines]


def write(path: Path, origin: str, rows: Iterable[Row]) -> None:
    """A file that ``read`` reads."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"# {origin}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(rows)


def asked(rows: Sequence[Row]) -> Asked:
    """What was asked for in a recording."""
    events, sizes = [], {}
    limit = next((row.bytes for row in rows if row.event == "limit"), None)
    for row in rows:
        if row.event in ("alloc", "oom"):
            events.append(row.number)
            sizes[row.number] = row.requested
        elif row.event == "free":
            events.append(~row.number)
    return Asked(events, [sizes[number] for number in range(len(sizes))], limit)


def modelled(wanted: Asked) -> list[Row]:
    """What convcost's model does with it. After a request that found no room it goes on with the next."""
    allocator, numbers = Allocator(wanted.limit), {}
    sizes = [rounded(size) for size in wanted.sizes]
    rows = [] if wanted.limit is None else [Row("limit", bytes=wanted.limit)]
    for event in wanted.events:
        number, requested = max(event, ~event), wanted.sizes[event] if event >= 0 else None
        before = allocator.allocated, dict(allocator.segments)
        outcome = "alloc" if event >= 0 else "free"
        try:
            if event >= 0 or number in allocator.blocks:  # a request of 0 bytes, or that found no room, holds nothing
                allocator.serve([event], sizes)
        except OutOfMemoryError:
            outcome = "oom"
        rows.extend(_segments(before[1], allocator.segments, numbers))
        assert allocator.reserved == sum(allocator.segments.values())
        if outcome == "alloc" and requested:
            address, size = allocator.blocks[number]
            assert allocator.allocated - before[0] == size
            rows.append(Row("alloc", number, requested, *_place(address, allocator.segments, numbers), size))
        else:
            rows.append(Row(outcome, number, requested, bytes=abs(allocator.allocated - before[0])))
    places = [(_place(address, allocator.segments, numbers), size) for address, size in allocator.idle.items()]
    rows.extend(Row("idle", None, None, *place, size) for place, size in sorted(places))
    rows.append(Row("peak_allocated", bytes=allocator.peak_allocated))
    rows.append(Row("peak_reserved", bytes=allocator.peak_reserved))
    return rows


def _segments(before: dict[int, int], after: dict[int, int], numbers: dict[int, int]) -> list[Row]:
    gone = sorted(before.keys() - after)
    new = sorted(after.keys() - before)
    for address in new:
        numbers[address] = len(numbers)
    return [
        *(Row("release", segment=numbers[address], bytes=before[address]) for address in gone),
        *(Row("segment", segment=numbers[address], bytes=after[address]) for address in new),
    ]


def _place(address: int, segments: dict[int, int], numbers: dict[int, int]) -> tuple[int, int]:
    start = next(start for start, size in segments.items() if start <= address < start + size)
    return numbers[start], address - start
