"""A spec file, compiled: its words classified, its mistakes collected. What a layer may hold is changed here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from ..errors import nearest
from ..ops import REGISTRY
from ..ops.base import unknown_field
from ..yaml_reader import Mapping, Mark, Row, Value
from . import vocabulary as words_of
from .block_calls import Calls
from .expressions import WORD
from .keywords import ADVERBS, KEYWORDS, STRUCTURES, companions, names
from .nodes import BlockDefinition, LayerItem, Spec
from .scope import NameChecks
from .values import REFERENCE, Term, verbatim
from .vocabulary import is_op, op_class


def compile_spec(root: Mapping, file: str) -> Spec:
    """Classify every word of a file.

    Raises:
        SpecError: with all mistakes that can be seen without expanding it: unknown keys, ops, blocks, fields and
            names, wrong forms, clashing names.
    """
    return _Compiler(root, file).run()


class _Compiler(NameChecks):
    def __init__(self, root: Mapping, file: str) -> None:
        super().__init__(file)
        self.spec = Spec(root, file)
        self.root = root
        self.calls = Calls(self)

    def run(self) -> Spec:
        root, spec = self.root, self.spec
        spec.variants = self.header(root)
        spec.name = str(root.get("name", ""))
        blocks = self.mapping(root, "blocks")
        self.block_names = dict.fromkeys(blocks)
        spec.parameters, marks = self.parameters(root, set())
        spec.let, taken = self.let(root, self.free_names(marks, set()))
        self.in_head = False
        everything = self.free_names(blocks.key_marks, taken)
        for name in blocks:
            spec.blocks[name] = self.block(name, blocks, everything)
        self.calls.check_circles(spec.blocks)
        if "layers" in root:
            self.known = taken
            self.local = self.local_names(root["layers"])
            spec.layers = self.layers(root["layers"], root.marks["layers"])
        self.calls.check(spec.blocks)
        if self.problems:
            raise self.error()
        return spec

    # --- blocks

    def block(self, name: str, blocks: Mapping, taken: set[str]) -> BlockDefinition:
        value, mark = blocks[name], blocks.key_marks[name]
        block = BlockDefinition(name, mark)
        if isinstance(value, Row):
            layers: Value = value
            layers_mark = blocks.marks[name]
        elif isinstance(value, Mapping):
            problems = len(self.problems)
            self.keys(value, names("block"), f"block {name!r}")
            self.local = frozenset()
            block.parameters, marks = self.parameters(value, taken)
            block.let, taken = self.let(value, self.free_names(marks, taken))
            if len(self.problems) > problems:
                self.calls.unclear.add(name)
            if "layers" not in value:
                self.fail(mark, f"block {name!r} needs 'layers'")
                return block
            layers, layers_mark = value["layers"], value.marks["layers"]
        else:
            self.fail(blocks.marks[name], f"block {name!r} must be a list of layers, or a mapping with 'layers'")
            return block
        self.known = taken
        self.local = self.local_names(layers)
        block.layers = self.layers(layers, layers_mark)
        return block

    # --- layers

    def layers(self, value: Value, mark: Mark, what: str = "layers") -> tuple[LayerItem, ...]:
        row = self.row(value, mark, what)
        return tuple(layer for item, place in zip(row, row.marks, strict=True) if (layer := self.layer(item, place)))

    def layer(self, item: Value, mark: Mark) -> LayerItem | None:
        if isinstance(item, str):
            return self.verb(item, None, mark, mark)
        if isinstance(item, Row):
            self.fail(
                mark,
                "a layer is a word or a mapping, not a list; a group of layers is written 'layers: [...]'",
            )
            return None
        structure = next((key for key in STRUCTURES if key in item), None)
        no_verbs = (*ADVERBS, *companions(structure or ""))
        verbs = [key for key in item if key not in no_verbs]
        if len(verbs) != 1:
            self.several_verbs(item, verbs, mark)
            return None
        verb = verbs[0]
        if verb in STRUCTURES:
            layer: LayerItem | None = self.structure(verb, item)
        else:
            layer = self.verb(verb, item[verb], item.key_marks[verb], item.marks[verb])
        if layer:
            self.adverbs(layer, item)
        return layer

    def several_verbs(self, item: Mapping, verbs: list[str], mark: Mark) -> None:
        if not verbs:
            only = f"; it only has {', '.join(item)}" if item else ""
            self.fail(mark, f"this layer has no op, block or structure{only}")
            return
        known = [verb for verb in verbs if self.is_verb(verb)]
        unknown = [verb for verb in verbs if verb not in known]
        for word in KEYWORDS:
            if word.kind == "companion" and word.name in verbs and any(verb in STRUCTURES for verb in verbs):
                self.fail(item.key_marks[word.name], f"{word.name!r} can only be used with {' and '.join(word.beside)}")
                return
        if len(known) == 1 and item[known[0]] == "":
            beside = ", ".join(unknown)
            self.fail(
                item.key_marks[unknown[0]],
                f"{beside} must be inside {known[0]!r}; indent {'it' if len(unknown) == 1 else 'them'} further",
            )
            return
        for verb in unknown:
            self.fail(item.key_marks[verb], f"unknown word {verb!r}{nearest(verb, [*ADVERBS, *self.vocabulary()])}")
        if not unknown:
            words = f"{len(verbs)}: {', '.join(verbs)} (is a '-' missing?)"
            self.fail(mark, f"a layer must have exactly one op, block or structure, but this one has {words}")

    def vocabulary(self) -> list[str]:
        return [
            *(word for word in REGISTRY if is_op(word)),
            *(f"{name}_" for name in words_of.in_place_ops()),
            *self.block_names,
            *STRUCTURES,
            *self.known,
        ]

    def is_verb(self, word: str) -> bool:
        return is_op(word) or word in self.block_names or word in STRUCTURES or word in self.known

    def verb(self, verb: str, value: Value | None, mark: Mark, value_mark: Mark) -> LayerItem | None:
        if verb in self.block_names:
            layer = LayerItem("block", verb, mark)
            self.calls.calls.append((layer, value_mark))
        elif is_op(verb):
            layer = LayerItem("op", verb, mark)
        elif verb in self.known:
            layer = LayerItem("choice", verb, mark)
        else:
            self.unknown_verb(verb, mark)
            return None
        if value is None:
            pass
        elif value == "":
            self.fail(mark, f"'{verb}:' has no value; write '- {verb}', or '{verb}: {{}}' with adverbs")
        elif isinstance(value, Mapping):
            layer.named = self.given(layer, value)
            self.check_fields(layer, layer.named, value)
        else:
            layer.argument = self.term(value, value_mark)
            self.check_argument(layer, value_mark)
        return layer

    def given(self, layer: LayerItem, written: Mapping) -> dict[str, Term]:
        """The terms of fields or arguments by name."""
        cls = op_class(layer.verb) if layer.kind == "op" else None
        return {
            key: verbatim(value)
            if cls is not None and words_of.literal_kind(cls, key)
            else self.term(value, written.marks[key])
            for key, value in written.items()
        }

    def unknown_verb(self, verb: str, mark: Mark) -> None:
        if verb.endswith("_") and verb[:-1] in REGISTRY:
            self.fail(mark, f"{verb[:-1]!r} has no in-place form {verb!r}")
        elif not WORD.match(verb):
            self.fail(mark, f"{verb!r} is not an op, a block or a structure")
        else:
            self.fail(mark, f"unknown op or block {verb!r}{nearest(verb, self.vocabulary())}")

    def check_fields(self, layer: LayerItem, named: dict[str, Term], written: Mapping) -> None:
        if layer.kind == "block":
            self.calls.arguments.append((layer, written))
        for key, given in named.items():
            mark = written.key_marks[key]
            texts: Callable[[], Iterable[str]] = words_of.texts
            if layer.kind == "op":
                cls = op_class(layer.verb)
                if key not in cls.__struct_fields__:
                    self.fail(mark, unknown_field(cls, key))
                    continue
                if key == "inplace" and cls.op != layer.verb:
                    self.fail(mark, f"{layer.verb} already means in place; remove 'inplace'")
                texts = partial(words_of.field_texts, cls, key)
                if texts() is words_of.ANY_TEXT or words_of.literal_kind(cls, key):
                    continue
            self.check_names(given, written.marks[key], self.known, texts)

    def check_argument(self, layer: LayerItem, mark: Mark) -> None:
        texts: Callable[[], Iterable[str]] = words_of.texts
        if layer.kind == "op":
            fields = op_class(layer.verb).__struct_fields__
            if not fields or fields == ("inplace",):
                self.fail(mark, f"{layer.verb} has no fields, so it takes no value")
                return
            texts = partial(words_of.field_texts, op_class(layer.verb), fields[0])
            if texts() is words_of.ANY_TEXT:
                return
        assert layer.argument is not None
        self.check_names(layer.argument, mark, self.known, texts)

    def structure(self, verb: str, item: Mapping) -> LayerItem:
        layer = LayerItem(verb, verb, item.key_marks[verb])
        value, mark = item[verb], item.marks[verb]
        if verb != "branches":
            layer.bodies = ((None, self.layers(value, mark)),)
        elif isinstance(value, Mapping):
            for name, place in value.key_marks.items():
                self.is_name(name, place)
            layer.bodies = tuple(
                (name, self.layers(body, value.marks[name], "a branch")) for name, body in value.items()
            )
        else:
            row = self.row(value, mark, "branches")
            layer.bodies = tuple(
                (None, self.layers(body, place, "a branch")) for body, place in zip(row, row.marks, strict=True)
            )
        if verb == "branches" and not layer.bodies:
            self.fail(mark, "branches need at least one list of layers; [] returns the input unchanged")
        if verb == "branches" and "merge" not in item:
            self.fail(layer.mark, "branches need 'merge:', an op of several inputs, such as concat or add")
        for key in ("merge", "split"):
            if key in item:
                setattr(layer, key, self.layer(item[key], item.marks[key]))
        if item.get("projection") == "none":
            layer.projection = ()
        elif "projection" in item:
            layer.projection = self.layers(item["projection"], item.marks["projection"])
            if not item["projection"]:
                self.fail(
                    item.marks["projection"],
                    "projection must be a list of layers, or 'none' for no addition if the shapes differ",
                )
        return layer

    def adverbs(self, layer: LayerItem, item: Mapping) -> None:
        if "name" in item:
            layer.name = self.text(item, "name")
            if layer.name is not None:
                self.is_name(layer.name, item.marks["name"])
        if "from" in item:
            nothing = item["from"] == [] and layer.kind == "op" and op_class(layer.verb).arity[0] == 0
            layer.sources = () if nothing else self.references(item["from"], item.marks["from"])
        if "weights" in item:
            layer.weights = self.references(item["weights"], item.marks["weights"])
            if layer.kind not in ("op", "choice"):
                self.fail(item.key_marks["weights"], "'weights' can only be used with an op")
        if "shares" in item:
            layer.shares = self.text(item, "shares")
            if layer.shares is not None:
                self.references(layer.shares, item.marks["shares"])
        for key in ("repeat", "when"):
            if key in item:
                value = self.term(item[key], item.marks[key])
                self.check_names(value, item.marks[key], self.known)
                setattr(layer, key, value)
        for key in ("first", "last"):
            if key in item:
                self.override(layer, key, item)

    def override(self, layer: LayerItem, key: str, item: Mapping) -> None:
        given = item[key]
        if not isinstance(given, Mapping):
            self.fail(item.marks[key], f"{key} must be a mapping of the arguments that differ")
            return
        if layer.repeat is None:
            self.fail(
                item.key_marks[key],
                f"{key!r} sets arguments of the {key} repetition, but there is no 'repeat'",
            )
        if layer.bodies:
            self.fail(item.key_marks[key], f"{key!r} can only be used with an op or a block")
        overriding = self.given(layer, given)
        self.check_fields(layer, overriding, given)
        setattr(layer, key, overriding)

    def references(self, value: Value, mark: Mark) -> tuple[str, ...] | None:
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            self.fail(mark, "from must be the name of an earlier layer, or a list of names")
            return None
        for position, name in enumerate(names):
            assert isinstance(name, str)
            place = value.marks[position] if isinstance(value, Row) else mark
            base = name.split(".")[0]
            stem = base.rstrip("0123456789").rstrip("_")
            if not (REFERENCE.match(name) or WORD.match(name)):
                self.fail(place, f"{name!r} is not the name of a layer")
            elif not ({base, stem} & self.local or base in self.known or (base != stem and self.is_verb(stem))):
                self.fail(place, f"unknown layer {name!r}{nearest(name, [*self.local, *self.known])}")
        return tuple(str(name) for name in names)
