"""Finds layers that are the same in two networks but read the outputs of other layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...graph import Graph
from .alignment import Pair


def rewired(before: Graph, after: Graph, pairs: Sequence[Pair]) -> dict[int, tuple[str, str]]:
    """Find layers that read other layers than before.

    Inserting or removing layers between two layers does not count: only layers in both networks are considered.

    Args:
        before, after: the two networks.
        pairs: their alignment.

    Returns:
        By position in ``after``, the names of the layers that were read before and after.
    """
    new_position = {i: j for i, j in pairs if i is not None and j is not None}
    old_position = {j: i for i, j in new_position.items()}
    sources_before, sources_after = _sources(before, new_position), _sources(after, old_position)
    rewired_layers = {}
    for i, j in new_position.items():
        new = sources_after[j]
        # An input of the network has the same negative position in both graphs.
        old = {new_position[x] if x >= 0 else x for x in sources_before[i]}
        direct_old = {new_position[x] if x >= 0 else x for x, _ in before.nodes[i].inputs if x < 0 or x in new_position}
        direct_new = {x for x, _ in after.nodes[j].inputs if x < 0 or x in old_position}
        if not direct_old <= new or not direct_new <= old:
            rewired_layers[j] = _names(before, i), _names(after, j)
    return rewired_layers


def _sources(graph: Graph, kept: Mapping[int, int]) -> list[frozenset[int]]:
    """For each node the kept nodes and network inputs that it reads, directly or through nodes that are not kept."""
    through: list[frozenset[int]] = []
    sources = []
    for position, node in enumerate(graph.nodes):
        reads = [frozenset((x,)) if x < 0 or x in kept else through[x] for x, _ in node.inputs]
        union = reads[0] if len(reads) == 1 else frozenset().union(*reads)
        sources.append(union)
        through.append(union if position not in kept else frozenset((position,)))
    return sources


def _names(graph: Graph, position: int) -> str:
    inputs = graph.nodes[position].inputs
    return " + ".join(graph.nodes[x].name if x >= 0 else graph.inputs[-1 - x][0] for x, _ in inputs)
