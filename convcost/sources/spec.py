"""A spec file, compiled: its blocks and layers with every word classified and every mistake of the file collected."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import SpecError, Where, nearest
from ..ops import REGISTRY
from ..ops.base import unknown_field
from . import vocabulary as words_of
from .expressions import CONSTANTS, FUNCTIONS, KEYWORDS, WORD, literal
from .terms import REFERENCE, SHAPE_NAMES, Constant, Items, Name, Term, term, words
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

MAX_NAME = 60
MAX_NAMES = 1_000
MAX_PROBLEMS = 30


class Layer:
    """One item of a list of layers, compiled.

    ``kind``: op, block, choice (the verb is a parameter), layers, residual or branches. ``argument`` is the verb's
    value if it was one value, ``named`` its values by name; a structure has ``bodies`` (branch name or None, layers).
    """

    __slots__ = (
        "argument", "bodies", "first", "fixed", "kind", "last", "mark", "merge", "name", "named", "projection",
        "repeat", "shares", "size", "sources", "split", "verb", "when",
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
        self.size = 0


class Block:
    """A named list of layers with parameters. A default of None in ``parameters`` says: must be given."""

    __slots__ = ("layers", "let", "mark", "name", "parameters")

    def __init__(self, name: str, mark: Mark) -> None:
        self.name = name
        self.mark = mark
        self.parameters: dict[str, Term | None] = {}
        self.let: dict[str, Term] = {}
        self.layers: tuple[Layer, ...] = ()

    def unknown(self, parameter: str) -> str:
        """The message for an argument that is no parameter of this block."""
        names = tuple(self.parameters)
        allowed = f"it has {', '.join(names)}" if names else "it has none"
        return f"block {self.name!r} has no parameter {parameter!r}{nearest(parameter, names)} ({allowed})"

    def too_many(self, count: int) -> str:
        """The message for a row of more arguments than parameters."""
        takes = f"takes {len(self.parameters)}: {', '.join(self.parameters)}" if self.parameters else "takes none"
        return f"block {self.name!r} is given {count} argument{'' if count == 1 else 's'} and {takes}"

    def missing(self, parameter: str) -> str:
        """The message for a parameter that is given no value."""
        needs = ", ".join(name for name, default in self.parameters.items() if default is None)
        return f"block {self.name!r} needs {parameter!r} (it needs {needs})"


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
        self.local: frozenset[str] = frozenset()
        self.block_names: dict[str, None] = {}
        self.input_names: tuple[str, ...] = ("input",)
        self.calls: list[tuple[Layer, Mark]] = []
        self.arguments: list[tuple[Layer, Mapping]] = []
        self.in_head = True

    def fail(self, mark: Mark, message: str) -> None:
        self.problems.append((at(self.spec.file, mark), None, message))
        if len(self.problems) >= MAX_PROBLEMS:
            raise self.error(f"these are the first {MAX_PROBLEMS} mistakes in {self.spec.file}; there may be more")

    def error(self, *remarks: str) -> SpecError:
        found = sorted(
            self.problems, key=lambda problem: (problem[0].line, problem[0].column) if problem[0] else (0, 0)
        )
        return SpecError([*found, *((None, None, remark) for remark in remarks)])

    def run(self) -> Spec:
        root, spec = self.root, self.spec
        self.keys(root, TOP_KEYS, "a spec")
        for key in ("name", "layers"):
            if key not in root:
                self.fail(root.mark, f"a spec needs {key!r}")
        if "name" in root:
            spec.name = self.text(root, "name") or ""
            if isinstance(root["name"], str):
                self.is_name(spec.name, root.marks["name"])
        if ("input" in root) == ("inputs" in root):
            self.fail(root.mark, "a spec needs either 'input' or 'inputs'")
        self.inputs(root)
        self.about(root)
        spec.variants = self.variants()
        blocks = self.mapping(root, "blocks")
        self.block_names = dict.fromkeys(blocks)
        spec.parameters, marks = self.parameters(root, set())
        taken = self.free_names(marks, set())
        spec.let, taken = self.let(root, taken)
        self.in_head = False
        everything = self.free_names(blocks.key_marks, taken)
        for name in blocks:
            spec.blocks[name] = self.block(name, blocks, everything)
        self.check_recursion()
        if "layers" in root:
            self.known = taken
            self.local = self.local_names(root["layers"])
            spec.layers = self.layers(root["layers"], root.marks["layers"])
        self.check_calls()
        if self.problems:
            raise self.error()
        return spec

    # --- keys and simple values

    def keys(self, mapping: Mapping, allowed: Iterable[str], what: str) -> None:
        for key in mapping:
            if key not in allowed:
                self.fail(
                    mapping.key_marks[key],
                    f"{what} has no key {key!r}{nearest(key, allowed)} (allowed: {', '.join(allowed)})",
                )

    def about(self, holder: Mapping) -> None:
        """The keys that describe a network and enter no calculation."""
        for key in ("title", "family"):
            self.text(holder, key)
        for key in ("reference", "accuracy"):
            self.mapping(holder, key)
        self.published(holder)

    def inputs(self, holder: Mapping) -> None:
        if "inputs" in holder:
            inputs = self.mapping(holder, "inputs")
            self.input_names = (*self.input_names, *inputs)
            for name, mark in inputs.key_marks.items():
                self.is_name(name, mark)

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
            self.fail(mapping.marks[key], f"{key} must be a mapping, 'key: value'")
        return Mapping(mapping.mark)

    def term(self, value: Value, mark: Mark) -> Term:
        return term(value, lambda message: self.fail(mark, message))

    def row(self, value: Value, mark: Mark, what: str) -> Row:
        if isinstance(value, Row):
            return value
        self.fail(mark, f"{what} must be a list, in brackets or with dashes")
        return Row(mark)

    # --- names

    def is_name(self, name: str, mark: Mark) -> bool:
        """Refuse what cannot be a name."""
        if WORD.match(name) and len(name) <= MAX_NAME and name != "previous":
            return True
        rule = f"names have letters a-z, A-Z, digits and _, begin with no digit and are {MAX_NAME} characters at most"
        reserved = "'previous' is what arrives at a layer" if name == "previous" else rule
        self.fail(mark, f"{name[:MAX_NAME]!r} cannot be a name: {reserved}")
        return False

    def free_names(self, names: dict[str, Mark], taken: set[str]) -> set[str]:
        """Refuse names that mean something else already: one set of names for everything but layers."""
        fresh: set[str] = set()
        for name, mark in names.items():
            if len(taken) + len(fresh) >= MAX_NAMES:
                self.fail(mark, f"more than {MAX_NAMES:,} parameters, blocks and names of 'let:'")
                raise self.error()
            if not self.is_name(name, mark):
                continue
            if is_op(name):
                self.fail(mark, f"{name!r} is an op; choose another name")
            elif name in FUNCTIONS or name in CONSTANTS or name in KEYWORDS or name in words_of.RESERVED:
                self.fail(mark, f"{name!r} is a word of the spec language; choose another name")
            elif name in taken:
                self.fail(mark, f"{name!r} is the name of something else in this file; choose another")
            else:
                fresh.add(name)
        return taken | fresh

    def parameters(self, holder: Mapping, known: set[str]) -> tuple[dict[str, Term | None], dict[str, Mark]]:
        """``[width, stride: 1]``: names, those with a default as mappings of one key; and their places."""
        found: dict[str, Term | None] = {}
        marks: dict[str, Mark] = {}
        if "parameters" not in holder:
            return found, marks
        row = self.row(holder["parameters"], holder.marks["parameters"], "parameters")
        for item, mark in zip(row, row.marks, strict=True):
            default = None
            if isinstance(item, str):
                name = item
            elif isinstance(item, Mapping) and len(item) == 1:
                name, given = next(iter(item.items()))
                default = self.term(given, item.marks[name])
                self.check_names(default, item.marks[name], {*known, *found}, words_of.texts())
            else:
                self.fail(mark, "a parameter is a name, or 'name: default'")
                continue
            if name in found:
                self.fail(mark, f"the parameter {name!r} stands here twice")
            found[name] = default
            marks[name] = mark
        return found, marks

    def let(self, holder: Mapping, taken: set[str]) -> tuple[dict[str, Term], set[str]]:
        """The terms of ``let:``, each of which may read those above it; and all names that are now taken."""
        found: dict[str, Term] = {}
        inner = self.mapping(holder, "let")
        known = self.free_names(inner.key_marks, taken)
        readable = set(taken)
        for name, value in inner.items():
            found[name] = self.term(value, inner.marks[name])
            self.check_names(found[name], inner.marks[name], readable, words_of.texts())
            readable.add(name)
        return found, known

    def check_names(self, value: Term, mark: Mark, known: set[str], texts: Iterable[str] = ()) -> None:
        """Report names that nothing in the file defines. A word alone may also be an op, a block, a layer or a text."""
        alone = set(words(value))
        for name in value.names:
            if name in SHAPE_NAMES:
                if self.in_head:
                    self.fail(mark, f"{name} is known only in layers and blocks, where something arrives")
                continue
            if name in known:
                continue
            if name in alone and (is_op(name) or name in self.block_names or name in texts or name in self.local):
                continue
            candidates = [*CONSTANTS, *FUNCTIONS, *SHAPE_NAMES, *texts, *known]
            self.fail(mark, f"unknown name {name!r}{nearest(name, candidates)}")

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
                    if key == "branches" and isinstance(inner, Mapping):
                        found.update(inner)
                        pending.extend(inner.values())
                    elif key in STRUCTURES or key in ("projection", "merge", "split"):
                        pending.append(inner)
        return frozenset(found)

    # --- blocks

    def block(self, name: str, blocks: Mapping, taken: set[str]) -> Block:
        value, mark = blocks[name], blocks.key_marks[name]
        block = Block(name, mark)
        if isinstance(value, Row):
            layers: Value = value
            layers_mark = blocks.marks[name]
        elif isinstance(value, Mapping):
            self.keys(value, ("parameters", "let", "layers"), f"block {name!r}")
            self.local = frozenset()
            block.parameters, marks = self.parameters(value, taken)
            block.let, taken = self.let(value, self.free_names(marks, taken))
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

    def check_recursion(self) -> None:
        calls = {name: set(_verbs(block.layers)) & set(self.spec.blocks) for name, block in self.spec.blocks.items()}
        done: set[str] = set()
        for start, called in calls.items():
            if start in done:
                continue
            # Depth first on an explicit list: a chain of blocks may be long.
            stack: list[tuple[str, list[str]]] = [(start, sorted(called))]
            path = [start]
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
        for word, owner in (("projection", "residual"), ("split", "branches"), ("merge", "branches and residual")):
            if word in verbs and any(verb in STRUCTURES for verb in verbs):
                self.fail(item.key_marks[word], f"{word!r} goes with {owner} only")
                return
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
            self.calls.append((layer, value_mark))
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
        if layer.kind == "block":
            self.arguments.append((layer, written))
        for key, given in named.items():
            mark = written.key_marks[key]
            texts: Iterable[str] = words_of.texts()
            if layer.kind == "op":
                cls = op_class(layer.verb)
                if key not in cls.__struct_fields__:
                    self.fail(mark, unknown_field(cls, key))
                    continue
                if key == "inplace" and cls.op != layer.verb:
                    self.fail(mark, f"{layer.verb} says already that it works in place; leave 'inplace' out")
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

    def check_calls(self) -> None:
        """Hold every call's arguments against its block's parameters, as far as that can be told without expanding."""
        for layer, written in self.arguments:
            block = self.spec.blocks[layer.verb]
            for key, mark in written.key_marks.items():
                if key not in block.parameters:
                    self.fail(mark, block.unknown(key))
        for layer, mark in self.calls:
            block, given = self.spec.blocks[layer.verb], layer.argument
            if isinstance(given, Name):
                continue  # it may stand for a whole row
            row = given.items if isinstance(given, Items) else given.fixed if isinstance(given, Constant) else None
            count = len(row) if isinstance(row, tuple) else 0 if given is None else 1
            if count > len(block.parameters):
                self.fail(mark, block.too_many(count))
            told = {*(layer.named or ()), *(layer.first or ()), *(layer.last or ())}
            for parameter, default in list(block.parameters.items())[count:]:
                if default is None and parameter not in told:
                    self.fail(layer.mark, block.missing(parameter))

    def structure(self, verb: str, item: Mapping) -> Layer:
        layer = Layer(verb, verb, item.key_marks[verb])
        value, mark = item[verb], item.marks[verb]
        if verb != "branches":
            layer.bodies = ((None, self.layers(value, mark)),)
        elif isinstance(value, Mapping):
            for name, place in value.key_marks.items():
                self.is_name(name, place)
            layer.bodies = tuple((name, self.layers(body, value.marks[name])) for name, body in value.items())
        else:
            row = self.row(value, mark, "branches")
            layer.bodies = tuple((None, self.layers(body, place)) for body, place in zip(row, row.marks, strict=True))
        if verb == "branches" and not layer.bodies:
            self.fail(mark, "branches need at least one list of layers; [] passes on what arrives")
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
                self.fail(item.marks["projection"], "projection is a list of layers; 'none' leaves the skip out")
        return layer

    def adverbs(self, layer: Layer, item: Mapping) -> None:
        if "name" in item:
            layer.name = self.text(item, "name")
            if layer.name is not None:
                self.is_name(layer.name, item.marks["name"])
        if "from" in item:
            layer.sources = self.references(item["from"], item.marks["from"])
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
        if layer.bodies:
            self.fail(item.key_marks[key], f"{key!r} goes with an op or a block, which have arguments")
        found = {name: self.term(value, given.marks[name]) for name, value in given.items()}
        self.check_fields(layer, found, given)
        setattr(layer, key, found)

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
            elif not ({base, stem} & self.local or base in self.known):
                self.fail(place, f"unknown layer {name!r}{nearest(name, [*self.local, *self.known])}")
        return tuple(str(name) for name in names)

    # --- variants and claims

    def variants(self) -> dict[str, Mapping]:
        found: dict[str, Mapping] = {}
        holder = self.mapping(self.root, "variants")
        for name, value in holder.items():
            self.is_name(name, holder.key_marks[name])
            if not isinstance(value, Mapping):
                self.fail(holder.marks[name], f"variant {name!r} must be a mapping, such as {{with: [2, 3]}}")
                continue
            self.keys(value, VARIANT_KEYS, f"variant {name!r}")
            self.inputs(value)
            self.about(value)
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
            for key in ("source", "layer", "note"):
                self.text(item, key)
            value = item.get("value", "")
            figures = value if isinstance(value, Row) else [value]
            if any(not isinstance(figure, str) or len(figure) > MAX_NAME for figure in figures):
                self.fail(item.marks["value"], "the value of a claim is a figure, such as 138M, or a list of sizes")
            elif isinstance(value, Row) and not all(isinstance(literal(str(size)), int) for size in value):
                self.fail(item.marks["value"], "the sizes of a claim are whole numbers, such as [512, 7, 7]")
            for key, allowed in (("quantity", CLAIM_QUANTITIES), ("convention", CLAIM_CONVENTIONS)):
                word = item.get(key)
                if self.text(item, key) is not None and word not in allowed:
                    near = nearest(str(word), allowed)
                    self.fail(item.marks[key], f"{key} {word!r} is not one of {', '.join(allowed)}{near}")


def _verbs(layers: Iterable[Layer]) -> Iterable[str]:
    for layer in layers:
        yield layer.verb
        yield from _words_in(layer)
        for _, body in layer.bodies:
            yield from _verbs(body)
        yield from _verbs([inner for inner in (layer.merge, layer.split) if inner])
        yield from _verbs(layer.projection or ())


def _words_in(layer: Layer) -> Iterable[str]:
    """Blocks that are handed on as arguments are called, too."""
    if layer.argument is not None:
        yield from words(layer.argument)
    for given in (layer.named or {}).values():
        yield from words(given)


__all__ = ["Block", "Constant", "Items", "Layer", "Spec", "compile_spec"]
