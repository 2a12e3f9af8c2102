"""Computes the cost of each node of a graph, by propagating shapes from the inputs in order of execution.

What an op costs is declared on the op (``convcost/ops``); this file only combines the results.
"""

from __future__ import annotations

from functools import lru_cache

from ..errors import OpError, SpecError
from ..graph import GIVEN, OWN, Graph
from ..ops.base import Op
from ..precision import Precision
from ..tensor import COMPUTABLE, FLOATING, ITEM_BYTES, Tensor
from .layers import Cost
from .settings import Settings


def walk(graph: Graph, settings: Settings) -> list[Cost]:
    """The cost of each node, computed once for each distinct pair of op and inputs.

    Raises:
        SpecError: a layer cannot take its inputs.
    """
    inputs = settings.input_tensors(graph)
    precision, train = settings.precision, settings.train
    interned = {tensor: tensor for tensor in inputs}  # equal tensors are one object, so that ``id`` can be a key
    # The inputs of the network have negative positions, so they are at the end of the list.
    values: list[tuple[Tensor, ...]] = [()] * len(graph.nodes) + [(interned[tensor],) for tensor in reversed(inputs)]
    memo: dict[tuple[object, ...], Cost] = {}
    costs: list[Cost] = []
    for position, node in enumerate(graph.nodes):
        op = node.op
        references = node.inputs
        if len(references) == 1:
            source, output = references[0]
            x = values[source][output]
            key: tuple[object, ...] = (id(op), node.owner == OWN, id(x))
            tensors: tuple[Tensor, ...] | None = None
        else:
            tensors = tuple([values[source][output] for source, output in references])
            key = (id(op), min(node.owner, 0), *map(id, tensors))
        cost = memo.get(key)
        if cost is None:
            try:
                cost = _cost(op, tensors if tensors is not None else (x,), precision, train, node.owner, interned)
            except OpError as error:
                raise SpecError([(node.where, node.name, str(error))]) from None
            memo[key] = cost
        values[position] = cost.outputs
        costs.append(cost)
    return costs


def _cost(
    op: Op, inputs: tuple[Tensor, ...], precision: Precision, train: bool, owner: int, interned: dict[Tensor, Tensor]
) -> Cost:
    if precision.mixed:
        inputs = precision.cast(op.autocast, inputs)
    all_inputs, given_weight_bytes = inputs, 0
    if owner == GIVEN:  # the last inputs are the weights
        inputs = all_inputs[: op.arity[0]]
        given_weight_bytes = sum(tensor.bytes for tensor in all_inputs[op.arity[0] :])
    op.check(inputs)
    outputs = op.outputs(inputs)
    stored = precision.stored
    if stored != "float32" and _made_of_weights(op, inputs):
        # An embedding, a constant or a parameter has the dtype of the model. An op without weights that converts
        # integers to floating point declares the dtype itself.
        outputs = tuple(Tensor(x.shape, stored if x.dtype in COMPUTABLE else x.dtype) for x in outputs)
    outputs = tuple([interned.setdefault(tensor, tensor) for tensor in outputs])
    params, buffers, weight_bytes, buffer_bytes = _weights(op, stored)
    macs = op.macs(inputs, outputs)
    kinds = {"mac": 2 * macs} if macs else {}
    kinds.update(op.work(inputs, outputs, train))
    fresh = written = 0
    for placement, output in zip(op.placement(inputs, train), outputs, strict=True):
        if placement.kind == "fresh":
            fresh += output.bytes
        if placement.kind != "view":
            written += output.bytes
    used_weight_bytes = given_weight_bytes if owner == GIVEN else weight_bytes + buffer_bytes
    read = op.reads(inputs, outputs) + op.weights_read(inputs, used_weight_bytes) if written else 0
    owns = owner == OWN
    return Cost(
        group=op.reported_group,
        inputs=all_inputs,
        outputs=outputs,
        params=params if owns else 0,
        buffers=buffers if owns else 0,
        macs=macs,
        flops=sum(kinds.values()),
        flops_by_kind=kinds,
        activation_bytes=fresh,
        weight_bytes=weight_bytes if owns else 0,
        buffer_bytes=buffer_bytes if owns else 0,
        bytes_read=read,
        bytes_written=written,
        launches=op.launches(inputs, train),
    )


def _made_of_weights(op: Op, inputs: tuple[Tensor, ...]) -> bool:
    return not inputs or bool(op.weights() and not any(tensor.dtype in FLOATING for tensor in inputs))


@lru_cache(maxsize=8192)
def _weights(op: Op, dtype: str) -> tuple[int, int, int, int]:
    """The numbers of parameters and of buffer elements, and the bytes of both. They do not depend on the inputs."""
    params = buffers = weight_bytes = buffer_bytes = 0
    for weight in op.weights():
        elements = weight.elements
        size = elements * ITEM_BYTES[weight.dtype or dtype]
        if weight.kind == "parameter":
            params += elements
            weight_bytes += size
        else:
            buffers += elements
            buffer_bytes += size
    return params, buffers, weight_bytes, buffer_bytes
