"""Long runs of equal repetitions: a few of them are walked, and what those allocate is written out for all.

A repetition that reads nothing but itself and the one before it allocates and frees what its neighbours do, each so
much later. ``Folded`` is a report of the same network with ``WALKED`` repetitions of each run; ``written_out`` makes
the whole network's script from that of the folded one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from ...graph import Graph, Node
from ..records import Cost, Report
from .script import Phase, Script

FIRST, LAST = 2, 2
"""How many repetitions of a run are walked at its beginning and at its end. The second stands for those between."""
WALKED = FIRST + LAST
LONGEST = 256
"""Nodes that a repetition has at most, to be looked for."""


class Run(msgspec.Struct, frozen=True, gc=False):
    """Equal repetitions: where the first begins, how many nodes each has, and how many there are."""

    first: int
    length: int
    count: int

    @property
    def end(self) -> int:
        """The position behind the last."""
        return self.first + self.length * self.count


def runs(report: Report, least: int = 4 * WALKED) -> list[Run]:
    """The runs of at least so many equal repetitions, of those that are written as one; none in one another."""
    graph = report.graph
    costs = report.costs
    found: list[Run] = []
    for start, end in sorted(graph.repeats, key=lambda span: (span[0], -span[1])):
        if found and start < found[-1].end:
            continue
        run = _run(graph.nodes, costs, start, end)
        if run is not None and run.count >= least:
            found.append(run)
    return found if found and _closed(graph, found) else []


def _run(nodes: Sequence[Node], costs: Sequence[Cost], start: int, end: int) -> Run | None:
    """The longest run of equal repetitions that ends where the written one does."""

    def equal(position: int, length: int) -> bool:
        """Whether a node and the one so much later differ in their places only. Equal layers share their costs."""
        if costs[position] is not costs[position + length]:
            return False
        one, other = nodes[position], nodes[position + length]
        if one.owner != other.owner and (one.owner < 0 or other.owner - one.owner != length):
            return False
        if len(one.inputs) == 1:
            return other.inputs == ((one.inputs[0][0] + length, one.inputs[0][1]),)
        return other.inputs == tuple([(source + length, output) for source, output in one.inputs])

    for length in range(1, min(LONGEST, (end - start) // 2) + 1):
        if costs[end - 1 - length] is not costs[end - 1]:
            continue
        first = end - length
        while first > start and equal(first - 1, length):
            first -= 1
        count = (end - first) // length
        within = end - 2 * length
        last = nodes[end - length : end]
        sources = [source for node in last for source, _ in node.inputs]
        sources += [node.owner for node in last if node.owner >= 0]
        if count > 1 and all(source >= within for source in sources):
            return Run(end - count * length, length, count)
    return None


def _closed(graph: Graph, found: Sequence[Run]) -> bool:
    """Whether nothing outside of a run reads anything of it but the last repetition, or uses the weights of another."""
    hidden = [(run.first, run.end - run.length) for run in found]
    outside: list[int] = [source for source, _ in graph.outputs]
    position = 0
    for run in [*found, Run(len(graph.nodes), 0, 0)]:
        for node in graph.nodes[position : run.first]:
            outside += [source for source, _ in node.inputs]
            outside.append(node.owner)
        for node in graph.nodes[run.first : run.first + run.length]:
            outside += [source for source, _ in node.inputs if source < run.first]
        position = run.end
    return not any(first <= source < end for first, end in hidden for source in outside)


class Folded:
    """A report with a few repetitions of each run.

    Args:
        whole: the report of all.
        runs: of it, in order.
        more: repetitions beyond ``WALKED``.
    """

    def __init__(self, whole: Report, runs: Sequence[Run] = (), more: int = 0) -> None:
        self.whole = whole
        self.runs = runs
        self.first = FIRST + more
        self.walked = WALKED + more

    @cached_property
    def places(self) -> list[int]:
        """For each node of the folded network its position in the whole one."""
        places: list[int] = []
        position = 0
        for run in self.runs:
            places += range(position, run.first + self.first * run.length)
            places += range(run.end - LAST * run.length, run.end)
            position = run.end
        places += range(position, len(self.whole.costs))
        return places

    @cached_property
    def spans(self) -> list[Run]:
        """The runs in the folded network."""
        spans: list[Run] = []
        gone = 0
        for run in self.runs:
            spans.append(Run(run.first - gone, run.length, self.walked))
            gone += (run.count - self.walked) * run.length
        return spans

    @cached_property
    def times(self) -> list[int]:
        """How often each node of the folded network stands in the whole one."""
        times = [1] * len(self.places)
        for run, span in zip(self.runs, self.spans, strict=True):
            second = span.first + span.length
            times[second : second + span.length] = [1 + run.count - self.walked] * span.length
        return times

    @cached_property
    def report(self) -> Report:
        """The account of the folded network."""
        if not self.runs:
            return self.whole
        whole = self.whole.graph
        at = {place: position for position, place in enumerate(self.places)}
        inside = {position for span in self.spans for position in range(span.first, span.end)}
        nodes = []
        for position, place in enumerate(self.places):
            node, moved = whole.nodes[place], place - position
            if position in inside:
                inputs = tuple([(source - moved if source >= 0 else source, output) for source, output in node.inputs])
                owner = node.owner - moved if node.owner >= 0 else node.owner
            else:
                inputs = tuple([(at.get(source, source), output) for source, output in node.inputs])
                owner = at.get(node.owner, node.owner)
            nodes.append(Node(node.name, node.op, inputs, owner, node.where))
        graph = Graph(
            nodes,
            whole.inputs,
            [(at.get(source, source), output) for source, output in whole.outputs],
            whole.about,
            check=False,
            repeats=[(at[start], at[end - 1] + 1) for start, end in whole.repeats if start in at and end - 1 in at],
        )
        return Report(graph, self.whole.settings, [self.whole.costs[place] for place in self.places])

    def all_of(self, position: int) -> list[int]:
        """The positions in the whole network that a node of the folded one stands for."""
        place = self.places[position]
        within = self.repetition(position)
        length = self.runs[within[0]].length if within else 0
        return [place + k * length for k in range(self.times[position])]

    def repetition(self, position: int) -> tuple[int, int] | None:
        """The run that a node of the folded network lies in, and in which repetition, from 0."""
        for number, span in enumerate(self.spans):
            if span.first <= position < span.end:
                return number, (position - span.first) // span.length
        return None


class _Stretch:
    """A part of the folded network's script: what one repetition does in one pass, or what lies outside of the runs.

    Args:
        script: the whole of it.
        key: the pass, the run and the repetition; None outside of runs.
        events, numbers, marks: where it begins and ends in the script.
    """

    def __init__(
        self, script: Script, key: tuple[Phase, int, int] | None, events: slice, numbers: slice, marks: slice
    ) -> None:
        self.key = key
        self.sizes, self.parts, self.labels = script.sizes[numbers], script.parts[numbers], script.labels[numbers]
        self.marks = [(until - events.start, layer, phase) for until, layer, phase in script.marks[marks]]
        self.numbers = numbers
        self.events = script.events[events]
        self.begins: dict[int, int] = {}  # by copy, the number of its first allocation in what is written


def _stretches(script: Script, folded: Folded) -> list[_Stretch]:
    index = folded.report.graph.index
    cuts: list[tuple[int, int, tuple[Phase, int, int] | None]] = []  # events and marks before each, and its key
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
        copies: for each run, how often its second repetition stands there once more.
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
        begins = [[_begin(other, stretch, copy, copies, at) for copy in order] for other in others]
        if any(None in each for each in begins):
            return False
        begins = [list(stretch.begins.values()), *begins]
        into.sizes += stretch.sizes * len(order)
        into.parts += stretch.parts * len(order)
        into.events += [
            begin[k] + n if n >= 0 else n - begin[k] for begin in zip(*begins, strict=True) for k, n in template
        ]
        firsts = [event + k * len(stretch.events) for k in range(len(order))]
        if not key or not count:
            into.labels += stretch.labels
            into.marks += [(event + until, layer, phase) for until, layer, phase in stretch.marks]
            continue
        run, start = folded.runs[key[1]], folded.spans[key[1]].first + (FIRST - 1) * folded.runs[key[1]].length
        names = [node.name for node in folded.whole.graph.nodes[run.first : run.end]]
        index = folded.report.graph.index
        steps = [run.length * (FIRST - 1 + copy) for copy in order]
        labels = _labels(stretch, folded)
        into.labels += [head + names[step + k] + tail if k >= 0 else head for step in steps for head, k, tail in labels]
        marks = [(until, index[layer] - start, phase) for until, layer, phase in stretch.marks]
        into.marks += [
            (first + until, names[step + k], phase)
            for first, step in zip(firsts, steps, strict=True)
            for until, k, phase in marks
        ]
    return True


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
    other: _Stretch, stretch: _Stretch, copy: int, copies: Sequence[int], at: Mapping[Any, _Stretch]
) -> int | None:
    """The first number of a stretch as it is meant in a copy of another: of the same run, as far away as there."""
    here, there = stretch.key, other.key
    if here is None or there is None or here[1] != there[1]:
        return other.begins.get(0)
    more, second = copies[here[1]], FIRST - 1
    place = here[2] + (copy if here[2] == second else more if here[2] > second else 0) + there[2] - here[2]
    if place <= second:
        found, copy = place, 0
    elif place <= second + more:
        found, copy = second, place - second
    else:
        found, copy = place - more, 0
    meant = at.get((there[0], there[1], found))
    return meant.begins.get(copy) if meant else None


def _labels(stretch: _Stretch, folded: Folded) -> list[tuple[str, int, str]]:
    """The labels around the name of a node, which is given by its place in the repetition; -1: there is none."""
    assert stretch.key
    index, span = folded.report.graph.index, folded.spans[stretch.key[1]]
    start = span.first + stretch.key[2] * span.length
    found = []
    for label in stretch.labels:
        names = [name for word in label.split() for name in (word, word.rpartition(".")[0]) if name in index]
        if names and start <= index[names[0]] < start + span.length:
            head, _, tail = label.partition(names[0])
            found.append((head, index[names[0]] - start, tail))
        else:
            found.append((label, -1, ""))
    return found
