"""The quantities of networks: one table for ``compare``, for budgets and the lock, and for the columns of layers.

A new quantity is one row of ``QUANTITIES`` (or one call of ``register_quantity``). Published figures may also be about
quantities that only ``claims`` computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ..errors import OpError, UsageError, alternatives
from .layers import LayerRecord
from .report import Report

if TYPE_CHECKING:
    from .memory import Memory

Value = int | float | None

Table = Literal["main", "memory", "measured", "further"]
"""The tables of ``compare``."""


class Quantity(msgspec.Struct, frozen=True):
    """One quantity.

    Args:
        key: its name in JSON, CSV, budgets, the lock and options.
        heading: heading of its column.
        unit: "count", "bytes", "plain" (an integer in full), "percent", "duration" (nanoseconds) or "number".
        about: its definition as a noun phrase.
        value: function that returns the value of a network; it may raise ``ConvcostError`` if the value is unknown.
            None for a quantity of layers only, which ``compare`` does not have.
        layer: function that returns the value of one layer, for sums over the layers; they are columns of ``analyze``.
        best: the better value, for highlighting; None if neither is better.
        gate: "lock" for budgets and the lock; "budget" for budgets only, if the value takes a memory analysis; both
            need integers. None for neither.
        table: the table of ``compare`` that shows it; None for JSON and CSV only.
    """

    key: str
    heading: str
    unit: Literal["count", "bytes", "plain", "percent", "duration", "number"]
    about: str
    value: Callable[[Report], Value] | None = None
    layer: Callable[[LayerRecord], int] | None = None
    best: Literal["lowest", "highest"] | None = "lowest"
    gate: Literal["lock", "budget"] | None = None
    table: Table | None = "further"

    def of(self, report: Report) -> Value:
        """The value of a network.

        Raises:
            ConvcostError: the value is unknown, or the quantity is one of layers only.
        """
        if self.value is None:
            raise OpError(f"{self.key} is a quantity of layers, not of networks")
        return self.value(report)


def memory_of(report: Report, mode: str) -> Memory:
    """The memory of a report's network at the report's batch size, input size and dtype."""
    from .memory import memory

    settings, graph = report.settings, report.graph
    options: dict[str, Any] = {"dtype": settings.dtype, "mode": mode}
    if graph.batch_free:
        options["batch"] = settings.batch
        options["input_size"] = {name: shape[1:] for name, shape in settings.input_shapes.items()}
    result = memory(graph, **options)
    if result.unknown:
        names = ", ".join(result.unknown[:3])
        raise OpError(f"{report.about.name}: the tensors that autograd saves for backward are unknown for {names}")
    return result


def _largest_batch(gpu: str, mode: str) -> Callable[[Report], Value]:
    def value(report: Report) -> Value:
        from .memory.fit import fit

        settings = report.settings
        sizes = {name: shape[1:] for name, shape in settings.input_shapes.items()}
        return fit(report.graph, gpu, settings.dtype, mode, input_size=sizes).batch

    return value


def _total(key: str, heading: str, unit: Literal["count", "bytes"], about: str, table: Table | None) -> Quantity:
    """A quantity of the lock that is a sum over the layers."""
    value, layer = attrgetter(f"totals.{key}"), attrgetter(key)
    return Quantity(key, heading, unit, about, value, layer, gate="lock", table=table)


_ALL = (
    Quantity("depth", "Depth", "plain", "weight layers on the longest path", attrgetter("totals.depth"),
             best=None, gate="lock", table="main"),
    Quantity("layers", "Layers", "plain", "operations", attrgetter("totals.layers"),
             best=None, gate="lock", table=None),
    _total("params", "Params", "count", "learnable scalars", "main"),
    _total("buffers", "Buffers", "count", "scalars of buffers, which are not learned", None),
    _total("macs", "MACs", "count", "multiply-accumulates", "main"),
    _total("flops", "FLOPs", "count", "2 x MACs + all other operations", "main"),
    _total("activation_bytes", "Activations", "bytes", "bytes of the outputs that layers allocate", "main"),
    Quantity("weight_file_bytes", "Weight file", "bytes", "bytes of parameters and buffers, as in a state_dict",
             lambda x: x.totals.weight_bytes + x.totals.buffer_bytes, gate="lock", table="memory"),
    Quantity("peak_memory", "Peak", "bytes", "peak memory of a forward pass without gradients",
             lambda x: memory_of(x, "inference").peak_bytes, gate="budget", table="memory"),
    Quantity("peak_training_memory", "Peak, training", "bytes",
             "peak memory of a training step with AdamW",
             lambda x: memory_of(x, "train").peak_bytes, gate="budget", table="memory"),
    Quantity("top1_error", "Top-1", "percent", "published top-1 error",
             lambda x: x.about.error("top1_error"), table="main"),
    Quantity("top5_error", "Top-5", "percent", "published top-5 error",
             lambda x: x.about.error("top5_error"), table="main"),
    Quantity("weight_bytes", "Weights", "bytes", "bytes of parameters", layer=attrgetter("weight_bytes")),
    Quantity("bytes_read", "Read", "bytes", "bytes read from memory", layer=attrgetter("bytes_read")),
    Quantity("bytes_written", "Written", "bytes", "bytes written to memory", layer=attrgetter("bytes_written")),
    Quantity("launches", "Launches", "plain", "kernel launches on CUDA", layer=attrgetter("launches")),
)  # fmt: skip

QUANTITIES: dict[str, Quantity] = {quantity.key: quantity for quantity in _ALL}
"""Quantities by key, except those of saved profiles (``MEASURED``) and of GPUs (``BATCHES``)."""


def register_quantity(quantity: Quantity) -> None:
    """Add a quantity to ``QUANTITIES``.

    Raises:
        TypeError: the key is registered already.
    """
    if quantity.key in quantities(measured=True) or quantity.key in (*QUANTITIES, *BATCHES):
        raise TypeError(f"a quantity {quantity.key!r} is registered already")
    QUANTITIES[quantity.key] = quantity


def _needs_profile(report: Report) -> Value:
    raise OpError(f"no saved profile of {report.about.name} with times")


MEASURED: dict[str, Quantity] = {
    quantity.key: quantity
    for quantity in (
        Quantity("latency_ns", "Latency", "duration", "median time of one pass at the smallest measured batch",
                 _needs_profile, gate="budget", table="measured"),
        Quantity("samples_per_s", "Per second", "number", "samples per second at the best measured batch",
                 _needs_profile, best="highest", gate="budget", table="measured"),
    )
}  # fmt: skip
"""Measured quantities by key. Their values come from saved profiles, not from a report."""

BATCHES = ("largest_batch", "largest_training_batch")
"""Keys of the quantities that need a GPU."""


def quantities(gpu: str | None = None, measured: bool = False) -> Mapping[str, Quantity]:
    """The quantities of networks by key; with the largest batches on ``gpu`` if it is given, and measured ones."""
    rows = {key: quantity for key, quantity in QUANTITIES.items() if quantity.value is not None}
    if gpu is not None:
        for key, heading, mode in zip(BATCHES, ("Batch", "Batch, training"), ("inference", "train"), strict=True):
            value = _largest_batch(gpu, mode)
            rows[key] = Quantity(
                key, heading, "plain", f"largest batch that fits {gpu}", value, best="highest", table="memory"
            )
    return {**rows, **MEASURED} if measured else rows


def additive() -> tuple[Quantity, ...]:
    """The quantities that are sums over the layers."""
    return tuple(quantity for quantity in QUANTITIES.values() if quantity.layer is not None)


def budget_keys(measured: bool = False) -> tuple[str, ...]:
    """Keys of the quantities that budgets may bound, with ``measured`` also those of saved profiles."""
    return tuple(key for key, quantity in quantities(measured=measured).items() if quantity.gate)


def lock_keys() -> tuple[str, ...]:
    """Keys of the quantities in the lock."""
    return tuple(key for key, quantity in quantities().items() if quantity.gate == "lock")


def quantity(key: str, among: Iterable[str]) -> Quantity:
    """The quantity with this key.

    Args:
        key: the key.
        among: the allowed keys.

    Raises:
        UsageError: the key is not allowed; the message suggests the nearest one.
    """
    keys = tuple(among)
    if key not in keys:
        raise UsageError(f"unknown quantity {key!r}{alternatives(key, keys)}")
    return QUANTITIES[key]


def exact(key: str, report: Report) -> int:
    """The integer value of a quantity that a budget may bound.

    Raises:
        OpError: the network has no such value.
    """
    value = QUANTITIES[key].of(report)
    if not isinstance(value, int):
        raise OpError(f"{report.about.name} has no {key}")
    return value
