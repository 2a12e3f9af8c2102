"""What an analysis gives: frozen records with raw integers. Renderers see nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from ..graph import About, Graph, Node, Tensor
from ..notebook import Shown
from ..ops.base import GROUPS, Group, Op

SUMMED = (
    "params", "buffers", "macs", "flops", "activation_bytes", "weight_bytes", "buffer_bytes", "bytes_read",
    "bytes_written", "launches",
)  # fmt: skip
"""Quantities that every layer has and that add up to the total of the same name."""


class Cost(msgspec.Struct, frozen=True, gc=False):
    """What one op costs on its inputs; equal layers share one record.

    ``params`` are learnable scalars, ``buffers`` scalars that are kept but not learned; ``macs`` multiply-accumulates;
    ``flops`` = 2 * macs + all other operations, by kind in ``flops_by_kind``; ``activation_bytes`` bytes of fresh
    outputs (views and in-place results add 0); ``bytes_read`` and ``bytes_written`` the traffic with memory if nothing
    is cached, weights included; ``launches`` kernels that eager PyTorch starts on CUDA.
    """

    group: Group
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    params: int
    buffers: int
    macs: int
    flops: int
    flops_by_kind: Mapping[str, int]
    activation_bytes: int
    weight_bytes: int
    buffer_bytes: int
    bytes_read: int
    bytes_written: int
    launches: int


class ReceptiveField(msgspec.Struct, frozen=True):
    """The input positions that one output position can see, per spatial dimension.

    ``size``: how many; ``stride``: how far the field moves when the output position moves by one (the effective
    stride); ``start``: where the field of output position 0 begins, negative inside padding. ``whole`` says that every
    position sees all of the input. Behind an enlargement positions differ: ``size`` is that of the widest field, and
    ``stride`` a mean, which need not be whole.
    """

    size: tuple[int, ...]
    stride: tuple[int | float, ...]
    start: tuple[int, ...]
    whole: bool = False


class LayerRecord(msgspec.Struct, frozen=True, gc=False):
    """One layer: where it stands (``node``) and what it costs (``cost``)."""

    node: Node
    cost: Cost
    position: int
    graph: Graph
    receptive_fields: Any

    @property
    def name(self) -> str:
        """The path, ``conv3_1.conv_bn_2.conv2d_1``."""
        return self.node.name

    @property
    def path(self) -> tuple[str, ...]:
        """The segments of the name."""
        return tuple(self.node.name.split("."))

    @property
    def op(self) -> str:
        """The op's word, ``conv2d``."""
        return self.node.op.op

    @property
    def fields(self) -> dict[str, Any]:
        """The op's fields by name, as it was bound."""
        return fields_of(self.node.op)

    @property
    def group(self) -> Group:
        """conv, fc, attention, norm, activation, pool or other."""
        return self.cost.group

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what it reads; ``name.1`` is the second output of ``name``."""
        return tuple(self._reference(position, output) for position, output in self.node.inputs)

    def _reference(self, position: int, output: int) -> str:
        name = self.graph.nodes[position].name if position >= 0 else self.graph.inputs[-1 - position][0]
        return f"{name}.{output}" if output else name

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the inputs, batch first."""
        return tuple(tensor.shape for tensor in self.cost.inputs)

    @property
    def output_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the outputs, batch first."""
        return tuple(tensor.shape for tensor in self.cost.outputs)

    @property
    def params(self) -> int:
        """Learnable scalars; 0 if the layer uses another layer's weights (they stand there)."""
        return self.cost.params

    @property
    def buffers(self) -> int:
        """Scalars that are kept and not learned."""
        return self.cost.buffers

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.cost.macs

    @property
    def flops(self) -> int:
        """2 * macs + all other operations."""
        return self.cost.flops

    @property
    def flops_by_kind(self) -> Mapping[str, int]:
        """The operations by kind; "mac" holds 2 * macs."""
        return self.cost.flops_by_kind

    @property
    def activation_bytes(self) -> int:
        """Bytes of fresh outputs."""
        return self.cost.activation_bytes

    @property
    def weight_bytes(self) -> int:
        """Bytes of the learnable parameters."""
        return self.cost.weight_bytes

    @property
    def buffer_bytes(self) -> int:
        """Bytes of the buffers."""
        return self.cost.buffer_bytes

    @property
    def bytes_read(self) -> int:
        """Bytes of inputs and weights that are read."""
        return self.cost.bytes_read

    @property
    def bytes_written(self) -> int:
        """Bytes that are written."""
        return self.cost.bytes_written

    @property
    def launches(self) -> int:
        """Kernels that eager PyTorch starts on CUDA."""
        return self.cost.launches

    @property
    def shares(self) -> str | None:
        """The layer whose weights this one uses, if it does not own its own."""
        return self.graph.nodes[self.node.owner].name if self.node.owner >= 0 else None

    @property
    def receptive_field(self) -> ReceptiveField | None:
        """What one output position sees of the first input; None where it is not followed."""
        field: ReceptiveField | None = self.receptive_fields[self.position]
        return field

    def to_dict(self) -> dict[str, Any]:
        """The layer as in the JSON, of dicts, tuples and raw integers only."""
        cost, op, field = self.cost, self.node.op, self.receptive_field
        return {
            "name": self.node.name,
            "path": self.path,
            "op": op.op,
            "group": cost.group,
            "fields": fields_of(op),
            "inputs": self.inputs,
            "input_shapes": self.input_shapes,
            "output_shapes": self.output_shapes,
            "output_dtypes": tuple(tensor.dtype for tensor in cost.outputs),
            "params": cost.params,
            "buffers": cost.buffers,
            "macs": cost.macs,
            "flops": cost.flops,
            "flops_by_kind": cost.flops_by_kind,
            "activation_bytes": cost.activation_bytes,
            "weight_bytes": cost.weight_bytes,
            "buffer_bytes": cost.buffer_bytes,
            "bytes_read": cost.bytes_read,
            "bytes_written": cost.bytes_written,
            "launches": cost.launches,
            "shares": self.shares,
            "receptive_field": msgspec.structs.asdict(field) if field else None,
            "where": str(self.node.where) if self.node.where else None,
        }


class Totals(msgspec.Struct, frozen=True):
    """Sums over a network's layers. ``input_bytes`` are the bytes of its inputs, which no layer allocates."""

    params: int
    buffers: int
    macs: int
    flops: int
    flops_by_kind: Mapping[str, int]
    activation_bytes: int
    weight_bytes: int
    buffer_bytes: int
    bytes_read: int
    bytes_written: int
    launches: int
    input_bytes: int
    layers: int
    depth: int
    """Weight layers (convolutions and linear layers) on the longest path from an input."""


class GroupTotals(msgspec.Struct, frozen=True):
    """Sums over the layers of one group, and how many there are."""

    params: int = 0
    macs: int = 0
    flops: int = 0
    activation_bytes: int = 0
    layers: int = 0


class ConventionTotal(msgspec.Struct, frozen=True):
    """The total as another counter or the papers would print it."""

    name: str
    total: int
    meaning: str


class Verdict(msgspec.Struct, frozen=True):
    """A published figure beside ours.

    ``verdict``: "agrees" (ours rounds to its printed digits), "truncated" (ours begins with its digits, cut off and not
    rounded), "differs", or "unchecked" (the reason is in ``note``).
    """

    quantity: str
    claimed: str | tuple[int, ...]
    computed: int | tuple[int, ...] | None
    verdict: str
    source: str
    layer: str | None = None
    convention: str | None = None
    note: str | None = None


class Coverage(msgspec.Struct, frozen=True):
    """How much of the network the figures cover. ``unmodelled`` names each operator without a rule, with its count."""

    nodes: int
    modelled: int
    unmodelled: tuple[tuple[str, int], ...] = ()


class Settings(msgspec.Struct, frozen=True):
    """What was analysed: batch size, shapes of the inputs with the batch, dtype, and mode ("eval" or "train")."""

    batch: int
    input_shapes: Mapping[str, tuple[int, ...]]
    dtype: str
    mode: str


class Report(Shown):
    """The account of one network. Everything is exact integers; see ``to_dict`` for the JSON.

    Args:
        graph: the network.
        settings: how it runs.
        costs: of each node, if they are known.
    """

    def __init__(self, graph: Graph, settings: Settings, costs: Sequence[Cost] | None = None) -> None:
        self.graph = graph
        self.settings = settings
        if costs is not None:
            self.costs = costs

    def __repr__(self) -> str:
        return f"<Report {self.about.name!r}: {self.totals.params:,} params, {self.totals.macs:,} MACs>"

    @cached_property
    def costs(self) -> Sequence[Cost]:
        """The record of each node; equal layers share one.

        Raises:
            SpecError: a layer cannot take what arrives.
        """
        from .costs import walk

        return walk(self)

    def at_batch(self, batch: int) -> Report:
        """The network with so many samples at once; nothing is worked out before it is asked for."""
        shapes = {name: (batch, *shape[1:]) for name, shape in self.settings.input_shapes.items()}
        return Report(self.graph, msgspec.structs.replace(self.settings, batch=batch, input_shapes=shapes))

    @cached_property
    def layers(self) -> tuple[LayerRecord, ...]:
        """Every layer with its place."""
        from .receptive_field import Fields
        from .totals import input_tensors

        graph = self.graph
        fields = Fields(graph.nodes, self.costs, input_tensors(self))
        return tuple(
            [
                LayerRecord(node, cost, position, graph, fields)
                for position, (node, cost) in enumerate(zip(graph.nodes, self.costs, strict=True))
            ]
        )

    @cached_property
    def distinct(self) -> tuple[tuple[Cost, int], ...]:
        """The distinct costs and how many layers have each: equal layers share one record."""
        times = Counter(map(id, self.costs))
        distinct = dict(zip(map(id, self.costs), self.costs, strict=True))
        return tuple([(cost, times[key]) for key, cost in distinct.items()])

    @property
    def about(self) -> About:
        """Name, title, reference."""
        return self.graph.about

    @cached_property
    def totals(self) -> Totals:
        """Sums over all layers."""
        from .totals import totals

        return totals(self)

    @cached_property
    def breakdown(self) -> dict[str, GroupTotals]:
        """Sums by group; every group is there, in the order of ``GROUPS``."""
        from .totals import breakdown

        return breakdown(self)

    @cached_property
    def coverage(self) -> Coverage:
        """Which operators have no rule."""
        missing = Counter(layer.fields["function"] for layer in self.layers if not layer.node.op.modelled)
        return Coverage(len(self.costs), len(self.costs) - missing.total(), tuple(sorted(missing.items())))

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know although it is no error, each with its layer."""
        found = []
        seen: dict[tuple[int, int], tuple[str, ...]] = {}
        for layer in self.layers:
            key = (id(layer.node.op), id(layer.cost))
            if key not in seen:
                op, inputs = layer.node.op, layer.cost.inputs
                trained = op.training_warnings(inputs) if self.settings.mode == "train" else ()
                seen[key] = op.warnings(inputs) + trained
            found += [f"{layer.name}: {text}" for text in seen[key]]
        return tuple(found)

    @cached_property
    def published(self) -> tuple[Verdict, ...]:
        """The published figures with our verdict on each."""
        from .claims import verdicts

        return verdicts(self)

    def convention(self, name: str) -> ConventionTotal:
        """The total as ``torch``, ``fvcore`` or the ``paper`` would print it.

        Raises:
            UsageError: for any other name.
        """
        from .conventions import total

        return total(self, name)

    def to_dict(self, convention: str | None = None) -> dict[str, Any]:
        """The report as in the JSON, of dicts, tuples and raw integers only; ``"schema": 1``."""
        from .json import content

        plain: dict[str, Any] = msgspec.to_builtins(content(self, convention))
        return plain

    def to_json(self, convention: str | None = None, indent: int = 2, memory: Any = None, roofline: Any = None) -> str:
        """The report as JSON text; a ``Memory`` and a ``Roofline`` come under keys of their own."""
        from .json import text

        return text(self, convention, indent, memory, roofline)

    def to_frame(self) -> Any:
        """The layers as a pandas DataFrame, one row each.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        from .frame import to_frame

        return to_frame(self)

    def plot(self, chart: str = "layers") -> Any:
        """A plotly figure: "layers", "split" or "tree"; an error says if plotly is not installed."""
        from ..render.charts.figures import of_report

        return of_report(self, chart)


def fields_of(op: Op) -> dict[str, Any]:
    """An op's fields by name, as it was bound."""
    return {name: getattr(op, name) for name in op.__struct_fields__}


__all__ = ["GROUPS", "Cost", "LayerRecord", "ReceptiveField", "Report", "Settings", "Totals"]
