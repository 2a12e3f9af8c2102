"""Measured figures of a source, for its budgets: from the saved profile that the settings name."""

from __future__ import annotations

from ..analysis.quantities import MEASURED
from ..analysis.report import Report
from ..errors import OpError
from ..profiles.files import is_profile, load_profile
from ..profiles.measured import check_same, measured
from .config import Source


def measured_figure(key: str, source: Source, report: Report) -> float:
    """A figure of ``MEASURED``: a time in nanoseconds, or samples in a second.

    Raises:
        OpError: the settings name no profile.
        SourceError: its file cannot be read.
        UsageError: it is of another network, or was not measured at this batch or dtype.
    """
    path = source.profile or (source.source if is_profile(source.source) else None)
    if path is None:
        example = f'{{source = "{source.name}", profile = "runs/{source.name}.json"}}'
        raise OpError(
            f"{MEASURED[key].heading.lower()} is measured, and {source.name} names no profile: save one with convcost "
            f"profile {source.source} --save runs, and name its file, {example}"
        )
    profile = load_profile(path)
    check_same(profile, report)
    return measured(profile, source.batch, source.dtype).figures[key]
