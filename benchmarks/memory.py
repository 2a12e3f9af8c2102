"""Memory by rule beside PyTorch's own: what autograd keeps, inference peaks and training peaks of whole zoos.

Run: python benchmarks/memory.py torchvision|timm [NAME...] [--output reports]

Writes memory_ZOO.csv, a row for each model, and the ZOO's part of memory.md. Everything runs on the meta device. The
kept storages are what torch.autograd.graph.saved_tensors_hooks sees, the peaks those of
torch.distributed._tools.mem_tracker.MemTracker. torchinfo stands beside them if it is installed.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch
from common import ROOT
from rich.console import Console
from rich.progress import track
from torch import nn
from zoo import Case, timm_cases, torchvision_cases

import convcost
from convcost.ops.base import Op
from support.memory_oracles import OPTIMIZERS, inference_peak, saved_storages, training_peak

BATCH = 8
SHOWN = (
    "alexnet", "vgg16", "googlenet", "inception_v3", "resnet18", "resnet50", "densenet121", "mobilenet_v2",
    "efficientnet_b0", "convnext_tiny", "regnet_y_400mf", "vit_b_16", "swin_t",
)  # fmt: skip
"""Networks that the page has in full."""


class Row(NamedTuple):
    """Bytes by rule and PyTorch's; -1 where something was not measured."""

    name: str
    input: str
    convolutional: bool = False
    saved: int = -1
    hooks: int = -1
    inference: int = -1
    inference_tracker: int = -1
    inference_ideal: int = -1
    sgd: int = -1
    sgd_tracker: int = -1
    momentum: int = -1
    momentum_tracker: int = -1
    adamw: int = -1
    adamw_tracker: int = -1
    torchinfo: int = -1
    unknown: str = ""
    error: str = ""


def word_of(op: Op) -> str:
    """An operator's function, or the word of a typed op."""
    return str(getattr(op, "function", op.op))


def _classes(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    return ((type(inner).__name__.lower(), inner) for inner in module.modules())


def measure(case: Case, peaks: bool) -> Row:
    """One model; its training peaks take the longest."""
    row = Row(case.name, "x".join(map(str, (BATCH, *case.size))))
    shape = (BATCH, *case.size)
    try:
        module = case.build().to("meta").train()
        if not peaks and any(hasattr(inner, "qkv") or "attention" in name for name, inner in _classes(module)):
            return row._replace(convolutional=False)
        x = torch.empty(*shape, device="meta")
        graph = convcost.capture(module, x)
        found = {name: convcost.memory(graph, optimizer=name, kernels="meta") for name in OPTIMIZERS}
        account = found["adamw"]
        row = row._replace(
            convolutional=not any(node.op.op in ("attention_softmax", "softmax") for node in graph.nodes),
            saved=account.saved_for_backward_bytes,
            hooks=sum(saved_storages(module, [x]).values()),
            unknown=" ".join(sorted({word_of(graph.nodes[graph.index[name]].op) for name in account.unknown})),
        )
        if not peaks:
            return row
        for name in OPTIMIZERS:
            row = row._replace(
                **{name: found[name].peak_bytes, f"{name}_tracker": training_peak(module, [shape], name)}
            )
        module = case.build().to("meta").eval()
        inference = convcost.memory(convcost.capture(module, x), mode="inference", kernels="meta")
        return row._replace(
            inference=inference.activation_peak_bytes,
            inference_ideal=inference.peak_ideal_bytes - inference.weight_bytes - inference.buffer_bytes,
            inference_tracker=inference_peak(module, [shape]),
            torchinfo=torchinfo_bytes(case, shape),
        )
    except Exception as error:  # noqa: BLE001 - one model must not end the run of hundreds
        return row._replace(error=f"{type(error).__name__}: {str(error).splitlines()[0]}")


_CASES: list[Case] = []


def _of_number(number_and_peaks: tuple[int, bool]) -> Row:
    return measure(_CASES[number_and_peaks[0]], number_and_peaks[1])


def measured(cases: list[Case], peaks: bool) -> Iterator[Row]:
    """A row for each case, in processes that are replaced now and then: a thousand networks leave a lot behind."""
    _CASES[:] = cases
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=20) as pool:
        for row in pool.imap(_of_number, [(number, peaks) for number in range(len(cases))]):
            print(row.name, row.saved == row.hooks if row.hooks >= 0 else "-", row.error, file=sys.stderr, flush=True)
            yield row


def torchinfo_bytes(case: Case, shape: Sequence[int]) -> int:
    """torchinfo's "Forward/backward pass size"; -1 if it is not installed or fails."""
    try:
        import torchinfo

        module: nn.Module = case.build().to("meta")
        summary = torchinfo.summary(module, input_size=tuple(shape), device="meta", verbose=0)
    except Exception:  # noqa: BLE001 - whatever it raises, the column stays empty
        return -1
    return int(summary.total_output_bytes)


def page(rows: Sequence[Row], peaks: bool) -> Iterator[str]:
    """What the rows come to."""
    skipped = [row for row in rows if not row.error and row.hooks < 0]
    done = [row for row in rows if not row.error and row.hooks >= 0]
    failed = [row for row in rows if row.error]
    yield f"- {len(rows)} networks, {len(done)} captured in training mode" + (
        f", {len(skipped)} with attention left out." if skipped else "."
    )
    exact = [row for row in done if row.saved == row.hooks]
    yield f"- Size of the tensors saved for the backward pass equal to the hooks': {len(exact)} of {len(done)}."
    convolutional = [row for row in done if row.convolutional]
    if len(convolutional) < len(done):
        equal = sum(row.saved == row.hooks for row in convolutional)
        yield (
            f"- The same for networks without attention: {equal} of {len(convolutional)} "
            f"({100 * equal / max(len(convolutional), 1):.2f}%)."
        )
    if peaks:
        equal = sum(row.inference == row.inference_tracker for row in done)
        yield f"- Peak memory of inference equal to MemTracker's: {equal} of {len(done)}."
        for name in OPTIMIZERS:
            ratios = [getattr(row, name) / getattr(row, f"{name}_tracker") for row in done]
            within = sum(abs(ratio - 1) <= 0.02 for ratio in ratios)
            yield (
                f"- Peak memory of a training step with {name}, divided by MemTracker's: {min(ratios):.4f} to "
                f"{max(ratios):.4f}; within 2%: {within} of {len(ratios)}."
            )
        yield ""
        yield "All sizes are in MB (10^6 bytes). The peaks of inference do not include parameters. For the ideal peak,"
        yield "every activation is freed after the last layer that reads it. The column torchinfo is its"
        yield '"Forward/backward pass size".'
        yield ""
        heads = ("model", "saved for backward", "hooks", "torchinfo", "torchinfo / hooks", "inference peak",
                 "MemTracker", "ideal", "AdamW step", "MemTracker")  # fmt: skip
        yield f"| {' | '.join(heads)} |"
        yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
        for row in done:
            if row.name not in SHOWN:
                continue
            info = (_mb(row.torchinfo), f"{row.torchinfo / row.hooks:.2f}") if row.torchinfo >= 0 else ("-", "-")
            cells = (
                row.name, _mb(row.saved), _mb(row.hooks), *info, _mb(row.inference), _mb(row.inference_tracker),
                _mb(row.inference_ideal), _mb(row.adamw), _mb(row.adamw_tracker),
            )  # fmt: skip
            yield f"| {' | '.join(cells)} |"
    other = [row for row in done if row.saved != row.hooks]
    if other:
        yield ""
        yield "| not equal | computed | hooks | operators without a rule |"
        yield "|---|--:|--:|---|"
        yield from (f"| {row.name} | {row.saved:,} | {row.hooks:,} | {row.unknown or '-'} |" for row in other)
    if failed:
        yield ""
        yield f"Not captured in training mode: {', '.join(f'{row.name} ({row.error[:120]})' for row in failed)}."


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f}"


def _row(line: dict[str, str]) -> Row:
    kinds = {"name": str, "input": str, "unknown": str, "error": str, "convolutional": "True".__eq__}
    return Row(**{key: kinds.get(key, int)(value) for key, value in line.items()})


def write(zoo: str, lines: Sequence[str], folder: Path) -> None:
    """Put one zoo's part into memory.md, and leave the other's."""
    path = folder / "memory.md"
    head = (
        "# Computed memory compared with PyTorch\n\n"
        "The memory that convcost computes is compared with what PyTorch's saved-tensor hooks and its memory tracker\n"
        "(MemTracker) report on the meta device. This page is written by `python benchmarks/memory.py torchvision`\n"
        "and `timm`. The figures of all models are in [memory_torchvision.csv](memory_torchvision.csv) and\n"
        "[memory_timm.csv](memory_timm.csv).\n"
    )
    before = path.read_text(encoding="utf-8") if path.exists() else head
    parts = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", before, re.DOTALL | re.MULTILINE))
    parts[zoo] = "\n" + "\n".join(lines).strip() + "\n\n"
    text = (
        head
        + "\n"
        + "\n".join(f"## {name}\n\n{parts[name].strip()}\n" for name in ("torchvision", "timm") if name in parts)
    )
    path.write_text(text.rstrip() + "\n", encoding="utf-8")


def main() -> None:
    """Measure, print or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zoo", choices=("torchvision", "timm"))
    parser.add_argument("names", nargs="*")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th model, by name")
    parser.add_argument("--again", action="store_true", help="write the page from the existing CSV file")
    parser.add_argument("--output", type=Path, default=ROOT / "reports")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    peaks = options.zoo == "torchvision"
    table = options.output / f"memory_{options.zoo}.csv"
    versions = f"{options.zoo} {version(options.zoo)}, torch {torch.__version__.partition('+')[0]}"
    if options.every > 1:
        versions += f", one of every {options.every} models in order of name"
    if options.again:
        with table.open(encoding="utf-8", newline="") as file:
            rows = [_row(line) for line in csv.DictReader(file)]
        write(options.zoo, [f"{versions}, batch {BATCH}.", "", *page(rows, peaks)], options.output)
        return
    cases = [
        case
        for case in (torchvision_cases() if peaks else timm_cases())
        if case.group in ("classification", "all") and (not options.names or case.name in options.names)
    ]
    cases = cases[:: options.every]
    rows = list(track(measured(cases, peaks), options.zoo, len(cases), console=Console(stderr=True)))
    if options.names:
        for row in rows:
            print(row)
        return
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(rows)
    write(options.zoo, [f"{versions}, batch {BATCH}.", "", *page(rows, peaks)], options.output)


if __name__ == "__main__":
    main()
