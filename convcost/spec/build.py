"""A spec and one of its variants to a graph. What a key of the file means is changed here; layers are in ``expand``."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice
from typing import Any

from ..aliasing import overwritten
from ..errors import OpError, SpecError, as_written, nearest
from ..graph import About, Claim, Graph, Reference
from ..ops import REGISTRY
from ..tensor import ITEM_BYTES, Tensor
from ..yaml_reader import Mapping, Row, Value, at, read
from .expand import Expansion
from .expressions import CONSTANTS, unknown_name
from .graph_builder import check_size
from .keywords import SIZES, names
from .nodes import Spec
from .parse import compile_spec
from .values import Term, Word, term
from .vocabulary import is_op, texts

_COUNT = re.compile(r"[1-9][0-9]{,17}\Z")


def graph_from_text(text: str, file: str, variant: str | None = None) -> Graph:
    """A graph from a spec's text.

    Args:
        text: YAML in the spec language.
        file: how to call it in errors and in ``about.source``.
        variant: which of the file's variants; needed if it has any.

    Raises:
        SpecError: with file, line, column and layer of every mistake that could be found.
    """
    return graph_from_spec(compiled_text(text, file), variant)


@lru_cache(maxsize=256)  # a check reads the variants of each file, and then each file
def compiled_text(text: str, file: str) -> Spec:
    """A compiled spec; the variants of a file share it, and nothing changes it."""
    return compile_spec(read(text, file), file)


def graph_from_spec(spec: Spec, variant: str | None) -> Graph:
    """A graph from a compiled spec; see ``graph_from_text``."""
    return _Builder(spec, variant).graph()


class _Builder:
    def __init__(self, spec: Spec, variant: str | None) -> None:
        self.spec = spec
        self.chosen = self.choose(variant)
        self.name = variant or spec.name

    def choose(self, variant: str | None) -> Mapping | None:
        variants = self.spec.variants
        file = self.spec.file
        names = ", ".join(islice(variants, 50)) + (", ..." if len(variants) > 50 else "")
        if variant is None:
            if variants:
                first = next(iter(variants))
                message = f"the file has variants; choose one, such as {file}@{first}: {names}"
                raise self.fail(self.spec.root, "variants", message)
            return None
        if variant not in variants:
            have = f"it has {names}" if variants else "it has none"
            message = f"the file has no variant {variant!r}{nearest(variant, variants)} ({have})"
            raise self.fail(self.spec.root, "variants", message)
        return variants[variant]

    def get(self, key: str) -> tuple[Value | None, Mapping]:
        """A top-level key's value, the variant's before the file's, and the mapping that holds it."""
        if self.chosen is not None and key in self.chosen:
            return self.chosen[key], self.chosen
        if self.chosen is not None and {key, *self.chosen} >= {"input", "inputs"}:
            return None, self.chosen  # a variant's 'inputs' stand in place of the file's 'input'
        return self.spec.root.get(key), self.spec.root

    def fail(self, holder: Mapping, key: str, message: str) -> SpecError:
        mark = holder.marks.get(key, holder.mark)
        return SpecError([(at(self.spec.file, mark), None, message)])

    def graph(self) -> Graph:
        env = self.parameters()
        inputs = self.inputs(env)
        expansion = Expansion(self.spec, env, inputs)
        result = expansion.run()
        if not expansion.draft.nodes:
            raise self.fail(self.spec.root, "layers", "the network has no layers")
        outputs = self.outputs(expansion, result)
        recorded = self.spec.root.get("recorded") == "true"
        if not recorded:
            self.check_reached(expansion, outputs)
        draft = expansion.draft
        graph = Graph(draft.nodes, inputs, outputs, self.about(), check=False, repeats=draft.repeats)
        if not recorded:
            self.check_in_place(graph, expansion)
        return graph

    def parameters(self) -> dict[str, Any]:
        """Values of the file's parameters (``with:``, then defaults) and of its ``let``."""
        spec = self.spec
        given = self.given()
        env: dict[str, Any] = {}
        for name, default in spec.parameters.items():
            if name in given:
                env[name] = given[name]
            elif default is None:
                where = (self.chosen, "with") if self.chosen is not None else (spec.root, "parameters")
                raise self.fail(*where, f"the parameter {name!r} has no value; set it in 'with:' or add a default")
            else:
                env[name] = self.value(default, env, spec.root, "parameters")
        for name, expression in {**spec.let, **self.replaced_let()}.items():
            env[name] = self.value(expression, env, spec.root, "let")
        return env

    def replaced_let(self) -> dict[str, Term]:
        """The values of the file's ``let`` that the variant replaces."""
        replaced = self.chosen.get("let") if self.chosen is not None else None
        if not isinstance(replaced, Mapping):
            return {}
        for name in replaced:
            if name not in self.spec.let:
                raise self.fail(
                    replaced, name, f"a variant can only replace values of the file's 'let', which has no {name!r}"
                )
        return {name: self.compiled(value, replaced, name) for name, value in replaced.items()}

    def given(self) -> dict[str, Any]:
        chosen = self.chosen
        if chosen is None or "with" not in chosen:
            return {}
        value, names = chosen["with"], list(self.spec.parameters)
        if isinstance(value, str):
            raise self.fail(chosen, "with", f"'with' is a list of values for {', '.join(names)}, or a mapping of them")
        if isinstance(value, Mapping):
            for name in value:
                if name not in names:
                    raise self.fail(value, name, f"{unknown_name(name, names)} (parameters: {', '.join(names)})")
            items = dict(value)
        else:
            if len(value) > len(names):
                parameters = f"the number of parameters is {len(names)}: {', '.join(names)}"
                raise self.fail(chosen, "with", f"'with' has {len(value)} values, but {parameters}")
            items = dict(zip(names, value, strict=False))
        return {
            name: self.value(self.compiled(written, chosen, "with"), {}, chosen, "with")
            for name, written in items.items()
        }

    def compiled(self, written: Value, holder: Mapping, key: str) -> Term:
        problems: list[str] = []
        compiled = term(written, problems.append)
        if problems:
            raise self.fail(holder, key, problems[0])
        return compiled

    def value(self, expression: Term, env: dict[str, Any], holder: Mapping, key: str) -> Any:
        try:
            found = expression.value(env)
            self.check_words(found, env)
        except OpError as error:
            raise self.fail(holder, key, str(error)) from None
        return found

    def check_words(self, value: Any, env: dict[str, Any]) -> None:
        """Refuse a word that is no op, no block and no text of a field: nothing else can be meant outside of layers."""
        if isinstance(value, tuple):
            for item in value:
                self.check_words(item, env)
        elif isinstance(value, Word) and value in SIZES:
            raise OpError(f"{value} is only available in layers and blocks, which have an input")
        elif isinstance(value, Word) and not (is_op(value) or value in self.spec.blocks or value in texts()):
            raise OpError(unknown_name(str(value), [*env, *CONSTANTS, *self.spec.blocks, *REGISTRY]))

    # --- inputs and outputs

    def inputs(self, env: dict[str, Any]) -> list[tuple[str, Tensor]]:
        value, holder = self.get("input")
        if value is not None:
            return [("input", self.input_tensor(value, env, holder, "input"))]
        many, holder = self.get("inputs")
        if not isinstance(many, Mapping) or not many:
            raise self.fail(holder, "inputs", "inputs is a mapping of names to shapes, such as {image: [3, 224, 224]}")
        return [(name, self.input_tensor(inner, env, many, name)) for name, inner in many.items()]

    def input_tensor(self, value: Value, env: dict[str, Any], holder: Mapping, key: str) -> Tensor:
        dtype = "float32"
        if isinstance(value, Mapping):
            for inner in value:
                if inner not in names("input"):
                    raise self.fail(value, inner, f"an input has {' and '.join(names('input'))}, not {inner!r}")
            given = value.get("dtype", dtype)
            if given not in tuple(ITEM_BYTES):
                raise self.fail(value, "dtype", f"unknown dtype {as_written(given)}{nearest(str(given), ITEM_BYTES)}")
            dtype = str(given)
            if "shape" not in value:
                raise self.fail(holder, key, "an input needs a shape, such as {shape: [128], dtype: int64}")
            value = value["shape"]
        if not isinstance(value, Row):
            raise self.fail(holder, key, "an input is a list of sizes without the batch, such as [3, 224, 224]")
        shape = self.value(self.compiled(value, holder, key), env, holder, key)
        for size in shape:
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                shown = as_written(size)
                raise self.fail(holder, key, f"the sizes of the input must be whole numbers >= 1, not {shown}")
        tensor = Tensor((1, *shape), dtype)
        try:
            check_size(tensor)
        except OpError as error:
            raise self.fail(holder, key, str(error)) from None
        return tensor

    def outputs(self, expansion: Expansion, result: tuple[Reference, ...]) -> tuple[Reference, ...]:
        value, holder = self.get("outputs")
        if value is None:
            return result
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise self.fail(holder, "outputs", "outputs is a list of layer names")
        found: list[Reference] = []
        for name in names:
            try:
                found.extend(expansion.look_up(str(name), expansion.top))
            except OpError as error:
                raise self.fail(holder, "outputs", str(error)) from None
        return tuple(found)

    def check_reached(self, expansion: Expansion, outputs: tuple[Reference, ...]) -> None:
        read = {source for node in expansion.draft.nodes for source, _ in node.inputs}
        read.update(position for position, _ in outputs)
        # Whatever leads nowhere ends in a layer that nobody reads.
        dead = next((position for position in range(len(expansion.draft.nodes)) if position not in read), None)
        if dead is not None:
            node = expansion.draft.nodes[dead]
            message = "this layer reaches no output; remove it, read it with 'from:', or list it in 'outputs:'"
            raise SpecError([(node.where, node.name, message)])

    def check_in_place(self, graph: Graph, expansion: Expansion) -> None:
        clash = overwritten(graph.nodes, expansion.draft.tensors, [tensor for _, tensor in graph.inputs], graph.outputs)
        if clash is not None:
            reader, writer = clash
            what = "writes an output of the network in place"
            if reader:
                what = f"reads a value that {writer.name!r} has overwritten in place"
            node, plain = reader or writer, writer.op.op
            raise SpecError([(node.where, node.name, f"this layer {what}; use {plain} in place of {plain}_ there")])

    # --- what is known about it

    def about(self) -> About:
        spec = self.spec
        title, _ = self.get("title")
        family, _ = self.get("family")
        reference, _ = self.get("reference")
        accuracy, _ = self.get("accuracy")
        return About(
            name=self.name,
            title=str(title or self.name),
            family=str(family or spec.name),
            source=spec.file,
            reference=plain(reference) if isinstance(reference, Mapping) else {},
            accuracy={key: _number(inner) for key, inner in plain(accuracy).items()}
            if isinstance(accuracy, Mapping)
            else {},
            published=self.claims(),
        )

    def claims(self) -> tuple[Claim, ...]:
        value, _ = self.get("published")
        found: list[Claim] = []
        for item in value if isinstance(value, Row) else ():
            assert isinstance(item, Mapping)
            text = item["value"]
            if isinstance(text, Row):
                shape = self.value(self.compiled(text, item, "value"), {}, item, "value")
                written: Any = tuple(shape)
            else:
                written = text
            extra = {key: str(item[key]) for key in ("layer", "convention", "note") if key in item}
            found.append(Claim(quantity=str(item["quantity"]), value=written, source=str(item["source"]), **extra))
        return tuple(found)


def _number(value: Any) -> Any:
    """A figure as a number; everything else as it is."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def plain(value: Value) -> Any:
    """A value of the reader as Python's own dict, list and str; whole numbers as int."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, Row):
        return [plain(item) for item in value]
    return int(value) if _COUNT.match(value) else value
