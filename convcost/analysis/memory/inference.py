"""The memory of a forward pass without gradients."""

from __future__ import annotations

from ...ops.base import Kernels
from .events import Schedule
from .lifetimes import lifetime_ends, made_and_freed
from .storages import Storages


def add_forward_pass(storages: Storages, kernels: Kernels, eager: bool, schedule: Schedule) -> None:
    """Append the allocations of a forward pass, and their frees at the ends of ``lifetime_ends``."""
    numbers: dict[int, int] = {}
    table = storages.table
    made, freed = made_and_freed(storages, lifetime_ends(storages, eager))
    for k in storages.inputs:
        numbers[k] = schedule.allocate(table[k].bytes, "inputs", table[k].label)
    transient = storages.transient(False, kernels)
    for position, (node, temporary) in enumerate(zip(storages.graph.nodes, transient, strict=True)):
        number = schedule.allocate(temporary, "transient", node.name) if temporary else None
        for k in made.get(position, ()):
            numbers[k] = schedule.allocate(table[k].bytes, "values", node.name)
        schedule.mark(node.name, "forward")
        if number is not None:
            schedule.free(number)
        for k in freed.get(position, ()):
            schedule.free(numbers[k])
