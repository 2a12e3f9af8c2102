"""Statistics of times, compared with Python's statistics module, a published table and the binomial distribution."""

from __future__ import annotations

import random
import statistics
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convcost.profiles.statistics import confidence_rank, median, quantile, summary

times = st.lists(st.integers(0, 10**12), min_size=1, max_size=60)


@given(times)
def test_median_equals_statistics_median(samples):
    assert median(samples) == pytest.approx(statistics.median(samples))


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=60))
def test_quantiles_equal_statistics_quantiles(samples):
    theirs = statistics.quantiles(samples, n=20, method="inclusive")
    assert [quantile(sorted(samples), k / 20) for k in range(1, 20)] == pytest.approx(theirs)


# Ranks of the 95 % interval of a median, counted from 1, by number of samples, as tables of nonparametric statistics
# print them; the test below works them out from the binomial distribution.
@pytest.mark.parametrize(
    ("samples", "ranks"),
    [(6, (1, 6)), (8, (1, 8)), (9, (2, 8)), (10, (2, 9)), (15, (4, 12)), (20, (6, 15)), (50, (18, 33))],
)
def test_published_ranks_of_the_interval(samples, ranks):
    rank = confidence_rank(samples)
    assert (rank + 1, samples - rank) == ranks


@pytest.mark.parametrize("samples", [1, 2, 5])
def test_no_interval_for_few_samples(samples):
    assert confidence_rank(samples) is None
    assert summary(list(range(1, samples + 1))).uncertainty is None


@pytest.mark.parametrize("samples", [6, 17, 100, 267, 846, 999, 1001, 1003, 5000])
def test_interval_is_the_narrowest_with_95_percent_coverage(samples):
    def missed(rank):
        return 2 * sum(comb(samples, k) for k in range(rank + 1)) / 2**samples

    rank = confidence_rank(samples)
    assert missed(rank) <= 0.05
    assert missed(rank + (1 if samples <= 1000 else 2)) > 0.05


def test_coverage_for_a_skewed_distribution():
    """The median of an exponential distribution with mean 1000 is 1000 ln 2; 95 % of the intervals must contain it."""
    draw = random.Random(7)
    held = 0
    for _ in range(400):
        found = summary([round(draw.expovariate(1e-3) * 1000) for _ in range(40)])
        held += found.low_ns <= 693_147 <= found.high_ns
    assert held >= 370  # 380 expected; 4.4 standard deviations below would be 361


def test_summary():
    found = summary([10, 30, 20, 40, 50, 60, 70, 80, 90, 100])
    assert (found.samples, found.median_ns, found.min_ns, found.max_ns, found.mean_ns) == (10, 55, 10, 100, 55)
    assert (found.low_ns, found.high_ns) == (20, 90)
    assert (found.p5_ns, found.p95_ns) == pytest.approx((14.5, 95.5))
    assert found.spread == pytest.approx(81 / 55)
    assert found.uncertainty == pytest.approx(35 / 55)
    assert found.drift == 90 / 20  # the middle of 80, 90, 100 over that of 10, 30, 20


def test_no_samples():
    with pytest.raises(ValueError, match="no samples"):
        summary([])
