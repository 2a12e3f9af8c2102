"""What backward keeps: for each node, the storages that autograd holds for it."""

from __future__ import annotations

import msgspec

from ...graph import GIVEN, ITEM_BYTES, OWN
from ...ops.base import Kernels, Saved
from ..costs import AMP
from .storages import PERSISTENT, Storages, bytes_of, own_inputs


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
    rules: dict[tuple[int, tuple[bool, ...]], Saved | None] = {}
    result = []
    for position, (node, cost) in enumerate(zip(storages.graph.nodes, storages.costs, strict=True)):
        if not any(needs[position]):
            result.append(NONE)
            continue
        arriving = tuple([needs[source][output] for source, output in node.inputs])
        key = (id(cost), arriving)  # equal layers share one record of costs
        if key not in rules:
            rules[key] = node.op.saved(own_inputs(node.op, node.owner, cost), cost.outputs, arriving, kernels)
        rule = rules[key]
        if rule is None:
            result.append(UNKNOWN)
            continue
        read = storages.read[position]
        cast = 0
        held = set()
        for k in rule.inputs:
            source, output = node.inputs[k]
            if cost.inputs[k].dtype == storages.tensor(source, output).dtype:
                held.add(read[k])
            else:  # mixed precision: a copy in another dtype is what the op saw
                cast += cost.inputs[k].bytes
        held |= {storages.of[position][k] for k in rule.outputs}
        if node.owner == GIVEN and node.op.group in ("conv", "fc", "norm"):
            held.add(read[node.op.arity[0]])  # the weight; a bias is not kept
        held.discard(PERSISTENT)
        if low and node.op.autocast == "low" and node.owner != GIVEN:
            owner = position if node.owner == OWN else node.owner
            if owner not in cast_weights:  # autocast's copy of the weight; a bias is not kept
                cast_weights.add(owner)
                learned = [weight for weight in node.op.weights() if weight.name.startswith("weight")]
                cast += sum(weight.elements for weight in learned) * ITEM_BYTES[low]
        result.append(Kept(frozenset(held), bytes_of(rule.extra) + cast))
    return result


def saved_bytes(storages: Storages, held: list[Kept]) -> int:
    """Bytes that backward keeps: each storage once."""
    distinct: set[int] = set().union(*[each.storages for each in held])
    return sum(storages.table[k].bytes for k in distinct) + sum(each.extra_bytes for each in held)
