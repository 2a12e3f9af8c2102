"""Which blocks of a network are checkpointed: run without keeping anything, and run again in the backward pass."""

from __future__ import annotations

from ...graph import Graph


def blocks(graph: Graph) -> tuple[tuple[int, int], ...]:
    """First and last position of each outermost block; of ``layer1.0``, ``layer1.1``, as PyTorch numbers them, each.

    A block with one node, or none with weights, is no block: nothing would be saved.
    """
    found: list[tuple[int, int]] = []
    start, word = 0, ""
    for position in range(len(graph.nodes) + 1):
        now = _block(graph.nodes[position].name) if position < len(graph.nodes) else ""
        if now == word and now:
            continue
        if word and position - start > 1:
            found.append((start, position - 1))
        start, word = position, now
    return tuple(found)


def _block(name: str) -> str:
    path = name.split(".")[:-1]
    depth = 1
    while depth < len(path) and path[depth].isdecimal():
        depth += 1
    return ".".join(path[:depth])
