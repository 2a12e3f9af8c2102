"""The memory of a forward pass without gradients."""

from __future__ import annotations

from ...ops.base import Kernels
from .events import Script
from .lifetimes import by_position, deaths
from .storages import Storages


def forward(storages: Storages, kernels: Kernels, eager: bool, script: Script) -> None:
    """Append what a forward pass allocates, and frees as soon as nothing holds it any more. See ``deaths``."""
    numbers: dict[int, int] = {}
    table = storages.table
    born, dying = by_position(storages, deaths(storages, eager))
    for k in storages.inputs:
        numbers[k] = script.allocate(table[k].bytes, "inputs", table[k].label)
    transient = storages.transient(False, kernels)
    for position, (node, held) in enumerate(zip(storages.graph.nodes, transient, strict=True)):
        passing = script.allocate(held, "transient", node.name) if held else None
        for k in born.get(position, ()):
            numbers[k] = script.allocate(table[k].bytes, "values", node.name)
        script.mark(node.name, "forward")
        if passing is not None:
            script.free(passing)
        for k in dying.get(position, ()):
            script.free(numbers[k])
