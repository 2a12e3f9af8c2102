"""What every counter says of the same layers and networks, divided by the truth.

Run: python benchmarks/peers.py [--output reports/peers.md]

The truth of a layer is arithmetic (peer_cases.py); that of a network PyTorch's own counter with gradients on and the
math attention backend, where it sees every matrix product. Needs torchvision, torchinfo, fvcore, ptflops, thop and
calflops; one that is missing or fails says so in its column.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import platform
import re
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from common import ROOT
from peer_cases import CASES, NETWORKS
from rich.console import Console
from rich.progress import track
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import convcost
from support.torchvision_ops import import_torchvision

START, END = "<!-- peers -->", "<!-- end -->"
IN_README = (
    "conv 3x3", "transposed conv k2 s2", "linear on 197 tokens", "F.conv2d on a parameter", "nn.MultiheadAttention",
    "attention, fused", "vit_b_16",
)  # fmt: skip


def _convcost(module: nn.Module, x: torch.Tensor) -> int:
    return convcost.analyze(convcost.capture(module, x)).totals.macs


def _torchinfo(module: nn.Module, x: torch.Tensor) -> int:
    import torchinfo

    return int(torchinfo.summary(module, input_data=x, verbose=0).total_mult_adds)


def _fvcore(module: nn.Module, x: torch.Tensor) -> int:
    from fvcore.nn import FlopCountAnalysis

    counter = FlopCountAnalysis(module, x).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return int(counter.total())


def _ptflops(module: nn.Module, x: torch.Tensor) -> int:
    from ptflops import get_model_complexity_info

    macs, _ = get_model_complexity_info(
        module, tuple(x.shape[1:]), as_strings=False, print_per_layer_stat=False, verbose=False, backend="pytorch"
    )
    return int(macs)


def _ptflops_aten(module: nn.Module, x: torch.Tensor) -> int:
    from ptflops import get_model_complexity_info

    macs, _ = get_model_complexity_info(
        module, tuple(x.shape[1:]), as_strings=False, print_per_layer_stat=False, verbose=False, backend="aten"
    )
    return int(macs)


def _thop(module: nn.Module, x: torch.Tensor) -> int:
    import thop

    return int(thop.profile(module, inputs=(x,), verbose=False)[0])


def _calflops(module: nn.Module, x: torch.Tensor) -> int:
    from calflops import calculate_flops

    _, macs, _ = calculate_flops(module, args=[x], print_results=False, print_detailed=False, output_as_string=False)
    return int(macs)


def _flop_counter(module: nn.Module, x: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(x)
    return int(counter.get_total_flops()) // 2


COUNTERS: dict[str, Callable[[nn.Module, torch.Tensor], int]] = {
    "convcost": _convcost,
    "torchinfo": _torchinfo,
    "fvcore": _fvcore,
    "ptflops": _ptflops,
    "ptflops aten": _ptflops_aten,
    "thop": _thop,
    "calflops": _calflops,
    "FlopCounterMode": _flop_counter,
}
"""Multiply-accumulates as each reports them; FLOPs are halved."""


def ratio(name: str, module: nn.Module, x: torch.Tensor, truth: int) -> str:
    """What a counter says of a copy of the module, divided by the truth; where that is 0, what it says."""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            found = COUNTERS[name](copy.deepcopy(module), x)
    except Exception as error:  # noqa: BLE001 - that a counter fails is a result
        return f"{type(error).__name__}"
    return f"{found / truth:.3f}" if truth else ("1.000" if found == 0 else f"0 -> {found:,}")


def truth_of(module: nn.Module, x: torch.Tensor) -> int:
    """Every matrix product and convolution of a network, by PyTorch's counter."""
    counter = FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH):
        copy.deepcopy(module).to("meta")(x.to("meta"))
    return int(counter.get_total_flops()) // 2


def subjects() -> Iterator[tuple[str, nn.Module, torch.Tensor, int, str]]:
    """Name, module, input, truth and where the truth comes from."""
    for case in CASES:
        yield case.name, case.make().eval(), torch.rand(case.shape), case.macs, case.why
    models = import_torchvision().models
    image = torch.rand(1, 3, 224, 224)
    for name in NETWORKS:
        module = models.get_model(name, weights=None).eval()
        yield name, module, image, truth_of(module, image), ""


def table(rows: list[tuple[str, int, list[str]]], columns: list[str]) -> list[str]:
    """Markdown; what is off by more than 1 % is bold."""
    lines = ["| | MACs | " + " | ".join(columns) + " |", "|---|--:|" + "--:|" * len(columns)]
    for name, truth, cells in rows:
        lines.append(f"| {name} | {truth:,} | " + " | ".join(map(_marked, cells)) + " |")
    return lines


def _marked(cell: str) -> str:
    near = re.fullmatch(r"\d+\.\d+", cell) and abs(float(cell) - 1) <= 0.01
    return cell if near else f"**{cell}**"


def _versions() -> str:
    found = []
    for package in ("torch", "torchvision", "torchinfo", "fvcore", "ptflops", "thop", "calflops"):
        with contextlib.suppress(PackageNotFoundError):
            found.append(f"{package} {version(package)}")
    return ", ".join(found)


def main() -> None:
    """Count everything, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "reports" / "peers.md")
    options = parser.parse_args()
    torch.manual_seed(0)
    columns = list(COUNTERS)
    layers, networks, reasons = [], [], []
    for name, module, x, truth, why in track(
        list(subjects()), "counting", console=Console(stderr=True), transient=True
    ):
        row = (name, truth, [ratio(counter, module, x, truth) for counter in columns])
        (layers if why else networks).append(row)
        if why:
            reasons.append(f"- {name}: {why}.")
    text = [
        "# Comparison of MAC counters", "",
        "The tables show the MACs that each counter reports, divided by the correct number. If a counter reports",
        "FLOPs, they are halved. All counters run on a CPU with batch 1, in evaluation mode, with their default",
        "settings. Ratios that differ from 1 by more than 1%, and errors, are bold.", "",
        "This page is written by `python benchmarks/peers.py`. Versions:",
        f"{_versions()}, Python {platform.python_version()}.", "",
        "## Layers", "", *table(layers, columns), "",
        "The correct numbers are calculated as follows:", "", *reasons, "",
        "## Networks", "", *table(networks, columns), "",
        "The correct number is the result of `torch.utils.flop_counter` with gradients enabled and the math attention",
        "backend, so that it counts every convolution and matrix product. The column FlopCounterMode shows its result",
        "with default settings under `no_grad`, where it does not count fused attention. Differences below 1% are due",
        "to conventions: some tools count biases, batch norm and pooling as MACs.",
    ]  # fmt: skip
    options.output.write_text("\n".join(text) + "\n", encoding="utf-8")
    chosen = [row for row in (*layers, *networks) if row[0] in IN_README]
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    if rest:
        readme.write_text(before + "\n".join([START, "", *table(chosen, columns), "", END]) + after, encoding="utf-8")


if __name__ == "__main__":
    main()
