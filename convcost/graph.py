"""The graph: nodes with an op and their inputs, in execution order. Every source returns one, every analysis takes one.

What an op computes or costs belongs to the op, and where a graph comes from to its source.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from typing import NoReturn, Protocol, TypeVar

import msgspec

from .errors import OpError, Where, nearest
from .ops.base import Op
from .tensor import Tensor, Weight

Input = TypeVar("Input")
Reference = tuple[int, int]
"""(node, output): a node's position and the number of its output; positions -1, -2, ... are the graph's inputs."""


OWN, GIVEN = -1, -2
"""Values of ``Node.owner`` that are no position: the node owns its weights, or values of the graph are its weights."""


class Node(msgspec.Struct, frozen=True, gc=False):
    """One operation in a graph.

    ``name`` is a path, ``conv3_1.conv_bn_2.conv2d_1``. ``owner`` is the position of the node whose weights this one
    uses, ``OWN`` for its own, ``GIVEN`` if values of the graph are its weights: these follow the op's inputs in
    ``inputs``, in the order of the op's weights. ``where`` is the line and column of the source that defines the node.
    """

    name: str
    op: Op
    inputs: tuple[Reference, ...]
    owner: int = OWN
    where: Where | None = None

    def own_inputs(self, inputs: tuple[Input, ...]) -> tuple[Input, ...]:
        """The ``inputs`` of the op itself, without weights that are values of the graph."""
        return inputs[: self.op.arity[0]] if self.owner == GIVEN else inputs


CLAIM_QUANTITIES = (
    "params", "weights", "macs", "flops", "activation_bytes", "elements", "output_shape", "connections", "depth",
)  # fmt: skip
"""The quantities of published figures; ``analysis.claims`` has a rule for each."""
CLAIM_CONVENTIONS = ("with_input", "conv_and_fc", "conv", "fc")
"""The layers that a published figure counts, if it does not count all of them."""


class Claim(msgspec.Struct, frozen=True):
    """A published figure as printed in its ``source``: a ``quantity`` of the whole network or of one ``layer``."""

    quantity: str
    value: str | tuple[int, ...]
    source: str
    layer: str | None = None
    convention: str | None = None
    note: str | None = None


class About(msgspec.Struct, frozen=True):
    """The name and origin of a network. No calculation uses them."""

    name: str
    title: str = ""
    family: str = ""
    source: str = ""
    reference: Mapping[str, object] = {}
    accuracy: Mapping[str, object] = {}
    published: tuple[Claim, ...] = ()

    @property
    def year(self) -> int | None:
        """The year of publication; None if it is unknown."""
        year = self.reference.get("year")
        return year if isinstance(year, int) else None

    def error(self, kind: str) -> float | None:
        """The published "top1_error" or "top5_error" in percent; None if none is published."""
        error = self.accuracy.get(kind)
        return error if isinstance(error, (int, float)) else None


class Allocation(msgspec.Struct, frozen=True, gc=False):
    """An allocation of a run: its ``bytes``, and a ``label`` with the name of the layer that made it.

    ``born`` and ``died`` are the numbers of the events that allocated and freed it. ``died`` is None for outputs and
    for inputs, which the caller does not free.
    """

    bytes: int
    label: str
    born: int
    died: int | None = None


class Observation(Protocol):
    """A run of the network that a graph describes. Its allocations may be recorded on first access."""

    @property
    def allocations(self) -> tuple[Allocation, ...]:
        """The allocations of the run, in order."""


class RecordedRun(msgspec.Struct, frozen=True):
    """An observation whose allocations are recorded already."""

    allocations: tuple[Allocation, ...]


class Graph:
    """A network as a list of nodes in execution order. It is immutable.

    Args:
        nodes: in execution order; a node reads only graph inputs and earlier nodes.
        inputs: name and tensor of each input, with batch 1 if ``batch_free``.
        outputs: references to the values that the network returns; default: the first output of the last node.
        about: name, title, reference, claims.
        batch_free: True if the analysis sets the batch size (specs); False if the shapes are fixed (captures).
        check: False skips the check of the order of the nodes.
        mode: "eval" or "train" if the graph is valid for that mode only (captures).
        dtype: the dtype of the parameters, if it is fixed (captures).
        repeats: (start, end) of each run of repetitions that the source writes once; ``end`` is exclusive.
        observation: a run of the network, if it was captured in evaluation mode. It holds no module.

    Raises:
        OpError: a node reads a value that does not come before it, or two nodes have the same name.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[tuple[str, Tensor], ...]
    outputs: tuple[Reference, ...]
    about: About
    batch_free: bool
    mode: str | None
    dtype: str | None
    repeats: tuple[tuple[int, int], ...]
    observation: Observation | None

    def __init__(
        self,
        nodes: Sequence[Node],
        inputs: Sequence[tuple[str, Tensor]],
        outputs: Sequence[Reference] | None = None,
        about: About | None = None,
        batch_free: bool = True,
        check: bool = True,
        mode: str | None = None,
        dtype: str | None = None,
        repeats: Sequence[tuple[int, int]] = (),
        observation: Observation | None = None,
    ) -> None:
        vars(self).update(
            nodes=tuple(nodes),
            inputs=tuple(inputs),
            outputs=tuple(outputs) if outputs is not None else ((len(nodes) - 1, 0),),
            about=about or About(name="network"),
            batch_free=batch_free,
            mode=mode,
            dtype=dtype,
            repeats=tuple(repeats),
            observation=observation,
        )
        if check:
            _check_order(self.nodes, len(self.inputs), self.outputs)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a graph is immutable; {name!r} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a graph is immutable; {name!r} cannot be deleted")

    def renamed(self, name: str) -> Graph:
        """A copy of the graph with another name."""
        graph = Graph.__new__(Graph)
        vars(graph).update(vars(self), about=msgspec.structs.replace(self.about, name=name))
        return graph

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __repr__(self) -> str:
        return f"<Graph {self.about.name!r}: {len(self.nodes)} nodes>"

    @property
    def observed(self) -> tuple[Allocation, ...] | None:
        """The allocations of a run, in order; None if no run was observed (specs, captures in training mode).

        Raises:
            SourceError: the captured module fails when it is run again.
        """
        return self.observation.allocations if self.observation is not None else None

    @cached_property
    def scopes(self) -> list[tuple[int, ...]]:
        """For each node, the blocks and runs of repetitions that contain it, from the outermost to the innermost.

        Each is two consecutive numbers: its first and its last position.
        """
        ends: dict[int, list[tuple[int, int]]] = {}
        open_blocks: list[tuple[str, int]] = []
        within = ""
        for position, block in enumerate([*[node.name.rpartition(".")[0] for node in self.nodes], ""]):
            if block == within:
                continue
            within, path = block, block.split(".") if block else []
            common = 0
            while common < min(len(path), len(open_blocks)) and path[common] == open_blocks[common][0]:
                common += 1
            for _, start in open_blocks[common:]:
                ends.setdefault(start, []).append((start, position - 1))
            del open_blocks[common:]
            open_blocks += [(word, position) for word in path[common:]]
        for start, end in self.repeats:
            ends.setdefault(start, []).append((start, end - 1))
        result: list[tuple[int, ...]] = []
        # A stack of the open scopes: the last position of each, and all scopes up to it.
        around: list[tuple[int, tuple[int, ...]]] = [(len(self.nodes), ())]
        for position in range(len(self.nodes)):
            while around[-1][0] < position:
                around.pop()
            if position in ends:
                for start, end in sorted(ends[position], key=itemgetter(1), reverse=True):
                    around.append((end, (*around[-1][1], start, end)))
            result.append(around[-1][1])
        return result

    @cached_property
    def index(self) -> dict[str, int]:
        """Position of each node by its name."""
        return {node.name: position for position, node in enumerate(self.nodes)}

    @cached_property
    def depth(self) -> int:
        """Convolutions and linear layers on the longest path, as papers count layers."""
        reached: list[int] = []
        for node in self.nodes:
            inputs = node.inputs
            if len(inputs) == 1:
                before = reached[inputs[0][0]] if inputs[0][0] >= 0 else 0
            else:
                before = max((reached[source] for source, _ in inputs if source >= 0), default=0)
            reached.append(before + 1 if node.op.group in ("conv", "fc") else before)
        return max(reached, default=0)

    @cached_property
    def weights(self) -> dict[str, Weight]:
        """Every weight tensor by its full name, ``conv1.weight``; shared weights occur once."""
        return {
            f"{node.name}.{weight.name}": weight
            for node in self.nodes
            if node.owner == OWN
            for weight in node.op.weights()
        }

    def find(self, name: str) -> range:
        """Positions of the layer ``name``, or of all layers of the block or repetition ``name``.

        Raises:
            OpError: no layer or block has this name; the message suggests the most similar one.
        """
        if name in self.index:
            return range(self.index[name], self.index[name] + 1)
        pattern = re.compile(re.escape(name) + r"(_[0-9]+)?(\.|\Z)")
        inside = [position for position, node in enumerate(self.nodes) if pattern.match(node.name)]
        whole = [position for position in inside if self.nodes[position].name.startswith(name + ".")]
        inside = whole or inside
        if not inside:
            blocks = {node.name[:cut] for node in self.nodes for cut in _dots(node.name)}
            hint = nearest(name, [*self.index, *blocks])
            raise OpError(f"{self.about.name} has no layer {name!r}{hint}")
        return range(inside[0], inside[-1] + 1)


def _dots(name: str) -> Iterable[int]:
    return (position for position, letter in enumerate(name) if letter == ".")


def _check_order(nodes: Sequence[Node], inputs: int, outputs: Sequence[Reference]) -> None:
    for position, node in enumerate(nodes):
        for source, _ in node.inputs:
            if not -inputs <= source < position:
                raise OpError(f"layer {node.name!r} reads node {source}, which does not come before it")
    for source, _ in outputs:
        if not -inputs <= source < len(nodes):
            raise OpError(f"the output refers to node {source}; there are {len(nodes)} nodes")
    if len({node.name for node in nodes}) != len(nodes):
        seen: set[str] = set()
        twice = next(node.name for node in nodes if node.name in seen or seen.add(node.name))  # type: ignore[func-returns-value]
        raise OpError(f"two layers have the name {twice!r}")
