"""Measures the time of each layer, in place (while the whole network runs) and isolated (each distinct layer alone)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import msgspec
import torch

from ... import units
from ...ops.base import Op
from ..build import LayerCall, Network, Values
from .clock import Bench, Call
from .timing import Limits, between, mark_cost, timed

PASSES = 15
HELD = 150
"""The number of layers that are queued at a time while the stream is kept busy. CUDA queues about 1,000 launches."""
ALONE = Limits(seconds=0.3, warmup_seconds=0.01, max_samples=100)


class InPlace(msgspec.Struct, frozen=True):
    """Times of all layers in passes of the whole network, in nanoseconds."""

    layers: tuple[tuple[int, ...], ...]
    """For each layer, its time in each pass."""
    mark_ns: tuple[int, ...]
    """Samples of the time between two consecutive marks, which each layer's time includes."""


def in_place(
    bench: Bench,
    network: Network,
    inputs: Sequence[torch.Tensor],
    around: Callable[[], AbstractContextManager[Any]],
    passes: int = PASSES,
    seconds: float = 3.0,
) -> InPlace:
    """Measure the time of each layer while the whole network runs in one stream.

    The network calls its layers one by one and a mark is recorded between them, without hooks on the modules. On CUDA
    the stream is kept busy before the first layer and after every ``HELD`` layers, so that launches are queued ahead
    and the times do not include launch overhead.

    Args:
        bench: the device.
        network: the network, on the device.
        inputs: its inputs.
        around: creates the context manager for each pass, such as autocast.
        passes: the number of passes; fewer if they take longer than ``seconds``.
        seconds: the time limit.
    """
    groups: list[list[Any]] = []  # the marks of each group of at most HELD layers
    host_ns, total = 0, max(1, len(network.calls))

    def run_and_mark(call: LayerCall, values: Values) -> None:
        if not groups or len(groups[-1]) > HELD:
            bench.lead(2 * host_ns * min(HELD, total) // total)
            groups.append([bench.mark()])
        call.run(values)
        groups[-1].append(bench.mark())

    rows: list[tuple[int, ...]] = []
    begin = bench.now_ns()
    for number in range(passes + 1):
        groups.clear()
        bench.flush()
        start = bench.now_ns()
        with around():
            network(*inputs, around=run_and_mark)
        spent = bench.now_ns() - start
        host_ns = min(host_ns or spent, spent)  # the minimum, because launches wait if the queue is full
        bench.synchronize()
        if number:  # the first pass warms up and measures how long the launches take
            rows.append(tuple(ns for marks in groups for ns in between(bench, marks)))
        if rows and bench.now_ns() - begin > 1e9 * seconds:
            break
    return InPlace(tuple(zip(*rows, strict=True)), mark_cost(bench))


Key = tuple[Any, ...]


def key_of(op: Op, call: LayerCall, inputs: Sequence[torch.Tensor], more: Key) -> Key:
    """A key that is equal for layers that take the same time: op, shapes, dtypes, strides, and ``more``."""
    weight_dtype = tuple(str(x.dtype) for x in call.weights()[:1])
    return (op, weight_dtype, *((tuple(x.shape), str(x.dtype), x.stride()) for x in inputs), *more)


class Isolated(msgspec.Struct, frozen=True):
    """Times of each distinct layer alone, in nanoseconds."""

    samples: tuple[tuple[int, ...], ...]
    """The samples of each distinct layer."""
    of_layer: tuple[int | None, ...]
    """For each layer of the network its index in ``samples``; None for a layer that was not timed."""
    notes: tuple[str, ...]
    """Why layers could not be timed."""


def isolated(
    bench: Bench,
    network: Network,
    ops: Sequence[Op],
    launches: Sequence[int],
    inputs: Sequence[torch.Tensor],
    around: Callable[[], AbstractContextManager[Any]],
    more: Key,
    cache: dict[Key, tuple[int, ...]],
) -> Isolated:
    """Measure the time of each distinct layer alone, with a cold cache; on CUDA as a graph, without launch overhead.

    Args:
        bench: the device.
        network: the network, on the device.
        ops, launches: the op of each layer and its number of kernels. A layer without kernels, such as a view, is not
            timed.
        inputs: the inputs of the network.
        around: creates the context manager for the pass, such as autocast.
        more: what the times depend on besides the layer, such as device and flags.
        cache: samples by key from earlier calls; new ones are added.
    """
    used: dict[Key, int] = {}
    of_layer: list[int | None] = []
    failed: dict[str, int] = {}
    position = 0

    def measure(call: LayerCall, values: Values) -> None:
        nonlocal position
        layer_inputs, weights = call.reads(values)
        index, op, position = None, ops[position], position + 1
        if launches[position - 1]:
            key = key_of(op, call, layer_inputs, more)
            if key not in cache:
                copies = [x.clone() for x in layer_inputs]  # because an in-place op changes its input
                try:
                    cache[key] = _alone(bench, lambda: call.outputs(copies, weights))
                except RuntimeError as error:
                    if bench.out_of_memory(error):
                        raise
                    reason = f"{op.op}: {(str(error).splitlines() or [''])[0]:.80}"
                    failed[reason] = failed.get(reason, 0) + 1
            if key in cache:
                index = used.setdefault(key, len(used))
        of_layer.append(index)
        call.run(values)

    with around(), _without_autocast_cache():
        network(*inputs, around=measure)
    notes = tuple(f"not timed alone ({units.plural(number, 'layer')}): {reason}" for reason, number in failed.items())
    return Isolated(tuple(cache[key] for key in used), tuple(of_layer), notes)


@contextmanager
def _without_autocast_cache() -> Iterator[None]:
    """Make autocast cast the weights in each call, as in a pass, and not reuse a cast from a captured graph."""
    before = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(before)


def _alone(bench: Bench, call: Call) -> tuple[int, ...]:
    return timed(bench, [bench.replayed(call)], ALONE).phases[0]
