"""The gate and the diff: ``convcost check`` over 100 architectures as a whole process, and long networks aligned.

Run: python benchmarks/gate.py
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from common import Row, arguments, calls, milliseconds, processes, show

import convcost
from convcost.analysis.comparison.layer_keys import placed
from convcost.sources import shipped
from convcost.sources.load import graph_from_text

SOURCES = 100
YAML = f"""
import glob, yaml
for path in glob.glob({str(Path(shipped.folder()) / "*.yaml")!r}):
    yaml.load(open(path, encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
"""


def settings() -> str:
    """Every network that ships, and as many of them once more at batch 8 as make 100 together."""
    names = [name for name, _, _ in shipped.shipped()][:SOURCES]
    again = [f'{{source = "{name}", name = "{name} at batch 8", batch = 8}}' for name in names[: SOURCES - len(names)]]
    return "sources = [\n" + ",\n".join([*map(json.dumps, names), *again]) + ",\n]\n"


def long_network(first: int, kernel: int, layers: int = 1000) -> str:
    """A spec of ``layers`` layers; every seventh convolution is another one, from ``first`` on."""
    lines = ["name: net", "input: [16, 64, 64]", "layers:"]
    for k in range(layers // 2):
        size = kernel if k % 7 == first else 1
        lines += [f"  - conv2d: {{out_channels: 16, kernel_size: {size}, padding: same}}", "  - relu"]
    return "\n".join(lines) + "\n"


def difflib(before: convcost.Report, after: convcost.Report) -> Any:
    """Python's own alignment of the same layers by structure: no names, no fields, no figures."""
    one, other = ([layer.structure for layer in placed(report.layers)] for report in (before, after))
    return SequenceMatcher(None, one, other, autojunk=False).get_opcodes()


def main() -> None:
    options = arguments(__doc__ or "", runs=5)
    command = shutil.which("convcost") or sys.exit("install convcost first: pip install -e .")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "convcost.toml")
        config.write_text(settings(), "utf-8")
        specs = [Path(folder, "before.yaml"), Path(folder, "after.yaml")]
        for path, text in zip(specs, (long_network(1, 1), long_network(3, 3)), strict=True):
            path.write_text(text, "utf-8")
        check = [command, "check", "--config", str(config)]
        processes({"update": [*check, "--update"]}, 1)
        timings = processes(
            {
                "check": check,
                "yaml": [sys.executable, "-c", YAML],
                "compare": [command, "compare", *map(str, specs), "--layers"],
            },
            options.runs,
        )
        size = Path(folder, "convcost.lock").stat().st_size
    rows = [
        Row(f"convcost check, {SOURCES} sources", milliseconds(timings["check"].median),
            f"PyYAML reading the {len(shipped.files())} files, {milliseconds(timings['yaml'].median)}",
            f"{timings['check'].median / timings['yaml'].median:.1f} x", "under 1,000 ms"),
        Row("its lock", f"{size / 1024:,.0f} KiB", "", "", ""),
        Row("compare --layers, two specs of 1,000 layers", milliseconds(timings["compare"].median), "", "", ""),
    ]  # fmt: skip
    rows += diffs(options.runs)
    show("The gate: whole processes, and diffs in one process, medians", rows, options)


def diffs(runs: int) -> list[Row]:
    """Pairs of networks from easy to hard."""
    reports = {name: convcost.analyze(convcost.load(name)) for name in ("resnet50", "resnet101")}
    reports["before"] = convcost.analyze(graph_from_text(long_network(1, 1), "before.yaml"))
    reports["after"] = convcost.analyze(graph_from_text(long_network(3, 3), "after.yaml"))
    reports["again"] = convcost.analyze(graph_from_text(long_network(1, 1), "again.yaml"))
    rows = []
    for what, one, other, goal in (
        ("resnet50 to resnet101", "resnet50", "resnet101", ""),
        ("1,000 layers, equal", "before", "again", "under 500 ms"),
        ("1,000 layers, another one every 14", "before", "after", "under 500 ms"),
        ("1,000 layers to resnet101", "before", "resnet101", ""),
    ):
        before, after = reports[one], reports[other]
        timed = calls(
            {"diff": lambda a=before, b=after: convcost.diff(a, b), "difflib": lambda a=before, b=after: difflib(a, b)},
            runs,
        )
        ours, theirs = timed["diff"].median, timed["difflib"].median
        rows.append(
            Row(f"diff, {what}", milliseconds(ours), f"difflib on the structures, {milliseconds(theirs)}",
                f"{ours / theirs:.2f} x", goal)
        )  # fmt: skip
    return rows


if __name__ == "__main__":
    main()
