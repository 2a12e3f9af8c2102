"""Where the values of a network live: storages, each allocated by one node and shared by views and in-place results."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import msgspec

from ...graph import Graph, Reference
from ...ops.base import Kernels, Tensors
from ...tensor import Tensor
from ..layers import Cost
from ..report import Report
from .node_kinds import NodeKind

PERSISTENT = -1
"""The storage of everything that exists before the network runs: parameters, buffers, constants."""


class Storage(msgspec.Struct, frozen=True, gc=False):
    """One allocation: its ``bytes``, and the position of the node that makes it (-1: the caller, of an input)."""

    bytes: int
    made_by: int
    label: str


class Storages:
    """The storages of a report's values.

    ``table`` lists them. ``of[node][output]`` is the number of an output's storage; ``read[node]`` are the numbers of
    those that a node reads, in the order of its inputs. ``kinds[node]`` is what the node has in common with others.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        self.graph: Graph = report.graph
        self.costs: Sequence[Cost] = report.costs
        precision, train = report.settings.precision, report.settings.train
        table: list[Storage] = []
        inputs = len(self.graph.inputs)
        self.given = report.settings.input_tensors(report.graph)
        # Negative positions are inputs, read from the end of the list, as Python counts.
        of: list[tuple[int, ...]] = [()] * len(self.costs) + [(k,) for k in reversed(range(inputs))]
        for (name, _), tensor in zip(self.graph.inputs, self.given, strict=True):
            table.append(Storage(tensor.bytes, -1, name))
        self.read: list[tuple[int, ...]] = []
        self.kinds: list[NodeKind] = []
        known: dict[int, NodeKind] = {}  # by the identity of the record
        for position, (node, cost) in enumerate(zip(self.graph.nodes, self.costs, strict=True)):
            kind = known.get(id(cost))
            if kind is None:
                kind = known[id(cost)] = NodeKind(node, cost, train, self._tensors(node.inputs), precision)
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

    def _tensors(self, references: Sequence[Reference]) -> Tensors:
        """The values that these references name."""
        costs, given = self.costs, self.given
        return tuple([costs[node].outputs[k] if node >= 0 else given[-1 - node] for node, k in references])

    def transient(self, train: bool, kernels: Kernels) -> list[int]:
        """For each node the bytes that a call allocates beside its outputs and frees when it returns.

        Copies of its inputs in another dtype, which mixed precision makes, are among them.
        """
        transient = {
            kind: kind.op.transient(kind.own, kind.cost.outputs, train, kernels) + kind.copied_bytes
            for kind in set(self.kinds)
        }
        return [transient[kind] for kind in self.kinds]

    @cached_property
    def needs(self) -> list[tuple[bool, ...]]:
        """For each node and output, whether it needs a gradient: there is a parameter before it."""
        needs: list[tuple[bool, ...]] = [()] * len(self.kinds) + [(False,)] * len(self.inputs)
        for position, (node, kind) in enumerate(zip(self.graph.nodes, self.kinds, strict=True)):
            if kind.parameters or True in [needs[source][output] for source, output in node.inputs]:
                needs[position] = kind.reached
            else:
                needs[position] = (False,) * len(kind.sizes)
        return needs


def bytes_of(tensors: Sequence[Tensor]) -> int:
    """Bytes of several tensors."""
    return sum([tensor.bytes for tensor in tensors])
