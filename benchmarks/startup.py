"""Whole processes: what a user waits for at the command line, and how much memory it takes.

Run: python benchmarks/startup.py
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from statistics import median

from common import ROOT, Row, arguments, milliseconds, processes, show

from convcost.sources.load import load_shipped

LIBRARIES = "import click, rich.table, rich.console, msgspec, yaml"
FIT_MS = 150
DEEPEST, DEEPEST_MS = "fit resnet1202_cifar --train", 500
WORST = 5
TORCHINFO = f"""
import sys; sys.path.insert(0, {str(ROOT / "tests")!r})
from support.torchvision_ops import import_torchvision
import torchinfo
print(torchinfo.summary(import_torchvision().models.vgg16(), (1, 3, 224, 224)))
"""


def fits(convcost: str, runs: int) -> Iterator[Row]:
    """``convcost fit`` of every network that ships: the median, and the slowest ones timed again with the floor."""
    commands = {
        f"fit {name}{mode}": [convcost, "fit", name, "--gpu", "h200", *mode.split()]
        for name in load_shipped()
        for mode in ("", " --train")
    }
    once = processes(commands, 1)
    middle = median(timing.best for timing in once.values())
    yield Row(f"fit, median of {len(commands)}", milliseconds(middle), "", "", f"at most {FIT_MS} ms")
    slowest = sorted(commands, key=lambda name: -once[name].best)[:WORST]
    again = {name: commands[name] for name in dict.fromkeys((*slowest, DEEPEST))}
    timings = processes({"floor": [sys.executable, "-c", LIBRARIES], **again}, runs)
    floor = timings["floor"].median
    for name in sorted(again, key=lambda name: -timings[name].median):
        seconds = timings[name].median
        yield Row(
            name, milliseconds(seconds), f"importing its libraries, {milliseconds(floor)}", f"{seconds / floor:.2f} x",
            f"at most {DEEPEST_MS} ms" if name == DEEPEST else "",
        )  # fmt: skip


def main() -> None:
    options = arguments(__doc__ or "", runs=15)
    convcost = shutil.which("convcost") or sys.exit("install convcost first: pip install -e .")
    timings = processes(
        {
            "libraries": [sys.executable, "-c", LIBRARIES],
            "table": [convcost, "analyze", "vgg16"],
            "json": [convcost, "analyze", "vgg16", "--format", "json"],
        },
        options.runs,
    )
    base = timings["libraries"].median
    rows = [
        Row(f"analyze vgg16, {name}", milliseconds(timings[name].median),
            f"importing its libraries, {milliseconds(base)}", f"{timings[name].median / base:.2f} x",
            f"at most {goal} x")
        for name, goal in (("table", "1.8"), ("json", "0.95"))
    ]  # fmt: skip
    peak = timings["table"].peak_bytes
    rows.append(Row("peak memory, table", f"{peak / 2**20:.1f} MiB", "", "", "at most 30 MiB"))
    if all(importlib.util.find_spec(name) for name in ("torch", "torchvision", "torchinfo")):
        script = processes({"torchinfo": [sys.executable, "-c", TORCHINFO]}, 3)["torchinfo"].median
        ratio = script / timings["table"].median
        rows.append(
            Row("analyze vgg16, table", milliseconds(timings["table"].median),
                f"torchinfo's summary of torchvision's vgg16, {milliseconds(script)}", f"{ratio:.0f} x faster",
                "at least 25 x")
        )  # fmt: skip
    else:
        print("skipped the comparison with torchinfo: it needs torch, torchvision and torchinfo (see README.md)")
    rows += fits(convcost, options.runs)
    show("Whole processes, medians", rows, options)


if __name__ == "__main__":
    main()
