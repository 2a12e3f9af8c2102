"""What backward keeps: for each node, the storages that autograd holds for it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ...graph import GIVEN, OWN
from ...ops.base import Kernels, Saved
from ...tensor import ITEM_BYTES
from .node_kinds import Kind
from .storages import PERSISTENT, Storages, bytes_of


class Kept(msgspec.Struct, frozen=True, gc=False):
    """What autograd holds for a node: storages of the network's values, in order, and bytes that nobody else sees.

    ``known`` is False for an operator without a rule.
    """

    storages: tuple[int, ...] = ()
    extra_bytes: int = 0
    known: bool = True


NONE = Kept()
UNKNOWN = Kept(known=False)


def kept(storages: Storages, kernels: Kernels) -> list[Kept]:
    """What is held for each node of a network in training."""
    needs = storages.needs
    low = storages.report.settings.precision.low
    cast_weights: set[int] = set()
    rules: dict[tuple[Kind, tuple[bool, ...]], Saved | None] = {}
    result = []
    for position, (node, kind) in enumerate(zip(storages.graph.nodes, storages.kinds, strict=True)):
        if True not in needs[position]:
            result.append(NONE)
            continue
        arriving = tuple([needs[source][output] for source, output in node.inputs])
        key = kind, arriving
        if key not in rules:
            rules[key] = kind.op.saved(kind.own, kind.cost.outputs, arriving, kernels)
        saved = rules[key]
        if saved is None:
            result.append(UNKNOWN)
            continue
        extra = bytes_of(saved.extra)
        read, made = storages.read[position], storages.of[position]
        held = {made[k] for k in saved.outputs} if saved.outputs else set()
        for k in saved.inputs:
            x = kind.cost.inputs[k]
            if low is None or x.dtype == storages.tensor(*node.inputs[k]).dtype:
                held.add(read[k])
            else:  # mixed precision: a copy in another dtype is what the op saw
                extra += x.bytes
        if node.owner == GIVEN:
            if node.op.group in ("conv", "fc", "norm"):
                held.add(read[node.op.arity[0]])  # the weight; a bias is not kept
        elif low and node.op.autocast == "low":
            owner = position if node.owner == OWN else node.owner
            if owner not in cast_weights:  # autocast's copy of the weight; a bias is not kept
                cast_weights.add(owner)
                learned = [weight for weight in node.op.weights() if weight.name.startswith("weight")]
                extra += sum(weight.elements for weight in learned) * ITEM_BYTES[low]
        held.discard(PERSISTENT)
        result.append(Kept(tuple(sorted(held)), extra))
    return result


def saved_bytes(storages: Storages, held: list[Kept], times: Sequence[int]) -> int:
    """Bytes that backward keeps: each storage once; ``times`` says how often each node stands in the network."""
    distinct: set[int] = set().union(*[each.storages for each in held])
    kept = [storages.table[k] for k in distinct]
    shared = sum([each.bytes * (times[each.born] if each.born >= 0 else 1) for each in kept])
    return shared + sum([each.extra_bytes * count for each, count in zip(held, times, strict=True)])
