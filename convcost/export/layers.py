"""Nodes as calls of ops: what arrives at each, and the fields that must be written to get the same op again."""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import OpError
from ..graph import GIVEN, Graph
from ..ops import ready
from ..ops.base import Op
from ..tensor import Tensor
from .tree import Leaf, UnwritableError

Tensors = tuple[Tensor, ...]


class Values:
    """The tensors of a graph: those that arrive at each node, and those that it gives."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.inputs = [tensor for _, tensor in graph.inputs]
        self.outputs: list[Tensors] = []
        self.macs = 0
        self.params = 0
        memo: dict[Any, tuple[Tensors, int, int]] = {}
        for node in graph.nodes:
            key = (node.op, node.own_inputs(self.arriving(node.inputs)))
            if key not in memo:
                given = node.op.outputs(key[1])
                params = sum(weight.elements for weight in node.op.weights() if weight.kind == "parameter")
                memo[key] = given, node.op.macs(key[1], given), params
            outputs, macs, params = memo[key]
            self.outputs.append(outputs)
            self.macs += macs
            self.params += params if node.owner == -1 else 0

    def tensor(self, reference: tuple[int, int]) -> Tensor:
        """The tensor that a reference means."""
        source, output = reference
        return self.outputs[source][output] if source >= 0 else self.inputs[-1 - source]

    def arriving(self, references: tuple[tuple[int, int], ...]) -> Tensors:
        """The tensors that references mean."""
        return tuple([self.tensor(reference) for reference in references])


def calls(graph: Graph, values: Values) -> list[Leaf]:
    """Each node as a call of its op.

    Raises:
        UnwritableError: an op that no fields make again.
    """
    memo: dict[Any, tuple[str, dict[str, Any]]] = {}
    found = []
    for position, node in enumerate(graph.nodes):
        reads = node.own_inputs(node.inputs)
        key = (identity(node.op), values.arriving(reads))
        if key not in memo:
            memo[key] = written(node.op, key[1], node.name)
        verb, fields = memo[key]
        leaf = Leaf(position, node.op, verb, fields, reads, len(values.outputs[position]))
        if node.owner == GIVEN:
            leaf.values = node.inputs[len(reads) :]
        elif node.owner >= 0 and node.op.weights():
            leaf.owner = node.owner
        found.append(leaf)
    return found


def written(op: Op, inputs: Tensors, name: str) -> tuple[str, dict[str, Any]]:
    """The verb of an op and the fields without which binding it would not give the same op."""
    cls = type(op)
    kept: dict[str, Any] = {}
    required = set()
    for field in msgspec.structs.fields(cls):
        value = getattr(op, field.name)
        if field.required:
            required.add(field.name)
        if field.required or not same(value, field.default):
            kept[field.name] = value
    if not _makes(op, kept, inputs):
        raise UnwritableError(f"layer {name!r}: {op.op} does not come out the same when it is built again")
    for field_name in list(kept):
        shorter = {key: value for key, value in kept.items() if key != field_name}
        if field_name not in required and field_name != "inplace" and _makes(op, shorter, inputs):
            kept = shorter
    if kept.get("inplace") is True:
        del kept["inplace"]
        return op.op + "_", kept
    return op.op, kept


def identity(op: Op) -> object:
    """What two ops have in common that are the same: 2.0 is not 2 where an operator is called with it."""
    return (op, repr(op)) if "arguments" in op.__struct_fields__ else op


def same(value: object, other: object) -> bool:
    """Equal, and of one kind: 1 is not true."""
    return value == other and (isinstance(value, bool) == isinstance(other, bool))


def _makes(op: Op, fields: dict[str, Any], inputs: Tensors) -> bool:
    try:
        return ready(type(op)(**fields), inputs) == op
    except OpError:
        return False
