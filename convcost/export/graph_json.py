"""A graph as JSON, for other programs and to read again. The records are in ``sources.graph_json``, which reads it."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from ..errors import SourceError
from ..graph import GIVEN, OWN, Allocation, Graph
from ..sources.graph_json import Architecture, GraphDocument, GraphInput, GraphNode
from .layers import GraphTensors


def graph_document(graph: Graph, values: GraphTensors, name: str, version: str) -> GraphDocument:
    """The JSON of a graph as a record: every node with its op, fields, inputs, weights and shapes.

    A module that was captured in evaluation runs once more, so that the memory that it takes is there too.
    """
    architecture: Architecture = msgspec.convert(graph.about, Architecture, from_attributes=True)
    architecture.name = name
    nodes = [
        GraphNode(
            name=node.name,
            op=node.op.op,
            fields=msgspec.Raw(msgspec.json.encode(_plain(msgspec.structs.asdict(node.op)))),
            inputs=node.inputs,
            owner={OWN: None, GIVEN: "inputs"}.get(node.owner, node.owner),
            weights=[{"name": each.name, "shape": each.shape, "kind": each.kind} for each in node.op.weights()],
            outputs=outputs,
        )
        for node, outputs in zip(graph.nodes, values.outputs, strict=True)
    ]
    return GraphDocument(
        convcost=version,
        architecture=architecture,
        batch_free=graph.batch_free,
        mode=graph.mode,  # type: ignore[arg-type]  # eval or train
        dtype=graph.dtype,
        inputs=tuple(GraphInput(given, tensor.shape, tensor.dtype) for given, tensor in graph.inputs),
        outputs=graph.outputs,
        nodes=tuple(nodes),
        repeats=graph.repeats,
        published=graph.about.published,
        allocations=_allocations(graph),
    )


def _allocations(graph: Graph) -> tuple[Allocation, ...] | None:
    """Those of a forward pass without gradients, which a network in training mode is not asked for."""
    try:
        return graph.observed if graph.mode != "train" else None
    except SourceError:  # it runs only once: memory goes by the rules
        return None


def _plain(value: Any) -> Any:
    """A field as JSON has it; what JSON has no number for is a text: "inf", "-inf", "nan"."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
