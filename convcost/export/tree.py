"""The tree of a network that is exported: layers (Leaf), boxes of layers with a common name (Box), and joins (Join).

A box corresponds to a module in PyTorch: ``layer1.0.conv1`` becomes the leaf ``conv1`` in the box ``layer1_1``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import ConvcostError
from ..graph import Reference
from ..ops.base import Op

Refs = tuple[Reference, ...]


class UnwritableError(ConvcostError):
    """The spec language cannot express a graph, at least not in the form that was tried."""


class Leaf:
    """One layer.

    Args:
        position: the position of its node in the graph.
        op: its op.
        kind: the name of the op in the spec; with an underscore for the in-place variant, as in ``relu_``.
        fields: the fields that must be written.
        reads: the values that it reads, without weights.
        count: the number of its outputs.

    ``given_weights`` are the values that it reads as weights, ``owner`` the position of the layer whose weights it
    shares, ``segment`` its name within its box. ``auto`` is True if the spec language generates this name.
    """

    __slots__ = ("auto", "count", "fields", "given_weights", "kind", "op", "owner", "position", "reads", "segment")

    def __init__(self, position: int, op: Op, kind: str, fields: Mapping[str, Any], reads: Refs, count: int) -> None:
        self.position = position
        self.op = op
        self.kind = kind
        self.fields = fields
        self.reads = reads
        self.count = count
        self.given_weights: Refs | None = None
        self.owner: int | None = None
        self.segment = ""
        self.auto = False

    @property
    def start(self) -> int:
        """The position of its node."""
        return self.position

    @property
    def end(self) -> int:
        """The position after its node."""
        return self.position + 1


class Box:
    """Consecutive layers whose names begin with the same segment: the nodes ``start`` to ``end`` (exclusive).

    ``segment`` is its name within its parent, and ``segments`` are the names inside. ``entry`` are the values that its
    first layer reads from outside, ``externals`` all other values that it reads from outside. ``block`` is the block
    that it becomes a call of, if any. The root has no parent.
    """

    __slots__ = ("block", "end", "entry", "externals", "items", "parent", "segment", "segments", "start")

    def __init__(self, segment: str, parent: Box | None, start: int) -> None:
        self.segment = segment
        self.parent = parent
        self.start = start
        self.end = start
        self.items: list[Item] = []
        self.segments: set[str] = set()
        self.block: ExportedBlock | None = None
        self.entry: Refs = ()
        self.externals: Refs = ()

    def place(self) -> tuple[int, int]:
        """The position of its first node and its depth in the tree, which identify the box."""
        return self.start, 0 if self.parent is None else self.parent.place()[1] + 1

    def holds(self, position: int) -> bool:
        """True if the node at ``position`` is in the box."""
        return self.start <= position < self.end


class Parameter:
    """A parameter of a block: its value in each call, and its default value, or MISSING if it has none."""

    __slots__ = ("default", "name", "values")

    def __init__(self, name: str, values: list[Any], default: Any) -> None:
        self.name = name
        self.values = values
        self.default = default


class ExportedBlock:
    """A block of the spec: the boxes that become calls of it.

    ``representative`` is the call with the most layers, from which the text of the block is written. ``layers`` are the
    names of parameters for layers outside the block. ``texts`` has the text of each field or argument in the block, by
    ``(id(leaf or box), field)``.
    """

    __slots__ = ("calls", "layers", "name", "numbers", "parameters", "representative", "texts")

    def __init__(self, calls: list[Box]) -> None:
        self.calls = calls
        self.name = ""
        self.representative = max(calls, key=lambda box: sum(1 for _ in leaves(box.items)))
        self.numbers = {id(box): number for number, box in enumerate(calls)}
        self.parameters: list[Parameter] = []
        self.layers: list[str] = []
        self.texts: dict[tuple[int, str], Any] = {}

    def argument(self, box: Box, parameter: Parameter) -> Any:
        """The value of a parameter in the call that ``box`` becomes."""
        return parameter.values[self.numbers[id(box)]]


class Join:
    """Branches that start from the same value, and the leaf that merges their results, such as an addition.

    ``kind`` is "residual" or "branches". A residual has two branches: the body, and the projection, which is empty if
    the value itself is added. In some networks a block leaves out the addition where the shapes differ; such a residual
    is ``absent``, and ``merge`` is then the leaf of another call of the block. A residual is ``optional`` if the
    addition is left out in some call.
    """

    __slots__ = ("absent", "bodies", "kind", "merge", "optional", "source")

    def __init__(self, kind: str, bodies: list[list[Item]], merge: Leaf, source: Reference) -> None:
        self.kind = kind
        self.bodies = bodies
        self.merge = merge
        self.source = source
        self.absent = False
        self.optional = False

    @property
    def leaf(self) -> Leaf | None:
        """The leaf that merges the results; None if it is absent."""
        return None if self.absent else self.merge

    @property
    def start(self) -> int:
        """The position of its first node."""
        return next(body[0].start for body in self.bodies if body)

    @property
    def end(self) -> int:
        """The position after its last node."""
        return self.leaf.end if self.leaf is not None else self.bodies[0][-1].end


Item = Leaf | Box | Join


def leaves(items: list[Item]) -> Iterator[Leaf]:
    """All layers, in order of execution."""
    for item in items:
        if isinstance(item, Leaf):
            yield item
        elif isinstance(item, Box):
            yield from leaves(item.items)
        else:
            for body in item.bodies:
                yield from leaves(body)
            if item.leaf is not None:
                yield item.leaf


def boxes(items: list[Item]) -> Iterator[Box]:
    """All boxes, each before the boxes inside it."""
    for item in items:
        if isinstance(item, Box):
            yield item
            yield from boxes(item.items)
        elif isinstance(item, Join):
            for body in item.bodies:
                yield from boxes(body)
