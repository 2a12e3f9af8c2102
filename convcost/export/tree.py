"""What is written: layers in the boxes that their names put them in, with joins where branches come together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import ConvcostError
from ..graph import Reference
from ..ops.base import Op

Refs = tuple[Reference, ...]


class UnwritableError(ConvcostError):
    """Something that the spec language cannot say, or cannot say in the form that was tried."""


class Leaf:
    """One layer. ``name`` is None if the language's own name for it will do; ``segment`` is what it is called."""

    __slots__ = ("auto", "count", "fields", "op", "owner", "position", "reads", "segment", "values", "verb")

    def __init__(self, position: int, op: Op, verb: str, fields: Mapping[str, Any], reads: Refs, count: int) -> None:
        self.position = position
        self.op = op
        self.verb = verb
        self.fields = fields
        self.reads = reads
        self.count = count
        self.values: Refs | None = None
        self.owner: int | None = None
        self.segment = ""
        self.auto = False

    @property
    def start(self) -> int:
        """Position of its node."""
        return self.position

    @property
    def end(self) -> int:
        """Position behind its node."""
        return self.position + 1


class Box:
    """Layers with a common name before theirs: nodes from ``start`` to ``end``. The outermost box has no parent."""

    __slots__ = ("block", "end", "entry", "externals", "items", "parent", "segment", "segments", "start")

    def __init__(self, segment: str, parent: Box | None, start: int) -> None:
        self.segment = segment
        self.parent = parent
        self.start = start
        self.end = start
        self.items: list[Item] = []
        self.segments: set[str] = set()
        self.block: Block | None = None
        self.entry: Refs = ()
        self.externals: Refs = ()

    def place(self) -> tuple[int, int]:
        """Where it stands: its first node, and how many boxes it lies in."""
        return self.start, 0 if self.parent is None else self.parent.place()[1] + 1

    def holds(self, position: int) -> bool:
        """True if the node at ``position`` is inside."""
        return self.start <= position < self.end


class Parameter:
    """What the calls of a block differ in: a value for each call, and the default if most leave it out."""

    __slots__ = ("default", "name", "values")

    def __init__(self, name: str, values: list[Any], default: Any) -> None:
        self.name = name
        self.values = values
        self.default = default


class Block:
    """Boxes with one key, written once. ``texts`` has the text of each field and argument inside, by its part."""

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
        """The value that ``box`` calls the block with."""
        return parameter.values[self.numbers[id(box)]]


class Join:
    """Lists of items that start from the same value, and the leaf that joins their results.

    ``kind`` is "residual" (the first list, and the value itself or the second list) or "branches". A residual that
    is ``absent`` leaves its addition out because the shapes differ: ``merge`` is that of its kind. A residual that
    has such a kind is ``optional``.
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
        """The leaf that joins the results, if it is there."""
        return None if self.absent else self.merge

    @property
    def start(self) -> int:
        """Position of its first node."""
        return next(body[0].start for body in self.bodies if body)

    @property
    def end(self) -> int:
        """Position behind its last node."""
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
    """All boxes, the outer ones before those inside them."""
    for item in items:
        if isinstance(item, Box):
            yield item
            yield from boxes(item.items)
        elif isinstance(item, Join):
            for body in item.bodies:
                yield from boxes(body)
