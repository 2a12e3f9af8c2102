"""Receptive fields along every path of a graph. Source: Araujo, Norris, Sim, Computing Receptive Fields, Distill 2019.

A value's field is kept per dimension of its tensor, so that it survives permutations; where paths join, the fields'
union is taken. What is not followed (windows of attention, reshaped positions) is None, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from math import gcd, lcm
from typing import NamedTuple

from ..graph import Node
from ..tensor import Tensor
from .layers import Cost, ReceptiveField

Span = tuple[int, int]
"""First and last input position that are read."""

MAX_PHASES = 4096
"""Fields that repeat after more positions than this are not followed."""


class Track(NamedTuple):
    """The fields of all positions along one dimension.

    Behind an enlargement neighbours can differ in what they read, and repeat after some positions: ``phases`` has the
    field of each of the first ones (None: it reads nothing), and ``shift`` says how many input positions further it
    all starts again. Elsewhere there is one phase. ``axis`` is the dimension of the input that is meant.
    """

    axis: int
    phases: tuple[Span | None, ...]
    shift: int

    def at(self, position: int) -> Span | None:
        """The field of any position."""
        turn, phase = divmod(position, len(self.phases))
        span = self.phases[phase]
        return span and (span[0] + turn * self.shift, span[1] + turn * self.shift)

    def over(self, first: int, last: int) -> Span | None:
        """The union of the fields of the positions from ``first`` to ``last``: fields only move on, never back."""
        for start in range(first, min(last, first + len(self.phases) - 1) + 1):
            low = self.at(start)
            if low is not None:
                break
        else:
            return None
        high = next(span for end in range(last, first - 1, -1) if (span := self.at(end)) is not None)
        return low[0], high[1]

    def stretched(self, times: int) -> Track:
        """The same fields with ``times`` as many phases written out."""
        phases = tuple(self.at(position) for position in range(times * len(self.phases)))
        return Track(self.axis, phases, times * self.shift)


WHOLE = "whole"
MERGED = "merged"
State = tuple[Track | None, ...] | str | None
"""Tracks for all dimensions; all of the input; positions folded into other dimensions; or not followed."""


class Fields:
    """The receptive fields of a graph's nodes, worked out when the first one is asked for."""

    def __init__(self, nodes: Sequence[Node], costs: Sequence[Cost], inputs: Sequence[Tensor]) -> None:
        self.nodes = nodes
        self.costs = costs
        self.inputs = inputs

    def __getitem__(self, position: int) -> ReceptiveField | None:
        return self.all[position]

    @cached_property
    def all(self) -> tuple[ReceptiveField | None, ...]:
        """One field per node, that of its first output."""
        spatial = self.inputs[0].shape[2:] if self.inputs else ()
        if not spatial:
            return (None,) * len(self.nodes)
        first: State = (None, None, *(Track(axis, ((0, 0),), 1) for axis in range(len(spatial))))
        states: list[State] = [None] * len(self.nodes)
        for position, (node, cost) in enumerate(zip(self.nodes, self.costs, strict=True)):
            arriving = [
                states[source] if source >= 0 else (first if source == -1 else None) for source, _ in node.inputs
            ]
            states[position] = _after(node, cost, arriving)
        return tuple(_record(state, spatial) for state in states)


def _after(node: Node, cost: Cost, arriving: list[State]) -> State:
    if not arriving:
        return None
    reach = node.op.reach(cost.inputs, cost.outputs)
    # A window is moved over the first input; a second one only lends its size (crop).
    state = arriving[0] if reach.kind == "window" else _joined(arriving)
    if reach.kind == "global":
        return WHOLE if state is not None else None
    if state is None or reach.kind == "unknown":
        return None
    if isinstance(state, str):
        return state
    if reach.kind == "merge":
        return MERGED
    if reach.kind == "permute":
        return tuple(state[dim] for dim in reach.dims)
    if reach.kind == "window":
        return _windowed(state, reach.extent, reach.stride, reach.before, reach.up or (0,) * len(reach.extent))
    return state if len(cost.outputs[0].shape) == len(state) else MERGED


def _windowed(
    state: tuple[Track | None, ...],
    extent: Sequence[int],
    stride: Sequence[int],
    before: Sequence[int],
    up: Sequence[int],
) -> State:
    tracks = list(state)
    for axis, (size, step, front, factor) in enumerate(zip(extent, stride, before, up, strict=True)):
        track = tracks[2 + axis]
        if track is None:
            continue
        changed = _enlarged(track, size, factor, front) if factor else _window(track, size, step, front)
        if len(changed.phases) > MAX_PHASES:
            return None
        tracks[2 + axis] = changed
    return tuple(tracks)


def _window(track: Track, size: int, step: int, front: int) -> Track:
    """Output position o reads the positions from o*step - front on, ``size`` of them."""
    count = len(track.phases)
    period = count // gcd(count, step)
    starts = range(-front, -front + period * step, step)
    phases = tuple(track.over(start, start + size - 1) for start in starts)
    return Track(track.axis, phases, track.shift * (period * step // count))


def _enlarged(track: Track, size: int, factor: int, front: int) -> Track:
    """Output position o reads from (o + front - size + 1)/factor to (o + front)/factor, rounded inwards."""
    period = len(track.phases) * factor
    if period > MAX_PHASES:
        return Track(track.axis, (None,) * (MAX_PHASES + 1), 0)
    phases = tuple(
        track.over(-((size - 1 - front - position) // factor), (position + front) // factor)
        for position in range(period)
    )
    return _shortest(Track(track.axis, phases, track.shift))


def _shortest(track: Track) -> Track:
    """The same fields with the fewest phases."""
    count = len(track.phases)
    for period in range(1, count):
        if count % period or track.shift * period % count:
            continue
        short = Track(track.axis, track.phases[:period], track.shift * period // count)
        if all(short.at(position) == span for position, span in enumerate(track.phases)):
            return short
    return track


def _joined(states: list[State]) -> State:
    """The union of the fields of all inputs that carry positions; inputs without any (a class token) are left out."""
    if len(states) == 1:
        return states[0]
    if any(state is None for state in states):
        return None
    if WHOLE in states:
        return WHOLE
    if MERGED in states:
        return MERGED
    tuples = [state for state in states if isinstance(state, tuple)]
    if len({len(state) for state in tuples}) != 1:
        return None
    joined: list[Track | None] = []
    for tracks in zip(*tuples, strict=True):
        followed = [track for track in tracks if track is not None]
        union = _union(followed) if followed else None
        if followed and union is None:
            return None
        joined.append(union)
    return tuple(joined)


def _union(tracks: list[Track]) -> Track | None:
    """The union position by position; None where the tracks move at different speeds or mean different dimensions."""
    first = tracks[0]
    if all(track == first for track in tracks):
        return first
    period = lcm(*(len(track.phases) for track in tracks))
    if period > MAX_PHASES:
        return None
    full = [track.stretched(period // len(track.phases)) for track in tracks]
    if len({(track.axis, track.shift) for track in full}) > 1:
        return None
    return Track(first.axis, tuple(map(_hull, zip(*(track.phases for track in full), strict=True))), full[0].shift)


def _hull(spans: Iterable[Span | None]) -> Span | None:
    read = [span for span in spans if span is not None]
    return (min(start for start, _ in read), max(end for _, end in read)) if read else None


def _record(state: State, spatial: Sequence[int]) -> ReceptiveField | None:
    if state is None or state == MERGED:
        return None
    if isinstance(state, str):
        return ReceptiveField(tuple(spatial), (0,) * len(spatial), (0,) * len(spatial), whole=True)
    tracks = sorted((track for track in state if track is not None), key=lambda track: track.axis)
    if len(tracks) != len(spatial):
        return None
    read = [[span for span in track.phases if span is not None] for track in tracks]
    if not all(read):
        return None
    return ReceptiveField(
        tuple(max(end - start + 1 for start, end in spans) for spans in read),
        tuple(_ratio(track.shift, len(track.phases)) for track in tracks),
        tuple(spans[0][0] for spans in read),
    )


def _ratio(shift: int, positions: int) -> int | float:
    return shift // positions if shift % positions == 0 else shift / positions
