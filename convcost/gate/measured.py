"""Saved profiles in a check: sources that are profiles, and profiles that a source names for budgets of times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..analysis.quantities import MEASURED
from ..analysis.report import Report
from ..errors import OpError
from .config import Source

if TYPE_CHECKING:
    from ..profiles.profile import Profile


class Profiles:
    """The saved profiles of one check. Each file is read once, and their reader is imported only if one is read."""

    def __init__(self) -> None:
        self._read: dict[str, Profile | None] = {}

    def own(self, source: Source) -> Profile | None:
        """The profile if the source is a saved profile, else None.

        Raises:
            SourceError: the profile is invalid.
        """
        path = source.source
        if not path.endswith(".json"):
            return None
        if path not in self._read:
            from ..profiles.files import profile_in

            self._read[path] = profile_in(path)
        return self._read[path]

    def figure(self, key: str, source: Source, report: Report) -> float:
        """A quantity of ``MEASURED``: a time in nanoseconds, or samples per second.

        Raises:
            OpError: the source names no profile.
            SourceError: the profile cannot be read.
            UsageError: the profile is of another network, or has no run at this batch or dtype.
        """
        from ..profiles.measured import check_same, measured

        profile = self._named(source.profile) if source.profile is not None else self.own(source)
        if profile is None:
            example = f'{{source = "{source.name}", profile = "runs/{source.name}.json"}}'
            raise OpError(
                f"{MEASURED[key].heading.lower()} is measured, and {source.name} names no profile; save one with "
                f"convcost profile {source.source} --save runs and name its file, such as {example}"
            )
        check_same(profile, report)
        return measured(profile, source.batch, source.dtype).figures[key]

    def _named(self, path: str) -> Profile:
        from ..profiles.files import load_profile

        profile = self._read.get(path) or load_profile(path)
        self._read[path] = profile
        return profile
