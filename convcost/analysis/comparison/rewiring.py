"""Which layers read from another place than before, although they are the same themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...graph import Graph
from .alignment import Pair


def rewired(before: Graph, after: Graph, pairs: Sequence[Pair]) -> dict[int, tuple[str, str]]:
    """Positions in ``after`` whose layer reads other layers, with the names of what it read and what it reads.

    What is inserted or removed between two layers does not rewire them: such layers are looked through.
    """
    there = {i: j for i, j in pairs if i is not None and j is not None}
    here = {j: i for i, j in there.items()}
    sources_before, sources_after = _sources(before, there), _sources(after, here)
    found = {}
    for i, j in there.items():
        old, new = sources_before[i], sources_after[j]
        # A graph input has the same negative position in both.
        mapped = {there[x] if x >= 0 else x for x in old}
        direct_old = {there[x] if x >= 0 else x for x, _ in before.nodes[i].inputs if x < 0 or x in there}
        direct_new = {x for x, _ in after.nodes[j].inputs if x < 0 or x in here}
        if not direct_old <= new or not direct_new <= mapped:
            found[j] = _names(before, i), _names(after, j)
    return found


def _sources(graph: Graph, kept: Mapping[int, int]) -> list[frozenset[int]]:
    """For each node the graph inputs and kept nodes that it reads, through nodes that are not kept."""
    through: list[frozenset[int]] = []
    found = []
    for position, node in enumerate(graph.nodes):
        reads = [frozenset((x,)) if x < 0 or x in kept else through[x] for x, _ in node.inputs]
        union = reads[0] if len(reads) == 1 else frozenset().union(*reads)
        found.append(union)
        through.append(union if position not in kept else frozenset((position,)))
    return found


def _names(graph: Graph, position: int) -> str:
    inputs = graph.nodes[position].inputs
    return " + ".join(graph.nodes[x].name if x >= 0 else graph.inputs[-1 - x][0] for x, _ in inputs)
