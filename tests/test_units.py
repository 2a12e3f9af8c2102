"""Numbers as text, and what rounding may not claim."""

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


def test_plural():
    assert [units.plural(number, "layer") for number in (0, 1, 1234)] == ["0 layers", "1 layer", "1,234 layers"]


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (1, 2, "50.0%"),
        (999, 1000, "99.9%"),
        # 99.96% and 99.99999%: rounded they would claim everything.
        (9996, 10_000, ">99.9%"),
        (10**7 - 1, 10**7, ">99.9%"),
        (10**7, 10**7, "100.0%"),
        # 0.04% and 0.00001%: rounded they would claim nothing.
        (1, 1000, "0.1%"),
        (4, 10_000, "<0.1%"),
        (1, 10**7, "<0.1%"),
        (0, 10**7, "0.0%"),
        (0, 0, ""),
    ],
)
def test_only_everything_is_a_hundred_percent_and_only_nothing_is_none(part, whole, text):
    assert units.share(part, whole) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(9_999, "9,999"), (10_000, "10.00K"), (-10_000, "-10.00K"), (999_999, "1000.00K"), (10**6, "1.00M"), (0, "0")],
)
def test_counts_are_scaled_from_ten_thousand(value, text):
    assert units.count(value) == text
    assert units.count(value, "raw") == f"{value:,}"


@pytest.mark.parametrize(
    ("value", "iec", "si"),
    [
        (999, "999 B", "999 B"),
        (1000, "1000 B", "1.00 kB"),
        (1023, "1023 B", "1.02 kB"),
        (1024, "1.00 KiB", "1.02 kB"),
        (-1024, "-1.00 KiB", "-1.02 kB"),
        (1024**2, "1.00 MiB", "1.05 MB"),
    ],
)
def test_sizes_are_scaled_from_the_first_unit(value, iec, si):
    assert (units.size(value), units.size(value, "si")) == (iec, si)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1x"),
        (0.0123, "0.0123x"),
        (2.351, "2.35x"),
        (99.94, "99.9x"),
        (100, "100x"),
        (123.4, "123x"),
        (999.6, "1,000x"),  # "%.3g" would give 1e+03
        (1234.5, "1,234x"),
    ],
)
def test_ratios_have_three_digits_and_no_exponent(value, text):
    assert units.ratio(value) == text


def test_shares_of_large_integers_do_not_round_up():
    """One multiply-accumulate less than a googol of them is not everything."""
    assert units.share(10**100 - 1, 10**100) == ">99.9%"
    assert units.share(1, 10**100) == "<0.1%"
