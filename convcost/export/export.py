"""The function ``export``: a graph as a spec or as JSON."""

from __future__ import annotations

import msgspec

from ..errors import ConvcostError, SourceError, UsageError, nearest
from ..graph import Graph
from ..spec.build import graph_from_text
from ..version import __version__
from .document import difference, spec_text
from .graph_json import graph_document
from .layers import Values

__all__ = ["FORMATS", "export"]

FORMATS = ("spec", "json")

LEVELS = ("blocks", "groups", "flat")
"""Forms of a spec, from the shortest to the plainest."""


def export(graph: Graph, format: str = "spec", name: str | None = None) -> str:
    """A graph as a spec, with repetitions as blocks and ``repeat`` where the structure allows it, or as JSON.

    A spec has been read again before it is given out: it has the same ops on the same values in the same order. Where
    the short form has not, a plainer one is written.

    Args:
        graph: from ``convcost.load`` or ``convcost.capture``.
        format: "spec" or "json".
        name: what to call the network; default: its name.

    Raises:
        UsageError: ``graph`` is no graph, or there is no such format.
        SourceError: the spec language cannot say this graph; the message says what.
    """
    if not isinstance(graph, Graph):
        raise UsageError(f"export takes a graph, not {graph!r:.80}; convcost.load(NAME) gives one")
    if format not in FORMATS:
        raise UsageError(f"unknown format {format!r}{nearest(format, FORMATS)} (allowed: {', '.join(FORMATS)})")
    name = name or graph.about.name
    values = Values(graph)
    if format == "json":
        document = msgspec.json.encode(graph_document(graph, values, name, __version__))
        return msgspec.json.format(document).decode() + "\n"
    problem = ""
    for level in LEVELS:
        try:
            text = spec_text(graph, values, name, f"convcost {__version__}", level)
            again = graph_from_text(text, "the spec")
        except ConvcostError as error:
            problem = str(error).splitlines()[0]
            continue
        differing = difference(graph, again)
        if differing is None:
            return text
        problem = f"it would come out with another {differing}"
    raise SourceError(f"{graph.about.name} cannot be written as a spec: {problem}")
