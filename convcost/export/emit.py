"""The tree of layers as calls of the spec language: who reads what by which name, in the file and in its blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..graph import Reference
from ..spec.vocabulary import is_op, literal_kind, texts
from .parameters import MISSING
from .paths import Shadow
from .repeats import folded
from .tree import Block, Box, Item, Join, Leaf, Refs, UnwritableError
from .yaml_text import Arguments, Call, value_text


class Scope:
    """Where a layer is written: inside ``box``, in the text of the block ``boundary`` or, if None, of the file."""

    __slots__ = ("boundary", "box", "counts")

    def __init__(self, box: Box, boundary: Box | None, counts: Counter[str] | None = None) -> None:
        self.box = box
        self.boundary = boundary
        self.counts = Counter() if counts is None else counts


class Writer:
    """Writes a tree whose boxes have their blocks."""

    def __init__(self, leaves: Sequence[Leaf], homes: Mapping[int, Box], inputs: Sequence[str], fold: bool) -> None:
        self.leaves = leaves
        self.homes = homes
        self.inputs = inputs
        self.fold = fold
        inside = [outer for box in homes.values() for outer in _chain(box)]
        self.blocks = {box.block.name for box in inside if box.block is not None}
        self.shadows: set[Shadow] = set()
        """Names that mean another layer where they were written."""

    def file(self, root: Box) -> list[Call]:
        """The layers of the file."""
        return self.items(root.items, ((-1, 0),), Scope(root, None))[0]

    def block(self, block: Block) -> list[Call]:
        """The layers of a block, as its fullest call has them."""
        box = block.representative
        return self.items(box.items, box.entry or None, Scope(box, box))[0]

    # --- lists of layers

    def items(self, items: Sequence[Item], flow: Refs | None, scope: Scope) -> tuple[list[Call], Refs | None]:
        found: list[Call] = []
        for item in items:
            if isinstance(item, Leaf):
                found.append(self.leaf(item, flow, scope))
                flow = _results(item)
            elif isinstance(item, Join):
                found.append(self.join(item, flow, scope))
                flow = _results(item.merge) if item.leaf else (self.last(item.end - 1),)
            else:
                found.append(self.box(item, flow, scope))
                flow = _results(self.leaves[item.end - 1])
        return (folded(found, scope.box.segments) if self.fold else found), flow

    def last(self, position: int) -> Reference:
        return (position, 0)

    def leaf(self, leaf: Leaf, flow: Refs | None, scope: Scope) -> Call:
        call = Call(leaf.verb, self.fields(leaf, scope))
        if not leaf.auto:
            call.adverbs["name"] = leaf.segment
        call.segment = leaf.segment
        most = leaf.op.arity[1]
        if leaf.reads != flow and most != 0:
            call.adverbs["from"] = self.sources(leaf.reads, flow, scope)
        if leaf.values is not None:
            call.adverbs["weights"] = self.names(leaf.values, scope)
        if leaf.owner is not None:
            call.adverbs["shares"] = self.name((leaf.owner, 0), scope, whole=True, shorten=False)
        return call

    def fields(self, leaf: Leaf, scope: Scope) -> Any:
        cls = type(leaf.op)
        block = scope.boundary.block if scope.boundary is not None else None
        if block is not None:
            written = {field: block.texts[id(leaf), field] for field in cls.__struct_fields__
                       if (id(leaf), field) in block.texts}  # fmt: skip
            written.pop("inplace", None)
        else:
            written = {key: value_text(value, cls, key) for key, value in leaf.fields.items()}
        if not written:
            return None
        first = cls.__struct_fields__[0]
        if list(written) == [first] and not literal_kind(cls, first):
            return written[first]
        return written

    # --- structures

    def join(self, join: Join, flow: Refs | None, scope: Scope) -> Call:
        call = Call(join.kind)
        start: Refs = (join.source,)
        if flow != start:
            call.adverbs["from"] = self.sources(start, flow, scope)
        bodies = [self.items(body, start, scope)[0] for body in join.bodies]
        merge = Call(join.merge.verb, self.fields(join.merge, scope))
        if not join.merge.auto:
            merge.adverbs["name"] = join.merge.segment
        if join.kind == "residual":
            call.bodies = bodies[:1]
            if bodies[1]:
                call.projection = bodies[1]
            elif join.optional:
                call.projection = []
            plain = join.merge.verb == "add" and join.merge.auto and merge.arguments is None
            call.merge = None if plain else merge
        else:
            call.bodies = bodies
            call.merge = merge
        return call

    def box(self, box: Box, flow: Refs | None, scope: Scope) -> Call:
        if box.block is None:
            call = Call("layers", None, {"name": box.segment})
            call.bodies = [self.items(box.items, flow, Scope(box, scope.boundary))[0]]
            return call
        call = Call(box.block.name, self.arguments(box, box.block, scope))
        number = scope.counts[box.block.name] + 1
        if box.segment == f"{box.block.name}_{number}":
            scope.counts[box.block.name] = number
        else:
            call.adverbs["name"] = box.segment
        call.segment = box.segment
        if box.entry and box.entry != flow:
            call.adverbs["from"] = self.sources(box.entry, flow, scope)
        return call

    def arguments(self, box: Box, block: Block, scope: Scope) -> Any:
        outer = scope.boundary.block if scope.boundary is not None else None
        given: dict[str, str] = {}
        parameters = [parameter for parameter in block.parameters if parameter.default is MISSING]
        optional = [parameter for parameter in block.parameters if parameter.default is not MISSING]
        for parameter in parameters:
            given[parameter.name] = self.argument(box, block, parameter, outer)
        for name, ref in zip(block.layers, box.externals, strict=True):
            given[name] = self.layer_argument(ref, scope)
        for parameter in optional:
            text = self.argument(box, block, parameter, outer)
            if text != value_text(parameter.default):
                given[parameter.name] = text
        order = (*(p.name for p in parameters), *block.layers, *(p.name for p in optional))
        return Arguments(given, order) if given else None

    def argument(self, box: Box, block: Block, parameter: Any, outer: Block | None) -> str:
        if outer is not None:
            return str(outer.texts[id(box), parameter.name])
        return value_text(block.argument(box, parameter))

    def layer_argument(self, ref: Reference, scope: Scope) -> str:
        text = self.name(ref, scope)
        if self.means_more(text):
            text = self.name(ref, scope, shorten=False)
        if self.means_more(text):
            raise UnwritableError(f"a block would take the layer {text!r}, which is a word of the language")
        return text

    def means_more(self, text: str) -> bool:
        """True for what an argument may mean besides a layer: an op, a block, a text of some field."""
        return is_op(text) or text in texts() or text in self.blocks

    # --- names

    def sources(self, refs: Refs, flow: Refs | None, scope: Scope) -> str:
        """What ``from`` says: the value before is ``previous``."""
        if scope.boundary is not None and refs == scope.boundary.entry:
            return "input"
        if flow is not None and len(flow) == 1 and len(refs) > 1:
            names = ["previous" if ref == flow[0] else self.name(ref, scope) for ref in refs]
            return f"[{', '.join(names)}]"
        return self.names(refs, scope)

    def names(self, refs: Refs, scope: Scope) -> str:
        found: list[str] = []
        at = 0
        while at < len(refs):
            position = refs[at][0]
            every = _results(self.leaves[position]) if position >= 0 else (refs[at],)
            if refs[at : at + len(every)] == every:
                found.append(self.name(refs[at], scope, whole=True))
                at += len(every)
            else:
                found.append(self.name(refs[at], scope))
                at += 1
        return found[0] if len(found) == 1 else f"[{', '.join(found)}]"

    def name(self, ref: Reference, scope: Scope, whole: bool = False, shorten: bool = True) -> str:
        """How a value is called here; ``whole``: all outputs; ``shorten``: by the outermost box that ends with it."""
        boundary = scope.boundary
        if boundary is not None and ref in boundary.entry:
            number = boundary.entry.index(ref)
            return "input" if len(boundary.entry) == 1 else f"input.{number}"
        if boundary is not None and not boundary.holds(ref[0]):
            assert boundary.block is not None
            return boundary.block.layers[boundary.externals.index(ref)]
        if ref[0] < 0:
            text = self.inputs[-1 - ref[0]]
            self.visible(text, scope.box, None)
            return text
        leaf = self.leaves[ref[0]]
        path = [leaf.segment]
        box = self.homes[ref[0]]
        while not box.holds(scope.box.start) or not _within(scope.box, box):
            path = [box.segment] if shorten and box.end - 1 == ref[0] else [box.segment, *path]
            assert box.parent is not None
            box = box.parent
        self.visible(path[0], scope.box, box)
        text = ".".join(path)
        return text if whole or leaf.count == 1 else f"{text}.{ref[1]}"

    def visible(self, name: str, box: Box, home: Box | None) -> None:
        """Note a name that means something else between here and ``home``."""
        inner: Box | None = box
        while inner is not home and inner is not None and inner.parent is not None:
            if name in inner.segments:
                self.shadows.add((inner.place(), name))
            inner = inner.parent


def _within(box: Box, outer: Box) -> bool:
    return any(each is outer for each in _chain(box))


def _chain(box: Box | None) -> Iterator[Box]:
    while box is not None:
        yield box
        box = box.parent


def _results(leaf: Leaf) -> Refs:
    return tuple([(leaf.position, output) for output in range(leaf.count)])
