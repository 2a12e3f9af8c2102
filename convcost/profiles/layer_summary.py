"""Figures of a run's layers from its raw times: median time, achieved rate, fraction of the ceilings, and their sum.

A new figure per layer is a field of ``Span`` that ``_layer`` sets, and an entry of ``COUNTS`` or ``TIMES``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import msgspec

from .runs import Ceiling, LayerTime, Run
from .statistics import median

COUNTS = ("layers", "params", "macs", "flops", "bytes_moved")
TIMES = ("time_ns", "alone_ns", "bound_ns", "datasheet_bound_ns")


class Span(msgspec.Struct, frozen=True):
    """The work and the time of one or more layers.

    Args:
        layers, params, macs, flops, bytes_moved: sums over the layers.
        time_ns: time in the run of the whole network, less the cost of reading the clock; ``alone_ns`` if layers were
            not timed there; None if a layer has no time.
        alone_ns: time of the layers each run by itself.
        bound_ns, datasheet_bound_ns: roofline bound under the measured ceilings and under the vendor's rates.
        limit: what sets the bound: "compute", "memory" or "launches"; "mixed" if layers differ.
    """

    layers: int
    params: int
    macs: int
    flops: int
    bytes_moved: int
    time_ns: float | None
    alone_ns: float | None
    bound_ns: float | None
    datasheet_bound_ns: float | None
    limit: str

    @property
    def flops_per_s(self) -> float | None:
        """Achieved FLOPs per second."""
        return 1e9 * self.flops / self.time_ns if self.time_ns and self.flops else None

    @property
    def bytes_per_s(self) -> float | None:
        """Achieved bytes per second, assuming that inputs and weights are read once and outputs written once."""
        return 1e9 * self.bytes_moved / self.time_ns if self.time_ns and self.bytes_moved else None

    @property
    def of_ceiling(self) -> float | None:
        """``bound_ns / time_ns``: 1 if the layers reach the measured ceilings."""
        return self.bound_ns / self.time_ns if self.time_ns and self.bound_ns else None

    @property
    def of_datasheet(self) -> float | None:
        """``datasheet_bound_ns / time_ns``: 1 if the layers reach the vendor's rates."""
        return self.datasheet_bound_ns / self.time_ns if self.time_ns and self.datasheet_bound_ns else None


class Closing(msgspec.Struct, frozen=True):
    """The sum of the layers compared with the whole forward pass.

    Args:
        whole_ns: median time of the whole pass.
        layers_ns: sum of the layers' times.
        launch_gap_ns: ``whole_ns`` less the time of the same kernels in a CUDA graph; None if that was not measured.
        busy: time in the CUDA graph as a fraction of ``whole_ns``; None likewise.
        marks_ns: cost of reading the clock between layers, in neither of the times above.
    """

    whole_ns: float
    layers_ns: float
    launch_gap_ns: float | None
    busy: float | None
    marks_ns: float

    @property
    def rest_ns(self) -> float:
        """Time of the whole pass outside the layers and the launch gap; negative if the layers take longer."""
        return self.whole_ns - self.layers_ns - (self.launch_gap_ns or 0)


class LayerSummary:
    """The figures of the layers of one run, under the ceilings that were measured with it."""

    def __init__(self, run: Run, ceilings: Sequence[Ceiling]) -> None:
        self.run = run
        launch = next((x for x in ceilings if x.what == "launch"), None)
        self._launch_ns = median(launch.samples_ns) if launch is not None else 0.0
        self._mark_ns = median(run.mark_ns) if run.mark_ns else 0.0

    @cached_property
    def layers(self) -> tuple[Span, ...]:
        """The figures of each layer."""
        return tuple(map(self._layer, self.run.layers))

    @property
    def in_place(self) -> bool:
        """True if layers were timed in a run of the whole network."""
        return any(layer.in_place_ns for layer in self.run.layers)

    @property
    def alone(self) -> bool:
        """True if layers were timed each by itself."""
        return bool(self.run.isolated)

    def _layer(self, layer: LayerTime) -> Span:
        alone = float(median(self.run.isolated[layer.alone])) if layer.alone is not None else None
        if alone is None and self.alone and not layer.launches:
            alone = 0.0  # a layer without kernels, such as a view, was not timed
        time = max(0.0, median(layer.in_place_ns) - self._mark_ns) if layer.in_place_ns else alone
        floor = layer.launches * self._launch_ns
        limit = "launches" if floor and layer.bound_ns is not None and floor >= layer.bound_ns else layer.limit
        return Span(
            1, layer.params, layer.macs, layer.flops, layer.bytes_moved, time, alone, layer.bound_ns,
            layer.datasheet_bound_ns, limit,
        )  # fmt: skip

    def summed(self, spans: Iterable[Span]) -> Span:
        """The figures of several layers together."""
        chosen = tuple(spans)
        limits = {span.limit for span in chosen if span.limit}
        counts = {key: sum(getattr(x, key) for x in chosen) for key in COUNTS}
        times = {key: _total(chosen, key) for key in TIMES}
        limit = "mixed" if len(limits) > 1 else next(iter(limits), "")
        return msgspec.convert({**counts, **times, "limit": limit}, Span)

    @cached_property
    def totals(self) -> Span:
        """The figures of all layers together."""
        return self.summed(self.layers)

    @property
    def times_ns(self) -> dict[str, int]:
        """Time in nanoseconds of each layer with a time, by the layer's name, rounded to integers."""
        pairs = zip(self.run.layers, self.layers, strict=True)
        return {layer.name: round(span.time_ns) for layer, span in pairs if span.time_ns}

    @cached_property
    def by_group(self) -> dict[str, Span]:
        """The figures of each group that occurs, in order of first occurrence."""
        groups = dict.fromkeys(layer.group for layer in self.run.layers)
        return {
            group: self.summed(
                span for span, layer in zip(self.layers, self.run.layers, strict=True) if layer.group == group
            )
            for group in groups
        }

    @cached_property
    def closing(self) -> Closing | None:
        """The sum of the layers compared with the whole pass; None if layers were not timed in place."""
        if not self.in_place or not self.run.measured:
            return None
        whole = self.run.time.median_ns
        replay = median(self.run.replay_ns) if self.run.replay_ns else None
        return Closing(
            whole_ns=whole,
            layers_ns=self.totals.time_ns or 0.0,
            launch_gap_ns=max(0.0, whole - replay) if replay is not None else None,
            busy=min(1.0, replay / whole) if replay is not None and whole else None,
            marks_ns=self._mark_ns * len(self.run.layers),
        )


def _total(spans: Sequence[Span], key: str) -> float | None:
    values = [getattr(span, key) for span in spans]
    return None if not values or None in values else float(sum(values))
