"""A compiled spec to a graph: blocks are called, repetitions written out, sizes bound, names made.

What a keyword of a layer means is changed here; what it may look like, in ``parse``.

A spec is expanded once, at its declared input, as a module is constructed once. A block called again with the same
arguments on the same shapes is copied from its first expansion: that makes resnet152 cost little more than its
eight distinct calls.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from ..errors import OpError, SpecError, as_written, nearest
from ..graph import Reference
from ..ops.base import REGISTRY, Op
from ..tensor import Tensor
from ..units import shape as times
from ..yaml_reader import Mark, at
from . import vocabulary
from .field_values import field_value
from .frames import Frame, LayerValue, entries, passes_layer
from .graph_builder import MAX_NODES, Draft, Refs, Template
from .keywords import SIZES
from .nodes import BlockDefinition, LayerItem, Spec
from .values import Constant, Term, Word
from .vocabulary import is_op, op_class

Override = dict[str, Term] | None
"""Arguments that differ in the first or the last repetition."""

MAX_STEPS = 100_000
MAX_DEPTH = 64
MAX_PATH = 500

_WHOLE = re.compile(r"[0-9]{1,5}\Z")


class Expansion:
    """Expands the layers of one spec with the values of its parameters.

    Raises:
        SpecError: with the place and the layer of the first mistake.
    """

    def __init__(self, spec: Spec, env: dict[str, Any], inputs: list[tuple[str, Tensor]]) -> None:
        self.spec = spec
        self.env = env
        self.draft = Draft(inputs)
        self.templates: dict[Any, Template | None] = {}
        self.first_calls: dict[Any, tuple[slice, str, Reference, Refs]] = {}
        self.again: dict[tuple[LayerItem, Frame, Tensor], Template] = {}  # the last call
        self.steps = 0
        self.depth = 0
        self.open_blocks: list[str] = []

    def run(self) -> Refs:
        frame = Frame(self.env, "")
        for position, (name, _) in enumerate(self.draft.inputs):
            frame.layers[name] = ((-1 - position, 0),)
        self.top = frame
        return self.body(self.spec.layers, frame, ((-1, 0),))

    # --- help

    def fail(self, mark: Mark, frame: Frame, name: str | None, message: str) -> NoReturn:
        path = frame.prefix + name if name else frame.prefix.rstrip(".") or None
        if frame.used_at is not None:
            message += f" (in block {frame.block!r}, used at {frame.used_at})"
        raise SpecError([(at(self.spec.file, mark), path, message)])

    def evaluate(self, term: Term, frame: Frame, flow: Refs) -> Any:
        if term.__class__ is Constant:  # most terms are
            return term.value(frame.env)
        env = frame.env
        for name in SIZES:
            if name in term.names and name not in env:
                env = {**env, name: self.arriving(name, flow)}
        return term.value(env)

    def arriving(self, name: str, flow: Refs) -> int:
        shape = self.draft.tensor(flow[0]).shape if flow else ()
        if len(shape) < 2:
            raise OpError(f"there is no {name} here: the input has no dimension except the batch")
        return shape[1 if name == "in_channels" else -1]

    def look_up(self, path: str, frame: Frame) -> Refs:
        """The value that ``enc1``, ``conv3_2``, ``down1.skip`` or ``parts.1`` names from within ``frame``."""
        base, _, rest = path.partition(".")
        handed = frame.env.get(base)
        if isinstance(handed, LayerValue):
            return self.part(handed, rest, path)
        scope = self.scope(path, frame)
        if not rest and base in scope.layers:
            return scope.layers[base]
        self.step(len(self.draft.nodes) // 50)
        full = f"{scope.prefix}{path}"
        found = self.draft.result_of(full)
        if found is not None:
            return found
        head, _, last = full.rpartition(".")
        whole = self.draft.result_of(head) or (scope.layers.get(base) if "." not in rest else None)
        if whole is not None and _WHOLE.match(last):
            return self.part(whole, last, path)
        raise OpError(f"{base!r} contains no layer or output {rest!r} inside")

    def scope(self, path: str, frame: Frame) -> Frame:
        """The innermost frame that has a finished layer with the name that ``path`` begins with."""
        base = path.partition(".")[0]
        for holder in frame.chain():
            if base in holder.layers:
                return holder
            if holder.has(base):
                self.step(len(self.draft.nodes) // 50)
                if self.draft.result_of(holder.prefix + base) is not None:
                    return holder
        hint = nearest(path, [name for holder in frame.chain() for name in holder.layers])
        later = " (a layer can only read layers that are defined before it)" if not hint else ""
        raise OpError(f"no earlier layer is called {path!r}{hint}{later}")

    def part(self, refs: Refs, rest: str, path: str) -> Refs:
        if not rest:
            return refs
        if not _WHOLE.match(rest) or int(rest) >= len(refs):
            one = "there is 1 output, number 0" if len(refs) == 1 else f"there are {len(refs)} outputs, numbered from 0"
            raise OpError(f"{path!r}: {one}")
        return (refs[int(rest)],)

    # --- layers

    def body(self, layers: tuple[LayerItem, ...], frame: Frame, flow: Refs) -> Refs:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise OpError(f"blocks and groups are nested more than {MAX_DEPTH} levels deep")
        if len(frame.prefix) > MAX_PATH:
            raise OpError(f"the path of a layer here has more than {MAX_PATH} characters: {frame.prefix[:40]!r}...")
        for layer in layers:
            flow = self.layer(layer, frame, flow)
        self.depth -= 1
        return flow

    def layer(self, layer: LayerItem, frame: Frame, flow: Refs) -> Refs:
        name: str | None = None
        try:
            self.step()
            if layer.when is not None and not self.holds(layer.when, frame, flow):
                return flow
            if layer.sources is not None:
                flow = self.gather(layer.sources, frame, flow)
            if layer.repeat is None:
                name = layer.name or (None if layer.bodies else frame.numbered(self.verb(layer, frame)))
                flow = self.call(layer, name, frame, flow, None)
            else:
                flow = self.repeated(layer, frame, flow)
            if layer.name:
                frame.enter(layer.name, flow)
        except OpError as error:
            self.fail(layer.mark, frame, name or layer.name or layer.verb, str(error))
        return flow

    def holds(self, condition: Term, frame: Frame, flow: Refs) -> bool:
        value = self.evaluate(condition, frame, flow)
        if not isinstance(value, int | float):
            raise OpError(f"when is {as_written(value)}; it must be a truth value or a number")
        return bool(value)

    def repeated(self, layer: LayerItem, frame: Frame, flow: Refs) -> Refs:
        assert layer.repeat is not None
        count = self.evaluate(layer.repeat, frame, flow)
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise OpError(f"repeat is {as_written(count)}; it must be a whole number, 0 or more")
        if count > MAX_NODES:
            raise OpError(f"repeat {count:,} would create more than {MAX_NODES:,} layers")
        start = len(self.draft.nodes)
        for number in range(1, count + 1):
            self.step()
            override = layer.first if number == 1 else None
            if number == count and layer.last is not None:
                override = {**(override or {}), **layer.last}
            if layer.name:
                name: str | None = f"{layer.name}_{number}"
            else:
                name = None if layer.bodies else frame.numbered(self.verb(layer, frame))
            flow = self.call(layer, name, frame, flow, override)
            if layer.name:
                frame.enter(f"{layer.name}_{number}", flow)
        if count > 1:
            self.draft.repeats.append((start, len(self.draft.nodes)))
        return flow

    def step(self, count: int = 1) -> None:
        """Count work, so that a small file cannot ask for hours of it."""
        self.steps += count
        if self.steps > MAX_STEPS:
            raise OpError(f"the spec takes more than {MAX_STEPS:,} steps to expand")

    def gather(self, sources: tuple[str, ...], frame: Frame, flow: Refs) -> Refs:
        found: list[Reference] = []
        for path in sources:
            found.extend(flow if path == "previous" else self.look_up(path, frame))
        self.step(len(found))
        return tuple(found)

    def verb(self, layer: LayerItem, frame: Frame) -> str:
        """The op's or block's word; a parameter stands for the word that is its value."""
        if layer.kind != "choice":
            return layer.verb
        word = frame.env[layer.verb]
        if not isinstance(word, str) or not (is_op(word) or word in self.spec.blocks):
            near = nearest(word, [*self.spec.blocks, *REGISTRY]) if isinstance(word, str) else ""
            raise OpError(f"{layer.verb!r} is {as_written(word)} here, which is neither an op nor a block{near}")
        return word

    def call(self, layer: LayerItem, name: str | None, frame: Frame, flow: Refs, override: Override) -> Refs:
        start = len(self.draft.nodes)
        shared = self.scope(layer.shares, frame).prefix + layer.shares if layer.shares else None
        if layer.bodies:
            flow = self.structure(layer, name, frame, flow)
        else:
            assert name is not None
            word = self.verb(layer, frame)
            if word in self.spec.blocks:
                flow = self.block(self.spec.blocks[word], layer, name, frame, flow, override)
            else:
                flow = self.op(word, layer, name, frame, flow, override)
        if shared is not None and layer.shares:
            self.step(start // 50)
            self.draft.share(layer.shares, shared, start)
        return flow

    # --- structures

    def structure(self, layer: LayerItem, name: str | None, frame: Frame, flow: Refs) -> Refs:
        inside = frame
        if name is not None:
            inside = Frame(frame.env, f"{frame.prefix}{name}.", frame, frame.block, frame.used_at)
        if layer.kind == "layers":
            result = self.body(layer.bodies[0][1], inside, flow)
        elif layer.kind == "residual":
            result = self.residual(layer, inside, flow)
        else:
            result = self.branches(layer, inside, flow)
        if name is not None:
            self.draft.note(f"{frame.prefix}{name}", result)
        return result

    def residual(self, layer: LayerItem, frame: Frame, flow: Refs) -> Refs:
        result = self.body(layer.bodies[0][1], frame, flow)
        arriving, leaving = self.draft.tensor(flow[0]), self.draft.tensor(result[0])
        skip = flow
        if arriving.shape != leaving.shape:
            if layer.projection is None:
                raise OpError(
                    f"the residual's input is {times(arriving.shape[1:])} and its result {times(leaving.shape[1:])}; "
                    "they cannot be added; add 'projection: [...]' or 'projection: none'"
                )
            if not layer.projection:
                return result
            skip = self.body(layer.projection, frame, flow)
        return self.merge(layer, "add", frame, (result[0], skip[0]))

    def branches(self, layer: LayerItem, frame: Frame, flow: Refs) -> Refs:
        self.step(len(layer.bodies))
        parts: list[Refs] = [flow] * len(layer.bodies)
        if layer.split is not None:
            pieces = self.layer(layer.split, frame, flow)
            if len(pieces) != len(layer.bodies):
                raise OpError(f"split has {len(pieces)} outputs for {len(layer.bodies)} branches")
            parts = [(piece,) for piece in pieces]
        ends: list[Reference] = []
        for (name, body), part in zip(layer.bodies, parts, strict=True):
            inside = (
                frame if name is None else Frame(frame.env, f"{frame.prefix}{name}.", frame, frame.block, frame.used_at)
            )
            end = self.body(body, inside, part)
            if len(end) > 1:
                raise OpError(f"a branch ends with {len(end)} outputs; select one with 'from:'")
            if name is not None:
                frame.enter(name, end)
                self.draft.note(f"{frame.prefix}{name}", end)
            ends.append(end[0])
        return self.merge(layer, "concat", frame, tuple(ends))

    def merge(self, layer: LayerItem, word: str, frame: Frame, flow: Refs) -> Refs:
        """What joins the ends of the structure ``layer``: its ``merge:``, else the op ``word``."""
        if layer.merge is not None:
            return self.layer(layer.merge, frame, flow)
        return self.draft.add(word, {}, frame.prefix + frame.numbered(word), flow, at(self.spec.file, layer.mark))

    # --- blocks

    def block(
        self, block: BlockDefinition, layer: LayerItem, name: str, frame: Frame, flow: Refs, override: Override
    ) -> Refs:
        again = (layer, frame, self.draft.tensor(flow[0])) if override is None and len(flow) == 1 else None
        if again in self.again:
            return self.draft.stamp(self.again[again], f"{frame.prefix}{name}", flow[0])
        given = self.arguments(block, layer, frame, flow, override)
        key = None
        if len(flow) == 1 and not any(passes_layer(value) for value in given.values()):
            key = (block.name, tuple(given.items()), self.draft.tensor(flow[0]))
            if key in self.first_calls:
                # Most calls come once: the template is made when the second one does.
                self.templates[key] = self.draft.template(*self.first_calls.pop(key))
            template = self.templates.get(key)
            if template is not None:
                if again is not None:
                    self.again = {again: template}
                return self.draft.stamp(template, f"{frame.prefix}{name}", flow[0])
        start, noted = len(self.draft.nodes), len(self.draft.results)
        result = self.expand_block(block, given, layer, name, frame, flow)
        if key is not None and key not in self.templates and len(self.draft.results) == noted:
            self.first_calls[key] = (slice(start, len(self.draft.nodes)), f"{frame.prefix}{name}", flow[0], result)
        return result

    def expand_block(
        self, block: BlockDefinition, given: dict[str, Any], layer: LayerItem, name: str, frame: Frame, flow: Refs
    ) -> Refs:
        env = dict(self.env)
        inner = Frame(env, f"{frame.prefix}{name}.", None, block.name, at(self.spec.file, layer.mark))
        inner.layers["input"] = flow
        for parameter, default in block.parameters.items():
            if parameter in given:
                env[parameter] = given[parameter]
            elif default is None:
                raise OpError(block.missing(parameter))
            else:
                env[parameter] = self.evaluate(default, inner, flow)
        for word, term in block.let.items():
            env[word] = self.evaluate(term, inner, flow)
        if block.name in self.open_blocks:
            # Reached through a parameter: the file itself was searched for circles when it was compiled.
            circle = " -> ".join([*self.open_blocks[self.open_blocks.index(block.name) :], block.name])
            raise OpError(f"blocks call each other in a circle: {circle}")
        self.open_blocks.append(block.name)
        result = self.body(block.layers, inner, flow)
        self.open_blocks.pop()
        self.draft.note(f"{frame.prefix}{name}", result)
        return result

    # --- ops

    def arguments(
        self, block: BlockDefinition, layer: LayerItem, frame: Frame, flow: Refs, override: Override
    ) -> dict[str, Any]:
        """A block's arguments by name: a scalar is the first parameter, a list is the parameters in order."""
        given: dict[str, Any] = {}
        if layer.named is not None:
            given = {key: self.argument(term, frame, flow) for key, term in layer.named.items()}
        elif layer.argument is not None:
            value = self.argument(layer.argument, frame, flow)
            values = value if isinstance(value, tuple) and not isinstance(value, LayerValue) else (value,)
            if len(values) > len(block.parameters):
                raise OpError(block.too_many(len(values)))
            given = dict(zip(block.parameters, values, strict=False))
        for key, term in (override or {}).items():
            given[key] = self.argument(term, frame, flow)
        for key in given:
            if key not in block.parameters:
                raise OpError(block.unknown(key))
        return given

    def argument(self, term: Term, frame: Frame, flow: Refs) -> Any:
        """A block's argument; a word that names an earlier layer becomes that layer's value."""
        value = self.evaluate(term, frame, flow)
        if isinstance(value, tuple) and not isinstance(value, LayerValue):
            self.step(entries(value) // 16)
            return value if term.__class__ is Constant else tuple([self.as_layer(item, frame) for item in value])
        return self.as_layer(value, frame)

    def as_layer(self, value: Any, frame: Frame) -> Any:
        if not isinstance(value, Word) or is_op(value) or value in self.spec.blocks:
            return value
        if value in vocabulary.texts():
            return value
        return LayerValue(self.look_up(value, frame))

    def op(self, word: str, layer: LayerItem, name: str, frame: Frame, flow: Refs, override: Override) -> Refs:
        fields = layer.fixed
        if fields is None or override:
            cls = op_class(word)
            terms = dict(layer.named or {})
            if layer.argument is not None:
                if not cls.__struct_fields__ or cls.__struct_fields__ == ("inplace",):
                    raise OpError(f"{word} has no fields, so it takes no value")
                terms = {cls.__struct_fields__[0]: layer.argument}
            terms.update(override or {})
            fields = {key: self.field(cls, key, term, frame, flow) for key, term in terms.items()}
            layer.size = entries(tuple(fields.values())) // 16
            if not override and layer.kind == "op" and all(not term.names for term in terms.values()):
                layer.fixed = fields
        self.step(layer.size)
        values = self.gather(layer.weights, frame, flow) if layer.weights is not None else None
        return self.draft.add(word, fields, frame.prefix + name, flow, at(self.spec.file, layer.mark), values)

    def field(self, cls: type[Op], key: str, term: Term, frame: Frame, flow: Refs) -> Any:
        value = self.evaluate(term, frame, flow)
        return field_value(cls, key, value, getattr(term, "text", None), frame.env)
