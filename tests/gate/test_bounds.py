"""Parsing and comparison of bounds and tolerances."""

from __future__ import annotations

import pytest

from convcost.errors import UsageError
from convcost.gate.bounds import bound, tolerance


@pytest.mark.parametrize(
    ("written", "unit", "operator", "value"),
    [
        (25_557_032, "count", "<=", 25_557_032),
        ("25.6M", "count", "<=", 25_600_000),
        ("<= 4.1G", "count", "<=", 4_100_000_000),
        ("< 1,000", "count", "<", 1_000),
        (">= 10_000", "count", ">=", 10_000),
        ("= 5K", "count", "==", 5_000),
        ("== 5k", "count", "==", 5_000),
        ("2B", "count", "<=", 2_000_000_000),
        ("100MiB", "bytes", "<=", 100 * 1024**2),
        ("> 100 MB", "bytes", ">", 100_000_000),
        ("1.5KiB", "bytes", "<=", 1536),
        ("0.1KiB", "bytes", "<=", 102),
        ("7", "bytes", "<=", 7),
        ("7B", "bytes", "<=", 7),
        (0, "count", "<=", 0),
    ],
)
def test_bounds(written, unit, operator, value):
    found = bound(written, unit, "<=")
    assert (found.operator, found.value) == (operator, value)


@pytest.mark.parametrize(
    ("written", "inside", "outside"),
    [("<= 10", 10, 11), (">= 10", 10, 9), ("== 10", 10, 11), ("< 10", 9, 10), ("> 10", 11, 10), (10, 10, 11)],
)
def test_operators(written, inside, outside):
    found = bound(written, "count", "<=")
    assert found.holds(inside)
    assert not found.holds(outside)


def test_bound_without_an_operator_in_an_assertion():
    """As for a published figure: equal, or equal after rounding to the printed digits."""
    about = bound("25.6M", "count", "about")
    assert about.holds(25_557_032)
    assert not about.holds(25_500_000)
    for exact in (bound(25_557_032, "count", "about"), bound("25,557,032", "count", "about")):
        assert exact.holds(25_557_032)
        assert not exact.holds(25_557_033)


@pytest.mark.parametrize(
    ("written", "unit", "message"),
    [
        (-1, "count", "-1 is negative; figures are 0 or more"),
        ("< 0", "count", "'< 0' cannot be satisfied: figures are 0 or more"),
        ("-5M", "count", "'-5M' is not a figure; write one such as '25.6M' or '<= 25.6M'"),
        ("five", "count", "'five' is not a figure"),
        ("", "count", "'' is not a figure"),
        ("<=", "count", "'' is not a figure"),
        ("5Q", "count", "'5Q': the suffix of a count is K, k, M, G, B, T or none, not 'Q'"),
        ("100MiB", "count", "the suffix of a count is K, k, M, G, B, T or none, not 'MiB'"),
        ("100M", "bytes", "the suffix of a size in bytes is B, kB, KB, MB, GB, KiB, MiB, GiB or none, not 'M'"),
        ("1.5", "count", "'1.5' is not an integer"),
        ("1.0005K", "count", "'1.0005K' is not an integer"),
        (1.5, "count", "1.5 is neither an integer nor a string"),
        (True, "count", "true is neither an integer nor a string"),
        (None, "bytes", "null is neither an integer nor a string such as '100MiB'"),
        ([1], "count", "[1] is neither"),
        (float("inf"), "count", "inf is neither"),
        ("1e9", "count", "is not a figure"),
    ],
)
def test_invalid_bounds(written, unit, message):
    with pytest.raises(UsageError) as caught:
        bound(written, unit, "<=")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("written", "locked", "near", "far"),
    [(0, 100, 100, 101), ("0", 100, 100, 99), (5, 100, 105, 106), ("1K", 10_000, 9_000, 8_999),
     ("1%", 1_000, 1_010, 1_011), ("0.5%", 1_000, 995, 994), ("0.05%", 20_000, 20_010, 20_011), ("0%", 7, 7, 8)],
)  # fmt: skip
def test_tolerances(written, locked, near, far):
    found = tolerance(written, "count")
    assert found.allows(locked, near)
    assert not found.allows(locked, far)
    assert found.exact == (near == locked)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (0.01, "0.01 is neither an integer nor a percentage such as '0.5%'"),
        ("<= 5", "a tolerance has no operator"),
        ("-1%", "is not a figure"),
        (-1, "negative"),
        ("x%", "is not a figure"),
    ],
)
def test_invalid_tolerances(written, message):
    with pytest.raises(UsageError) as caught:
        tolerance(written, "count")
    assert message in str(caught.value)
