"""Long runs of equal repetitions, and a network with a few of each.

A repetition that reads one value of the one before it, and nothing else from outside, does what its neighbours do,
each so much later: that value lies in memory of the repetition, or in memory from before all of them, for every one
alike, and so does its gradient. A few are walked, and what those do is written out for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import msgspec

from ...graph import Graph, Node
from ..layers import Cost
from ..report import Report

FIRST, LAST = 4, 2
"""How many repetitions of a run are walked at its beginning and at its end."""
WALKED = FIRST + LAST
COPIED = FIRST - 1
"""The repetition that stands for those between, if it does what the one before it does."""
LEAST = 16
"""A run with fewer repetitions is walked as it is."""


class Run(msgspec.Struct, frozen=True, gc=False):
    """Equal repetitions: where the first begins, how many nodes each has, and how many there are."""

    first: int
    length: int
    count: int

    @property
    def end(self) -> int:
        """The position behind the last."""
        return self.first + self.length * self.count


def runs(report: Report) -> list[Run]:
    """The runs of at least ``LEAST`` equal repetitions, of those that are written as one; none in one another.

    Each repetition reads one value of the one before it, and nothing else from outside.
    """
    graph = report.graph
    found: list[Run] = []
    written = zip(graph.repeats, graph.lengths, strict=False)  # the lengths of all, or of none
    for (start, end), length in sorted(written, key=lambda run: (run[0][0], -run[0][1])):
        if length and not (found and start < found[-1].end):
            run = _run(graph.nodes, report.costs, start, end, length)
            if run is not None and run.count >= LEAST:
                found.append(run)
    return found if found and _closed(graph, found) else []


def _run(nodes: Sequence[Node], costs: Sequence[Cost], start: int, end: int, length: int) -> Run | None:
    """The equal repetitions at the end of a written run."""

    def equal(position: int) -> bool:
        """Whether a node and the one a repetition later differ in their places only. Equal layers share their costs."""
        if costs[position] is not costs[position + length]:
            return False
        one, other = nodes[position], nodes[position + length]
        if one.owner != other.owner and (one.owner < 0 or other.owner - one.owner != length):
            return False
        if len(one.inputs) == 1:
            return other.inputs == ((one.inputs[0][0] + length, one.inputs[0][1]),)
        return other.inputs == tuple([(source + length, output) for source, output in one.inputs])

    last = nodes[end - length : end]
    read = {reference for node in last for reference in node.inputs if reference[0] < end - length}
    if len(read) != 1 or min(read)[0] < end - 2 * length:
        return None
    if any(0 <= node.owner < end - length for node in last):
        return None
    first = end - length
    while first > start and equal(first - 1):
        first -= 1
    count = (end - first) // length
    return Run(end - count * length, length, count)


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
    """

    def __init__(self, whole: Report, runs: Sequence[Run] = ()) -> None:
        self.whole = whole
        self.runs = runs

    @cached_property
    def places(self) -> list[int]:
        """For each node of the folded network its position in the whole one."""
        places: list[int] = []
        position = 0
        for run in self.runs:
            places += range(position, run.first + FIRST * run.length)
            places += range(run.end - LAST * run.length, run.end)
            position = run.end
        places += range(position, len(self.whole.costs))
        return places

    @cached_property
    def spans(self) -> list[Run]:
        """The runs in the folded network."""
        spans: list[Run] = []
        gone = 0
        for run, copies in zip(self.runs, self.copies, strict=True):
            spans.append(Run(run.first - gone, run.length, WALKED))
            gone += copies * run.length
        return spans

    @cached_property
    def copies(self) -> list[int]:
        """For each run, how many repetitions are not in the folded network."""
        return [run.count - WALKED for run in self.runs]

    @cached_property
    def times(self) -> list[int]:
        """How often each node of the folded network stands in the whole one."""
        times = [1] * len(self.places)
        for copies, span in zip(self.copies, self.spans, strict=True):
            start = span.first + COPIED * span.length
            times[start : start + span.length] = [1 + copies] * span.length
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
