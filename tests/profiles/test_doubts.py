"""Warnings of a run: each appears if and only if its cause is present."""

from __future__ import annotations

import msgspec
import pytest

from convcost.profiles.doubts import of_conditions, warnings
from convcost.profiles.runs import Condition, Run, Setting

STEADY = tuple([100_000] * 40)
RUN = Run(Setting(8), "measured", {"input": (8, 3, 32, 32)}, phases={"forward": STEADY})


def with_(**changes):
    return msgspec.structs.replace(RUN, **changes)


def test_stable_run_has_no_warnings():
    assert warnings(RUN) == ()


def test_failed_run_has_no_warnings():
    assert warnings(with_(status="failed", phases={})) == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stable": False}, "not stable at the end of the warm-up"),
        ({"phases": {"forward": (100, 101, 102)}}, "3 samples are too few"),
        ({"phases": {"forward": tuple([90_000, 110_000] * 20)}}, "the uncertainty of the median is 10.0%"),
        ({"phases": {"forward": (*STEADY, *[150_000] * 5)}}, "span 50% of the median"),
        ({"phases": {"forward": (*[100_000] * 20, *[110_000] * 20)}}, "iterations became 10% slower"),
        ({"phases": {"forward": (*[110_000] * 20, *[100_000] * 20)}}, "iterations became 9% faster"),
        ({"notes": ("no CUDA graph of it",)}, "no CUDA graph"),
    ],
)
def test_warnings(changes, words):
    assert any(words in text for text in warnings(with_(**changes)))


def test_phases_are_summed():
    backward = tuple([50_000] * 40)
    assert warnings(with_(phases={"forward": STEADY, "backward": backward})) == ()
    run = with_(phases={"forward": STEADY, "backward": backward})
    assert run.time.median_ns == 150_000
    assert run.samples_per_s == pytest.approx(8e9 / 150_000)


def test_sensors():
    assert of_conditions([]) == []
    steady = [Condition(k, clock_hz=1_980_000_000, power_w=600.0) for k in range(5)]
    assert of_conditions(steady) == []
    fell = [*steady, Condition(9, clock_hz=1_500_000_000)]
    assert of_conditions(fell) == ["the clock fell from 1,980 to 1,500 MHz"]
    held = [*steady, Condition(9, clock_hz=1_980_000_000, throttled=("power cap",))]
    assert of_conditions(held) == ["the device was throttled (power cap) in 1 of 6 sensor readings"]
