"""The protocol of timing, on a clock that the test moves."""

from __future__ import annotations

import itertools

import pytest

from convcost.profiles.runs import Condition

pytest.importorskip("torch")

from convcost.measure.profiling.timing import Limits, mark_cost, timed, warm_up
from support.fake_bench import FakeBench

MS = 1_000_000


def calls(bench, times):
    """A call that takes each of these times in turn, the last one for ever."""
    rest = itertools.chain(times, itertools.repeat(times[-1]))
    return lambda: bench.work(next(rest))


def test_warming_up_ends_when_times_settle():
    bench = FakeBench()
    falling = [100 * MS, 50 * MS, 20 * MS, 12 * MS, 11 * MS, *[10 * MS] * 100]
    found, stable = warm_up(bench, [calls(bench, falling)], Limits(seconds=100, warmup_seconds=0))
    assert stable
    # The first two windows of five with one median: 5 iterations fall, then 10 are alike.
    assert found == (100 * MS, 50 * MS, 20 * MS, 12 * MS, 11 * MS, *[10 * MS] * 8)


def test_warming_up_gives_up():
    bench = FakeBench()
    rising = [k * MS for k in range(1, 1000)]
    found, stable = warm_up(bench, [calls(bench, rising)], Limits(seconds=1))
    assert not stable
    assert sum(found[:-1]) < 250 * MS <= sum(found)  # a quarter of the time there is


def test_warming_up_is_not_flushed():
    bench = FakeBench()
    warm_up(bench, [calls(bench, [10 * MS])], Limits())
    assert bench.flushes == 0


def test_equal_times_end_as_soon_as_the_median_is_sure():
    bench = FakeBench()
    found = timed(bench, [calls(bench, [MS])], Limits(seconds=100, warmup_seconds=0, min_samples=10))
    assert set(found.phases[0]) == {MS}
    assert 10 <= len(found.phases[0]) <= 60  # one chunk of 50 ms
    assert found.stable


def test_noisy_times_are_taken_until_time_is_over():
    bench = FakeBench()
    noisy = [MS, 2 * MS] * 100_000
    found = timed(bench, [calls(bench, noisy)], Limits(seconds=2.0, max_samples=100_000))
    assert found.phases[0].count(MS) == pytest.approx(len(found.phases[0]) / 2, abs=1)
    assert 1.9e9 < bench.time_ns < 2.3e9


def test_a_single_iteration_longer_than_all_the_time():
    bench = FakeBench()
    found = timed(bench, [calls(bench, [10_000 * MS])], Limits(seconds=1.0))
    assert len(found.phases[0]) == 3
    assert len(found.warmup_ns) == 2


def test_no_more_samples_than_allowed():
    bench = FakeBench()
    noisy = [MS, 3 * MS] * 100_000
    found = timed(bench, [calls(bench, noisy)], Limits(seconds=100, max_samples=37))
    assert len(found.phases[0]) == 37


def test_phases_are_apart_and_the_flush_is_in_none():
    bench = FakeBench()
    phases = [calls(bench, [3 * MS]), calls(bench, [5 * MS]), calls(bench, [2 * MS])]
    found = timed(bench, phases, Limits(seconds=100, warmup_seconds=0))
    assert [set(row) for row in found.phases] == [{3 * MS}, {5 * MS}, {2 * MS}]
    assert bench.flushes == len(found.phases[0])


def test_sensors_are_read_while_it_works():
    looks = [Condition(0, clock_hz=hz) for hz in (1, 2, 3)]
    bench = FakeBench(looks)
    noisy = [MS, 2 * MS] * 100_000
    found = timed(bench, [calls(bench, noisy)], Limits(seconds=1))
    assert found.conditions == tuple(looks)


def test_the_cost_of_reading_the_clock():
    assert mark_cost(FakeBench(tick_ns=700), times=5) == (700,) * 5
