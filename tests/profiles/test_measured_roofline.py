"""Measured ceilings in the form that a roofline takes."""

from __future__ import annotations

import pytest

import convcost
from convcost.profiles.measured_roofline import measured_ceilings
from convcost.profiles.runs import Ceiling, Environment, Setting

SECOND = (1_000_000_000,)


def top(what, work, dtype="", tf32=None):
    return Ceiling(what, work, SECOND, dtype, tf32, "its size")


GPU = (
    top("copy", 3_000), top("launch", 1), top("matmul", 60, "float32", False), top("matmul", 400, "float32", True),
    top("matmul", 800, "bfloat16"),
)  # fmt: skip
DEFAULTS = {"torch.backends.cudnn.allow_tf32": "True", "torch.backends.cuda.matmul.allow_tf32": "False"}


def rates(setting, flags=DEFAULTS, tops=GPU):
    where = Environment("cuda", "GPU X", "CUDA events", flags=flags)
    found = measured_ceilings(tops, where, setting)
    return found and (
        found.conv_flops_per_s, found.matmul_flops_per_s, found.vector_flops_per_s, found.bytes_per_s
    )  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        # PyTorch's defaults: TF32 in convolutions, not in matrix products.
        (Setting(1), (400, 60, 60, 3000)),
        (Setting(1, tf32=True), (400, 400, 60, 3000)),
        (Setting(1, tf32=False), (60, 60, 60, 3000)),
        (Setting(1, "bfloat16"), (800, 800, 60, 3000)),
        (Setting(1, "amp-bf16"), (800, 800, 60, 3000)),
        (Setting(1, "float16"), None),  # its products were not measured
    ],
)
def test_rates(setting, wanted):
    assert rates(setting) == wanted


def test_ceiling_is_the_fastest_sample():
    assert Ceiling("copy", 10, (2_000_000_000, 500_000_000, 1_000_000_000)).per_s == 20


def test_convolutions_have_the_higher_of_two_ceilings():
    tops = (*GPU, top("conv", 500, "float32", True), top("conv", 50, "float32", False))
    assert rates(Setting(1), tops=tops) == (500, 60, 60, 3000)
    assert rates(Setting(1, tf32=False), tops=tops) == (60, 60, 60, 3000)  # its matrix products are faster


def test_cpu():
    tops = (top("copy", 30), top("matmul", 5, "float32"))
    assert rates(Setting(1), {}, tops) == (5, 5, 5, 30)


def test_missing_ceilings():
    assert rates(Setting(1), tops=GPU[2:]) is None
    assert rates(Setting(1), tops=GPU[:2]) is None


def test_ops_that_autocast_keeps_in_float32_have_the_float32_rate():
    where = Environment("cuda", "GPU X", "CUDA events", flags=DEFAULTS)
    found = measured_ceilings(GPU, where, Setting(1, "amp-bf16"))
    assert found.others["float32"].matmul_flops_per_s == 60
    assert "measured: bfloat16" in found.words["conv_flops_per_s"]
    roofline = convcost.roofline(convcost.load("lenet5"), found, dtype="amp-bf16")
    assert roofline.bound_ns > 0
