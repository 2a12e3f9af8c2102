"""What backward keeps: for each node, the storages that autograd holds for it."""

from __future__ import annotations

import msgspec

from ...graph import GIVEN, ITEM_BYTES, OWN
from ...ops.base import Kernels, Saved
from ..costs import AMP
from .kinds import Kind
from .storages import PERSISTENT, Storages, bytes_of


class Kept(msgspec.Struct, frozen=True, gc=False):
    """What autograd holds for a node: storages of the network's values by number, and bytes that nobody else sees.

    ``known`` is False for an operator without a rule.
    """

    storages: frozenset[int] = frozenset()
    extra_bytes: int = 0
    known: bool = True


NONE = Kept()
UNKNOWN = Kept(known=False)


def kept(storages: Storages, kernels: Kernels) -> list[Kept]:
    """What is held for each node of a network in training."""
    needs = storages.needs
    low = AMP.get(storages.report.settings.dtype)
    cast_weights: set[int] = set()
    rules: dict[tuple[Kind, tuple[bool, ...]], tuple[Saved, int] | None] = {}
    result = []
    for position, (node, kind) in enumerate(zip(storages.graph.nodes, storages.kinds, strict=True)):
        if True not in needs[position]:
            result.append(NONE)
            continue
        arriving = tuple([needs[source][output] for source, output in node.inputs])
        key = kind, arriving
        if key not in rules:
            saved = kind.op.saved(kind.own, kind.cost.outputs, arriving, kernels)
            rules[key] = saved and (saved, bytes_of(saved.extra))
        rule = rules[key]
        if rule is None:
            result.append(UNKNOWN)
            continue
        saved, extra = rule
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
        result.append(Kept(frozenset(held), extra))
    return result


def saved_bytes(storages: Storages, held: list[Kept]) -> int:
    """Bytes that backward keeps: each storage once."""
    distinct: set[int] = set().union(*[each.storages for each in held])
    return sum([storages.table[k].bytes for k in distinct]) + sum([each.extra_bytes for each in held])
