"""What a run's raw times say of its layers: times, rates, what they reach of the ceilings, and how the sum closes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import msgspec

from .runs import Ceiling, LayerTime, Run
from .statistics import median

COUNTS = ("layers", "params", "macs", "flops", "bytes_moved")
TIMES = ("time_ns", "alone_ns", "bound_ns", "datasheet_bound_ns")


class Span(msgspec.Struct, frozen=True):
    """Some layers together: their work, and the time that it took.

    ``time_ns``: in place, what reading the clock costs taken off; where layers were not timed in place, alone. None
    where a layer has no time. ``bound_ns``, ``datasheet_bound_ns``: the least time under the measured ceilings and
    under the vendor's rates. ``limit``: what the largest bound is: "compute", "memory", "launches"; "mixed" of several.
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
        """Achieved bytes per second, if each input and weight was read once and each output written once."""
        return 1e9 * self.bytes_moved / self.time_ns if self.time_ns and self.bytes_moved else None

    @property
    def of_ceiling(self) -> float | None:
        """The bound under the measured ceilings over the time: 1 is as fast as this device can."""
        return self.bound_ns / self.time_ns if self.time_ns and self.bound_ns else None

    @property
    def of_datasheet(self) -> float | None:
        """The bound under the vendor's rates over the time."""
        return self.datasheet_bound_ns / self.time_ns if self.time_ns and self.datasheet_bound_ns else None


class Closing(msgspec.Struct, frozen=True):
    """Whether the layers add up to the whole pass.

    ``launch_gap_ns``: the whole less the same kernels from a CUDA graph, None where that was not measured;
    ``busy``: the graph's part of the whole. ``rest_ns``: what neither the layers nor the launch gap account for.
    ``marks_ns``: what reading the clock between layers cost, which is in neither.
    """

    whole_ns: float
    layers_ns: float
    launch_gap_ns: float | None
    busy: float | None
    marks_ns: float

    @property
    def rest_ns(self) -> float:
        """What is not accounted for; negative where the layers alone take longer than the whole."""
        return self.whole_ns - self.layers_ns - (self.launch_gap_ns or 0)


class LayerSummary:
    """The figures of one run's layers."""

    def __init__(self, run: Run, ceilings: Sequence[Ceiling]) -> None:
        self.run = run
        launch = next((top for top in ceilings if top.what == "launch"), None)
        self._launch_ns = median(launch.samples_ns) if launch is not None else 0.0
        self._mark_ns = median(run.mark_ns) if run.mark_ns else 0.0

    @cached_property
    def layers(self) -> tuple[Span, ...]:
        """Each layer by itself."""
        return tuple(map(self._layer, self.run.layers))

    @property
    def in_place(self) -> bool:
        """Whether layers were timed in a run of the whole network."""
        return any(layer.in_place_ns for layer in self.run.layers)

    @property
    def alone(self) -> bool:
        """Whether layers were timed each by itself."""
        return bool(self.run.isolated)

    def _layer(self, layer: LayerTime) -> Span:
        alone = float(median(self.run.isolated[layer.alone])) if layer.alone is not None else None
        if alone is None and self.alone and not layer.launches:
            alone = 0.0  # it starts nothing
        time = max(0.0, median(layer.in_place_ns) - self._mark_ns) if layer.in_place_ns else alone
        floor = layer.launches * self._launch_ns
        limit = "launches" if floor and layer.bound_ns is not None and floor >= layer.bound_ns else layer.limit
        return Span(
            1, layer.params, layer.macs, layer.flops, layer.bytes_moved, time, alone, layer.bound_ns,
            layer.datasheet_bound_ns, limit,
        )  # fmt: skip

    def summed(self, spans: Iterable[Span]) -> Span:
        """Some layers together."""
        chosen = tuple(spans)
        limits = {span.limit for span in chosen if span.limit}
        found = {key: sum(getattr(x, key) for x in chosen) for key in COUNTS}
        times = {key: _total(chosen, key) for key in TIMES}
        limit = "mixed" if len(limits) > 1 else next(iter(limits), "")
        return msgspec.convert({**found, **times, "limit": limit}, Span)

    @cached_property
    def totals(self) -> Span:
        """All layers."""
        return self.summed(self.layers)

    @property
    def times_ns(self) -> dict[str, int]:
        """The time of each layer that has one, by its name, in whole nanoseconds."""
        pairs = zip(self.run.layers, self.layers, strict=True)
        return {layer.name: round(span.time_ns) for layer, span in pairs if span.time_ns}

    @cached_property
    def by_group(self) -> dict[str, Span]:
        """The layers of each group that has any, in the order in which groups appear."""
        groups = dict.fromkeys(layer.group for layer in self.run.layers)
        return {
            group: self.summed(
                span for span, layer in zip(self.layers, self.run.layers, strict=True) if layer.group == group
            )
            for group in groups
        }

    @cached_property
    def closing(self) -> Closing | None:
        """How the sum of the layers compares with the whole pass; None without times in place."""
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
