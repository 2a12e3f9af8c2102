"""Converts a recorded trace to a graph.

Decides which steps are layers with weights of their own, which softmax belongs to attention, and how layers are named.
"""

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
"""The numbers of the parameters and buffers that are the weights of a step."""


class ModuleState:
    """The parameters and buffers of a module, numbered in order; shared ones are listed once.

    ``names``, ``tensors`` and ``kinds`` ("parameter" or "buffer") are lists by number. ``numbers`` maps ``id(tensor)``
    to the number, and ``counters`` holds ``id(tensor)`` of each ``num_batches_tracked``.
    """

    def __init__(self, module: nn.Module) -> None:
        entries: list[tuple[str, torch.Tensor, str]] = [
            (name, tensor, "parameter") for name, tensor in module.named_parameters()
        ]
        entries += [(name, tensor, "buffer") for name, tensor in module.named_buffers()]
        self.names = [name for name, _, _ in entries]
        self.tensors = [tensor for _, tensor, _ in entries]
        self.kinds = [kind for _, _, kind in entries]
        self.numbers = {id(tensor): number for number, tensor in enumerate(self.tensors)}
        self.counters = frozenset(id(x) for name, x, _ in entries if name.endswith("num_batches_tracked"))
        self._by_name = {name: number for number, name in enumerate(self.names)}

    def sibling(self, number: int, name: str) -> int | None:
        """The number of the tensor ``name`` in the same module as tensor ``number``; None if there is none."""
        path, dot, _ = self.names[number].rpartition(".")
        return self._by_name.get(f"{path}{dot}{name}")

    def tensor(self, number: int) -> Tensor:
        """The shape and dtype of a tensor, read now because a lazy module sets them during the pass."""
        return tensor_of(self.tensors[number])

    @property
    def dtype(self) -> str:
        """The floating-point dtype of most parameters; float32 if there are none."""
        dtypes = Counter(self.tensor(k).dtype for k, kind in enumerate(self.kinds) if kind == "parameter")
        floating = [dtype for dtype, _ in dtypes.most_common() if dtype in COMPUTABLE]
        return floating[0] if floating else "float32"


def assemble(
    trace: Trace, state: ModuleState, inputs: Sequence[tuple[str, Tensor]], outputs: Sequence[Ref], about: About,
    observation: Observation | None = None,
) -> Graph:  # fmt: skip
    """Build the graph of a recorded pass."""
    steps = _with_indices(_with_attention_softmax(trace.steps), outputs)
    owned = _owned_weights(steps, state)
    steps, groups = _with_learned_products(steps, owned)
    builder = _GraphBuilder(trace, state, owned, groups)
    builder.build(steps, _layer_names(trace, steps))
    results = [builder.at(ref) for ref in outputs]
    builder.add_unused()
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
    """Set ``return_indices`` on adaptive max pooling whose indices are read. PyTorch's operator always returns them."""
    read = {ref for step in steps for ref in (*step.inputs, *step.weights)} | {*outputs}
    return [
        msgspec.structs.replace(step, op=msgspec.structs.replace(step.op, return_indices=True))
        if (at, 1) in read and isinstance(step.op, AdaptiveMaxPool)
        else step
        for at, step in enumerate(steps)
    ]


# --- weights


def _weights_of(step: TraceStep, state: ModuleState) -> Weights | None:
    """The numbers of a step's weights; None if they do not match ``op.weights()`` in kind and shape."""
    if not step.weights or any(kind != PARAM for kind, _ in step.weights):
        return None
    numbers = tuple(number for _, number in step.weights)
    expected = step.op.weights()
    if len(expected) == len(numbers) + 1 and expected[-1].name == "num_batches_tracked":
        counter = state.sibling(numbers[-1], "num_batches_tracked")
        if counter is None:
            return None
        numbers = (*numbers, counter)
    if len(expected) != len(numbers):
        return None
    for weight, number in zip(expected, numbers, strict=True):
        if weight.kind != state.kinds[number] or weight.shape != state.tensor(number).shape:
            return None
    return numbers


def _owned_weights(steps: Sequence[TraceStep], state: ModuleState) -> dict[int, Weights]:
    """The weights of each step that owns them, alone or together with steps that use exactly the same weights.

    The weights of all other steps become inputs of their nodes.
    """
    candidates = {at: weights for at, step in enumerate(steps) if (weights := _weights_of(step, state)) is not None}
    values = {number for step in steps for kind, number in step.inputs if kind == PARAM}
    values |= {
        number
        for at, step in enumerate(steps)
        if at not in candidates
        for kind, number in step.weights
        if kind == PARAM
    }
    while True:
        users: dict[int, set[Weights]] = {}
        for weights in candidates.values():
            for number in weights:
                users.setdefault(number, set()).add(weights)
        shared = values | {number for number, sets in users.items() if len(sets) > 1}
        without = [at for at, weights in candidates.items() if not shared.isdisjoint(weights)]
        if not without:
            return candidates
        for at in without:
            values.update(candidates.pop(at))


def _with_learned_products(
    steps: Sequence[TraceStep], owned: dict[int, Weights]
) -> tuple[list[TraceStep], dict[int, Group]]:
    """Mark matrix products with a tensor computed from parameters alone as linear layers (``learned=True``).

    Returns:
        The steps, and for each parameter that is read as a value the group of the layer that uses it.
    """
    computed_from: list[frozenset[int]] = []  # for each step, the parameters of its result; empty if it reads others
    groups: dict[int, Group] = {}
    marked = []
    for at, step in enumerate(steps):
        origins = [_origin(ref, computed_from) for ref in step.inputs]
        only_parameters = bool(origins) and all(origins)
        computed_from.append(frozenset().union(*origins) if only_parameters else frozenset())
        learned = isinstance(step.op, combine.Matmul) and not only_parameters and any(origins)
        if learned:
            _set_group(groups, origins, "fc")
        if step.weights and at not in owned and step.op.group in ("conv", "fc", "norm"):
            _set_group(groups, [_origin(ref, computed_from) for ref in step.weights], step.op.group)
        op = msgspec.structs.replace(step.op, learned=True) if learned else step.op
        marked.append(msgspec.structs.replace(step, op=op) if learned else step)
    return marked, groups


def _origin(ref: Ref, computed_from: Sequence[frozenset[int]]) -> frozenset[int]:
    """The parameters that a value is computed from; empty if it is computed from anything else too."""
    if ref[0] == PARAM:
        return frozenset((ref[1],))
    return computed_from[ref[0]] if ref[0] >= 0 else frozenset()


def _set_group(groups: dict[int, Group], origins: Iterable[frozenset[int]], group: Group) -> None:
    for origin in origins:
        for number in origin:
            groups.setdefault(number, group)


# --- attention


def _with_attention_softmax(steps: list[TraceStep]) -> list[TraceStep]:
    """Replace each softmax between two matrix products by ``AttentionSoftmax``, which counts as attention."""
    after_product: list[bool] = []  # for each step, whether its result comes from a matrix product
    softmax_of: list[int | None] = []  # for each step, the softmax after a product that its result comes from
    chosen: set[int] = set()
    for at, step in enumerate(steps):
        sources = [source for source, _ in step.inputs if source >= 0]
        is_product, between = isinstance(step.op, combine.Matmul), step.op.within_attention
        from_product = is_product or (between and any(after_product[source] for source in sources))
        softmax = next((softmax_of[source] for source in sources if softmax_of[source] is not None), None)
        if isinstance(step.op, activation.Softmax) and sources and after_product[sources[0]]:
            softmax = at
        elif is_product and softmax is not None:
            chosen.add(softmax)
            softmax = None
        elif not between:
            softmax = None
        after_product.append(from_product)
        softmax_of.append(softmax)
    if not chosen:
        return steps
    return [
        msgspec.structs.replace(step, op=activation.AttentionSoftmax(step.op.dim))  # type: ignore[attr-defined]
        if at in chosen
        else step
        for at, step in enumerate(steps)
    ]


# --- names


def _layer_names(trace: Trace, steps: Sequence[TraceStep]) -> list[str]:
    """The path of the module of each step, with the op's name appended if the module runs several ops."""
    steps_in = Counter(step.call for step in steps)
    parents: set[int] = set()  # calls around a call with steps: their path is a prefix and cannot be a layer's name
    for number in steps_in:
        parent = trace.calls[number].parent
        while parent >= 0 and parent not in parents:
            parents.add(parent)
            parent = trace.calls[parent].parent
    names = []
    taken: Counter[str] = Counter()
    for step in steps:
        path = trace.calls[step.call].path
        only_one = path and steps_in[step.call] == 1 and step.call not in parents
        name = path if only_one else ".".join(filter(None, (path, step.label or _op_name(step.op))))
        names.append(_unique(name, taken))
    return names


def _op_name(op: Op) -> str:
    """The op's name, or that of the PyTorch function for a generic op."""
    return op.name if isinstance(op, generic._Called) else op.op


def _unique(name: str, taken: Counter[str]) -> str:
    taken[name] += 1
    while taken[name] > 1:
        name = f"{name}_{taken[name]}"
        taken[name] += 1
    return name


# --- the graph


class _GraphBuilder:
    """Adds the nodes in order. A parameter, buffer or constant read as a value gets a node before its first reader."""

    def __init__(self, trace: Trace, state: ModuleState, owned: dict[int, Weights], groups: dict[int, Group]) -> None:
        self.trace = trace
        self.state = state
        self.owned = owned
        self.groups = groups
        self.nodes: list[Node] = []
        self._positions: list[int] = []  # the node of each step
        self._values: dict[Ref, int] = {}  # the nodes of parameters, buffers and constants
        self._owners: dict[Weights, int] = {}
        self._names: set[str] = set()

    def build(self, steps: Sequence[TraceStep], names: Sequence[str]) -> None:
        """Add a node for each step."""
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
        """The reference of a value in the graph."""
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
            return Node(self._free_name(f"constant_{number + 1}"), generic.Constant(tensor.shape, tensor.dtype), ())
        tensor, group = self.state.tensor(number), self.groups.get(number, "other")
        op: Op
        if self.state.kinds[number] == "parameter":
            op = Parameter(tensor.shape, group)
        else:
            op = generic.Buffer(tensor.shape, tensor.dtype, group)
        return Node(self._free_name(self.state.names[number]), op, ())

    def _free_name(self, name: str) -> str:
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name

    def add_unused(self) -> None:
        """Add the parameters and buffers that the pass did not use, such as those of auxiliary classifiers."""
        used = {number for weights in self.owned.values() for number in weights}
        for number in range(len(self.state.names)):
            if number not in used:
                self.at((PARAM, number))
