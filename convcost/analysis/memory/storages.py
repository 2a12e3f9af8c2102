"""Where the values of a network live: storages, each allocated by one node and shared by views and in-place results."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import msgspec

from ...graph import Graph
from ...ops.base import Kernels
from ...tensor import Tensor
from ..layers import Cost
from ..report import Report
from .node_kinds import Kind

PERSISTENT = -1
"""The storage of everything that exists before the network runs: parameters, buffers, constants."""


class Storage(msgspec.Struct, frozen=True, gc=False):
    """Memory that one allocation gave: its ``bytes``, the node that made it (-1: the caller gave it as an input)."""

    bytes: int
    born: int
    label: str


class Storages:
    """The storages of a report's values.

    ``table`` lists them; ``of[node][output]`` is the number of an output's storage, ``read[node]`` those that a node
    reads, in the order of its inputs. ``kinds[node]`` is what the node has in common with others.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        self.graph: Graph = report.graph
        self.costs: Sequence[Cost] = report.costs
        self.mixed = report.settings.precision.mixed
        train = report.settings.mode == "train"
        table: list[Storage] = []
        inputs = len(self.graph.inputs)
        self.given = report.settings.input_tensors(report.graph)
        # Negative positions are inputs, read from the end of the list, as Python counts.
        of: list[tuple[int, ...]] = [()] * len(self.costs) + [(k,) for k in reversed(range(inputs))]
        for (name, _), tensor in zip(self.graph.inputs, self.given, strict=True):
            table.append(Storage(tensor.bytes, -1, name))
        self.read: list[tuple[int, ...]] = []
        self.kinds: list[Kind] = []
        known: dict[int, Kind] = {}  # by the identity of the record
        for position, (node, cost) in enumerate(zip(self.graph.nodes, self.costs, strict=True)):
            kind = known.get(id(cost))
            if kind is None:
                kind = known[id(cost)] = Kind(node, cost, train)
            self.kinds.append(kind)
            read = tuple([of[source][output] for source, output in node.inputs])
            self.read.append(read)
            homes = []
            for placement, size in zip(kind.placed, kind.sizes, strict=True):
                if placement.kind == "fresh":
                    homes.append(len(table))
                    table.append(Storage(size, position, node.name))
                else:
                    homes.append(read[placement.input] if placement.input >= 0 else PERSISTENT)
            of[position] = tuple(homes)
        self.of = of
        self.table = table
        self.inputs = tuple(range(inputs))
        self.outputs = tuple([of[source][output] for source, output in self.graph.outputs])

    def tensor(self, source: int, output: int) -> Tensor:
        """The value that a reference names."""
        return self.costs[source].outputs[output] if source >= 0 else self.given[-1 - source]

    def transient(self, train: bool, kernels: Kernels) -> list[int]:
        """For each node the bytes that a call holds beside its inputs, outputs and weights.

        Copies of its inputs in another dtype, which mixed precision makes, are among them.
        """
        found = {kind: kind.op.transient(kind.own, kind.cost.outputs, train, kernels) for kind in set(self.kinds)}
        result = [found[kind] for kind in self.kinds]
        if self.mixed:
            for position, (node, cost) in enumerate(zip(self.graph.nodes, self.costs, strict=True)):
                for (source, output), x in zip(node.inputs, cost.inputs, strict=True):
                    if x.dtype != self.tensor(source, output).dtype:
                        result[position] += x.bytes
        return result

    @cached_property
    def needs(self) -> list[tuple[bool, ...]]:
        """For each node and output, whether a gradient reaches it: a parameter stands before it."""
        needs: list[tuple[bool, ...]] = [()] * len(self.kinds) + [(False,)] * len(self.inputs)
        for position, (node, kind) in enumerate(zip(self.graph.nodes, self.kinds, strict=True)):
            if kind.learned or True in [needs[source][output] for source, output in node.inputs]:
                needs[position] = kind.reached
            else:
                needs[position] = (False,) * len(kind.sizes)
        return needs


def bytes_of(tensors: Sequence[Tensor]) -> int:
    """Bytes of several tensors."""
    return sum([tensor.bytes for tensor in tensors])
