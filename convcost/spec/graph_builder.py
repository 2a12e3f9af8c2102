"""A graph while it is being built: nodes and the tensors that each gives. Limits of graphs are changed here."""

from __future__ import annotations

import re
from typing import Any

from ..errors import OpError, Where
from ..graph import GIVEN, Node, Reference
from ..ops import Composite, make, ready
from ..ops.base import Op
from ..tensor import Tensor
from .vocabulary import op_class

MAX_NODES = 50_000
MAX_DIMENSIONS = 64
MAX_ELEMENTS = 1 << 63

Refs = tuple[Reference, ...]
Repeat = tuple[int, int]
"""First position of a run of repetitions, and the position after its last."""


class Template:
    """A block's expansion with everything relative: positions to its first node, names to its prefix."""

    __slots__ = ("nodes", "repeats", "result", "tensors")

    def __init__(self, nodes: list[Any], tensors: list[Any], result: Refs, repeats: list[Repeat]) -> None:
        self.nodes = nodes
        self.repeats = repeats
        self.tensors = tensors
        self.result = result


class Draft:
    """Nodes in order of execution, and the tensors that each of them gives."""

    def __init__(self, inputs: list[tuple[str, Tensor]]) -> None:
        self.inputs = inputs
        self.nodes: list[Node] = []
        self.tensors: list[tuple[Tensor, ...]] = []
        self.results: dict[str, Refs] = {}
        self.repeats: list[Repeat] = []
        self.bound: dict[Any, tuple[Op, tuple[Tensor, ...]]] = {}

    def tensor(self, reference: Reference) -> Tensor:
        node, output = reference
        return self.tensors[node][output] if node >= 0 else self.inputs[-1 - node][1]

    def add(
        self,
        word: str,
        fields: dict[str, Any],
        path: str,
        flow: Refs,
        where: Where | None,
        values: Refs | None = None,
    ) -> Refs:
        """Append the op that ``word`` and ``fields`` mean, bound to what ``flow`` brings; its outputs.

        ``values`` are its weights if values of the graph are.

        Raises:
            OpError: the op refuses its fields or inputs, or the graph becomes too large.
        """
        tensors = tuple([self.tensor(reference) for reference in flow])
        # 2.0 is equal to 2, and is not the same where an operator is called with it.
        key = (word, tuple(fields.items()), tensors, repr(fields["arguments"]) if "arguments" in fields else None)
        found = self.bound.get(key)
        if found is None:
            found = self.bound[key] = self.bind(word, fields, tensors)
        op, outputs = found
        if values is not None:
            check_values(op, tuple([self.tensor(reference) for reference in values]))
            return self.append(Node(path, op, (*flow, *values), GIVEN, where), outputs)
        if isinstance(op, Composite):
            return self.composite(op, path, flow, where)
        if op.arity[1] == 0:
            flow = ()
        return self.append(Node(path, op, flow, -1, where), outputs)

    def append(self, node: Node, outputs: tuple[Tensor, ...]) -> Refs:
        position = len(self.nodes)
        if position >= MAX_NODES:
            raise OpError(f"the spec has more than {MAX_NODES:,} layers")
        self.nodes.append(node)
        self.tensors.append(outputs)
        return ((position, 0),) if len(outputs) == 1 else tuple((position, output) for output in range(len(outputs)))

    def bind(self, word: str, fields: dict[str, Any], tensors: tuple[Tensor, ...]) -> tuple[Op, tuple[Tensor, ...]]:
        cls = op_class(word)
        if cls.op != word:
            fields = {**fields, "inplace": True}
        op = make(cls.op, fields)
        return bind_op(op, tensors)

    def composite(self, op: Composite, path: str, flow: Refs, where: Where | None) -> Refs:
        tensors = tuple(self.tensor(reference) for reference in flow)
        made: dict[str, Refs] = {}
        refs: Refs = flow
        for part in op.parts(tensors):
            inputs = tuple(flow[k] if source == "input" else made[source][k] for source, k in part.inputs)
            bound, outputs = bind_op(part.op, tuple(self.tensor(reference) for reference in inputs))
            refs = self.append(Node(f"{path}.{part.name}", bound, inputs, -1, where), outputs)
            made[part.name] = refs
        self.note(path, refs)
        return refs

    def result_of(self, full: str) -> Refs | None:
        """What the layer or block with this path gives: all outputs of its last node, unless noted otherwise."""
        if full in self.results:
            return self.results[full]
        inside = full + "."
        for position in range(len(self.nodes) - 1, -1, -1):
            name = self.nodes[position].name
            if name == full or name.startswith(inside):
                return tuple((position, output) for output in range(len(self.tensors[position])))
        return None

    def note(self, path: str, result: Refs) -> None:
        """Keep the result of a block where it is not simply what its last node gives."""
        last = len(self.nodes) - 1
        simple = (
            result[-1][0] == last >= 0
            and len(result) == len(self.tensors[last])
            and f"{self.nodes[last].name}.".startswith(f"{path}.")
        )
        if not simple:
            self.results[path] = result

    def template(self, part: slice, prefix: str, entry: Reference, result: Refs) -> Template | None:
        """What a second call can be stamped from; None if the block reads anything but its input and itself."""
        cut, start = len(prefix), part.start
        nodes = []
        for node in self.nodes[part]:
            inputs = []
            for reference in node.inputs:
                if reference[0] >= start:
                    inputs.append((reference[0] - start, reference[1]))
                elif reference == entry:
                    inputs.append((-1, 0))
                else:
                    return None
            if 0 <= node.owner < start:
                return None
            nodes.append(
                (
                    node.name[cut:],
                    node.op,
                    tuple(inputs),
                    node.owner - start if node.owner >= 0 else node.owner,
                    node.where,
                )
            )
        if any(reference[0] < start and reference != entry for reference in result):
            return None
        relative = tuple((n - start, o) if n >= start else (-1, 0) for n, o in result)
        repeats = [(first - start, end - start) for first, end in self.repeats if start <= first and end <= part.stop]
        return Template(nodes, self.tensors[part], relative, repeats)

    def stamp(self, template: Template, prefix: str, entry: Reference) -> Refs:
        start = len(self.nodes)
        if start + len(template.nodes) > MAX_NODES:
            raise OpError(f"the spec has more than {MAX_NODES:,} layers")
        self.nodes.extend(
            [
                Node(
                    prefix + name,
                    op,
                    # Nearly all have one input: no list is made for those.
                    ((inputs[0][0] + start, inputs[0][1]),)
                    if len(inputs) == 1 and inputs[0][0] >= 0
                    else tuple([(n + start, o) if n >= 0 else entry for n, o in inputs]),
                    owner + start if owner >= 0 else owner,
                    where,
                )
                for name, op, inputs, owner, where in template.nodes
            ]
        )
        self.tensors.extend(template.tensors)
        self.repeats.extend([(first + start, end + start) for first, end in template.repeats])
        return tuple([(n + start, o) if n >= 0 else entry for n, o in template.result])

    def inside(self, full: str, end: int) -> list[tuple[int, Node]]:
        """The nodes of a layer or block, with their positions, of those before ``end``."""
        return [
            (position, node)
            for position, node in enumerate(self.nodes[:end])
            if node.name == full or node.name.startswith(full + ".")
        ]

    def share(self, path: str, full: str, start: int) -> None:
        """Let the nodes from ``start`` on use the weights of the layer or block written ``path``, in full ``full``."""
        owners = self.inside(full, start)
        if not owners:
            # A repeated layer: its last repetition is meant, as everywhere.
            repetition = re.compile(re.escape(full) + r"_[0-9]+(?=\.|\Z)")
            last = next(
                (found for node in reversed(self.nodes[:start]) if (found := repetition.match(node.name))), None
            )
            owners = self.inside(last.group(), start) if last else []
        users = self.nodes[start:]
        if len(owners) != len(users):
            raise OpError(f"shares {path!r}: it has {len(owners)} layers, this has {len(users)}")
        if any(node.owner == GIVEN for _, node in owners) or any(user.owner == GIVEN for user in users):
            raise OpError(f"shares {path!r}: weights that are set with 'weights' cannot be shared")
        for offset, ((position, owner), user) in enumerate(zip(owners, users, strict=True)):
            theirs, ours = owner.op.weights(), user.op.weights()
            if theirs != ours:
                raise OpError(f"shares {path!r}: its weights are {_weights(theirs)}, this layer's {_weights(ours)}")
            target = owner.owner if owner.owner >= 0 else position
            self.nodes[start + offset] = Node(user.name, user.op, user.inputs, target, user.where)


def bind_op(op: Op, tensors: tuple[Tensor, ...]) -> tuple[Op, tuple[Tensor, ...]]:
    """The op bound to what arrives, and what it gives. Raises OpError with the numbers that clash."""
    least, most = op.arity
    if most == 0:
        tensors = ()
    try:
        bound = ready(op, tensors)
    except OpError as error:
        if len(tensors) < least:
            raise OpError(f"{error}; name them with 'from: [a, b]'") from None
        if most is not None and len(tensors) > most:
            raise OpError(f"{error}; select an output with 'from:'") from None
        raise
    if isinstance(bound, Composite):
        return bound, ()
    outputs = bound.outputs(tensors)
    for tensor in outputs:
        check_size(tensor)
    return bound, outputs


def check_values(op: Op, values: tuple[Tensor, ...]) -> None:
    """Refuse values that cannot be the weights of ``op``. Raises OpError with the shapes."""
    wanted = op.weights()
    if isinstance(op, Composite) or not wanted:
        raise OpError(f"{op.op} has no weights, so 'weights' cannot be used")
    if wanted[-1].name == "num_batches_tracked" and len(values) == len(wanted) - 1:
        wanted = wanted[:-1]  # a counter, which no result depends on
    if tuple(tensor.shape for tensor in values) != tuple(weight.shape for weight in wanted):
        given = ", ".join("x".join(map(str, tensor.shape)) for tensor in values)
        raise OpError(f"{op.op}: its weights are {_weights(wanted)}; 'weights' has {given}")


def check_size(tensor: Tensor) -> None:
    """Refuse a tensor that PyTorch could not have. Raises OpError."""
    if len(tensor.shape) > MAX_DIMENSIONS:
        raise OpError(f"a tensor has {len(tensor.shape):,} dimensions here; the maximum of PyTorch is {MAX_DIMENSIONS}")
    if tensor.elements >= MAX_ELEMENTS:
        shape = "x".join(map(str, tensor.shape))
        raise OpError(f"a tensor of {shape} has more elements than a 64-bit number can count")


def _weights(weights: tuple[Any, ...]) -> str:
    return ", ".join(f"{weight.name} {'x'.join(map(str, weight.shape))}" for weight in weights) or "none"
