"""A run as what it allocates and frees, in order: every figure and timeline is read off such a script."""

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
"""What memory is taken for: parameters, buffers, the optimizer's state, parameters' gradients, the network's inputs,
what backward keeps, values that something still reads (and their gradients), and what a call gives back at its end."""


class Moment(msgspec.Struct, frozen=True, gc=False):
    """The bytes that are there while a layer runs, ``bytes`` in all."""

    layer: str
    phase: Phase
    bytes: int


class Alive(msgspec.Struct, frozen=True, gc=False):
    """Memory that is there at a moment: who asked for it, what for, and how much."""

    label: str
    part: Part
    bytes: int


class Script:
    """Allocations and frees in order, with marks at which the memory is looked at.

    ``sizes``, ``parts`` and ``labels`` describe each allocation by its number; ``events`` holds the number of what is
    allocated, and its complement (``~number``) where that is freed; ``marks`` are (events so far, layer, phase).
    ``before``: how many allocations come before the network runs; they are the first events, and nothing is freed or
    marked among them.
    """

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.parts: list[Part] = []
        self.labels: list[str] = []
        self.events: list[int] = []
        self.marks: list[tuple[int, str, Phase]] = []
        self.before = 0
        self._there: dict[int, list[int]] = {}

    def allocate(self, size: int, part: Part, label: str) -> int:
        """Take memory; its number."""
        number = len(self.sizes)
        self.sizes.append(size)
        self.parts.append(part)
        self.labels.append(label)
        self.events.append(number)
        return number

    def allocate_all(self, sizes: Sequence[int], parts: Sequence[Part], labels: Sequence[str]) -> None:
        """Take memory several times."""
        first = len(self.sizes)
        self.sizes += sizes
        self.parts += parts
        self.labels += labels
        self.events += range(first, len(self.sizes))

    def free(self, number: int) -> None:
        """Give it back."""
        self.events.append(~number)

    def mark(self, layer: str, phase: Phase) -> None:
        """Look at the memory here."""
        self.marks.append((len(self.events), layer, phase))

    def resized(self, sizes: list[int]) -> Script:
        """The same events with other sizes."""
        other = Script()
        other.sizes, other.parts, other.labels = sizes, self.parts, self.labels
        other.events, other.marks, other.before, other._there = self.events, self.marks, self.before, self._there
        return other

    def levels(self, sizes: Sequence[int] | None = None) -> list[int]:
        """Bytes that are there at each mark; ``sizes`` in place of its own."""
        sizes = self.sizes if sizes is None else sizes
        start = self.before
        changes = [sizes[event] if event >= 0 else -sizes[~event] for event in self.events[start:]]
        live = list(accumulate(changes, initial=sum(sizes[:start])))
        return [live[until - start] for until, _, _ in self.marks]

    def timeline(self, levels: Sequence[int]) -> tuple[Moment, ...]:
        """The memory at each mark, of ``levels``."""
        return tuple([Moment(layer, phase, b) for (_, layer, phase), b in zip(self.marks, levels, strict=True)])

    def there(self, mark: int) -> list[int]:
        """The numbers of what is there at a mark, those before the network runs first."""
        until = self.marks[mark][0]
        if until not in self._there:
            events = self.events[self.before : until]
            freed = {~event for event in events if event < 0}
            alive = [event for event in events if event >= 0 and event not in freed]
            self._there[until] = [*range(self.before), *alive]
        return self._there[until]

    def largest(self, numbers: Sequence[int], count: int) -> list[Alive]:
        """The ``count`` largest of allocations, largest first, without those of no bytes."""
        sizes = self.sizes
        found = sorted(numbers, key=sizes.__getitem__, reverse=True)[:count]
        return [Alive(self.labels[n], self.parts[n], sizes[n]) for n in found if sizes[n]]


def of_allocations(allocations: Sequence[Allocation], script: Script) -> None:
    """Append a recorded run: its inputs come first, a mark follows each allocation."""
    numbers: dict[int, int] = {}
    ends = {each.died: k for k, each in enumerate(allocations) if each.died is not None}
    starts = {each.born: k for k, each in enumerate(allocations)}
    for event in sorted(starts.keys() | ends.keys()):
        if event in ends:
            script.free(numbers[ends[event]])
            continue
        each = allocations[starts[event]]
        part: Part = "inputs" if each.label.startswith("input_") else "values"
        numbers[starts[event]] = script.allocate(each.bytes, part, each.label)
        script.mark(each.label, "forward")
