"""Which blocks of a network are checkpointed: run without saving tensors, and run again in the backward pass."""

from __future__ import annotations

from ...graph import Graph

NodeRange = tuple[int, int]
"""First and last position of nodes in a row."""


def checkpointed_blocks(graph: Graph) -> tuple[NodeRange, ...]:
    """The nodes of each outermost block, in order; ``layer1.0`` and ``layer1.1``, as PyTorch numbers them, are two.

    A block of one node is left out: checkpointing would save nothing.
    """
    blocks: list[NodeRange] = []
    start, name = 0, ""
    for position in range(len(graph.nodes) + 1):
        here = _block(graph.nodes[position].name) if position < len(graph.nodes) else ""
        if here == name and here:
            continue
        if name and position - start > 1:
            blocks.append((start, position - 1))
        start, name = position, here
    return tuple(blocks)


def _block(name: str) -> str:
    path = name.split(".")[:-1]
    depth = 1
    while depth < len(path) and path[depth].isdecimal():
        depth += 1
    return ".".join(path[:depth])
