"""A graph as JSON, for other programs and to read again: every node with its op, fields, inputs, weights and shapes."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from ..errors import SourceError
from ..graph import GIVEN, OWN, Graph
from ..sources.graph_json import SCHEMA
from ..tensor import Tensor
from .layers import Values


def graph_document(graph: Graph, values: Values, name: str, version: str) -> dict[str, Any]:
    """The JSON of a graph as Python's own values; ``sources.graph_json_reader`` reads it.

    A module that was captured in evaluation runs once more, so that the memory that it takes is there too.
    """
    about = graph.about
    return {
        "schema": SCHEMA,
        "convcost": version,
        "architecture": {
            "name": name,
            "title": about.title,
            "family": about.family,
            "source": about.source,
            "reference": dict(about.reference),
            "accuracy": dict(about.accuracy),
        },
        "batch_free": graph.batch_free,
        "mode": graph.mode,
        "dtype": graph.dtype,
        "inputs": [{"name": given, **_tensor(tensor)} for given, tensor in graph.inputs],
        "outputs": [list(reference) for reference in graph.outputs],
        "nodes": [
            {
                "name": node.name,
                "op": node.op.op,
                "fields": _plain(msgspec.structs.asdict(node.op)),
                "inputs": [list(reference) for reference in node.inputs],
                "owner": {OWN: None, GIVEN: "inputs"}.get(node.owner, node.owner),
                "weights": [
                    {"name": weight.name, "shape": list(weight.shape), "kind": weight.kind}
                    for weight in node.op.weights()
                ],
                "outputs": [_tensor(tensor) for tensor in outputs],
            }
            for node, outputs in zip(graph.nodes, values.outputs, strict=True)
        ],
        "repeats": [list(run) for run in graph.repeats],
        "published": msgspec.to_builtins(about.published),
        "allocations": _allocations(graph),
    }


def _allocations(graph: Graph) -> Any:
    """Those of a forward pass without gradients, which a network in training mode is not asked for."""
    try:
        return msgspec.to_builtins(graph.observed) if graph.mode != "train" else None
    except SourceError:  # it runs only once: memory goes by the rules
        return None


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {"shape": list(tensor.shape), "dtype": tensor.dtype}


def _plain(value: Any) -> Any:
    """A field as JSON has it; what JSON has no number for is a text: "inf", "-inf", "nan"."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, Tensor):
        return _tensor(value)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
