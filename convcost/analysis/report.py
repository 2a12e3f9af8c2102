"""``analyze`` and its result, ``Report``. A new result is a cached property of ``Report`` and a key of its JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import copy
from functools import cached_property
from typing import Any

import msgspec

from ..display import Shown, plotted
from ..errors import UsageError
from ..graph import About, Graph
from .claims import verdicts
from .conventions import convention_total
from .costs import walk
from .frame import to_frame
from .json import encoded, versioned
from .layers import Cost, LayerRecord
from .receptive_field import Fields
from .records import ConventionTotal, Coverage, GroupTotals, Totals, Verdict
from .settings import InputSize, Settings, settings_of
from .totals import breakdown, totals


def analyze(
    graph: Graph,
    batch: int | None = None,
    dtype: str | None = None,
    input_size: InputSize | None = None,
    train: bool | None = None,
) -> Report:
    """Compute the exact costs of a network layer by layer.

    Args:
        graph: from ``convcost.load`` or ``convcost.capture``.
        batch: batch size; default: that of the graph's inputs, which is 1 in a graph from a spec.
        dtype: ``float32``, ``float16``, ``bfloat16``, ``float64``, or mixed precision ``amp-bf16``, ``amp-fp16``;
            default: that of the captured module, float32 in a graph from a spec.
        input_size: input size without the batch, such as (3, 256, 256), or a mapping from names to sizes if the network
            has several inputs; default: as declared.
        train: True for training mode (dropout is active, batch norm computes statistics), False for evaluation;
            default: the mode of the captured module, evaluation in a graph from a spec.

    Raises:
        UsageError: the batch, dtype or input size is invalid.
        SpecError: a layer cannot process its input at this size; the message has the layer and the shapes.
    """
    if not isinstance(graph, Graph):
        raise UsageError(f"analyze takes a graph, not {graph!r}; convcost.load(NAME) returns one")
    report = Report(graph, settings_of(graph, batch, dtype, input_size, train))
    report.costs  # noqa: B018 (compute them now, so that errors are raised here)
    return report


class Report(Shown):
    """The costs of one network in exact integers. Results are computed on first access.

    Args:
        graph: the network.
        settings: batch size, input shapes, dtype and mode.
        costs: the costs of each node; default: computed when needed.
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
        """The costs of each node; equal layers share one record.

        Raises:
            SpecError: a layer cannot process its input.
        """
        return walk(self.graph, self.settings)

    def at_batch(self, batch: int) -> Report:
        """The report of the same network at another batch size."""
        shapes = {name: (batch, *shape[1:]) for name, shape in self.settings.input_shapes.items()}
        return Report(self.graph, msgspec.structs.replace(self.settings, batch=batch, input_shapes=shapes))

    def renamed(self, name: str) -> Report:
        """A copy of the report under another name, with the results that are computed already."""
        renamed = copy(self)
        renamed.graph = self.graph.renamed(name)
        return renamed

    @cached_property
    def layers(self) -> tuple[LayerRecord, ...]:
        """The layers in order of execution."""
        graph = self.graph
        fields = Fields(graph.nodes, self.costs, self.settings.input_tensors(graph))
        return tuple(
            [
                LayerRecord(node, cost, position, graph, fields)
                for position, (node, cost) in enumerate(zip(graph.nodes, self.costs, strict=True))
            ]
        )

    @cached_property
    def distinct(self) -> tuple[tuple[Cost, int], ...]:
        """The distinct records of costs, each with the number of layers that share it."""
        times = Counter(map(id, self.costs))
        distinct = dict(zip(map(id, self.costs), self.costs, strict=True))
        return tuple([(cost, times[key]) for key, cost in distinct.items()])

    @property
    def about(self) -> About:
        """Name, title, reference and published figures."""
        return self.graph.about

    @cached_property
    def totals(self) -> Totals:
        """Sums over all layers."""
        return totals(self.graph, self.settings, self.costs, self.distinct)

    @cached_property
    def breakdown(self) -> dict[str, GroupTotals]:
        """Sums by group; all groups in the order of ``GROUPS``."""
        return breakdown(self.distinct)

    @cached_property
    def coverage(self) -> Coverage:
        """The number of modelled nodes, and the operators without a rule."""
        missing = Counter(layer.fields["function"] for layer in self.layers if not layer.node.op.modelled)
        return Coverage(len(self.costs), len(self.costs) - missing.total(), tuple(sorted(missing.items())))

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """Warnings, each with the name of its layer."""
        texts: list[str] = []
        seen: dict[tuple[int, int], tuple[str, ...]] = {}
        for layer in self.layers:
            key = (id(layer.node.op), id(layer.cost))
            if key not in seen:
                op, inputs = layer.node.op, layer.cost.inputs
                trained = op.training_warnings(inputs) if self.settings.mode == "train" else ()
                seen[key] = op.warnings(inputs) + trained
            texts += [f"{layer.name}: {text}" for text in seen[key]]
        return tuple(texts)

    @cached_property
    def published(self) -> tuple[Verdict, ...]:
        """The published figures, each with the computed figure and a verdict."""
        return verdicts(self.graph, self.settings, self.layers, self.totals)

    def convention(self, name: str) -> ConventionTotal:
        """The total under the convention ``"torch"``, ``"fvcore"`` or ``"paper"``; see ``conventions``.

        Raises:
            UsageError: there is no such convention.
        """
        return convention_total(name, self.layers, self.settings.train)

    def to_dict(self, convention: str | None = None) -> dict[str, Any]:
        """The report as plain data, as in the JSON; ``"schema": 1``. ``convention``: also include this total."""
        plain: dict[str, Any] = msgspec.to_builtins(self._content(convention))
        return plain

    def _content(self, convention: str | None) -> dict[str, Any]:
        about = self.about
        return versioned(
            {
                "architecture": {
                    "name": about.name,
                    "title": about.title,
                    "family": about.family,
                    "source": about.source,
                    "reference": about.reference,
                    "accuracy": about.accuracy,
                },
                "settings": self.settings,
                "convention": self.convention(convention) if convention else None,
                "totals": self.totals,
                "breakdown": self.breakdown,
                "layers": [layer.to_dict() for layer in self.layers],
                "published": self.published,
                "coverage": self.coverage,
                "warnings": self.warnings,
            }
        )

    def to_json(self, convention: str | None = None, indent: int = 2, memory: Any = None, roofline: Any = None) -> str:
        """The report as JSON text; a ``Memory`` and a ``Roofline`` are added under keys of their own."""
        records = {"memory": memory, "roofline": roofline}
        added = {key: record.to_dict() for key, record in records.items() if record is not None}
        return encoded({**self._content(convention), **added}, indent)

    def to_frame(self) -> Any:
        """The layers as a pandas DataFrame with one row per layer.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return to_frame(self.layers)

    def plot(self, chart: str = "layers") -> Any:
        """A plotly figure of a chart, such as "layers", "split" or "tree".

        Raises:
            UsageError: reports have no such chart.
            MissingExtraError: plotly is not installed.
        """
        return plotted(self, chart)
