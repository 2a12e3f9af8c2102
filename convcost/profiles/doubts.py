"""Warnings about the quality of a measurement: unstable times, too few samples, changing clocks.

A new warning is a sentence in ``_of_samples`` or ``of_conditions``; its threshold is a constant here.
"""

from __future__ import annotations

from collections.abc import Sequence

from .runs import Condition, Run

SPREAD = 0.10
"""Largest width of the interval from the 5th to the 95th percentile without a warning, as a fraction of the median."""
UNCERTAINTY = 0.01
"""Target of a run: half the width of the median's 95 % confidence interval, as a fraction of the median."""
DRIFT = 0.03
"""Largest relative change from the first to the last third of the samples without a warning."""
CLOCK_DROP = 0.05
"""Largest relative drop of the clock frequency without a warning."""


def warnings(run: Run) -> tuple[str, ...]:
    """Reasons why the times of a run may not be reproducible, or may not be the best that the device can reach."""
    if not run.measured:
        return ()
    return (*_of_samples(run), *of_conditions(run.conditions), *run.notes)


def _of_samples(run: Run) -> list[str]:
    time = run.time
    texts = []
    if not run.stable:
        texts.append("times were not stable at the end of the warm-up")
    if time.uncertainty is None:
        texts.append(f"{time.samples} samples are too few for a confidence interval of the median")
    elif time.uncertainty > UNCERTAINTY:
        texts.append(
            f"the uncertainty of the median is {time.uncertainty:.1%} (95% confidence; the target is {UNCERTAINTY:.0%})"
        )
    if time.spread > SPREAD:
        texts.append(f"the middle 90% of {time.samples} samples span {time.spread:.0%} of the median")
    if abs(time.drift - 1) > DRIFT and time.samples >= 9:
        direction = "slower" if time.drift > 1 else "faster"
        texts.append(f"iterations became {abs(time.drift - 1):.0%} {direction} during the measurement")
    return texts


def of_conditions(conditions: Sequence[Condition]) -> list[str]:
    """Warnings from the device's sensors: a clock frequency that dropped, and throttling with the driver's reasons."""
    texts = []
    clocks = [condition.clock_hz for condition in conditions if condition.clock_hz]
    if clocks and min(clocks) < (1 - CLOCK_DROP) * max(clocks):
        texts.append(f"the clock fell from {max(clocks) / 1e6:,.0f} to {min(clocks) / 1e6:,.0f} MHz")
    reasons = sorted({reason for condition in conditions for reason in condition.throttled})
    if reasons:
        times = sum(1 for condition in conditions if condition.throttled)
        texts.append(f"the device was throttled ({', '.join(reasons)}) in {times} of {len(conditions)} sensor readings")
    return texts
