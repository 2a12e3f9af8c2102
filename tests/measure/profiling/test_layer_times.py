"""Times of layers: how the device is kept busy while launches queue up, and what autocast does meanwhile."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

import convcost
from support.networks import chain

torch = pytest.importorskip("torch")

from convcost.measure.build import build  # noqa: E402
from convcost.measure.profiling.clock import CpuBench  # noqa: E402
from convcost.measure.profiling.layer_times import HELD, in_place, isolated  # noqa: E402


class Held(CpuBench):
    """A device whose host takes what it is told for each launch, and where every mark is a number."""

    def __init__(self, host_ns):
        super().__init__()
        self.time_ns, self.marks, self.leads = 0, 0, []
        self._host_ns = host_ns

    def now_ns(self):
        return self.time_ns

    def flush(self):
        pass

    def lead(self, ns):
        self.leads.append(ns)

    def mark(self):
        self.time_ns += next(self._host_ns)
        self.marks += 1
        return self.marks


def steady(ns):
    while True:
        yield ns


@pytest.fixture
def long():
    return build(chain((2, 4, 4), *["relu"] * (2 * HELD + 10)), "cpu"), [torch.zeros(1, 2, 4, 4)]


def test_the_stream_is_held_again_before_its_queue_is_full(long):
    network, inputs = long
    bench = Held(steady(1000))
    found = in_place(bench, network, inputs, nullcontext, passes=2, seconds=1e9)
    assert len(found.layers) == 2 * HELD + 10
    # Between two marks of a stretch there is one layer, however many stretches there are.
    assert set(map(tuple, found.layers)) == {(1, 1)}
    # Three stretches in each of three passes; in the first pass nobody knows yet how long launches take.
    marks = 2 * HELD + 10 + 3
    expected = 2 * 1000 * marks * HELD // (2 * HELD + 10)
    assert bench.leads[:-1] == [0] * 3 + [expected] * 6  # the last is that of reading the clock


def test_a_pass_that_waits_for_the_device_makes_the_next_hold_no_longer(long):
    network, inputs = long
    marks = 2 * HELD + 10 + 3
    slower = iter([1000] * marks + [50_000] * 10 * marks)
    bench = Held(slower)
    in_place(bench, network, inputs, nullcontext, passes=3, seconds=1e9)
    assert len(set(bench.leads[3:-1])) == 1


def test_autocast_keeps_no_casts_while_layers_run_alone():
    graph = convcost.load("lenet5_d2l")
    report = convcost.analyze(graph, 1)
    network, seen = build(graph, "cpu"), []

    class Watching(CpuBench):
        def replayed(self, call):
            seen.append(torch.is_autocast_cache_enabled())
            return call

    ops, launches = [node.op for node in graph], [layer.launches for layer in report.layers]
    x = [torch.zeros(1, 1, 28, 28)]
    with torch.no_grad():
        found = isolated(
            Watching(), network, ops, launches, x, lambda: torch.autocast("cpu", torch.bfloat16), (), {}
        )  # fmt: skip
    assert found.notes == ()
    assert seen
    assert not any(seen)
    assert torch.is_autocast_cache_enabled()
