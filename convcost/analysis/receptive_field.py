"""Computes receptive fields along every path of a graph.

The field is stored for each dimension of a tensor, so that permutations can be followed. Where paths join, it is the
union of their fields. Where it cannot be computed (windows of attention, reshaped positions), it is None. How an op
moves a window over its input is declared on the op (``Op.reach``).

Source: Araujo, Norris, Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill 2019.
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
"""The first and the last input position that are read."""

MAX_PHASES = 4096
"""The longest period of a Track. If a field has a longer period, it is not computed (None)."""


class Track(NamedTuple):
    """The fields of all positions along one dimension of a tensor.

    After upsampling, neighbouring positions can read windows of different sizes, in a pattern that repeats. The fields
    of the first period are stored; without upsampling the period is 1.
    """

    axis: int
    """The spatial dimension of the network's input, counted from 0."""
    phases: tuple[Span | None, ...]
    """The field of each position in the first period; None for a position that reads nothing."""
    shift: int
    """The distance in the input between the fields of two positions that are one period apart."""

    def at(self, position: int) -> Span | None:
        """The field of any position."""
        turn, phase = divmod(position, len(self.phases))
        span = self.phases[phase]
        return span and (span[0] + turn * self.shift, span[1] + turn * self.shift)

    def over(self, first: int, last: int) -> Span | None:
        """The union of the fields of the positions ``first`` to ``last``. Fields never move back, so two are enough."""
        for start in range(first, min(last, first + len(self.phases) - 1) + 1):
            low = self.at(start)
            if low is not None:
                break
        else:
            return None
        high = next(span for end in range(last, first - 1, -1) if (span := self.at(end)) is not None)
        return low[0], high[1]

    def stretched(self, times: int) -> Track:
        """The same fields, stored for ``times`` periods."""
        phases = tuple(self.at(position) for position in range(times * len(self.phases)))
        return Track(self.axis, phases, times * self.shift)


WHOLE = "whole"
MERGED = "merged"
State = tuple[Track | None, ...] | str | None
"""What is known of a tensor: a Track or None for each dimension; WHOLE if each position reads the whole input; MERGED
if positions are mixed with other dimensions, as by flatten; None if the field is not known."""


class Fields:
    """The receptive fields of a graph's nodes, computed when the first one is read.

    ``fields[position]`` is the field of a node's first output with respect to the first input of the network.
    """

    def __init__(self, nodes: Sequence[Node], costs: Sequence[Cost], inputs: Sequence[Tensor]) -> None:
        self.nodes = nodes
        self.costs = costs
        self.inputs = inputs

    def __getitem__(self, position: int) -> ReceptiveField | None:
        return self.all[position]

    @cached_property
    def all(self) -> tuple[ReceptiveField | None, ...]:
        """The field of each node."""
        spatial = self.inputs[0].shape[2:] if self.inputs else ()
        if not spatial:
            return (None,) * len(self.nodes)
        first: State = (None, None, *(Track(axis, ((0, 0),), 1) for axis in range(len(spatial))))
        states: list[State] = [None] * len(self.nodes)
        for position, (node, cost) in enumerate(zip(self.nodes, self.costs, strict=True)):
            inputs = [states[source] if source >= 0 else (first if source == -1 else None) for source, _ in node.inputs]
            states[position] = _after(node, cost, inputs)
        return tuple(_record(state, spatial) for state in states)


def _after(node: Node, cost: Cost, inputs: list[State]) -> State:
    """The state of a node's output, from the states of its inputs."""
    if not inputs:
        return None
    reach = node.op.reach(cost.inputs, cost.outputs)
    # A window moves over the first input; a second input, as of crop, only gives a size.
    state = inputs[0] if reach.kind == "window" else _joined(inputs)
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
    """Convolution or pooling: output position o reads ``size`` positions from o*step - front."""
    count = len(track.phases)
    period = count // gcd(count, step)
    starts = range(-front, -front + period * step, step)
    phases = tuple(track.over(start, start + size - 1) for start in starts)
    return Track(track.axis, phases, track.shift * (period * step // count))


def _enlarged(track: Track, size: int, factor: int, front: int) -> Track:
    """Upsampling: output position o reads from ceil((o + front - size + 1)/factor) to floor((o + front)/factor)."""
    period = len(track.phases) * factor
    if period > MAX_PHASES:
        return Track(track.axis, (None,) * (MAX_PHASES + 1), 0)
    phases = tuple(
        track.over(-((size - 1 - front - position) // factor), (position + front) // factor)
        for position in range(period)
    )
    return _shortest(Track(track.axis, phases, track.shift))


def _shortest(track: Track) -> Track:
    """The same fields with the shortest period."""
    count = len(track.phases)
    for period in range(1, count):
        if count % period or track.shift * period % count:
            continue
        short = Track(track.axis, track.phases[:period], track.shift * period // count)
        if all(short.at(position) == span for position, span in enumerate(track.phases)):
            return short
    return track


def _joined(states: list[State]) -> State:
    """The union of the fields of all inputs. Dimensions without a Track (as of a class token) are ignored."""
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
        known = [track for track in tracks if track is not None]
        union = _union(known) if known else None
        if known and union is None:
            return None
        joined.append(union)
    return tuple(joined)


def _union(tracks: list[Track]) -> Track | None:
    """The union position by position; None if the tracks have different strides or dimensions of the input."""
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
    """The public record of a state. ``spatial``: the spatial size of the network's input."""
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
