"""Figures of layers from raw times, computed by hand for three layers."""

from __future__ import annotations

import msgspec
import pytest

from convcost.profiles.layer_summary import LayerSummary
from convcost.profiles.runs import Ceiling, LayerTime, Run, Setting

LAUNCH = Ceiling("launch", 1, (2_000, 2_000, 2_100))
CONV = LayerTime(
    "stem.conv", "conv2d", "conv", params=100, macs=1_000_000, flops=2_000_000, bytes_moved=500_000, launches=1,
    bound_ns=8_000.0, limit="compute", datasheet_bound_ns=4_000.0, in_place_ns=(11_000, 10_000, 12_000), alone=0,
)  # fmt: skip
RELU = LayerTime(
    "stem.relu", "relu", "activation", params=0, macs=0, flops=1_000, bytes_moved=8_000, launches=1,
    bound_ns=10.0, limit="memory", datasheet_bound_ns=5.0, in_place_ns=(3_000, 3_000, 3_000), alone=1,
)  # fmt: skip
VIEW = LayerTime(
    "flatten", "flatten", "other", params=0, macs=0, flops=0, bytes_moved=0, launches=0, bound_ns=0.0,
    datasheet_bound_ns=0.0, in_place_ns=(500, 900, 700),
)  # fmt: skip
RUN = Run(
    Setting(1), "measured", {"input": (1, 3, 8, 8)}, phases={"forward": (20_000, 20_000, 20_000)},
    layers=(CONV, RELU, VIEW), isolated=((9_000, 9_500, 9_100), (2_500, 2_500, 2_500)), mark_ns=(900, 1_000, 1_100),
    replay_ns=(13_000, 12_000, 14_000),
)  # fmt: skip


@pytest.fixture
def figures():
    return LayerSummary(RUN, (LAUNCH,))


def test_cost_of_the_clock_is_subtracted(figures):
    assert [span.time_ns for span in figures.layers] == [10_000, 2_000, 0]
    assert [span.alone_ns for span in figures.layers] == [9_100, 2_500, 0]


def test_rates(figures):
    conv, relu, view = figures.layers
    assert conv.flops_per_s == pytest.approx(2e6 / 10e-6)
    assert conv.bytes_per_s == pytest.approx(5e5 / 10e-6)
    assert (conv.of_ceiling, conv.of_datasheet) == pytest.approx((0.8, 0.4))
    assert relu.of_ceiling == pytest.approx(0.005)
    assert (view.flops_per_s, view.bytes_per_s, view.of_ceiling) == (None, None, None)


def test_limits(figures):
    """A launch takes 2,000 ns: more than the bound of the ReLU, less than that of the convolution."""
    assert [span.limit for span in figures.layers] == ["compute", "launches", ""]
    assert figures.totals.limit == "mixed"


def test_sums_by_group(figures):
    assert list(figures.by_group) == ["conv", "activation", "other"]
    assert sum(span.time_ns for span in figures.by_group.values()) == figures.totals.time_ns == 12_000
    assert figures.totals.of_ceiling == pytest.approx(8_010 / 12_000)
    assert figures.totals.layers == 3


def test_closing(figures):
    sums = figures.closing
    assert (sums.whole_ns, sums.layers_ns, sums.launch_gap_ns, sums.busy) == (20_000, 12_000, 7_000, 0.65)
    assert sums.rest_ns == 1_000  # of 20,000: 5 %
    assert sums.marks_ns == 3_000


def test_launch_gap_is_unknown_without_a_cuda_graph():
    sums = LayerSummary(msgspec.structs.replace(RUN, replay_ns=()), (LAUNCH,)).closing
    assert (sums.launch_gap_ns, sums.busy, sums.rest_ns) == (None, None, 8_000)


def test_isolated_times_only():
    layers = tuple(msgspec.structs.replace(layer, in_place_ns=()) for layer in RUN.layers)
    found = LayerSummary(msgspec.structs.replace(RUN, layers=layers), (LAUNCH,))
    assert [span.time_ns for span in found.layers] == [9_100, 2_500, 0]
    assert found.closing is None


def test_sum_with_a_missing_time_is_none():
    layers = (msgspec.structs.replace(CONV, in_place_ns=(), alone=None), RELU)
    found = LayerSummary(msgspec.structs.replace(RUN, layers=layers), (LAUNCH,))
    assert found.layers[0].time_ns is None
    assert found.totals.time_ns is None


def test_without_ceilings():
    layers = tuple(msgspec.structs.replace(x, bound_ns=None, datasheet_bound_ns=None, limit="") for x in RUN.layers)
    found = LayerSummary(msgspec.structs.replace(RUN, layers=layers), ())
    assert [span.of_ceiling for span in found.layers] == [None] * 3
    assert [span.limit for span in found.layers] == [""] * 3
