"""In one process: loading, analysing, analysing again, and long chains.

Run: python benchmarks/engine.py
"""

from __future__ import annotations

import importlib.util
from typing import Any

from common import Row, Timing, arguments, calls, milliseconds, show

import convcost
from convcost.graph import Graph, Node
from convcost.ops import make, ready
from convcost.sources import shipped
from convcost.sources.load import graph_from_text
from convcost.tensor import Tensor


def report_of(graph: Graph, **settings: Any) -> convcost.Report:
    """Everything that a reader asks of a report, so that nothing is left for later."""
    report = convcost.analyze(graph, **settings)
    assert report.totals.params
    assert report.breakdown
    assert report.layers
    return report


def chain(length: int) -> Graph:
    """Convolutions and rectifiers in turn, built in Python."""
    x = Tensor((1, 16, 32, 32))
    conv = ready(make("conv2d", {"out_channels": 16, "kernel_size": 3, "padding": 1}), (x,))
    relu = ready(make("relu", {"inplace": True}), (x,))
    nodes = [Node(f"layer_{k}", relu if k % 2 else conv, ((k - 1, 0),)) for k in range(length)]
    return Graph(nodes, [("input", x)])


def counting() -> dict[str, Any] | None:
    """Build resnet152 on the meta device and count it with PyTorch's own counter; None where torchvision is missing."""
    if not all(importlib.util.find_spec(name) for name in ("torch", "torchvision")):
        return None
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from support.torchvision_ops import import_torchvision

    models = import_torchvision().models

    def build() -> Any:
        with torch.device("meta"):
            return models.resnet152().eval()

    module, image = build(), torch.empty(1, 3, 224, 224, device="meta")

    def count(network: Any) -> int:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(image)
        return int(counter.get_total_flops())

    assert count(module) == 2 * report_of(convcost.load("resnet152")).totals.macs
    return {"build and count": lambda: count(build()), "count": lambda: count(module)}


def main() -> None:
    options = arguments(__doc__ or "", runs=5)
    found = shipped.find("resnet152")
    assert found is not None
    text, file, variant = found
    graph = graph_from_text(text, file, variant)
    timings = calls(
        {
            "load": lambda: report_of(graph_from_text(text, file, variant)),
            "again": lambda: report_of(graph, batch=8, input_size=(3, 256, 256)),
            **(counting() or {}),
        },
        options.runs,
    )
    both, alone = timings.get("build and count"), timings.get("count")
    rows = [
        faster(
            "resnet152, from spec text to report", timings["load"], "building on the meta device and counting", both, 60
        ),
        faster("resnet152, second analysis, batch 8 at 256 px", timings["again"], "counting", alone, 200),
    ]
    if "count" not in timings:
        print("skipped the comparison with torch.utils.flop_counter: it needs torch and torchvision (see README.md)")
    short = calls({"1,000": lambda: report_of(chain(1_000))}, 5)["1,000"].best / 1_000
    long = calls({"100,000": lambda: report_of(chain(100_000))}, 1)["100,000"].best / 100_000
    rows.append(
        Row("sequence of 100,000 layers, per layer", f"{1e6 * long:.2f} us",
            f"sequence of 1,000 layers, {1e6 * short:.2f} us", f"{long / short:.2f} x", "at most 1.5 x")
    )  # fmt: skip
    show("Within one process, best of all runs", rows, options)


def faster(what: str, ours: Timing, other: str, theirs: Timing | None, goal: int) -> Row:
    if theirs is None:
        return Row(what, milliseconds(ours.best), other + " (not measured)", "", f"at least {goal} x")
    ratio = f"{theirs.best / ours.best:.0f} x faster"
    return Row(what, milliseconds(ours.best), f"{other}, {milliseconds(theirs.best)}", ratio, f"at least {goal} x")


if __name__ == "__main__":
    main()
