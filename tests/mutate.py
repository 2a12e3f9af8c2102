"""Does the suite notice wrong formulas? Tries those of ``mutations.toml`` one by one, in a copy of the project.

Run it from anywhere: ``python tests/mutate.py`` tries all, ``python tests/mutate.py ceil bias`` those whose names have
one of the words. Exit status 0: each made its tests fail; 1: one did not, or does not fit the code any more.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import tomllib

ROOT = Path(__file__).resolve().parent.parent
NEEDED = ("convcost", "architectures", "tests", "benchmarks", "reports", "docs", "pyproject.toml", "README.md")
TESTS_FAILED = 1  # pytest's exit status; 2 and above mean that it could not run them


class Mutation(NamedTuple):
    """One wrong formula, and the tests that must notice it."""

    name: str
    file: str
    old: str
    new: str
    tests: str
    sample: bool = False


def mutations() -> list[Mutation]:
    """Those of ``mutations.toml``."""
    text = (ROOT / "tests/mutations.toml").read_text("utf-8")
    return [Mutation(**entry) for entry in tomllib.loads(text)["mutation"]]


@contextmanager
def copy_of_the_project() -> Iterator[Path]:
    """A folder with the sources and tests; it goes away afterwards."""
    with tempfile.TemporaryDirectory(prefix="convcost-mutations-") as scratch:
        for name in NEEDED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, Path(scratch, name), ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, Path(scratch, name))
        yield Path(scratch)


def tested(project: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """pytest's run of these tests in that folder, with the package of that folder, up to the first failure."""
    # No bytecode: a file that changes twice within a second would be taken from the cache.
    settings = {"PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    return subprocess.run(
        command, cwd=project, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )


def noticed(mutation: Mutation, project: Path) -> str:
    """The test that fails with this mutation and passes without it. Raises ValueError, with the reason, if none."""
    path = project / mutation.file
    right = path.read_text("utf-8")
    if right.count(mutation.old) != 1:
        raise ValueError(f"{mutation.file} has {right.count(mutation.old)} places that read {mutation.old.strip()!r}")
    path.write_text(right.replace(mutation.old, mutation.new), "utf-8")
    try:
        run = tested(project, *mutation.tests.split())
    finally:
        path.write_text(right, "utf-8")
    failed = [line for line in run.stdout.splitlines() if line.startswith("FAILED ")]
    if run.returncode != TESTS_FAILED or not failed:
        raise ValueError(
            f"{mutation.tests} ended with status {run.returncode}: {run.stdout[-400:] or run.stderr[-400:]}"
        )
    test = failed[0].removeprefix("FAILED ").partition(" - ")[0]
    if tested(project, test).returncode:
        raise ValueError(f"{test} fails with the right formula too")
    return test


def main(words: list[str]) -> int:
    """Try the mutations whose names have one of the words, or all; print what noticed them."""
    chosen = [each for each in mutations() if not words or any(word in each.name for word in words)]
    missed = 0
    with copy_of_the_project() as project:
        for mutation in chosen:
            start = time.monotonic()
            try:
                verdict = f"noticed by {noticed(mutation, project)}"
            except ValueError as error:
                verdict = f"MISSED: {error}"
                missed += 1
            print(f"{mutation.name} ({time.monotonic() - start:.0f} s)\n    {verdict}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} wrong formulas noticed")
    return 1 if missed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
