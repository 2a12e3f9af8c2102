"""Budgets and tolerances as people write them."""

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
def test_a_bound_includes_what_it_says(written, inside, outside):
    found = bound(written, "count", "<=")
    assert found.holds(inside)
    assert not found.holds(outside)


def test_a_figure_without_an_operator_in_an_assertion():
    """As a published figure: exactly, or to the digits that are printed."""
    about = bound("25.6M", "count", "about")
    assert about.holds(25_557_032)
    assert not about.holds(25_500_000)
    for exact in (bound(25_557_032, "count", "about"), bound("25,557,032", "count", "about")):
        assert exact.holds(25_557_032)
        assert not exact.holds(25_557_033)


@pytest.mark.parametrize(
    ("written", "unit", "message"),
    [
        (-1, "count", "-1 is negative; no network is below 0"),
        ("< 0", "count", "'< 0' is impossible: nothing is below 0"),
        ("-5M", "count", "'-5M' is no figure such as '25.6M' or '<= 25.6M'"),
        ("five", "count", "'five' is no figure"),
        ("", "count", "'' is no figure"),
        ("<=", "count", "'' is no figure"),
        ("5Q", "count", "'5Q': a count is written with K, k, M, G, B, T or nothing, not 'Q'"),
        ("100MiB", "count", "a count is written with K, k, M, G, B, T or nothing, not 'MiB'"),
        ("100M", "bytes", "bytes are written with B, kB, KB, MB, GB, KiB, MiB, GiB or nothing, not 'M'"),
        ("1.5", "count", "'1.5' is not a whole number"),
        ("1.0005K", "count", "'1.0005K' is not a whole number"),
        (1.5, "count", "1.5 is neither a whole number nor a text"),
        (True, "count", "true is neither a whole number nor a text"),
        (None, "bytes", "null is neither a whole number nor a text such as '100MiB'"),
        ([1], "count", "[1] is neither"),
        (float("inf"), "count", "inf is neither"),
        ("1e9", "count", "is no figure"),
    ],
)
def test_impossible_bounds(written, unit, message):
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
        (0.01, "0.01 is neither a whole number nor a share such as '0.5%'"),
        ("<= 5", "a tolerance has no operator"),
        ("-1%", "is no figure"),
        (-1, "negative"),
        ("x%", "is no figure"),
    ],
)
def test_impossible_tolerances(written, message):
    with pytest.raises(UsageError) as caught:
        tolerance(written, "count")
    assert message in str(caught.value)
