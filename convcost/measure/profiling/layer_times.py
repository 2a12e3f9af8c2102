"""Times of single layers: in place, in a run of the whole network; and each distinct layer alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import msgspec
import torch

from ...ops.base import Op
from ..build import LayerCall, Network, Values
from .clock import Bench, Call
from .timing import Limits, between, mark_cost, timed

PASSES = 15
HELD = 150
"""Layers for which the stream is held at once: the queue of launches has room for about a thousand."""
ALONE = Limits(seconds=0.3, warmup_seconds=0.01, max_samples=100)


class InPlace(msgspec.Struct, frozen=True):
    """Of each layer the time from the moment before it to the moment after it, in each pass.

    ``mark_ns``: what reading the clock costs, two moments with nothing between them.
    """

    layers: tuple[tuple[int, ...], ...]
    mark_ns: tuple[int, ...]


def in_place(
    bench: Bench,
    network: Network,
    inputs: Sequence[torch.Tensor],
    around: Callable[[], AbstractContextManager[Any]],
    passes: int = PASSES,
    seconds: float = 3.0,
) -> InPlace:
    """Times of every layer while the whole network runs, in one stream.

    Nothing is hooked into the modules: the network itself calls its layers one by one, and the clock is read between
    them. On CUDA the stream is kept busy first, and again every so many layers, so that launches wait in the queue and
    the times are those of the device alone.

    Args:
        around: gives the context that each pass runs in, such as autocast.
        passes: how often; fewer if ``seconds`` are over.
    """
    stretches: list[list[Any]] = []
    host_ns, total = 0, max(1, len(network.calls))

    def watched(call: LayerCall, values: Values) -> None:
        if not stretches or len(stretches[-1]) > HELD:
            bench.lead(2 * host_ns * min(HELD, total) // total)
            stretches.append([bench.mark()])
        call.run(values)
        stretches[-1].append(bench.mark())

    rows: list[tuple[int, ...]] = []
    begun = bench.now_ns()
    for number in range(passes + 1):
        stretches.clear()
        bench.flush()
        start = bench.now_ns()
        with around():
            network(*inputs, around=watched)
        spent = bench.now_ns() - start
        host_ns = min(host_ns or spent, spent)  # the least: where the queue is full, launches wait for the device
        bench.synchronize()
        if number:  # the first pass warms up, and finds out how long the launches take
            rows.append(tuple(ns for marks in stretches for ns in between(bench, marks)))
        if rows and bench.now_ns() - begun > 1e9 * seconds:
            break
    return InPlace(tuple(zip(*rows, strict=True)), mark_cost(bench))


Key = tuple[Any, ...]


def key_of(op: Op, call: LayerCall, arriving: Sequence[torch.Tensor], more: Key) -> Key:
    """What makes two layers take the same time: op, shapes, dtypes, layout and what else is the same for a run."""
    own = tuple(str(x.dtype) for x in call.weights()[:1])
    return (op, own, *((tuple(x.shape), str(x.dtype), x.stride()) for x in arriving), *more)


class Isolated(msgspec.Struct, frozen=True):
    """Times of distinct layers, and for each layer of the network which of them is its own; None: it runs nothing."""

    samples: tuple[tuple[int, ...], ...]
    of_layer: tuple[int | None, ...]
    notes: tuple[str, ...]


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
    """Times of each distinct layer by itself, its inputs not in the cache; on CUDA from a graph, without launch costs.

    Args:
        ops, launches: of each layer. What launches nothing, such as a view, is not timed.
        more: what the times depend on besides the layer: device, dtype of the run, flags.
        cache: times that are known already, which is added to.
    """
    used: dict[Key, int] = {}
    of_layer: list[int | None] = []
    failed: dict[str, int] = {}
    position = 0

    def watched(call: LayerCall, values: Values) -> None:
        nonlocal position
        arriving, weights = call.reads(values)
        place, op, position = None, ops[position], position + 1
        if launches[position - 1]:
            key = key_of(op, call, arriving, more)
            if key not in cache:
                copies = [x.clone() for x in arriving]  # what works in place would change what the next layer reads
                try:
                    cache[key] = _alone(bench, lambda: call.outputs(copies, weights))
                except RuntimeError as error:
                    if bench.out_of_memory(error):
                        raise
                    reason = f"{op.op}: {(str(error).splitlines() or [''])[0]:.80}"
                    failed[reason] = failed.get(reason, 0) + 1
            if key in cache:
                place = used.setdefault(key, len(used))
        of_layer.append(place)
        call.run(values)

    with around(), _no_kept_casts():
        network(*inputs, around=watched)
    notes = tuple(f"not timed alone ({times} layers): {reason}" for reason, times in failed.items())
    return Isolated(tuple(cache[key] for key in used), tuple(of_layer), notes)


@contextmanager
def _no_kept_casts() -> Iterator[None]:
    """Let autocast cast weights at each call, as a pass does, and keep none that was made during a capture."""
    before = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(before)


def _alone(bench: Bench, call: Call) -> tuple[int, ...]:
    return timed(bench, [bench.replayed(call)], ALONE).phases[0]
