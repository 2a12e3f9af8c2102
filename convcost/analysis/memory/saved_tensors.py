"""The tensors that autograd saves for the backward pass: for each node, the storages that it holds until then."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ...graph import GIVEN, OWN, Node
from ...ops.base import Kernels, Saved
from .node_kinds import NodeKind
from .storages import PERSISTENT, Storages, bytes_of


class SavedTensors(msgspec.Struct, frozen=True, gc=False):
    """What autograd saves for a node: storages of the network's values, in order, and bytes of tensors of its own.

    ``known`` is False for an operator without a rule.
    """

    storages: tuple[int, ...] = ()
    extra_bytes: int = 0
    known: bool = True


NONE = SavedTensors()
UNKNOWN = SavedTensors(known=False)


def saved_tensors(storages: Storages, kernels: Kernels) -> list[SavedTensors]:
    """What is saved for each node of a network in training."""
    needs = storages.needs
    precision = storages.report.settings.precision
    cast_weights: set[int] = set()
    rules: dict[tuple[NodeKind, tuple[bool, ...]], Saved | None] = {}
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
            if kind.copied[k]:  # the op saw a copy, and autograd saves that
                extra += kind.cost.inputs[k].bytes
            else:
                held.add(read[k])
        if node.owner == GIVEN:
            if node.op.group in ("conv", "fc", "norm"):
                held.add(read[node.op.arity[0]])  # the weight; a bias is not saved
        elif precision.mixed:
            owner = position if node.owner == OWN else node.owner
            copy = 0 if owner in cast_weights else precision.weight_copy_bytes(node.op.autocast, _weight_elements(node))
            if copy:
                cast_weights.add(owner)
                extra += copy
        held.discard(PERSISTENT)
        result.append(SavedTensors(tuple(sorted(held)), extra))
    return result


def _weight_elements(node: Node) -> int:
    """Scalars of a node's weights without biases, whose copies are not saved."""
    return sum([weight.elements for weight in node.op.weights() if weight.name.startswith("weight")])


def saved_bytes(storages: Storages, saved: Sequence[SavedTensors]) -> int:
    """Bytes of all saved tensors; a storage that several nodes save counts once."""
    distinct: set[int] = set().union(*[each.storages for each in saved])
    return sum([storages.table[k].bytes for k in distinct]) + sum([each.extra_bytes for each in saved])
