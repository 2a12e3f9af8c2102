"""What a row of times says: its middle, its spread, and how sure the middle is."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, floor

import msgspec


class Summary(msgspec.Struct, frozen=True):
    """Times of one thing, in nanoseconds.

    ``low_ns`` to ``high_ns`` holds the true median with 95 % confidence; both are None with fewer than six samples,
    which cannot say so. ``drift``: the median of the last third over that of the first.
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
        """How far the middle 90 % lie apart, as a part of the median."""
        return (self.p95_ns - self.p5_ns) / self.median_ns if self.median_ns else 0.0

    @property
    def uncertainty(self) -> float | None:
        """Half the interval that holds the true median with 95 % confidence, as a part of the median."""
        if self.low_ns is None or self.high_ns is None or not self.median_ns:
            return None
        return (self.high_ns - self.low_ns) / 2 / self.median_ns


def summary(samples: Sequence[int]) -> Summary:
    """The figures of one or more times.

    Raises:
        ValueError: there is none.
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
    """The middle of some times."""
    return quantile(sorted(samples), 0.5)


def quantile(ordered: Sequence[int], share: float) -> float:
    """The value below which this share of ordered samples lies, between two of them by straight line."""
    place = share * (len(ordered) - 1)
    below = floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def confidence_rank(samples: int) -> int | None:
    """How many of the smallest and of the largest samples lie outside the 95 % interval of the median.

    Each sample lies below the true median with probability 1/2, whatever their distribution, so the number that does
    is binomial: the interval from the (k+1)-th smallest to the (k+1)-th largest misses the median with probability
    2 * P(at most k of n). None if even the whole range misses it too often (fewer than six samples).
    """
    if samples > 1000:  # the normal approximation is exact enough, and the binomials become long
        return int(samples / 2 - 0.98 * samples**0.5 - 0.5)
    allowed = 0.025 * 2**samples
    tail, rank = 0, -1
    while tail + comb(samples, rank + 1) <= allowed:
        rank += 1
        tail += comb(samples, rank)
    return rank if rank >= 0 else None
