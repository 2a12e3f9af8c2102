"""Converts the nodes of a graph to leaves: finds the fields of each op that a spec must contain."""

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


class GraphTensors:
    """The output tensors (shape and dtype) of each node of a graph, and the total MACs and parameters."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.inputs = [tensor for _, tensor in graph.inputs]
        self.outputs: list[Tensors] = []
        self.macs = 0
        self.params = 0
        memo: dict[Any, tuple[Tensors, int, int]] = {}
        for node in graph.nodes:
            key = (node.op, node.own_inputs(self.inputs_of(node.inputs)))
            if key not in memo:
                computed = node.op.outputs(key[1])
                parameters = sum(weight.elements for weight in node.op.weights() if weight.kind == "parameter")
                memo[key] = computed, node.op.macs(key[1], computed), parameters
            outputs, macs, params = memo[key]
            self.outputs.append(outputs)
            self.macs += macs
            self.params += params if node.owner == -1 else 0

    def tensor(self, reference: tuple[int, int]) -> Tensor:
        """The tensor of a reference."""
        source, output = reference
        return self.outputs[source][output] if source >= 0 else self.inputs[-1 - source]

    def inputs_of(self, references: tuple[tuple[int, int], ...]) -> Tensors:
        """The tensors of several references."""
        return tuple([self.tensor(reference) for reference in references])


def to_leaves(graph: Graph, tensors: GraphTensors) -> list[Leaf]:
    """Convert each node to a leaf.

    Raises:
        UnwritableError: an op cannot be built again from its fields.
    """
    memo: dict[Any, tuple[str, dict[str, Any]]] = {}
    leaves = []
    for position, node in enumerate(graph.nodes):
        reads = node.own_inputs(node.inputs)
        key = (identity(node.op), tensors.inputs_of(reads))
        if key not in memo:
            memo[key] = necessary_fields(node.op, key[1], node.name)
        kind, fields = memo[key]
        leaf = Leaf(position, node.op, kind, fields, reads, len(tensors.outputs[position]))
        if node.owner == GIVEN:
            leaf.given_weights = node.inputs[len(reads) :]
        elif node.owner >= 0 and node.op.weights():
            leaf.owner = node.owner
        leaves.append(leaf)
    return leaves


def necessary_fields(op: Op, inputs: Tensors, name: str) -> tuple[str, dict[str, Any]]:
    """The name of an op in a spec, and the fewest fields from which, with these inputs, the same op is built.

    ``name`` is the layer's name, for the message of an error.
    """
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
        raise UnwritableError(f"layer {name!r}: {op.op} cannot be built again from its fields")
    for field_name in list(kept):
        shorter = {key: value for key, value in kept.items() if key != field_name}
        if field_name not in required and field_name != "inplace" and _makes(op, shorter, inputs):
            kept = shorter
    if kept.get("inplace") is True:
        del kept["inplace"]
        return op.op + "_", kept
    return op.op, kept


def identity(op: Op) -> object:
    """A key that is equal for equal ops. In the arguments of a generic op, 2 and 2.0 are different."""
    return (op, repr(op)) if "arguments" in op.__struct_fields__ else op


def same(value: object, other: object) -> bool:
    """True if the values are equal and both or neither are booleans, because 1 == True in Python."""
    return value == other and (isinstance(value, bool) == isinstance(other, bool))


def _makes(op: Op, fields: dict[str, Any], inputs: Tensors) -> bool:
    try:
        return ready(type(op)(**fields), inputs) == op
    except OpError:
        return False
