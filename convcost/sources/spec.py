"""A spec file, compiled: its blocks and layers with every word classified and every mistake of the file collected."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import SpecError, Where, nearest
from ..ops import REGISTRY
from ..ops.base import unknown_field
from . import vocabulary as words_of
from .expressions import CONSTANTS, FUNCTIONS, KEYWORDS, WORD
from .terms import REFERENCE, SHAPE_NAMES, Constant, Items, Term, term, words
from .vocabulary import STRUCTURES, is_op, op_class
from .yaml_reader import Mapping, Mark, Row, Value, at

TOP_KEYS = (
    "name", "title", "family", "reference", "input", "inputs", "outputs", "parameters", "let", "variants", "blocks",
    "layers", "published", "accuracy",
)  # fmt: skip
VARIANT_KEYS = (
    "with",
    *(key for key in TOP_KEYS if key not in ("name", "blocks", "layers", "parameters", "variants")),
)
ADVERBS = ("name", "from", "repeat", "first", "last", "when", "shares")
CLAIM_QUANTITIES = (
    "params", "weights", "macs", "flops", "activation_bytes", "elements", "output_shape", "connections", "depth",
)  # fmt: skip
CLAIM_CONVENTIONS = ("with_input", "conv_and_fc", "conv", "fc")


class Layer:
    """One item of a list of layers, compiled.

    ``kind``: op, block, choice (the verb is a parameter), layers, residual or branches. ``argument`` is the verb's
    value if it was one value, ``named`` its values by name; a structure has ``bodies`` (branch name or None, layers).
    """

    __slots__ = (
        "argument", "bodies", "first", "fixed", "kind", "last", "mark", "merge", "name", "named", "projection", "repeat",
        "shares", "sources", "split", "verb", "when",
    )  # fmt: skip

    def __init__(self, kind: str, verb: str, mark: Mark) -> None:
        self.kind = kind
        self.verb = verb
        self.mark = mark
        self.argument: Term | None = None
        self.named: dict[str, Term] | None = None
        self.bodies: tuple[tuple[str | None, tuple[Layer, ...]], ...] = ()
        self.name: str | None = None
        self.sources: tuple[str, ...] | None = None
        self.repeat: Term | None = None
        self.first: dict[str, Term] | None = None
        self.last: dict[str, Term] | None = None
        self.when: Term | None = None
        self.shares: str | None = None
        self.merge: Layer | None = None
        self.split: Layer | None = None
        self.projection: tuple[Layer, ...] | None = None
        self.fixed: dict[str, Any] | None = None


class Block:
    """A named list of layers with parameters. A default of None in ``parameters`` says: must be given."""

    __slots__ = ("layers", "let", "mark", "name", "parameters")

    def __init__(self, name: str, mark: Mark) -> None:
        self.name = name
        self.mark = mark
        self.parameters: dict[str, Term | None] = {}
        self.let: dict[str, Term] = {}
        self.layers: tuple[Layer, ...] = ()


class Spec:
    """A compiled file. ``head`` holds the keys that are not layers, as they were written."""

    def __init__(self, root: Mapping, file: str) -> None:
        self.file = file
        self.root = root
        self.name = ""
        self.blocks: dict[str, Block] = {}
        self.parameters: dict[str, Term | None] = {}
        self.let: dict[str, Term] = {}
        self.layers: tuple[Layer, ...] = ()
        self.variants: dict[str, Mapping] = {}


def compile_spec(root: Mapping, file: str) -> Spec:
    """Classify every word of a file.

    Raises:
        SpecError: with all mistakes that can be seen without expanding it: unknown keys, ops, blocks, fields and
            names, wrong forms, clashing names.
    """
    return _Compiler(root, file).run()


class _Compiler:
    def __init__(self, root: Mapping, file: str) -> None:
        self.spec = Spec(root, file)
        self.root = root
        self.problems: list[tuple[Where | None, str | None, str]] = []
        self.known: set[str] = set()
        self.block_names: tuple[str, ...] = ()
        self.input_names: tuple[str, ...] = ()

    def fail(self, mark: Mark, message: str) -> None:
        self.problems.append((at(self.spec.file, mark), None, message))

    def run(self) -> Spec:
        root, spec = self.root, self.spec
        self.keys(root, TOP_KEYS, "a spec")
        spec.name = self.text(root, "name") or ""
        if spec.name and not WORD.match(spec.name):
            self.fail(root.marks["name"], f"name {spec.name!r}: a name is made of letters, digits and _")
        for key in ("name", "layers"):
            if key not in root:
                self.fail(root.mark, f"a spec needs {key!r}")
        if ("input" in root) == ("inputs" in root):
            self.fail(root.mark, "a spec needs either 'input' or 'inputs'")
        blocks = self.mapping(root, "blocks")
        self.block_names = tuple(blocks)
        inputs = root.get("inputs")
        self.input_names = tuple(inputs) if isinstance(inputs, Mapping) else ()
        spec.parameters = self.parameters(root)
        taken = self.free_names(spec.parameters, root, "parameters", ())
        spec.let = self.let(root, taken)
        taken = self.free_names(spec.let, root, "let", taken)
        self.free_names(blocks, root, "blocks", taken)
        for name in blocks:
            spec.blocks[name] = self.block(name, blocks, (*taken, *self.block_names))
        self.check_recursion()
        if "layers" in root:
            self.known = {*taken}
            self.local = self.local_names(root["layers"])
            spec.layers = self.layers(root["layers"], root.marks["layers"])
        spec.variants = self.variants()
        self.published(root)
        if self.problems:
            raise SpecError(
                sorted(
                    self.problems,
                    key=lambda problem: (problem[0].line, problem[0].column) if problem[0] else (0, 0),
                )
            )
        return spec

    # --- keys and simple values

    def keys(self, mapping: Mapping, allowed: Iterable[str], what: str) -> None:
        for key in mapping:
            if key not in allowed:
                self.fail(
                    mapping.key_marks[key],
                    f"{what} has no key {key!r}{nearest(key, allowed)} (allowed: {', '.join(allowed)})",
                )

    def text(self, mapping: Mapping, key: str) -> str | None:
        value = mapping.get(key)
        if value is None or isinstance(value, str):
            return value
        self.fail(mapping.marks[key], f"{key} must be a text")
        return None

    def mapping(self, mapping: Mapping, key: str) -> Mapping:
        value = mapping.get(key)
        if isinstance(value, Mapping):
            return value
        if value is not None:
            self.fail(mapping.marks[key], f"{key} must be a mapping of names")
        return Mapping(mapping.mark)

    def term(self, value: Value, mark: Mark) -> Term:
        return term(value, lambda message: self.fail(mark, message))

    def row(self, value: Value, mark: Mark, what: str) -> Row:
        if isinstance(value, Row):
            return value
        self.fail(mark, f"{what} must be a list, in brackets or with dashes")
        return Row(mark)

    # --- names

    def free_names(self, names: Iterable[str], root: Mapping, key: str, taken: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse names that mean something else already: one set of names for everything but layers."""
        mark = root.marks.get(key, root.mark)
        inner = root.get(key)
        fresh: list[str] = []
        for name in names:
            place = inner.key_marks.get(name, mark) if isinstance(inner, Mapping) else mark
            if not WORD.match(name):
                self.fail(place, f"{name!r} cannot be a name: names are made of the letters a-z, A-Z, digits and _")
            elif is_op(name):
                self.fail(place, f"{name!r} is an op; choose another name")
            elif name in FUNCTIONS or name in CONSTANTS or name in KEYWORDS or name in words_of.RESERVED:
                self.fail(place, f"{name!r} is a word of the spec language; choose another name")
            elif name in taken or name in fresh:
                self.fail(place, f"{name!r} is the name of something else in this file; choose another")
            else:
                fresh.append(name)
        return (*taken, *fresh)

    def parameters(self, holder: Mapping) -> dict[str, Term | None]:
        """``[width, stride: 1]``: names, those with a default as mappings of one key."""
        found: dict[str, Term | None] = {}
        if "parameters" not in holder:
            return found
        row = self.row(holder["parameters"], holder.marks["parameters"], "parameters")
        for item, mark in zip(row, row.marks, strict=True):
            if isinstance(item, str):
                name, default = item, None
            elif isinstance(item, Mapping) and len(item) == 1:
                name, given = next(iter(item.items()))
                default = self.term(given, item.marks[name])
            else:
                self.fail(mark, "a parameter is a name, or 'name: default'")
                continue
            if name in found:
                self.fail(mark, f"the parameter {name!r} stands here twice")
            found[name] = default
        return found

    def let(self, holder: Mapping, known: tuple[str, ...]) -> dict[str, Term]:
        found: dict[str, Term] = {}
        inner = self.mapping(holder, "let")
        for name, value in inner.items():
            found[name] = self.term(value, inner.marks[name])
            self.check_names(found[name], inner.marks[name], {*known, *found})
        return found

    def check_names(self, value: Term, mark: Mark, known: Iterable[str], texts: Iterable[str] = ()) -> None:
        """Report names that nothing in the file defines. A word alone may also be an op, a block, a layer or a text."""
        alone = set(words(value))
        for name in value.names:
            if name in known or name in SHAPE_NAMES:
                continue
            if name in alone and (is_op(name) or name in self.block_names or name in texts or name in self.local):
                continue
            candidates = [*known, *SHAPE_NAMES, *FUNCTIONS, *texts]
            self.fail(mark, f"unknown name {name!r}{nearest(name, candidates)}")

    local: frozenset[str] = frozenset()

    def local_names(self, layers: Value) -> frozenset[str]:
        """Names that a body's layers may be referred to by: those given, and a word for each verb."""
        found: set[str] = {"previous", *self.input_names}
        pending: list[Value] = [layers]
        while pending:
            value = pending.pop()
            if isinstance(value, str):
                found.add(value.rstrip("_"))
            elif isinstance(value, Row):
                pending.extend(value)
            else:
                name = value.get("name")
                if isinstance(name, str):
                    found.add(name)
                for key, inner in value.items():
                    found.add(key.rstrip("_"))
                    if key in STRUCTURES or key == "projection":
                        pending.extend(inner.values() if isinstance(inner, Mapping) else [inner])
        return frozenset(found)

    # --- blocks

    def block(self, name: str, blocks: Mapping, taken: tuple[str, ...]) -> Block:
        value, mark = blocks[name], blocks.key_marks[name]
        block = Block(name, mark)
        if isinstance(value, Row):
            layers: Value = value
            layers_mark = blocks.marks[name]
        elif isinstance(value, Mapping):
            self.keys(value, ("parameters", "let", "layers"), f"block {name!r}")
            block.parameters = self.parameters(value)
            others = tuple(word for word in taken if word != name)
            taken = self.free_names(block.parameters, value, "parameters", others)
            if "layers" not in value:
                self.fail(mark, f"block {name!r} needs 'layers'")
                return block
            layers, layers_mark = value["layers"], value.marks["layers"]
            self.local = self.local_names(layers)
            for key, default in block.parameters.items():
                if default is not None:
                    self.check_names(default, value.marks["parameters"], {*taken}, words_of.texts())
                del key
            block.let = self.let(value, taken)
            taken = self.free_names(block.let, value, "let", taken)
        else:
            self.fail(blocks.marks[name], f"block {name!r} must be a list of layers, or a mapping with 'layers'")
            return block
        self.known = {*taken}
        self.local = self.local_names(layers)
        block.layers = self.layers(layers, layers_mark)
        return block

    def check_recursion(self) -> None:
        calls = {name: set(_verbs(block.layers)) & set(self.spec.blocks) for name, block in self.spec.blocks.items()}
        done: set[str] = set()
        for start in calls:
            path: list[str] = []
            # Depth first on an explicit list: a chain of blocks may be long.
            stack: list[tuple[str, list[str]]] = [(start, sorted(calls[start]))] if start not in done else []
            path = [start] if stack else []
            while stack:
                name, rest = stack[-1]
                if not rest:
                    done.add(name)
                    stack.pop()
                    path.pop()
                    continue
                following = rest.pop()
                if following in path:
                    circle = " -> ".join([*path[path.index(following) :], following])
                    self.fail(self.spec.blocks[following].mark, f"blocks call each other in a circle: {circle}")
                    return
                if following not in done:
                    stack.append((following, sorted(calls[following])))
                    path.append(following)

    # --- layers

    def layers(self, value: Value, mark: Mark) -> tuple[Layer, ...]:
        row = self.row(value, mark, "a list of layers")
        return tuple(layer for item, place in zip(row, row.marks, strict=True) if (layer := self.layer(item, place)))

    def layer(self, item: Value, mark: Mark) -> Layer | None:
        if isinstance(item, str):
            return self.verb(item, None, mark, mark)
        if isinstance(item, Row):
            self.fail(
                mark,
                "a layer is a word or a mapping, not a list; a group of layers is written 'layers: [...]'",
            )
            return None
        structure = next((key for key in STRUCTURES if key in item), None)
        extra = {"branches": ("merge", "split"), "residual": ("projection", "merge")}.get(structure or "", ())
        verbs = [key for key in item if key not in ADVERBS and key not in extra]
        if len(verbs) != 1:
            self.several_verbs(item, verbs, mark)
            return None
        verb = verbs[0]
        if verb in STRUCTURES:
            layer: Layer | None = self.structure(verb, item)
        else:
            layer = self.verb(verb, item[verb], item.key_marks[verb], item.marks[verb])
        if layer:
            self.adverbs(layer, item)
        return layer

    def several_verbs(self, item: Mapping, verbs: list[str], mark: Mark) -> None:
        if not verbs:
            self.fail(mark, "this layer has no op, block or structure; it only has " + ", ".join(item))
            return
        unknown = [verb for verb in verbs if not self.is_verb(verb)]
        for verb in unknown:
            self.fail(item.key_marks[verb], f"unknown word {verb!r}{nearest(verb, [*ADVERBS, *self.vocabulary()])}")
        if not unknown:
            self.fail(mark, f"a layer has one verb, this one has {len(verbs)}: {', '.join(verbs)} (a '-' missing?)")

    def vocabulary(self) -> list[str]:
        return [
            *REGISTRY,
            *(f"{name}_" for name in words_of.in_place_ops()),
            *self.block_names,
            *STRUCTURES,
            *self.known,
        ]

    def is_verb(self, word: str) -> bool:
        return is_op(word) or word in self.block_names or word in STRUCTURES or word in self.known

    def verb(self, verb: str, value: Value | None, mark: Mark, value_mark: Mark) -> Layer | None:
        if verb in self.block_names:
            layer = Layer("block", verb, mark)
        elif is_op(verb):
            layer = Layer("op", verb, mark)
        elif verb in self.known:
            layer = Layer("choice", verb, mark)
        else:
            self.unknown_verb(verb, mark)
            return None
        if value is None:
            pass
        elif value == "":
            self.fail(mark, f"'{verb}:' has no value; write '- {verb}', or '{verb}: {{}}' with adverbs")
        elif isinstance(value, Mapping):
            layer.named = {key: self.term(inner, value.marks[key]) for key, inner in value.items()}
            self.check_fields(layer, layer.named, value)
        else:
            layer.argument = self.term(value, value_mark)
            self.check_argument(layer, value_mark)
        return layer

    def unknown_verb(self, verb: str, mark: Mark) -> None:
        if verb.endswith("_") and verb[:-1] in REGISTRY:
            self.fail(mark, f"{verb[:-1]!r} has no in-place form, so {verb!r} means nothing")
        elif not WORD.match(verb):
            self.fail(mark, f"{verb!r} is not an op, a block or a structure")
        else:
            self.fail(mark, f"unknown op or block {verb!r}{nearest(verb, self.vocabulary())}")

    def check_fields(self, layer: Layer, named: dict[str, Term], written: Mapping) -> None:
        for key, given in named.items():
            mark = written.key_marks[key]
            texts: Iterable[str] = words_of.texts()
            if layer.kind == "op":
                cls = op_class(layer.verb)
                if key not in cls.__struct_fields__:
                    self.fail(mark, unknown_field(cls, key))
                    continue
                texts = words_of.field_texts(cls, key)
                if texts is words_of.ANY_TEXT:
                    continue
            self.check_names(given, written.marks[key], self.known, texts)

    def check_argument(self, layer: Layer, mark: Mark) -> None:
        texts: Iterable[str] = words_of.texts()
        if layer.kind == "op":
            fields = op_class(layer.verb).__struct_fields__
            if not fields or fields == ("inplace",):
                self.fail(mark, f"{layer.verb} has no fields, so it takes no value")
                return
            texts = words_of.field_texts(op_class(layer.verb), fields[0])
        assert layer.argument is not None
        self.check_names(layer.argument, mark, self.known, texts)

    def structure(self, verb: str, item: Mapping) -> Layer:
        layer = Layer(verb, verb, item.key_marks[verb])
        value, mark = item[verb], item.marks[verb]
        if verb != "branches":
            layer.bodies = ((None, self.layers(value, mark)),)
        elif isinstance(value, Mapping):
            layer.bodies = tuple((name, self.layers(body, value.marks[name])) for name, body in value.items())
        else:
            row = self.row(value, mark, "branches")
            layer.bodies = tuple((None, self.layers(body, place)) for body, place in zip(row, row.marks, strict=True))
        if verb == "branches" and "merge" not in item:
            self.fail(layer.mark, "branches need 'merge:', an op of several inputs, such as concat or add")
        for key in ("merge", "split"):
            if key in item:
                setattr(layer, key, self.layer(item[key], item.marks[key]))
        if "projection" in item and item["projection"] != "none":
            layer.projection = self.layers(item["projection"], item.marks["projection"])
        elif "projection" in item:
            layer.projection = ()
        return layer

    def adverbs(self, layer: Layer, item: Mapping) -> None:
        if "name" in item:
            layer.name = self.text(item, "name")
            if layer.name is not None and not WORD.match(layer.name):
                self.fail(
                    item.marks["name"],
                    f"the layer name {layer.name!r} is not made of letters a-z, A-Z, digits and _",
                )
        if "from" in item:
            layer.sources = self.references(item["from"], item.marks["from"])
        if "shares" in item:
            layer.shares = self.text(item, "shares")
        for key in ("repeat", "when"):
            if key in item:
                value = self.term(item[key], item.marks[key])
                self.check_names(value, item.marks[key], self.known)
                setattr(layer, key, value)
        for key in ("first", "last"):
            if key in item:
                self.override(layer, key, item)

    def override(self, layer: Layer, key: str, item: Mapping) -> None:
        given = item[key]
        if not isinstance(given, Mapping):
            self.fail(item.marks[key], f"{key} must be a mapping of the arguments that differ")
            return
        if layer.repeat is None:
            self.fail(
                item.key_marks[key],
                f"{key!r} says what differs in the {key} repetition, and there is no 'repeat'",
            )
        found = {name: self.term(value, given.marks[name]) for name, value in given.items()}
        self.check_fields(layer, found, given)
        setattr(layer, key, found)

    def references(self, value: Value, mark: Mark) -> tuple[str, ...] | None:
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self.fail(mark, "from must be the name of an earlier layer, or a list of names")
            return None
        for position, name in enumerate(names):
            assert isinstance(name, str)
            place = value.marks[position] if isinstance(value, Row) else mark
            base = name.split(".")[0]
            stem = base.rstrip("0123456789").rstrip("_")
            if not (REFERENCE.match(name) or WORD.match(name)):
                self.fail(place, f"{name!r} is not the name of a layer")
            elif not ({base, stem} & self.local or base in self.known):
                self.fail(place, f"unknown layer {name!r}{nearest(name, [*self.local, *self.known])}")
        return tuple(str(name) for name in names)

    # --- variants and claims

    def variants(self) -> dict[str, Mapping]:
        found: dict[str, Mapping] = {}
        holder = self.mapping(self.root, "variants")
        for name, value in holder.items():
            if not WORD.match(name):
                self.fail(holder.key_marks[name], f"{name!r} cannot be the name of a variant")
            if not isinstance(value, Mapping):
                self.fail(holder.marks[name], f"variant {name!r} must be a mapping, such as {{with: [2, 3]}}")
                continue
            self.keys(value, VARIANT_KEYS, f"variant {name!r}")
            self.published(value)
            found[name] = value
        return found

    def published(self, holder: Mapping) -> None:
        if "published" not in holder:
            return
        row = self.row(holder["published"], holder.marks["published"], "published")
        for item, mark in zip(row, row.marks, strict=True):
            if not isinstance(item, Mapping):
                self.fail(mark, "a claim is a mapping: {quantity: params, value: 138M, source: table 2}")
                continue
            self.keys(item, ("quantity", "value", "layer", "convention", "source", "note"), "a claim")
            for key in ("quantity", "value", "source"):
                if key not in item:
                    self.fail(mark, f"a claim needs {key!r}")
            for key, allowed in (("quantity", CLAIM_QUANTITIES), ("convention", CLAIM_CONVENTIONS)):
                word = item.get(key)
                if word is not None and word not in allowed:
                    self.fail(
                        item.marks[key],
                        f"{key} {word!r} is not one of {', '.join(allowed)}{nearest(str(word), allowed)}",
                    )


def _verbs(layers: Iterable[Layer]) -> Iterable[str]:
    for layer in layers:
        yield layer.verb
        yield from _words_in(layer)
        for _, body in layer.bodies:
            yield from _verbs(body)
        for inner in (layer.merge, layer.split):
            if inner:
                yield inner.verb
        yield from _verbs(layer.projection or ())


def _words_in(layer: Layer) -> Iterable[str]:
    """Blocks that are handed on as arguments are called, too."""
    if layer.argument is not None:
        yield from words(layer.argument)
    for given in (layer.named or {}).values():
        yield from words(given)


__all__ = ["Block", "Constant", "Items", "Layer", "Spec", "compile_spec"]
