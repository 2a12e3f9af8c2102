"""The report of one network, and the function that makes it."""

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
    report = Report(graph, settings_of(graph, batch, dtype, input_size, train))
    report.costs  # noqa: B018 (what is wrong is said here, and not where the report is read)
    return report


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
        return walk(self.graph, self.settings)

    def at_batch(self, batch: int) -> Report:
        """The network with so many samples at once; nothing is worked out before it is asked for."""
        shapes = {name: (batch, *shape[1:]) for name, shape in self.settings.input_shapes.items()}
        return Report(self.graph, msgspec.structs.replace(self.settings, batch=batch, input_shapes=shapes))

    def renamed(self, name: str) -> Report:
        """The same account under another name, with all that is worked out already; this one stays as it is."""
        other = copy(self)
        other.graph = self.graph.renamed(name)
        return other

    @cached_property
    def layers(self) -> tuple[LayerRecord, ...]:
        """Every layer with its place."""
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
        return totals(self.graph, self.settings, self.costs, self.distinct)

    @cached_property
    def breakdown(self) -> dict[str, GroupTotals]:
        """Sums by group; every group is there, in the order of ``GROUPS``."""
        return breakdown(self.distinct)

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
        return verdicts(self.graph, self.settings, self.layers, self.totals)

    def convention(self, name: str) -> ConventionTotal:
        """The total as ``torch``, ``fvcore`` or the ``paper`` would print it.

        Raises:
            UsageError: for any other name.
        """
        return convention_total(name, self.layers, self.settings.train)

    def to_dict(self, convention: str | None = None) -> dict[str, Any]:
        """The report as in the JSON, of dicts, tuples and raw integers only; ``"schema": 1``."""
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
        """The report as JSON text; a ``Memory`` and a ``Roofline`` come under keys of their own."""
        more = {"memory": memory, "roofline": roofline}
        added = {key: record.to_dict() for key, record in more.items() if record is not None}
        return encoded({**self._content(convention), **added}, indent)

    def to_frame(self) -> Any:
        """The layers as a pandas DataFrame, one row each.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return to_frame(self.layers)

    def plot(self, chart: str = "layers") -> Any:
        """A plotly figure: "layers", "split" or "tree"; an error says if plotly is not installed."""
        return plotted(self, chart)
