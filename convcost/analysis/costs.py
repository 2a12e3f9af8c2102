"""The walk over a graph that gives a report: shapes forward, costs once per distinct op and inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from ..errors import OpError, SpecError, UsageError, nearest
from ..graph import FLOATING, GIVEN, ITEM_BYTES, OWN, Graph, Tensor
from ..ops.base import Op
from .layers import Cost
from .records import Report, Settings
from .totals import input_tensors

AMP = {"amp-bf16": "bfloat16", "amp-fp16": "float16"}
"""Mixed precision: weights stay float32, each class of ops computes in the dtype that PyTorch's autocast gives it."""

DTYPES = (*FLOATING, *AMP)

MAX_SIZE = 10**9
"""The largest batch, and the largest side of an input."""

MANY = 1 << 64
"""A batch beyond any: divided by it, a figure comes apart into what each sample adds and what is always there."""

InputSize = Sequence[int] | Mapping[str, Sequence[int]]


def analyze(
    graph: Graph,
    batch: int | None = None,
    dtype: str | None = None,
    input_size: InputSize | None = None,
    train: bool | None = None,
) -> Report:
    """The exact account of a network, layer by layer.

    Args:
        graph: from ``convcost.load`` or ``convcost.capture``.
        batch: samples at once; default: those of the graph's inputs, 1 in a graph from a spec.
        dtype: ``float32``, ``float16``, ``bfloat16``, ``float64``, or mixed precision ``amp-bf16``, ``amp-fp16``;
            default: that of the captured module, float32 in a graph from a spec.
        input_size: another size of the input without the batch, (3, 256, 256); a mapping by name if there are several.
        train: count as in training (dropout works, batch norm makes statistics) in place of evaluation; default: as
            it was captured, else evaluation.

    Raises:
        UsageError: an impossible batch, dtype or input size.
        SpecError: a layer cannot take what arrives at this size; the message has the layer and the numbers.
    """
    if not isinstance(graph, Graph):
        raise UsageError(f"analyze takes a graph, not {graph!r}; convcost.load(NAME) gives one")
    dtype = dtype or graph.dtype or "float32"
    if train is None:
        train = graph.mode == "train"
    elif graph.mode is not None and train != (graph.mode == "train"):
        raise UsageError(f"{graph.about.name} was captured in {graph.mode} mode; capture it again in the other one")
    inputs = _inputs(graph, batch, dtype, input_size)
    settings = Settings(
        batch=inputs[0].shape[0] if inputs and inputs[0].shape else 1,
        input_shapes={name: tensor.shape for (name, _), tensor in zip(graph.inputs, inputs, strict=True)},
        dtype=dtype,
        mode="train" if train else "eval",
    )
    report = Report(graph, settings)
    report.costs  # noqa: B018 (what is wrong is said here, and not where the report is read)
    return report


def _inputs(graph: Graph, batch: int | None, dtype: str, input_size: InputSize | None) -> list[Tensor]:
    if dtype not in DTYPES:
        raise UsageError(f"unknown dtype {dtype!r}{nearest(dtype, DTYPES)} (allowed: {', '.join(DTYPES)})")
    allowed = isinstance(batch, int) and not isinstance(batch, bool) and (1 <= batch <= MAX_SIZE or batch == MANY)
    if batch is not None and not allowed:
        raise UsageError(f"the batch must be a whole number of 1 or more, at most {MAX_SIZE:,}, not {str(batch)[:40]}")
    if not graph.batch_free and (batch is not None or input_size is not None):
        raise UsageError(
            f"{graph.about.name} was captured at fixed shapes; capture it again for another batch or input"
        )
    sizes = _sizes(graph, input_size)
    floating = "float32" if dtype in AMP else dtype
    found = []
    for name, tensor in graph.inputs:
        shape = tensor.shape
        if graph.batch_free:
            shape = (batch or shape[0], *sizes.get(name, shape[1:]))
        found.append(Tensor(shape, floating if tensor.dtype in FLOATING else tensor.dtype))
    return found


def _sizes(graph: Graph, input_size: InputSize | None) -> dict[str, tuple[int, ...]]:
    if input_size is None:
        return {}
    names = [name for name, _ in graph.inputs]
    if isinstance(input_size, str | int):
        raise UsageError(f"input_size is a tuple of sizes without the batch, such as (3, 224, 224), not {input_size!r}")
    if not isinstance(input_size, Mapping):
        if len(names) != 1:
            raise UsageError(f"{graph.about.name} has {len(names)} inputs; give sizes by name: {', '.join(names)}")
        input_size = {names[0]: input_size}
    for name, size in input_size.items():
        if name not in names:
            raise UsageError(
                f"{graph.about.name} has no input {name!r}{nearest(name, names)} (inputs: {', '.join(names)})"
            )
        declared = dict(graph.inputs)[name].shape[1:]
        if len(size) != len(declared):
            raise UsageError(
                f"the input {name!r} has {len(declared)} dimensions ({'x'.join(map(str, declared))}), "
                f"not {len(size)} ({'x'.join(map(str, size))})"
            )
        if any(not isinstance(side, int) or not 1 <= side <= MAX_SIZE for side in size):
            raise UsageError(
                f"the sizes of the input {name!r} must be whole numbers of 1 or more, at most {MAX_SIZE:,}"
            )
    return {name: tuple(size) for name, size in input_size.items()}


def walk(report: Report) -> list[Cost]:
    """One cost per node. Equal tensors are one object here, so that identity is a key: (op, inputs) recurs often.

    Raises:
        SpecError: a layer cannot take what arrives.
    """
    graph, inputs = report.graph, input_tensors(report)
    dtype, train = report.settings.dtype, report.settings.mode == "train"
    interned = {tensor: tensor for tensor in inputs}
    # Negative positions are graph inputs: read from the end of the list, as Python counts.
    values: list[tuple[Tensor, ...]] = [()] * len(graph.nodes) + [(interned[tensor],) for tensor in reversed(inputs)]
    memo: dict[tuple[object, ...], Cost] = {}
    costs: list[Cost] = []
    for position, node in enumerate(graph.nodes):
        op = node.op
        arriving = node.inputs
        if len(arriving) == 1:
            source, output = arriving[0]
            x = values[source][output]
            key: tuple[object, ...] = (id(op), node.owner == OWN, id(x))
            tensors: tuple[Tensor, ...] | None = None
        else:
            tensors = tuple([values[source][output] for source, output in arriving])
            key = (id(op), min(node.owner, 0), *map(id, tensors))
        cost = memo.get(key)
        if cost is None:
            try:
                cost = _cost(op, tensors if tensors is not None else (x,), dtype, train, node.owner, interned)
            except OpError as error:
                raise SpecError([(node.where, node.name, str(error))]) from None
            memo[key] = cost
        values[position] = cost.outputs
        costs.append(cost)
    return costs


def _cost(
    op: Op, inputs: tuple[Tensor, ...], dtype: str, train: bool, owner: int, interned: dict[Tensor, Tensor]
) -> Cost:
    if dtype in AMP:
        inputs = _autocast(op, inputs, AMP[dtype])
    arriving, given = inputs, 0
    if owner == GIVEN:
        inputs = arriving[: op.arity[0]]
        given = sum(tensor.bytes for tensor in arriving[op.arity[0] :])
    op.check(inputs)
    outputs = op.outputs(inputs)
    own_dtype = "float32" if dtype in AMP else dtype
    if own_dtype != "float32" and _made_of_weights(op, inputs):
        # An embedding, a constant or a learned parameter comes in the model's dtype, whatever its indices have; what
        # makes floats of integers says itself which.
        outputs = tuple(Tensor(x.shape, own_dtype if x.dtype in FLOATING else x.dtype) for x in outputs)
    outputs = tuple([interned.setdefault(tensor, tensor) for tensor in outputs])
    params, buffers, weight_bytes, buffer_bytes = _weights(op, own_dtype)
    macs = op.macs(inputs, outputs)
    kinds = {"mac": 2 * macs} if macs else {}
    kinds.update(op.work(inputs, outputs, train))
    fresh = written = 0
    for placement, output in zip(op.placement(inputs, train), outputs, strict=True):
        if placement.kind == "fresh":
            fresh += output.bytes
        if placement.kind != "view":
            written += output.bytes
    owned = given if owner == GIVEN else weight_bytes + buffer_bytes
    read = op.reads(inputs, outputs) + op.weights_read(inputs, owned) if written else 0
    owns = owner == OWN
    return Cost(
        group=op.books,
        inputs=arriving,
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
    """Learnable scalars, buffer scalars, and the bytes of each; they depend on neither batch nor resolution."""
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


def _autocast(op: Op, inputs: tuple[Tensor, ...], low: str) -> tuple[Tensor, ...]:
    """The inputs in the dtype that PyTorch's autocast gives this class of ops."""
    if op.autocast == "keep":
        return inputs
    if op.autocast == "low":
        wanted = low
    elif op.autocast == "float32":
        wanted = "float32"
    else:
        widest = any(tensor.dtype == "float32" for tensor in inputs)
        wanted = "float32" if widest else low
    return tuple(Tensor(tensor.shape, wanted) if tensor.dtype in FLOATING else tensor for tensor in inputs)
