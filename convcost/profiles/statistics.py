"""Statistics of repeated times: median, quantiles, drift, and a confidence interval of the median."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, floor

import msgspec


class Summary(msgspec.Struct, frozen=True):
    """Statistics of a series of times in nanoseconds.

    ``low_ns`` and ``high_ns`` are the 95 % confidence interval of the median, None with fewer than six samples.
    ``p5_ns`` and ``p95_ns`` are the 5th and 95th percentile. ``drift`` is the median of the last third of the samples
    divided by that of the first third.
    """

    samples: int
    median_ns: float
    p5_ns: float
    p95_ns: float
    min_ns: int
    max_ns: int
    mean_ns: float
    low_ns: int | None
    high_ns: int | None
    drift: float

    @property
    def spread(self) -> float:
        """Distance from the 5th to the 95th percentile, as a fraction of the median."""
        return (self.p95_ns - self.p5_ns) / self.median_ns if self.median_ns else 0.0

    @property
    def uncertainty(self) -> float | None:
        """Half the width of the median's 95 % confidence interval, as a fraction of the median; None without one."""
        if self.low_ns is None or self.high_ns is None or not self.median_ns:
            return None
        return (self.high_ns - self.low_ns) / 2 / self.median_ns


def summary(samples: Sequence[int]) -> Summary:
    """Compute the statistics of one or more times in order of measurement.

    Raises:
        ValueError: ``samples`` is empty.
    """
    if not samples:
        raise ValueError("no samples")
    ordered = sorted(samples)
    rank = confidence_rank(len(ordered))
    third = max(1, len(samples) // 3)
    first, last = median(samples[:third]), median(samples[-third:])
    return Summary(
        samples=len(ordered),
        median_ns=quantile(ordered, 0.5),
        p5_ns=quantile(ordered, 0.05),
        p95_ns=quantile(ordered, 0.95),
        min_ns=ordered[0],
        max_ns=ordered[-1],
        mean_ns=sum(ordered) / len(ordered),
        low_ns=ordered[rank] if rank is not None else None,
        high_ns=ordered[-1 - rank] if rank is not None else None,
        drift=last / first if first else 1.0,
    )


def median(samples: Sequence[int]) -> float:
    """The median of the samples."""
    return quantile(sorted(samples), 0.5)


def quantile(ordered: Sequence[int], share: float) -> float:
    """The quantile of sorted samples at ``share`` (0 to 1), with linear interpolation as in ``numpy.quantile``."""
    place = share * (len(ordered) - 1)
    below = floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def confidence_rank(samples: int) -> int | None:
    """The number of samples on each side of the 95 % confidence interval of the median; None for fewer than six.

    Each sample is below the true median with probability 1/2 in any continuous distribution, so the number of samples
    below it is binomial. The interval from the (k+1)-th smallest to the (k+1)-th largest of n samples misses the median
    with probability 2 * P(at most k of n); k is the largest number for which this is at most 5 %.
    """
    if samples > 1000:  # normal approximation: the exact binomials become large integers
        return int(samples / 2 - 0.98 * samples**0.5 - 0.5)
    allowed = 0.025 * 2**samples
    tail, rank = 0, -1
    while tail + comb(samples, rank + 1) <= allowed:
        rank += 1
        tail += comb(samples, rank)
    return rank if rank >= 0 else None
