"""What makes a measurement doubtful: each run carries its own warnings."""

from __future__ import annotations

from collections.abc import Sequence

from .runs import Condition, Run

SPREAD = 0.10
"""The middle 90 % of the samples lie further apart than this part of the median."""
UNCERTAINTY = 0.01
"""What a run aims at: the median is known to 1 % with 95 % confidence."""
DRIFT = 0.03
CLOCK_DROP = 0.05


def warnings(run: Run) -> tuple[str, ...]:
    """Why this run's times may not be what the device can do, or what the next run will find."""
    if not run.measured:
        return ()
    return (*_of_samples(run), *of_conditions(run.conditions), *run.notes)


def _of_samples(run: Run) -> list[str]:
    time = run.time
    found = []
    if not run.stable:
        found.append("times still moved when warming up ended")
    if time.uncertainty is None:
        found.append(f"{time.samples} samples are too few to say how sure the median is")
    elif time.uncertainty > UNCERTAINTY:
        found.append(
            f"the median is known to {time.uncertainty:.1%} only (95% confidence; the aim is {UNCERTAINTY:.0%})"
        )
    if time.spread > SPREAD:
        found.append(f"the middle 90% of {time.samples} samples spread over {time.spread:.0%} of the median")
    if abs(time.drift - 1) > DRIFT and time.samples >= 9:
        way = "slower" if time.drift > 1 else "faster"
        found.append(f"it became {abs(time.drift - 1):.0%} {way} while it was measured")
    return found


def of_conditions(conditions: Sequence[Condition]) -> list[str]:
    """What the device's own sensors say: clocks that dropped, and the driver's reasons for it."""
    found = []
    clocks = [each.clock_hz for each in conditions if each.clock_hz]
    if clocks and min(clocks) < (1 - CLOCK_DROP) * max(clocks):
        found.append(f"the clock fell from {max(clocks) / 1e6:,.0f} to {min(clocks) / 1e6:,.0f} MHz")
    reasons = sorted({reason for each in conditions for reason in each.throttled})
    if reasons:
        times = sum(1 for each in conditions if each.throttled)
        found.append(f"the device was held back ({', '.join(reasons)}) in {times} of {len(conditions)} looks at it")
    return found
