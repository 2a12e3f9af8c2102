"""Where the values of a network live: storages, each allocated by one node and shared by views and in-place results."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import msgspec

from ...graph import FLOATING, GIVEN, Graph, Tensor
from ...ops.base import Op, Placement, Tensors
from ...ops.storage import placements
from ..costs import AMP
from ..records import Cost, Report
from ..totals import input_tensors

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
    reads, in the order of its inputs.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        self.graph: Graph = report.graph
        self.costs: list[Cost] = [layer.cost for layer in report.layers]
        self.mixed = report.settings.dtype in AMP
        train = report.settings.mode == "train"
        table: list[Storage] = []
        inputs = len(self.graph.inputs)
        self.given = input_tensors(report)
        # Negative positions are inputs, read from the end of the list, as Python counts.
        of: list[tuple[int, ...]] = [()] * len(self.costs) + [(k,) for k in reversed(range(inputs))]
        for (name, _), tensor in zip(self.graph.inputs, self.given, strict=True):
            table.append(Storage(tensor.bytes, -1, name))
        self.read: list[tuple[int, ...]] = []
        # Equal layers share one record of costs: its identity is a key.
        placed: dict[int, list[tuple[Placement, int]]] = {}
        for position, (node, cost) in enumerate(zip(self.graph.nodes, self.costs, strict=True)):
            read = tuple([of[source][output] for source, output in node.inputs])
            self.read.append(read)
            if id(cost) not in placed:
                found = placements(node.op, own_inputs(node.op, node.owner, cost), train)
                placed[id(cost)] = [(each, y.bytes) for each, y in zip(found, cost.outputs, strict=True)]
            homes = []
            for placement, size in placed[id(cost)]:
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

    def cast_bytes(self, position: int) -> int:
        """Bytes of the copies in another dtype that mixed precision makes of a node's inputs."""
        if not self.mixed:
            return 0
        arriving = zip(self.graph.nodes[position].inputs, self.costs[position].inputs, strict=True)
        return sum(x.bytes for (source, output), x in arriving if x.dtype != self.tensor(source, output).dtype)

    @cached_property
    def needs(self) -> list[tuple[bool, ...]]:
        """For each node and output, whether a gradient reaches it: a parameter stands before it."""
        needs: list[tuple[bool, ...]] = [()] * len(self.costs) + [(False,)] * len(self.inputs)
        for position, (node, cost) in enumerate(zip(self.graph.nodes, self.costs, strict=True)):
            reached = any(needs[source][output] for source, output in node.inputs) or (
                node.owner != GIVEN and any(weight.kind == "parameter" for weight in node.op.weights())
            )
            reached = reached and node.op.passes_gradient
            needs[position] = tuple([reached and output.dtype in FLOATING for output in cost.outputs])
        return needs


def own_inputs(op: Op, owner: int, cost: Cost) -> Tensors:
    """What an op's rules see: its inputs without weights that are values of the graph."""
    return cost.inputs[: op.arity[0]] if owner == GIVEN else cost.inputs


def bytes_of(tensors: Sequence[Tensor]) -> int:
    """Bytes of several tensors."""
    return sum([tensor.bytes for tensor in tensors])
