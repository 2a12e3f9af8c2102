"""Writes the layers of the tree in the spec language, and resolves the names by which they read each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..graph import Reference
from ..spec.vocabulary import is_op, literal_kind, texts
from .parameters import MISSING
from .paths import Shadow
from .repeats import fold_repeats
from .tree import Box, ExportedBlock, Item, Join, Leaf, Refs, UnwritableError
from .yaml_text import Arguments, YamlLayer, value_text


class Scope:
    """Where a layer is written.

    ``box`` is the innermost box around it. ``boundary`` is the box whose block contains the text, or None for the text
    of the file. ``counts`` is the number of block calls with a generated name, by block.
    """

    __slots__ = ("boundary", "box", "counts")

    def __init__(self, box: Box, boundary: Box | None) -> None:
        self.box = box
        self.boundary = boundary
        self.counts: Counter[str] = Counter()


class SpecWriter:
    """Writes a tree in which blocks have been found.

    Args:
        leaves: all leaves, by position.
        box_of: the innermost box of each leaf, by position.
        inputs: the names of the network's inputs.
        fold: write repetitions with ``repeat``.

    ``shadows`` collects names that would be read as another layer where they are written. If there are any, the names
    must be changed and the tree written again. The argument ``previous`` of the methods are the values of the layer
    before, which a layer reads if it has no ``from``.
    """

    def __init__(self, leaves: Sequence[Leaf], box_of: Mapping[int, Box], inputs: Sequence[str], fold: bool) -> None:
        self.leaves = leaves
        self.box_of = box_of
        self.inputs = inputs
        self.fold = fold
        inside = [outer for box in box_of.values() for outer in _with_parents(box)]
        self.blocks = {box.block.name for box in inside if box.block is not None}
        self.shadows: set[Shadow] = set()

    def file(self, root: Box) -> list[YamlLayer]:
        """The layers of the file."""
        return self.items(root.items, ((-1, 0),), Scope(root, None))

    def block(self, block: ExportedBlock) -> list[YamlLayer]:
        """The layers of a block, from its call with the most layers."""
        box = block.representative
        return self.items(box.items, box.entry or None, Scope(box, box))

    # --- lists of layers

    def items(self, items: Sequence[Item], previous: Refs | None, scope: Scope) -> list[YamlLayer]:
        layers: list[YamlLayer] = []
        for item in items:
            if isinstance(item, Leaf):
                layers.append(self.leaf(item, previous, scope))
                previous = _results(item)
            elif isinstance(item, Join):
                layers.append(self.join(item, previous, scope))
                previous = _results(item.merge) if item.leaf else ((item.end - 1, 0),)
            else:
                layers.append(self.box(item, previous, scope))
                previous = _results(self.leaves[item.end - 1])
        return fold_repeats(layers, scope.box.segments) if self.fold else layers

    def leaf(self, leaf: Leaf, previous: Refs | None, scope: Scope) -> YamlLayer:
        layer = YamlLayer(leaf.kind, self.fields(leaf, scope))
        if not leaf.auto:
            layer.keywords["name"] = leaf.segment
        layer.segment = leaf.segment
        if leaf.reads != previous and leaf.op.arity[1] != 0:
            layer.keywords["from"] = self.sources(leaf.reads, previous, scope)
        if leaf.given_weights is not None:
            layer.keywords["weights"] = self.names(leaf.given_weights, scope)
        if leaf.owner is not None:
            layer.keywords["shares"] = self.name((leaf.owner, 0), scope, whole=True, shorten=False)
        return layer

    def fields(self, leaf: Leaf, scope: Scope) -> Any:
        """The fields as texts by name; only the text if the first field is the only one; None if there are none."""
        cls = type(leaf.op)
        block = scope.boundary.block if scope.boundary is not None else None
        if block is not None:
            field_texts = {field: block.texts[id(leaf), field] for field in cls.__struct_fields__
                           if (id(leaf), field) in block.texts}  # fmt: skip
            field_texts.pop("inplace", None)
        else:
            field_texts = {key: value_text(value, cls, key) for key, value in leaf.fields.items()}
        if not field_texts:
            return None
        first = cls.__struct_fields__[0]
        if list(field_texts) == [first] and not literal_kind(cls, first):
            return field_texts[first]
        return field_texts

    # --- structures

    def join(self, join: Join, previous: Refs | None, scope: Scope) -> YamlLayer:
        layer = YamlLayer(join.kind)
        start: Refs = (join.source,)
        if previous != start:
            layer.keywords["from"] = self.sources(start, previous, scope)
        bodies = [self.items(body, start, scope) for body in join.bodies]
        merge = YamlLayer(join.merge.kind, self.fields(join.merge, scope))
        if not join.merge.auto:
            merge.keywords["name"] = join.merge.segment
        if join.kind == "residual":
            layer.bodies = bodies[:1]
            if bodies[1]:
                layer.projection = bodies[1]
            elif join.optional:
                layer.projection = []
            plain = join.merge.kind == "add" and join.merge.auto and merge.arguments is None
            layer.merge = None if plain else merge
        else:
            layer.bodies = bodies
            layer.merge = merge
        return layer

    def box(self, box: Box, previous: Refs | None, scope: Scope) -> YamlLayer:
        if box.block is None:
            layer = YamlLayer("layers", None, {"name": box.segment})
            layer.bodies = [self.items(box.items, previous, Scope(box, scope.boundary))]
            return layer
        layer = YamlLayer(box.block.name, self.arguments(box, box.block, scope))
        number = scope.counts[box.block.name] + 1
        if box.segment == f"{box.block.name}_{number}":
            scope.counts[box.block.name] = number
        else:
            layer.keywords["name"] = box.segment
        layer.segment = box.segment
        if box.entry and box.entry != previous:
            layer.keywords["from"] = self.sources(box.entry, previous, scope)
        return layer

    def arguments(self, box: Box, block: ExportedBlock, scope: Scope) -> Any:
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

    def argument(self, box: Box, block: ExportedBlock, parameter: Any, outer: ExportedBlock | None) -> str:
        if outer is not None:
            return str(outer.texts[id(box), parameter.name])
        return value_text(block.argument(box, parameter))

    def layer_argument(self, ref: Reference, scope: Scope) -> str:
        text = self.name(ref, scope)
        if self.is_ambiguous(text):
            text = self.name(ref, scope, shorten=False)
        if self.is_ambiguous(text):
            raise UnwritableError(f"the layer {text!r}, an argument of a block, has the name of an op or a field value")
        return text

    def is_ambiguous(self, text: str) -> bool:
        """True if an argument of a block can mean something else than a layer: an op, a block or a field value."""
        return is_op(text) or text in texts() or text in self.blocks

    # --- names

    def sources(self, refs: Refs, previous: Refs | None, scope: Scope) -> str:
        """The text of ``from``. In a list, the value of the layer before is written as ``previous``."""
        if scope.boundary is not None and refs == scope.boundary.entry:
            return "input"
        if previous is not None and len(previous) == 1 and len(refs) > 1:
            names = ["previous" if ref == previous[0] else self.name(ref, scope) for ref in refs]
            return f"[{', '.join(names)}]"
        return self.names(refs, scope)

    def names(self, refs: Refs, scope: Scope) -> str:
        """The names of several values. All outputs of one layer together are written as the layer's name."""
        names: list[str] = []
        at = 0
        while at < len(refs):
            position = refs[at][0]
            outputs = _results(self.leaves[position]) if position >= 0 else (refs[at],)
            if refs[at : at + len(outputs)] == outputs:
                names.append(self.name(refs[at], scope, whole=True))
                at += len(outputs)
            else:
                names.append(self.name(refs[at], scope))
                at += 1
        return names[0] if len(names) == 1 else f"[{', '.join(names)}]"

    def name(self, ref: Reference, scope: Scope, whole: bool = False, shorten: bool = True) -> str:
        """The name of a value within a scope.

        Args:
            ref: the value.
            scope: where the name is written.
            whole: name the layer, without the number of the output.
            shorten: use the name of the outermost box that ends with the layer.
        """
        boundary = scope.boundary
        if boundary is not None and ref in boundary.entry:
            number = boundary.entry.index(ref)
            return "input" if len(boundary.entry) == 1 else f"input.{number}"
        if boundary is not None and not boundary.holds(ref[0]):
            assert boundary.block is not None
            return boundary.block.layers[boundary.externals.index(ref)]
        if ref[0] < 0:
            text = self.inputs[-1 - ref[0]]
            self.check_visible(text, scope.box, None)
            return text
        leaf = self.leaves[ref[0]]
        path = [leaf.segment]
        box = self.box_of[ref[0]]
        while not box.holds(scope.box.start) or not any(outer is box for outer in _with_parents(scope.box)):
            path = [box.segment] if shorten and box.end - 1 == ref[0] else [box.segment, *path]
            assert box.parent is not None
            box = box.parent
        self.check_visible(path[0], scope.box, box)
        text = ".".join(path)
        return text if whole or leaf.count == 1 else f"{text}.{ref[1]}"

    def check_visible(self, name: str, box: Box, owner: Box | None) -> None:
        """Add a shadow for each box between ``box`` and ``owner`` that has the name, too."""
        inner: Box | None = box
        while inner is not owner and inner is not None and inner.parent is not None:
            if name in inner.segments:
                self.shadows.add((inner.place(), name))
            inner = inner.parent


def _with_parents(box: Box | None) -> Iterator[Box]:
    while box is not None:
        yield box
        box = box.parent


def _results(leaf: Leaf) -> Refs:
    return tuple([(leaf.position, output) for output in range(leaf.count)])
