"""Timing that the benchmark scripts share: interleaved runs, minimum and median, one table."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))


class Timing(NamedTuple):
    """Seconds of each run, and the largest peak memory in bytes (0 where it was not measured)."""

    seconds: tuple[float, ...]
    peak_bytes: int = 0

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def best(self) -> float:
        return min(self.seconds)


class Row(NamedTuple):
    """One line of the table: the ratio of a result to what it is compared with, and the goal for it."""

    what: str
    measured: str
    against: str
    ratio: str
    goal: str


def processes(commands: dict[str, Sequence[str]], runs: int) -> dict[str, Timing]:
    """Whole processes, A B C A B C ..., so that a drifting machine is unfair to none of them."""
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in commands}
    for run in range(runs + 1):
        for name, command in commands.items():
            timed = _process(command)
            if run:  # the first round fills caches
                found[name].append(timed)
    return {
        name: Timing(tuple(seconds for seconds, _ in timings), max(peak for _, peak in timings))
        for name, timings in found.items()
    }


def _process(command: Sequence[str]) -> tuple[float, int]:
    # Bytecode is cached, as it is for an installed package.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"failed with {child.returncode}: {' '.join(command)}")
    return seconds, usage.ru_maxrss * 1024


def calls(functions: dict[str, Callable[[], object]], runs: int) -> dict[str, Timing]:
    """Calls in this process: rounds of five in a row of each function, in turn, the first round unmeasured.

    Five in a row, because a short call right after a long one of another program finds the processor's caches cold;
    in turn, so that a drifting machine is unfair to none.
    """
    found: dict[str, list[float]] = {name: [] for name in functions}
    for run in range(runs + 1):
        for name, function in functions.items():
            for _ in range(5):
                start = time.perf_counter()
                function()
                if run:
                    found[name].append(time.perf_counter() - start)
    return {name: Timing(tuple(seconds)) for name, seconds in found.items()}


def arguments(description: str, runs: int) -> argparse.Namespace:
    """``--runs`` and ``--markdown FILE``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--runs", type=int, default=runs)
    parser.add_argument("--markdown", type=Path, help="also write the table to this file (appended)")
    return parser.parse_args()


def milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.1f} ms" if seconds >= 0.01 else f"{1000 * seconds:,.2f} ms"


def show(title: str, rows: Sequence[Row], options: argparse.Namespace) -> None:
    """Print the rows, and append them to the Markdown file if one is wanted."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    headings = ("benchmark", "result", "compared with", "ratio", "goal")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    if options.markdown:
        lines = [f"## {title}", "", "| " + " | ".join(headings) + " |", "|---" * len(headings) + "|"]
        lines += ["| " + " | ".join(row) + " |" for row in rows]
        where = f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
        with options.markdown.open("a", encoding="utf-8") as file:
            file.write("\n".join([*lines, "", f"{where}; {options.runs} rounds.", "", ""]))
