"""The JSON of a graph: its records, which ``export.graph_json`` writes, and reading it. The text is not trusted.

A new key is a field of a record here, written there, and checked by the reader below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NoReturn

import msgspec

from ..errors import OpError, SourceError, as_written
from ..graph import GIVEN, OWN, About, Allocation, Claim, Graph, Node, RecordedRun, Reference
from ..ops import REGISTRY, Composite, make
from ..ops.base import Op, Tensors
from ..problems import Problems
from ..spec.graph_builder import bind_op, check_size, check_values
from ..spec.header import claim_problems
from ..spec.vocabulary import literal_kind, takes_decimals
from ..tensor import ITEM_BYTES, Tensor
from .json_text import decoded, mistake

SCHEMA = 1

MAX_JSON_BYTES = 64 << 20
"""The limit of a graph's JSON; ten thousand layers take about 4 MiB."""


class Architecture(msgspec.Struct, gc=False):
    """What a network is called and where it comes from: ``About`` without the published figures."""

    name: str
    title: str = ""
    family: str = ""
    source: str = ""
    reference: dict[str, Any] = {}
    accuracy: dict[str, Any] = {}


class GraphInput(msgspec.Struct, gc=False):
    """An input of the network."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


class GraphNode(msgspec.Struct, gc=False, kw_only=True):
    """A layer. ``owner``: whose weights it uses, None for its own. ``weights`` are for others; the op knows them."""

    name: str
    op: str
    fields: msgspec.Raw = msgspec.Raw(b"{}")
    inputs: tuple[Reference, ...]
    owner: int | Literal["inputs"] | None = None
    weights: Any = ()
    outputs: tuple[Tensor, ...] | None = None


class GraphDocument(msgspec.Struct, gc=False, kw_only=True):
    """All of it. The order of the fields is that of the keys in the text."""

    schema: int = SCHEMA
    convcost: Any = None
    architecture: Architecture
    batch_free: bool = True
    mode: Literal["eval", "train"] | None = None
    dtype: str | None = None
    inputs: tuple[GraphInput, ...]
    outputs: tuple[Reference, ...]
    nodes: tuple[GraphNode, ...]
    repeats: tuple[tuple[int, int], ...] = ()
    published: tuple[Claim, ...] = ()
    allocations: tuple[Allocation, ...] | None = None


_NOTHING = msgspec.Raw()


class _Head(msgspec.Struct):
    """What tells one JSON of convcost from another."""

    schema: Any = None
    convcost: Any = None
    name: Any = None
    nodes: msgspec.Raw = _NOTHING
    network: msgspec.Raw = _NOTHING
    layers: msgspec.Raw = _NOTHING


def holds_spec(content: bytes) -> bool:
    """True for a spec that is written in JSON, which is YAML too."""
    try:
        head = msgspec.json.decode(content, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return head.name is not None and bool(head.layers) and not (head.nodes or head.network)


def graph_of(document: Mapping[str, Any], file: str) -> Graph:
    """The graph of a document that ``export.graph_json.graph_document`` has made. See ``graph_from_json``."""
    return graph_from_json(msgspec.json.encode(document), file)


def graph_from_json(content: bytes, file: str) -> Graph:
    """The graph in a JSON text: a graph's own, or one that holds it as its ``network``, as saved profiles do.

    Everything that an analysis needs is there, and what is known of the network. Not there are the lines of the spec
    that it was written as, and the module that it was captured from: memory in a forward pass is that of the run that
    was observed when the JSON was written, or goes by the rules if none was.

    Args:
        content: UTF-8.
        file: how to call it in errors.

    Raises:
        SourceError: it is larger than 64 MiB, no JSON, or the JSON of something else.
        SpecError: it has a mistake; the message has its place, ``nodes[7].fields.kernel_size``.
    """
    content = content.removeprefix(b"\xef\xbb\xbf")
    if len(content) > MAX_JSON_BYTES:
        raise SourceError(f"{file}: the file is larger than {MAX_JSON_BYTES >> 20} MiB, the limit of a graph's JSON")
    head: _Head = decoded(content, _Head, file, "")
    if head.network and not head.nodes:
        inside = bytes(head.network)
        head, at = decoded(inside, _Head, file, "network"), "network."
        content = inside
    else:
        at = ""
    if not head.nodes:
        known = "it is the output of another command" if head.convcost else "it has no 'nodes'"
        raise SourceError(f"{file}: it contains no graph ({known}; convcost export --format json writes a graph)")
    if head.schema != SCHEMA:
        newer = isinstance(head.schema, int) and head.schema > SCHEMA
        more = "; it was written by a newer version: update convcost" if newer else ""
        raise SourceError(f"{file}: {at}schema is {as_written(head.schema)}, and {SCHEMA} can be read{more}")
    return _GraphReader(decoded(content, GraphDocument, file, at.rstrip(".")), file, at).graph()


class _GraphReader(Problems[str]):
    """A document to a graph: every op is made from the registry, bound to what arrives, and checked against it."""

    def __init__(self, document: GraphDocument, file: str, at: str) -> None:
        super().__init__(file)
        self.document = document
        self.at = at
        self.inputs: list[Tensor] = []
        self.values: list[Tensors] = []
        self.nodes: list[Node] = []
        self.made: dict[Any, tuple[Op, Tensors]] = {}

    def fail(self, place: str, message: str, cause: Exception | None = None) -> NoReturn:
        """Refuse the document at once: what follows reads what came before."""
        raise mistake(self.file, self.at + place, message) from cause

    def graph(self) -> Graph:
        document = self.document
        about = self.about()
        for number, given in enumerate(document.inputs):
            self.inputs.append(self.input(f"inputs[{number}]", given))
        self.unique("inputs", [given.name for given in document.inputs])
        self.unique("nodes", [node.name for node in document.nodes])
        for number, written in enumerate(document.nodes):
            self.node(f"nodes[{number}]", written)
        if not document.outputs:
            self.fail("outputs", "the network has no outputs")
        outputs = [self.reference(f"outputs[{n}]", each) for n, each in enumerate(document.outputs)]
        if document.dtype is not None:
            self.one_of("dtype", "dtype", document.dtype, ITEM_BYTES)
        allocations = self.allocations()
        return Graph(
            self.nodes,
            [(given.name, tensor) for given, tensor in zip(document.inputs, self.inputs, strict=True)],
            outputs,
            about,
            batch_free=document.batch_free,
            check=False,
            mode=document.mode,
            dtype=document.dtype,
            repeats=self.repeats(),
            observation=None if allocations is None else RecordedRun(allocations),
        )

    # --- what is known about it

    def about(self) -> About:
        given = self.document.architecture
        for key in given.__struct_fields__:
            self.text(f"architecture.{key}", getattr(given, key))
        if not given.name:
            self.fail("architecture.name", "the network needs a name")
        for number, claim in enumerate(self.document.published):
            self.claim(f"published[{number}]", claim)
        return About(**msgspec.structs.asdict(given), published=self.document.published)

    def claim(self, place: str, claim: Claim) -> None:
        self.text(place, list(msgspec.structs.astuple(claim)))
        for key, message in claim_problems(claim.quantity, claim.value, claim.convention):
            self.fail(f"{place}.{key}", message)

    def text(self, place: str, value: Any) -> None:
        """Refuse what would do something to a terminal."""
        for text in _texts(value):
            if not text.isprintable():
                self.fail(place, f"the text {ascii(text)[:60]} contains characters that cannot be printed")

    def unique(self, place: str, names: list[str]) -> None:
        seen: set[str] = set()
        for number, name in enumerate(names):
            self.text(f"{place}[{number}].name", name)
            if not name or name in seen:
                problem = f"the name {as_written(name)} is used twice" if name else "the name is empty"
                self.fail(f"{place}[{number}].name", problem)
            seen.add(name)

    # --- tensors

    def input(self, place: str, given: GraphInput) -> Tensor:
        tensor = self.tensor(place, Tensor(given.shape, given.dtype))
        if self.document.batch_free and given.shape[:1] != (1,):
            shown = as_written(given.shape)
            self.fail(f"{place}.shape", f"it begins with the batch, 1 where 'batch_free' is true, not {shown}")
        return tensor

    def tensor(self, place: str, tensor: Tensor) -> Tensor:
        self.one_of(f"{place}.dtype", "dtype", tensor.dtype, ITEM_BYTES)
        if min(tensor.shape, default=0) < 0:
            self.fail(f"{place}.shape", f"sizes are 0 or more, not {as_written(tensor.shape)}")
        try:
            check_size(tensor)
        except OpError as error:
            self.fail(f"{place}.shape", str(error))
        return tensor

    def reference(self, place: str, reference: Reference) -> Reference:
        """A reference to a value that is there by now."""
        source, output = reference
        if not -len(self.inputs) <= source < len(self.nodes):
            self.fail(
                place,
                f"{as_written(reference)} is nothing that comes before it: there are {len(self.nodes)} layers "
                f"(0 and up) and {len(self.inputs)} inputs (-1 and down)",
            )
        given = len(self.values[source]) if source >= 0 else 1
        if not 0 <= output < given:
            self.fail(place, f"{as_written(reference)}: that gives {given} value(s), the first one is 0")
        return reference

    def value(self, reference: Reference) -> Tensor:
        source, output = reference
        return self.values[source][output] if source >= 0 else self.inputs[-1 - source]

    # --- nodes

    def node(self, place: str, written: GraphNode) -> None:
        reads = tuple([self.reference(f"{place}.inputs[{n}]", each) for n, each in enumerate(written.inputs)])
        arriving = tuple([self.value(reference) for reference in reads])
        given = written.owner == "inputs"
        key = (written.op, bytes(written.fields), arriving, given)
        found = self.made.get(key)
        if found is None:
            found = self.made[key] = self.bound(place, written, arriving, given)
        op, outputs = found
        if written.outputs is not None and written.outputs != outputs:
            self.fail(
                f"{place}.outputs", f"the file has {_shown(written.outputs)}, but {op.op} returns {_shown(outputs)}"
            )
        owner = GIVEN if given else OWN
        if isinstance(written.owner, int):
            owner = self.owner(f"{place}.owner", written.owner, op)
        self.nodes.append(Node(written.name, op, reads, owner))
        self.values.append(outputs)

    def bound(self, place: str, written: GraphNode, arriving: Tensors, given: bool) -> tuple[Op, Tensors]:
        fields = decoded(bytes(written.fields), dict[str, Any], self.file, f"{self.at}{place}.fields")
        try:
            op = make(written.op, {key: _value(written.op, key, value) for key, value in fields.items()})
            own = arriving[: op.arity[0]] if given else arriving
            op, outputs = bind_op(op, own)
            if given:
                check_values(op, arriving[op.arity[0] :])
            if isinstance(op, Composite):
                raise OpError(f"{op.op} is written as its parts in a graph")
            _ask(op, own, outputs)
        except OpError as error:
            message = str(error)
            field = re.match(rf"{re.escape(written.op)}: (\w+) is ", message)
            where = f"{place}.fields.{field.group(1)}" if field and field.group(1) in fields else place
            self.fail(where, message)
        except Exception as error:  # noqa: BLE001 - the rules trust their fields, and a file may hold anything
            said = f"{type(error).__name__}: {error}"
            self.fail(place, f"{written.op} cannot be calculated with these fields and inputs ({said})", error)
        for tensor in outputs:
            self.tensor(place, tensor)
        for weight in op.weights():
            self.one_of(place, "dtype", weight.dtype or "float32", ITEM_BYTES)
        self.text(f"{place}.fields", fields)
        return op, outputs

    def owner(self, place: str, owner: int, op: Op) -> int:
        """The layer whose weights an op uses."""
        if not 0 <= owner < len(self.nodes):
            self.fail(place, f"layer {owner} does not come before this one")
        other = self.nodes[owner]
        if other.owner != OWN or other.op.weights() != op.weights():
            self.fail(place, f"layer {owner}, {other.name!r}, has no such weights of its own")
        return owner

    # --- the run

    def repeats(self) -> tuple[tuple[int, int], ...]:
        """The runs of repetitions; they lie in each other or apart."""
        open_runs: list[int] = []
        for start, end in sorted(self.document.repeats, key=lambda run: (run[0], -run[1])):
            while open_runs and open_runs[-1] <= start:
                open_runs.pop()
            if not 0 <= start < end <= (open_runs[-1] if open_runs else len(self.nodes)):
                self.fail("repeats", f"[{start}, {end}] is not a range of layers")
            open_runs.append(end)
        return self.document.repeats

    def allocations(self) -> tuple[Allocation, ...] | None:
        """The allocations of a run: each comes before it goes, one event at a time."""
        found = self.document.allocations
        events: set[int] = set()
        for number, each in enumerate(found or ()):
            place = f"allocations[{number}]"
            self.text(place, each.label)
            if each.bytes < 0 or each.born < 0 or (each.died is not None and each.died <= each.born):
                self.fail(place, "bytes and events are 0 or more, and 'died' comes after 'born'")
            for event in (each.born, each.died):
                if event in events:
                    self.fail(place, f"event {event} is another one's")
                if event is not None:
                    events.add(event)
        return found


def _value(word: str, key: str, value: Any) -> Any:
    """A field as the op takes it: lists are tuples, and "inf" is a number where numbers go."""
    if isinstance(value, list):
        return tuple([_value(word, key, inner) for inner in value])
    if value in ("inf", "-inf", "nan"):
        cls = REGISTRY.get(word)
        if cls is not None and (takes_decimals(cls, key) or literal_kind(cls, key) == "argument"):
            return float(value)
    if isinstance(value, dict) and word in REGISTRY and literal_kind(REGISTRY[word], key) != "tensor":
        raise OpError(f"{word}: {key} is a mapping, which no field accepts")
    return value


def _ask(op: Op, inputs: Tensors, outputs: Tensors) -> None:
    """Ask every rule of an op once, so that what none of them expects is told here, with its place."""
    hash(op)
    op.macs(inputs, outputs)
    op.reads(inputs, outputs)
    op.reach(inputs, outputs)
    op.connection_count(inputs, outputs)
    op.saved(inputs, outputs, (True,) * len(inputs), "cuda")
    for train in (False, True):
        op.work(inputs, outputs, train)
        op.launches(inputs, train)
        op.transient(inputs, outputs, train, "cuda")
        if len(op.placement(inputs, train)) != len(outputs):
            raise OpError(f"{op.op}: the placement of its {len(outputs)} outputs is unknown")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(key)
            yield from _texts(inner)


def _shown(tensors: Tensors) -> str:
    return ", ".join(f"{'x'.join(map(str, each.shape))} {each.dtype}" for each in tensors)
