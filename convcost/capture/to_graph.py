"""From a trace to a graph: who owns which weights, what the layers are called, what belongs to attention."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
import torch
from torch import nn

from ..graph import GIVEN, OWN, About, Graph, Node, Observation, Reference
from ..ops import activation, combine, generic
from ..ops.adaptive_max_pool import AdaptiveMaxPool
from ..ops.base import Group, Op
from ..ops.embedding import Parameter
from ..tensor import COMPUTABLE, Tensor
from .trace_records import CONST, INPUT, PARAM, Ref, TraceStep, tensor_of
from .tracer import Trace

Weights = tuple[int, ...]
"""Numbers of the parameters and buffers that a step uses as its weights."""


class State:
    """A module's parameters and buffers, each once, in order; ``numbers`` finds them by identity."""

    def __init__(self, module: nn.Module) -> None:
        found: list[tuple[str, torch.Tensor, str]] = [
            (name, tensor, "parameter") for name, tensor in module.named_parameters()
        ]
        found += [(name, tensor, "buffer") for name, tensor in module.named_buffers()]
        self.names = [name for name, _, _ in found]
        self.tensors = [tensor for _, tensor, _ in found]
        self.kinds = [kind for _, _, kind in found]
        self.numbers = {id(tensor): number for number, tensor in enumerate(self.tensors)}
        self.counters = frozenset(id(x) for name, x, _ in found if name.endswith("num_batches_tracked"))
        self._by_name = {name: number for number, name in enumerate(self.names)}

    def beside(self, number: int, name: str) -> int | None:
        """The tensor called ``name`` in the module that tensor ``number`` belongs to."""
        path, dot, _ = self.names[number].rpartition(".")
        return self._by_name.get(f"{path}{dot}{name}")

    def tensor(self, number: int) -> Tensor:
        """Its shape and dtype, after a lazy module has found them."""
        return tensor_of(self.tensors[number])

    @property
    def dtype(self) -> str:
        """The dtype of most parameters."""
        found = Counter(self.tensor(k).dtype for k, kind in enumerate(self.kinds) if kind == "parameter")
        floating = [dtype for dtype, _ in found.most_common() if dtype in COMPUTABLE]
        return floating[0] if floating else "float32"


def assemble(
    trace: Trace, state: State, inputs: Sequence[tuple[str, Tensor]], outputs: Sequence[Ref], about: About,
    observation: Observation | None = None,
) -> Graph:  # fmt: skip
    """The graph of a recorded pass."""
    steps = _with_indices(_attention(trace.steps), outputs)
    owned = _owned(steps, state)
    steps, feeds = _learned(steps, owned)
    builder = _Builder(trace, state, owned, feeds)
    builder.build(steps, _names(trace, steps))
    results = [builder.at(ref) for ref in outputs]
    builder.unused()
    return Graph(
        builder.nodes,
        inputs,
        results or None,
        about,
        batch_free=False,
        mode="train" if trace.train else "eval",
        dtype=state.dtype,
        observation=observation,
    )


def _with_indices(steps: list[TraceStep], outputs: Sequence[Ref]) -> list[TraceStep]:
    """PyTorch's adaptive max pooling always gives indices; the op does where somebody reads them."""
    read = {ref for step in steps for ref in (*step.inputs, *step.weights)} | {*outputs}
    return [
        msgspec.structs.replace(step, op=msgspec.structs.replace(step.op, return_indices=True))
        if (at, 1) in read and isinstance(step.op, AdaptiveMaxPool)
        else step
        for at, step in enumerate(steps)
    ]


# --- weights


def _weights_of(step: TraceStep, state: State) -> Weights | None:
    """The numbers of a step's weights if they are parameters and buffers such as its op has them."""
    if not step.weights or any(kind != PARAM for kind, _ in step.weights):
        return None
    numbers = tuple(number for _, number in step.weights)
    wanted = step.op.weights()
    if len(wanted) == len(numbers) + 1 and wanted[-1].name == "num_batches_tracked":
        counter = state.beside(numbers[-1], "num_batches_tracked")
        if counter is None:
            return None
        numbers = (*numbers, counter)
    if len(wanted) != len(numbers):
        return None
    for weight, number in zip(wanted, numbers, strict=True):
        if weight.kind != state.kinds[number] or weight.shape != state.tensor(number).shape:
            return None
    return numbers


def _owned(steps: Sequence[TraceStep], state: State) -> dict[int, Weights]:
    """The steps whose weights are a layer's own, or shared as a whole with an earlier one. All others are values."""
    candidates = {at: found for at, step in enumerate(steps) if (found := _weights_of(step, state)) is not None}
    values = {number for step in steps for kind, number in step.inputs if kind == PARAM}
    values |= {
        number
        for at, step in enumerate(steps)
        if at not in candidates
        for kind, number in step.weights
        if kind == PARAM
    }
    while True:
        claims: dict[int, set[Weights]] = {}
        for weights in candidates.values():
            for number in weights:
                claims.setdefault(number, set()).add(weights)
        shared = values | {number for number, users in claims.items() if len(users) > 1}
        broken = [at for at, weights in candidates.items() if not shared.isdisjoint(weights)]
        if not broken:
            return candidates
        for at in broken:
            values.update(candidates.pop(at))


def _learned(steps: Sequence[TraceStep], owned: dict[int, Weights]) -> tuple[list[TraceStep], dict[int, Group]]:
    """Matrix products with what is made of parameters alone are linear layers; and what each parameter feeds."""
    made_of: list[frozenset[int]] = []  # the parameters that a step's result is made of, if of nothing else
    feeds: dict[int, Group] = {}
    result = []
    for at, step in enumerate(steps):
        origins = [_origin(ref, made_of) for ref in step.inputs]
        pure = bool(origins) and all(origins)
        made_of.append(frozenset().union(*origins) if pure else frozenset())
        learned = isinstance(step.op, combine.Matmul) and not pure and any(origins)
        if learned:
            _feed(feeds, origins, "fc")
        if step.weights and at not in owned and step.op.group in ("conv", "fc", "norm"):
            _feed(feeds, [_origin(ref, made_of) for ref in step.weights], step.op.group)
        op = msgspec.structs.replace(step.op, learned=True) if learned else step.op
        result.append(msgspec.structs.replace(step, op=op) if learned else step)
    return result, feeds


def _origin(ref: Ref, made_of: Sequence[frozenset[int]]) -> frozenset[int]:
    if ref[0] == PARAM:
        return frozenset((ref[1],))
    return made_of[ref[0]] if ref[0] >= 0 else frozenset()


def _feed(feeds: dict[int, Group], origins: Iterable[frozenset[int]], group: Group) -> None:
    for origin in origins:
        for number in origin:
            feeds.setdefault(number, group)


# --- attention


def _attention(steps: list[TraceStep]) -> list[TraceStep]:
    """A softmax between two matrix products is attention's, and is booked there."""
    after_product: list[bool] = []
    softmax_of: list[int | None] = []
    chosen: set[int] = set()
    for at, step in enumerate(steps):
        sources = [source for source, _ in step.inputs if source >= 0]
        is_product, passes = isinstance(step.op, combine.Matmul), step.op.within_attention
        comes = is_product or (passes and any(after_product[source] for source in sources))
        carried = next((softmax_of[source] for source in sources if softmax_of[source] is not None), None)
        if isinstance(step.op, activation.Softmax) and sources and after_product[sources[0]]:
            carried = at
        elif is_product and carried is not None:
            chosen.add(carried)
            carried = None
        elif not passes:
            carried = None
        after_product.append(comes)
        softmax_of.append(carried)
    if not chosen:
        return steps
    return [
        msgspec.structs.replace(step, op=activation.AttentionSoftmax(step.op.dim))  # type: ignore[attr-defined]
        if at in chosen
        else step
        for at, step in enumerate(steps)
    ]


# --- names


def _names(trace: Trace, steps: Sequence[TraceStep]) -> list[str]:
    """Each layer after its module, with the op's word behind it where a module runs several."""
    direct = Counter(step.call for step in steps)
    busy: set[int] = set()  # calls with a layer somewhere inside: their path is a prefix, not a name
    for number in direct:
        around = trace.calls[number].around
        while around >= 0 and around not in busy:
            busy.add(around)
            around = trace.calls[around].around
    names = []
    taken: Counter[str] = Counter()
    for step in steps:
        path = trace.calls[step.call].path
        alone = path and direct[step.call] == 1 and step.call not in busy
        name = path if alone else ".".join(filter(None, (path, step.label or word_of(step.op))))
        names.append(_unique(name, taken))
    return names


def word_of(op: Op) -> str:
    """What an op is called in a name: its word, or its function's."""
    return op.name if isinstance(op, generic._Called) else op.op


def _unique(name: str, taken: Counter[str]) -> str:
    taken[name] += 1
    while taken[name] > 1:
        name = f"{name}_{taken[name]}"
        taken[name] += 1
    return name


# --- the graph


class _Builder:
    """Adds nodes in order; a parameter, buffer or constant that is read as a value comes right before its first use."""

    def __init__(self, trace: Trace, state: State, owned: dict[int, Weights], feeds: dict[int, Group]) -> None:
        self.trace = trace
        self.state = state
        self.owned = owned
        self.feeds = feeds
        self.nodes: list[Node] = []
        self._positions: list[int] = []
        self._values: dict[Ref, int] = {}
        self._owners: dict[Weights, int] = {}
        self._names: set[str] = set()

    def build(self, steps: Sequence[TraceStep], names: Sequence[str]) -> None:
        """A node for each step."""
        self._names = set(names)
        for at, (step, name) in enumerate(zip(steps, names, strict=True)):
            inputs = [self.at(ref) for ref in step.inputs]
            owner = OWN
            if at in self.owned:
                owner = self._owners.setdefault(self.owned[at], len(self.nodes))
                owner = OWN if owner == len(self.nodes) else owner
            elif step.weights:
                inputs += [self.at(ref) for ref in step.weights]
                owner = GIVEN
            self._positions.append(len(self.nodes))
            self.nodes.append(Node(name, step.op, tuple(inputs), owner))

    def at(self, ref: Ref) -> Reference:
        """Where a value stands in the graph."""
        kind, number = ref
        if kind >= 0:
            return (self._positions[kind], number)
        if kind == INPUT:
            return (-1 - number, 0)
        if ref not in self._values:
            self._values[ref] = len(self.nodes)
            self.nodes.append(self._value(kind, number))
        return (self._values[ref], 0)

    def _value(self, kind: int, number: int) -> Node:
        if kind == CONST:
            tensor = self.trace.constants[number]
            return Node(self._free(f"constant_{number + 1}"), generic.Constant(tensor.shape, tensor.dtype), ())
        tensor, feeds = self.state.tensor(number), self.feeds.get(number, "other")
        op: Op
        if self.state.kinds[number] == "parameter":
            op = Parameter(tensor.shape, feeds)
        else:
            op = generic.Buffer(tensor.shape, tensor.dtype, feeds)
        return Node(self._free(self.state.names[number]), op, ())

    def _free(self, name: str) -> str:
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name

    def unused(self) -> None:
        """Parameters and buffers that this pass did not use, such as those of auxiliary outputs."""
        used = {number for weights in self.owned.values() for number in weights}
        for number in range(len(self.state.names)):
            if number not in used:
                self.at((PARAM, number))
