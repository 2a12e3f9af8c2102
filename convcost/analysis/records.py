"""What an analysis gives: frozen records with raw integers. Renderers see nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from ..graph import About, Graph
from ..notebook import Shown
from .layers import Cost, LayerRecord


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
