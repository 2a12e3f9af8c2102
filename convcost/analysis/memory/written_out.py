"""What a network with many equal repetitions allocates and frees, from the script of one with a few of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .repetitions import FIRST, Folded
from .script import Phase, Script

Key = tuple[Phase, int, int]
"""A pass, a run and a repetition in it."""


class _Stretch:
    """A part of the folded network's script: what one repetition does in one pass, or what lies outside of the runs.

    Args:
        script: the whole of it.
        key: the pass, the run and the repetition; None outside of runs.
        events, numbers, marks: where it begins and ends in the script.
    """

    def __init__(self, script: Script, key: Key | None, events: slice, numbers: slice, marks: slice) -> None:
        self.key = key
        self.sizes, self.parts, self.labels = script.sizes[numbers], script.parts[numbers], script.labels[numbers]
        self.marks = [(until - events.start, layer, phase) for until, layer, phase in script.marks[marks]]
        self.numbers = numbers
        self.events = script.events[events]
        self.begins: dict[int, int] = {}  # by copy, the number of its first allocation in what is written


def _stretches(script: Script, folded: Folded) -> list[_Stretch]:
    index = folded.report.graph.index
    cuts: list[tuple[int, int, Key | None]] = []  # events and marks before each, and its key
    before = 0
    for mark, (until, layer, phase) in enumerate(script.marks):
        place = folded.repetition(index.get(layer, -1))
        key = (phase, *place) if place else None
        if not cuts or key != cuts[-1][2]:
            cuts.append((before, mark, key))
        before = until
    cuts.append((before, len(script.marks), None))  # what is freed in the end
    ends = [*cuts[1:], (len(script.events), len(script.marks), None)]
    found: list[_Stretch] = []
    number = 0
    for (event, mark, key), (last_event, last_mark, _) in zip(cuts, ends, strict=True):
        made = sum([each >= 0 for each in script.events[event:last_event]])
        numbers = slice(number, number + made)
        found.append(_Stretch(script, key, slice(event, last_event), numbers, slice(mark, last_mark)))
        number += made
    return found


def written_out(script: Script, folded: Folded, copies: Sequence[int], into: Script) -> bool:
    """Append what a network allocates and frees that has so many more repetitions of each run than the folded one.

    Args:
        script: that of the folded network.
        copies: for each run, how often the repetition that stands for others stands there once more.
        into: gets it.

    Returns:
        False if it cannot be done: something outlives its neighbours.
    """
    stretches = _stretches(script, folded)
    at = {stretch.key: stretch for stretch in stretches if stretch.key}
    home = [stretch for stretch in stretches for _ in stretch.sizes]
    for stretch in stretches:
        key = stretch.key
        count = copies[key[1]] if key and key[2] == FIRST - 1 else 0
        order = range(count + 1) if not key or key[0] == "forward" else range(count, -1, -1)
        number, event = len(into.sizes), len(into.events)
        stretch.begins = {copy: number + k * len(stretch.sizes) for k, copy in enumerate(order)}
        template, others = _template(stretch, home)
        meant = [[_begin(other, stretch, copy, copies, at) for copy in order] for other in others]
        if any(None in each for each in meant):
            return False
        begins = zip(stretch.begins.values(), *meant, strict=True)
        into.sizes += stretch.sizes * len(order)
        into.parts += stretch.parts * len(order)
        into.events += [begin[k] + n if n >= 0 else n - begin[k] for begin in begins for k, n in template]
        if count:
            _named(stretch, folded, order, event, into)
        else:
            into.labels += stretch.labels
            into.marks += [(event + until, layer, phase) for until, layer, phase in stretch.marks]
    return True


def _named(stretch: _Stretch, folded: Folded, order: Sequence[int], event: int, into: Script) -> None:
    """Append labels and marks of a stretch's copies with the names of the nodes that they stand for."""
    assert stretch.key
    number = stretch.key[1]
    run, start = folded.runs[number], folded.spans[number].first + (FIRST - 1) * folded.runs[number].length
    names = [node.name for node in folded.whole.graph.nodes[run.first : run.end]]
    steps = [run.length * (FIRST - 1 + copy) for copy in order]
    labels = _labels(stretch, folded, start, run.length)
    into.labels += [head + names[step + k] + tail if k >= 0 else head for step in steps for head, k, tail in labels]
    index = folded.report.graph.index
    marks = [(until, index[layer] - start, phase) for until, layer, phase in stretch.marks]
    firsts = [event + k * len(stretch.events) for k in range(len(order))]
    into.marks += [
        (first + until, names[step + k], phase)
        for first, step in zip(firsts, steps, strict=True)
        for until, k, phase in marks
    ]


def _labels(stretch: _Stretch, folded: Folded, start: int, length: int) -> list[tuple[str, int, str]]:
    """Labels around the name of a node, which is given by its place in the repetition; -1: there is none in it."""
    index = folded.report.graph.index
    found = []
    for label in stretch.labels:
        names = [name for word in label.split() for name in (word, word.rpartition(".")[0]) if name in index]
        if names and start <= index[names[0]] < start + length:
            head, _, tail = label.partition(names[0])
            found.append((head, index[names[0]] - start, tail))
        else:
            found.append((label, -1, ""))
    return found


def _template(stretch: _Stretch, home: Sequence[_Stretch]) -> tuple[list[tuple[int, int]], list[_Stretch]]:
    """The events by number within the stretch that has allocated it: itself (0) or the k-th of others."""
    others: dict[_Stretch, int] = {}
    template = []
    for event in stretch.events:
        if event >= 0:
            template.append((0, event - stretch.numbers.start))
            continue
        owner = home[~event]
        k = 0 if owner is stretch else others.setdefault(owner, len(others) + 1)
        template.append((k, ~(~event - owner.numbers.start)))
    return template, list(others)


def _begin(
    other: _Stretch, stretch: _Stretch, copy: int, copies: Sequence[int], at: Mapping[Key, _Stretch]
) -> int | None:
    """The first number of a stretch as it is meant in a copy of another: of the same run, as far away as there."""
    here, there = stretch.key, other.key
    if here is None or there is None or here[1] != there[1]:
        return other.begins.get(0)
    more, copied = copies[here[1]], FIRST - 1
    place = here[2] + (copy if here[2] == copied else more if here[2] > copied else 0) + there[2] - here[2]
    if place <= copied:
        found, copy = place, 0
    elif place <= copied + more:
        found, copy = copied, place - copied
    else:
        found, copy = place - more, 0
    meant = at.get((there[0], there[1], found))
    return meant.begins.get(copy) if meant else None
