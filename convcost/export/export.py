"""The function ``export``: writes a graph as a spec or as JSON."""

from __future__ import annotations

import msgspec

from ..errors import ConvcostError, SourceError, UsageError, alternatives
from ..graph import Graph
from ..spec.build import graph_from_text
from ..version import __version__
from .graph_json import graph_document
from .layers import GraphTensors
from .spec_text import difference, spec_text

__all__ = ["FORMATS", "export"]

FORMATS = ("spec", "json")

LEVELS = ("blocks", "groups", "flat")
"""Forms of a spec, from the shortest: with blocks and repetitions, with groups only, and without groups."""


def export(graph: Graph, format: str = "spec", name: str | None = None) -> str:
    """Write a graph as a spec, with blocks and ``repeat`` for repeated structures, or as JSON.

    The spec is read again before it is returned, and has the same ops with the same inputs in the same order. If this
    fails for the shortest form, a longer form is returned.

    Args:
        graph: a graph from ``convcost.load`` or ``convcost.capture``.
        format: "spec" or "json".
        name: the name of the network in the output; default: the name of the graph.

    Returns:
        The text, which ends with a newline.

    Raises:
        UsageError: ``graph`` is not a graph, or the format is unknown.
        SourceError: the spec language cannot express this graph; the message says why.
    """
    if not isinstance(graph, Graph):
        raise UsageError(f"export takes a graph, not {graph!r:.80}; convcost.load(NAME) returns a graph")
    if format not in FORMATS:
        raise UsageError(f"unknown format {format!r}{alternatives(format, FORMATS)}")
    name = name or graph.about.name
    tensors = GraphTensors(graph)
    if format == "json":
        document = msgspec.json.encode(graph_document(graph, tensors, name, __version__))
        return msgspec.json.format(document).decode() + "\n"
    problem = ""
    for level in LEVELS:
        try:
            text = spec_text(graph, tensors, name, f"convcost {__version__}", level)
            reread = graph_from_text(text, "the spec")
        except ConvcostError as error:
            problem = str(error).splitlines()[0]
            continue
        differing = difference(graph, reread)
        if differing is None:
            return text
        problem = f"the spec would differ in {differing}"
    raise SourceError(f"{graph.about.name} cannot be written as a spec: {problem}")
