"""Numbers as text."""

from __future__ import annotations

import pytest

from convcost import units


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 ns"),
        (0.0597, "0.06 ns"),
        (9.994, "9.99 ns"),
        (9.996, "10.0 ns"),
        (836.2, "836 ns"),
        (999.4, "999 ns"),
        (999.6, "1.00 us"),
        (45_600, "45.6 us"),
        (999_600, "1.00 ms"),
        (1_234_567, "1.23 ms"),
        (99_960_000, "100 ms"),
        (2.5e9, "2.50 s"),
        (4.321e12, "4,321 s"),
        (-45_600, "-45.6 us"),
    ],
)
def test_times_have_three_digits(nanoseconds, text):
    assert units.duration(nanoseconds) == units.duration(nanoseconds, "si") == text


def test_raw_times_are_in_nanoseconds():
    assert units.duration(1_234_567.89, "raw") == "1,234,567.9 ns"
    assert units.duration(0, "raw") == "0.0 ns"
