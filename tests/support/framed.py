"""A network as people write it in PyTorch: a Python function for each block, called with what the block reads.

Nothing is said about memory here. A function's arguments live until it returns, a local until it is bound anew, because
that is how Python works: whoever watches the allocations of a run sees the lifetimes of eager PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from convcost.graph import Graph, Reference


def function_of(graph: Graph, layers: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    """A function of the network's inputs that calls ``layers[k]`` for node ``k``, block in block."""
    lines: list[str] = []
    _write(_Body(graph), 0, len(graph.nodes), 0, [(-1 - k, 0) for k in range(len(graph.inputs))], graph.outputs, lines)
    space: dict[str, Any] = {"layers": layers}
    exec("\n".join(lines), space)
    return space["block_0_0"]


class _Body:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.scopes = [
            [tuple(around[k : k + 2]) for k in range(0, len(around), 2)] for around in map(list, graph.scopes)
        ]
        self.readers: dict[Reference, list[int]] = {}
        for position, node in enumerate(graph.nodes):
            for reference in node.inputs:
                self.readers.setdefault(reference, []).append(position)
        for reference in graph.outputs:
            self.readers.setdefault(reference, []).append(len(graph.nodes))


def _name(reference: Reference) -> str:
    position, output = reference
    return f"input_{-1 - position}" if position < 0 else f"value_{position}_{output}"


def _write(
    body: _Body,
    start: int,
    end: int,
    level: int,
    arguments: Sequence[Reference],
    results: Sequence[Reference],
    lines: list[str],
) -> None:
    """The function ``block_START_LEVEL`` of the nodes from ``start`` to before ``end``."""
    nodes, inside = body.graph.nodes, []
    position = start
    while position < end:
        around = body.scopes[position]
        if len(around) > level and around[level][0] == position:
            last = around[level][1] + 1
            made = {(at, k) for at in range(position, last) for k in range(64)}
            read = dict.fromkeys(ref for at in range(position, last) for ref in nodes[at].inputs if ref not in made)
            given = [ref for at in range(position, last) for ref in sorted(r for r in made if r[0] == at)
                     if any(reader >= last for reader in body.readers.get(ref, ()))]  # fmt: skip
            _write(body, position, last, level + 1, list(read), given, lines)
            call = f"block_{position}_{level + 1}({', '.join(map(_name, read))})"
        else:
            last = position + 1
            read = dict.fromkeys(nodes[position].inputs)
            given = sorted(ref for ref in body.readers if ref[0] == position)
            count = max((output for _, output in given), default=0)
            given = [(position, k) for k in range(count + 1)] if count else [(position, 0)]
            call = f"layers[{position}]({', '.join(_name(ref) for ref in nodes[position].inputs)})"
        targets = ", ".join(map(_name, given)) or "_"
        inside.append(f"    {targets} = {call}")
        dead = [ref for ref in read if ref not in arguments and ref not in results
                and all(reader < last for reader in body.readers[ref])]  # fmt: skip
        if dead:
            inside.append(f"    del {', '.join(map(_name, dead))}")  # its name is bound anew
        position = last
    lines.append(f"def block_{start}_{level}({', '.join(map(_name, arguments))}):")
    lines += inside
    lines.append(f"    return {', '.join(map(_name, results))}")
