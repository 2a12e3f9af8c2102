"""A run as its allocations and frees, in order; every figure and timeline of memory is read from such a schedule."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Literal

import msgspec

from ...graph import Allocation

Phase = Literal["forward", "backward", "optimizer"]
Part = Literal["weights", "buffers", "optimizer", "gradients", "inputs", "saved", "values", "transient"]
PARTS: tuple[Part, ...] = (
    "weights", "buffers", "optimizer", "gradients", "inputs", "saved", "values", "transient",
)  # fmt: skip
"""What memory is allocated for: parameters, buffers, the optimizer's state, gradients of parameters, the network's
inputs, tensors saved for backward, values that are still read (and their gradients), and temporaries of one call."""


class Moment(msgspec.Struct, frozen=True, gc=False):
    """The memory while a layer runs: ``bytes`` in all."""

    layer: str
    phase: Phase
    bytes: int


class Alive(msgspec.Struct, frozen=True, gc=False):
    """An allocation that is live at a moment: which layer or tensor it belongs to, its part, and its bytes."""

    label: str
    part: Part
    bytes: int


class Schedule:
    """Allocations and frees in order, with marks at which the memory is read.

    ``sizes``, ``parts`` and ``labels`` describe each allocation by its number. ``events`` holds the number of an
    allocation where it is made, and the complement of the number (``~number``) where it is freed. ``marks`` are
    (events so far, layer, phase). ``initial``: how many allocations exist before the network runs. They are the first
    events, and none of them is marked or freed there.
    """

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.parts: list[Part] = []
        self.labels: list[str] = []
        self.events: list[int] = []
        self.marks: list[tuple[int, str, Phase]] = []
        self.initial = 0
        self._live: dict[int, list[int]] = {}

    def begin_run(self) -> None:
        """The network runs from here on."""
        self.initial = len(self.events)

    def allocate(self, size: int, part: Part, label: str) -> int:
        """Add an allocation of ``size`` bytes. Returns its number."""
        number = len(self.sizes)
        self.sizes.append(size)
        self.parts.append(part)
        self.labels.append(label)
        self.events.append(number)
        return number

    def allocate_all(self, sizes: Sequence[int], parts: Sequence[Part], labels: Sequence[str]) -> None:
        """Add several allocations."""
        first = len(self.sizes)
        self.sizes += sizes
        self.parts += parts
        self.labels += labels
        self.events += range(first, len(self.sizes))

    def free(self, number: int) -> None:
        """Free an allocation."""
        self.events.append(~number)

    def mark(self, layer: str, phase: Phase) -> None:
        """Mark the moment at which a layer runs."""
        self.marks.append((len(self.events), layer, phase))

    def resized(self, sizes: list[int]) -> Schedule:
        """The same events with other sizes."""
        other = Schedule()
        other.sizes, other.parts, other.labels = sizes, self.parts, self.labels
        other.events, other.marks, other.initial, other._live = self.events, self.marks, self.initial, self._live
        return other

    def levels(self, sizes: Sequence[int] | None = None) -> list[int]:
        """Bytes that are allocated at each mark. ``sizes`` replaces the schedule's own sizes."""
        sizes = self.sizes if sizes is None else sizes
        start = self.initial
        changes = [sizes[event] if event >= 0 else -sizes[~event] for event in self.events[start:]]
        allocated = list(accumulate(changes, initial=sum(sizes[:start])))
        return [allocated[until - start] for until, _, _ in self.marks]

    def timeline(self, levels: Sequence[int]) -> tuple[Moment, ...]:
        """The memory at each mark, from ``levels``."""
        return tuple([Moment(layer, phase, b) for (_, layer, phase), b in zip(self.marks, levels, strict=True)])

    def live_at(self, mark: int) -> list[int]:
        """The numbers of the allocations that are live at a mark, those from before the network runs first."""
        until = self.marks[mark][0]
        if until not in self._live:
            events = self.events[self.initial : until]
            freed = {~event for event in events if event < 0}
            live = [event for event in events if event >= 0 and event not in freed]
            self._live[until] = [*range(self.initial), *live]
        return self._live[until]

    def largest(self, numbers: Sequence[int], count: int) -> list[Alive]:
        """The ``count`` largest of these allocations, largest first. Allocations of 0 bytes are left out."""
        sizes = self.sizes
        ranked = sorted(numbers, key=sizes.__getitem__, reverse=True)[:count]
        return [Alive(self.labels[n], self.parts[n], sizes[n]) for n in ranked if sizes[n]]


def add_recorded(allocations: Sequence[Allocation], schedule: Schedule) -> None:
    """Append the allocations of a recorded run, with a mark after each; a network's inputs come first."""
    numbers: dict[int, int] = {}
    ends = {each.died: k for k, each in enumerate(allocations) if each.died is not None}
    starts = {each.born: k for k, each in enumerate(allocations)}
    for event in sorted(starts.keys() | ends.keys()):
        if event in ends:
            schedule.free(numbers[ends[event]])
            continue
        each = allocations[starts[event]]
        part: Part = "inputs" if each.label.startswith("input_") else "values"
        numbers[starts[event]] = schedule.allocate(each.bytes, part, each.label)
        schedule.mark(each.label, "forward")
