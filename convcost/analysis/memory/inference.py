"""The memory of a forward pass without gradients."""

from __future__ import annotations

from ...ops.base import Kernels
from .lifetimes import by_position, deaths
from .script import Script
from .storages import Storages, own_inputs


def forward(storages: Storages, kernels: Kernels, eager: bool, script: Script) -> None:
    """Append what a forward pass allocates, and frees as soon as nothing holds it any more. See ``deaths``."""
    numbers: dict[int, int] = {}
    born, dying = by_position(storages, deaths(storages, eager))
    for k in storages.inputs:
        numbers[k] = script.allocate(storages.table[k].bytes, "inputs", storages.table[k].label)
    transient: dict[int, int] = {}  # equal layers share one record of costs: its identity is a key
    for position, (node, cost) in enumerate(zip(storages.graph.nodes, storages.costs, strict=True)):
        if id(cost) not in transient:
            own = own_inputs(node.op, node.owner, cost)
            transient[id(cost)] = node.op.transient(own, cost.outputs, False, kernels)
        held = transient[id(cost)] + storages.cast_bytes(position)
        passing = script.allocate(held, "transient", node.name) if held else None
        for k in born.get(position, ()):
            numbers[k] = script.allocate(storages.table[k].bytes, "values", storages.table[k].label)
        script.mark(node.name, "forward")
        if passing is not None:
            script.free(passing)
        for k in dying.get(position, ()):
            script.free(numbers[k])
