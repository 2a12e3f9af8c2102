"""What a network with many equal repetitions allocates and frees, from the script of one with a few of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...graph import Node
from ...precision import PRECISIONS
from .events import Phase, Script
from .repetitions import COPIED, Folded

Key = tuple[Phase, int, int]
"""A pass, a run and a repetition in it."""

NEAR = 2
"""How many repetitions away something may be freed that one has allocated. What is freed behind the last mark of one is
counted to the next, so that it is two where a value lives to the end of the next."""

Template = tuple[list[tuple[int, int]], list["_Stretch"]]
"""Events as (k, number): of the k-th of other stretches, of the stretch itself for 0; and those others."""


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
        self.template: Template = ([], [])
        self.begins: dict[int, int] = {}  # by copy, the number of its first allocation in what is written


def _stretches(script: Script, folded: Folded) -> list[_Stretch]:
    """The script in parts. What is freed behind a repetition's last mark is counted to the part that follows.

    What happens between two passes belongs to no repetition.
    """
    index = folded.report.graph.index
    cuts: list[tuple[int, int, Key | None]] = []  # events and marks before each, and its key
    before, last = 0, None
    for mark, (until, layer, phase) in enumerate(script.marks):
        if last not in (None, phase):
            cuts.append((before, mark, None))
            before = until
        place = folded.repetition(index.get(layer, -1))
        key = (phase, *place) if place else None
        if not cuts or key != cuts[-1][2] or last not in (None, phase):
            cuts.append((before, mark, key))
        before, last = until, phase
    cuts.append((before, len(script.marks), None))
    ends = [*cuts[1:], (len(script.events), len(script.marks), None)]
    found: list[_Stretch] = []
    number = 0
    for (event, mark, key), (last_event, last_mark, _) in zip(cuts, ends, strict=True):
        made = sum([each >= 0 for each in script.events[event:last_event]])
        numbers = slice(number, number + made)
        found.append(_Stretch(script, key, slice(event, last_event), numbers, slice(mark, last_mark)))
        number += made
    return found


def written_out(script: Script, folded: Folded, into: Script) -> bool:
    """Append what the whole network allocates and frees, if that is known from the folded one.

    Args:
        script: that of the folded network.
        folded: of what.
        into: gets it.

    Returns:
        False if a repetition does not do what the one before it does; then nothing is appended.
    """
    stretches = _stretches(script, folded)
    at = {stretch.key: stretch for stretch in stretches if stretch.key}
    home = [stretch for stretch in stretches for _ in stretch.sizes]
    for stretch in stretches:
        stretch.template = _template(stretch, home)
    if not all(_regular(stretch, at) for stretch in stretches):
        return False
    for stretch in stretches:
        key = stretch.key
        count = folded.copies[key[1]] if key and key[2] == COPIED else 0
        order = range(count + 1) if not key or key[0] == "forward" else range(count, -1, -1)
        number, event = len(into.sizes), len(into.events)
        stretch.begins = {copy: number + k * len(stretch.sizes) for k, copy in enumerate(order)}
        template, others = stretch.template
        meant = [[_begin(other, stretch, copy, folded, at) for copy in order] for other in others]
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


def _regular(stretch: _Stretch, at: Mapping[Key, _Stretch]) -> bool:
    """Whether a copied repetition does what the one before it does, and what each allocates is freed nearby."""
    key, (template, others) = stretch.key, stretch.template
    for other in others:
        if not other.key:
            continue
        if not key or other.key[1] != key[1]:
            if other.key[2] in (COPIED - 1, COPIED):
                return False
        elif abs(other.key[2] - key[2]) > NEAR:
            return False
    if not key or key[2] != COPIED:
        return True
    before = at[key[0], key[1], COPIED - 1]
    away, theirs = [_away(other, stretch) for other in others], [_away(other, before) for other in before.template[1]]
    marks = [[(until, phase) for until, _, phase in each.marks] for each in (stretch, before)]
    return marks[0] == marks[1] and (
        (stretch.sizes, stretch.parts, template, away) == (before.sizes, before.parts, before.template[0], theirs)
    )


def _away(other: _Stretch, stretch: _Stretch) -> object:
    """How far a stretch is from one of the same run; any other is meant itself."""
    here, there = stretch.key, other.key
    return (there[0], there[2] - here[2]) if here and there and here[1] == there[1] else other


def _named(stretch: _Stretch, folded: Folded, order: Sequence[int], event: int, into: Script) -> None:
    """Append labels and marks of a stretch's copies with the names of the nodes that they stand for."""
    assert stretch.key
    run, span = folded.runs[stretch.key[1]], folded.spans[stretch.key[1]]
    start = span.first + COPIED * span.length
    nodes = folded.report.graph.nodes[start : start + span.length]
    names = [node.name for node in folded.whole.graph.nodes[run.first : run.end]]
    steps = [run.length * (COPIED + copy) for copy in order]
    known = _labels(nodes)
    labels = [known.get(label, (label, -1, "")) for label in stretch.labels]
    into.labels += [head + names[step + k] + tail if k >= 0 else head for step in steps for head, k, tail in labels]
    places = {node.name: k for k, node in enumerate(nodes)}
    marks = [(until, places[layer], phase) for until, layer, phase in stretch.marks]
    firsts = [event + k * len(stretch.events) for k in range(len(order))]
    into.marks += [
        (first + until, names[step + k], phase)
        for first, step in zip(firsts, steps, strict=True)
        for until, k, phase in marks
    ]


def _labels(nodes: Sequence[Node]) -> dict[str, tuple[str, int, str]]:
    """Every label with a name of these nodes: what stands before it, its place among them, and what stands behind."""
    found = {}
    for k, node in enumerate(nodes):
        found[node.name] = ("", k, "")
        found[f"gradient of {node.name}"] = ("gradient of ", k, "")
        for weight in node.op.weights():
            found[f"{node.name}.{weight.name}"] = ("", k, f".{weight.name}")
        for dtype in {each.compute for each in PRECISIONS.values() if each.mixed}:
            found[f"{node.name} in {dtype}"] = ("", k, f" in {dtype}")
    return found


def _template(stretch: _Stretch, home: Sequence[_Stretch]) -> Template:
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


def _begin(other: _Stretch, stretch: _Stretch, copy: int, folded: Folded, at: Mapping[Key, _Stretch]) -> int:
    """The first number of a stretch as it is meant in a copy of another: of the same run, as far away as there."""
    here, there = stretch.key, other.key
    if here is None or there is None or here[1] != there[1]:
        return other.begins[0]
    more = folded.copies[here[1]]
    place = here[2] + (copy if here[2] == COPIED else more if here[2] > COPIED else 0) + there[2] - here[2]
    if place <= COPIED:
        found, copy = place, 0
    elif place <= COPIED + more:
        found, copy = COPIED, place - COPIED
    else:
        found, copy = place - more, 0
    return at[there[0], there[1], found].begins[copy]
