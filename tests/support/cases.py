"""How many cases the tests try: some of each kind by default, all of them every night.

The environment variable ``CONVCOST_CASES`` is read here and nowhere else:

unset     one network of each family, and a part of the random cases
``full``  every network, every variant of a test, and all random cases (.github/workflows/nightly.yml)
``4000``  that many random cases in each test that draws them; networks as if it were unset
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import TypeVar

from convcost.sources import shipped

ASKED = os.environ.get("CONVCOST_CASES", "")
FULL = ASKED == "full"
if ASKED and not FULL and not ASKED.isdecimal():
    raise ValueError(f"CONVCOST_CASES is 'full' or a number of random cases, not {ASKED!r}")

PART, LEAST = 6, 25
"""By default one random case in six, but no fewer than 25."""

Name = TypeVar("Name")


def cases(full: int, least: int = LEAST) -> int:
    """How many random cases a test draws: ``full`` every night, no fewer than ``least`` by default."""
    if ASKED.isdecimal():
        return int(ASKED)
    return full if FULL else min(full, max(full // PART, least))


def few(every: Iterable[Name], chosen: Collection[Name]) -> list[Name]:
    """All of ``every`` each night, by default those that are ``chosen``: variants that prove nothing new stay out."""
    return [each for each in every if FULL or each in chosen]


EVERY = [name for name, _, _ in shipped.shipped()]
FIRST = {file: name for name, file, _ in reversed(list(shipped.shipped()))}
"""The first network of every file in ``architectures/``."""
NETWORKS = few(EVERY, {*FIRST.values(), "resnet50"})
"""What a test of every shipped network tries; plain34, the first of its file, has no residuals."""
