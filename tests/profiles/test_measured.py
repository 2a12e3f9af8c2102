"""Measured figures for comparisons and budgets."""

from __future__ import annotations

import msgspec
import pytest

import convcost
from convcost.errors import UsageError
from convcost.profiles.measured import check_same, measured, versus
from convcost.profiles.profile import Profile
from convcost.profiles.runs import Environment, Run, Setting, Static

STATIC = Static(params=10, macs=100, flops=200, activation_bytes=4, weight_bytes=40, bytes_moved=44, step_flops=200)


def run(batch, ns, **setting):
    shapes = {"input": (batch, 3, 8, 8)}
    static = msgspec.structs.replace(STATIC, macs=100 * batch)
    return Run(Setting(batch, **setting), "measured", shapes, static, phases={"forward": (ns,) * 8})


def profile(*runs):
    return Profile("net", "Net", "net", Environment("cuda", "GPU X", "CUDA events"), runs)


def test_latency_at_the_smallest_batch_and_highest_throughput():
    found = measured(profile(run(32, 4_000_000), run(1, 900_000), run(8, 1_500_000), run(1, 800_000, dtype="float16")))
    assert (found.latency_ns, found.latency_at) == (800_000, "batch 1, float16")
    assert (found.samples_per_s, found.samples_per_s_at) == (8000, "batch 32, float32")
    assert found.figures == {"latency_ns": 800_000, "samples_per_s": 8000}
    assert found.series["float32"] == ((1, 1e9 / 900_000), (8, 8e9 / 1_500_000), (32, 8000))


def test_selection_by_batch_and_dtype():
    both = profile(run(1, 900_000), run(8, 1_500_000), run(8, 700_000, dtype="bfloat16"))
    assert measured(both, batch=8).latency_ns == 700_000
    assert measured(both, batch=8, dtype="float32").latency_ns == 1_500_000
    with pytest.raises(
        UsageError, match=r"no times of batch 4; it has batch 1, float32; batch 8, float32; batch 8, bf"
    ):
        measured(both, batch=4)
    with pytest.raises(UsageError, match=r"the profile of net has no times$"):
        measured(profile())


def test_forward_passes_are_preferred_to_training_steps():
    step = msgspec.structs.replace(run(1, 100), setting=Setting(1, mode="train", optimizer="sgd"))
    assert measured(profile(step, run(2, 500))).latency_ns == 500
    assert measured(profile(step)).latency_at == "batch 1, float32, training with sgd"


def test_profile_of_another_network_is_refused():
    report = convcost.analyze(convcost.load("lenet5"), batch=2)
    totals = report.totals
    shape = {"input": (4, 1, 32, 32)}
    right = msgspec.structs.replace(
        run(4, 1),
        input_shapes=shape,
        static=msgspec.structs.replace(STATIC, params=totals.params, macs=2 * totals.macs),
    )
    check_same(profile(right), report)
    more = msgspec.structs.replace(right.static, params=totals.params + 1)
    with pytest.raises(UsageError, match=r"with 60,001 parameters and .* where lenet5 has 60,000 parameters"):
        check_same(profile(msgspec.structs.replace(right, static=more)), report)
    other = msgspec.structs.replace(right.static, macs=right.static.macs + 4)
    with pytest.raises(UsageError, match=r"326,521 MACs per sample where lenet5 has"):
        check_same(profile(msgspec.structs.replace(right, static=other)), report)
    # At another input size MACs differ, so that only parameters are compared.
    check_same(profile(msgspec.structs.replace(right, static=other, input_shapes={"input": (4, 1, 64, 64)})), report)


def test_same_setting_in_several_profiles():
    first, second = profile(run(1, 100), run(8, 400)), profile(run(8, 200), run(16, 300))
    (row,) = versus([first, second])
    assert (row.setting, row.median_ns, row.samples_per_s) == ("batch 8, float32", (400, 200), (2e7, 4e7))
    rows = versus([first, second, first])
    assert [each.setting for each in rows] == ["batch 1, float32", "batch 8, float32"]
    assert rows[0].median_ns == (100, None, 100)
