"""Receptive fields along every path of a graph. Source: Araujo, Norris, Sim, "Computing Receptive Fields" (Distill, 2019).

A value's field is kept per dimension of its tensor, so that it survives permutations; where paths join, the fields'
union is taken. What is not followed (windows of attention, reshaped positions) is None, never a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import ceil

from ..graph import Node, Tensor
from .records import Cost, ReceptiveField

Span = tuple[float, float, float]
"""(start, end, stride) of the field of position 0, in input positions, end included."""

WHOLE = "whole"
MERGED = "merged"
State = tuple[Span | None, ...] | str | None
"""Spans for the dimensions from 2 on; all of the input; positions folded into other dimensions; or not followed."""


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
        first: State = (None, None, *((0, 0, 1) for _ in spatial))
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
    state = _joined(arriving)
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
        return _windowed(state, reach.extent, reach.stride, reach.before, reach.up)
    return state if len(cost.outputs[0].shape) == len(state) else MERGED


def _windowed(
    state: tuple[Span | None, ...],
    extent: Sequence[int],
    stride: Sequence[int],
    before: Sequence[int],
    up: Sequence[int],
) -> State:
    spans = list(state)
    for axis, (size, step, front) in enumerate(zip(extent, stride, before, strict=True)):
        span = spans[2 + axis]
        if span is None:
            continue
        start, end, jump = span
        if up and up[axis] > 1:
            # Output o of an enlargement reads inputs (o + front - extent + 1) / up to (o + front) / up, rounded
            # inwards: how many depends on o, ceil(extent / up) at most.
            factor = up[axis]
            low = -((size - 1 - front) // factor)
            most = -(-size // factor)
            spans[2 + axis] = (start + low * jump, end + (low + most - 1) * jump, jump / factor)
        else:
            first = -front if not up else front - size + 1
            spans[2 + axis] = (start + first * jump, end + (first + size - 1) * jump, jump * step)
    return tuple(spans)


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
    joined: list[Span | None] = []
    for spans in zip(*tuples, strict=True):
        followed = [span for span in spans if span is not None]
        if not followed:
            joined.append(None)
            continue
        joined.append((min(s[0] for s in followed), max(s[1] for s in followed), max(s[2] for s in followed)))
    return tuple(joined)


def _record(state: State, spatial: Sequence[int]) -> ReceptiveField | None:
    if state is None or state == MERGED:
        return None
    if isinstance(state, str):
        return ReceptiveField(tuple(spatial), (0,) * len(spatial), (0,) * len(spatial), whole=True)
    spans = [span for span in state if span is not None]
    if len(spans) != len(spatial):
        return None
    return ReceptiveField(
        tuple(ceil(end - start) + 1 for start, end, _ in spans),
        tuple(_whole(stride) for _, _, stride in spans),
        tuple(_whole(start) for start, _, _ in spans),
    )


def _whole(value: float) -> int | float:
    return int(value) if value == int(value) else value
