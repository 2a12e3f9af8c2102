"""Capturing and analysing a PyTorch module, beside PyTorch's own counter over the same module.

Run: python benchmarks/capture.py
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from common import Row, arguments, calls, milliseconds, show
from engine import report_of
from torch.utils.flop_counter import FlopCounterMode

import convcost
from support.torchvision_ops import import_torchvision

# Long, wide, branched, and transformers: what takes the time is not the same in them.
NETWORKS = (
    "resnet152",
    "vgg16",
    "densenet201",
    "inception_v3",
    "mobilenet_v3_large",
    "convnext_tiny",
    "swin_t",
    "vit_b_16",
)


def captured(module: torch.nn.Module, image: torch.Tensor) -> Callable[[], int]:
    return lambda: report_of(convcost.capture(module, image)).totals.macs


def counted(module: torch.nn.Module, image: torch.Tensor) -> Callable[[], int]:
    def count() -> int:
        with FlopCounterMode(display=False) as counter:
            module(image)
        return int(counter.get_total_flops()) // 2

    return count


def row(models: Any, name: str, runs: int) -> Row:
    with torch.device("meta"):
        module = getattr(models, name)().eval()
    image = torch.empty(1, 3, 224, 224, device="meta")
    both = {"ours": captured(module, image), "theirs": counted(module, image)}
    timings = calls(both, runs)
    ours, theirs = timings["ours"].best, timings["theirs"].best
    return Row(
        f"{name}, captured and analysed",
        milliseconds(ours),
        f"one pass of FlopCounterMode, {milliseconds(theirs)}",
        f"{ours / theirs:.2f} x",
        "at most 1.0 x" if name == "resnet152" else "",
    )


def main() -> None:
    options = arguments(__doc__ or "", runs=5)
    models = import_torchvision().models
    show("PyTorch modules, best of all runs", [row(models, name, options.runs) for name in NETWORKS], options)


if __name__ == "__main__":
    main()
