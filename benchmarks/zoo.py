"""Every model of torchvision or timm, captured and held against PyTorch's counter and what is published.

Run: python benchmarks/zoo.py torchvision|timm [NAME...] [--output FOLDER]

Writes ZOO.csv, a row for each model, and ZOO.md, what they come to. Nothing is allocated: all of it runs on the meta
device. With names it prints the rows and writes nothing.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from common import ROOT
from rich.console import Console
from rich.progress import track
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import convcost
from convcost.sources.pytorch_module import without_weights
from support.torchvision_ops import import_torchvision

PUBLISHED = ROOT / "benchmarks" / "published" / "timm_counts.csv"


class Case(NamedTuple):
    """A network to build, what it is called with, and the figures published for it."""

    group: str
    name: str
    build: Callable[[], nn.Module]
    size: tuple[int, ...]
    published_params: str = ""
    published_gmacs: str = ""


class Row(NamedTuple):
    """What came out for one case: convcost's figure first, then what it is held against."""

    group: str
    name: str
    input: str
    params: int = 0
    module_params: int = 0
    published_params: str = ""
    buffers: int = 0
    module_buffers: int = 0
    macs: int = 0
    flop_counter_macs: int = 0
    fvcore_macs: int = 0
    published_gmacs: str = ""
    unmodelled: str = ""
    error: str = ""

    @property
    def exact(self) -> bool:
        """Captured, every operator modelled, and the same numbers as PyTorch."""
        pairs = ((self.params, self.module_params), (self.buffers, self.module_buffers))
        return not self.error and not self.unmodelled and all(a == b for a, b in pairs)

    @property
    def counted_alike(self) -> bool:
        """PyTorch's counter has the same multiply-accumulates."""
        return self.macs == self.flop_counter_macs


def measure(case: Case) -> Row:
    """Capture a case and count it in PyTorch's way."""
    row = Row(case.group, case.name, "x".join(map(str, case.size)))
    try:
        module = case.build().eval()
        module_params, module_buffers = _scalars(module.parameters()), _scalars(module.buffers())
        image = torch.empty(1, *case.size, device="meta")
        report = convcost.analyze(convcost.capture(module, image))
        counter = FlopCounterMode(display=False)
        with counter, sdpa_kernel(SDPBackend.MATH):
            module.to("meta")(image)
    except Exception as error:  # noqa: BLE001 - one model must not end the run of a thousand
        return row._replace(error=f"{type(error).__name__}: {str(error).splitlines()[0]}")
    totals = report.totals
    return row._replace(
        params=totals.params,
        module_params=module_params,
        published_params=case.published_params,
        buffers=totals.buffers,
        module_buffers=module_buffers,
        macs=totals.macs,
        flop_counter_macs=counter.get_total_flops() // 2,
        fvcore_macs=report.convention("fvcore").total,
        published_gmacs=case.published_gmacs,
        unmodelled=" ".join(f"{name} x{number}" for name, number in report.coverage.unmodelled),
    )


def _scalars(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors)


def _built(make: Callable[..., nn.Module], *names: Any, **keys: Any) -> Callable[[], nn.Module]:
    """A function that builds without weights, or with them where a constructor needs their values."""

    def build() -> nn.Module:
        try:
            with without_weights():
                return make(*names, **keys)
        except RuntimeError as error:
            if "meta" not in str(error):
                raise
            return make(*names, **keys)

    return build


# --- torchvision

# How torchvision built the networks whose figures it publishes, where that is not its default.
PUBLISHED_WITH: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": False},
    "inception_v3": {"init_weights": False},
    "vit_h_14": {"image_size": 518},
    **{f"{head}_{body}": {"aux_loss": True} for head in ("deeplabv3", "fcn") for body in ("resnet50", "resnet101")},
    "deeplabv3_mobilenet_v3_large": {"aux_loss": True},
}


def torchvision_cases() -> Iterator[Case]:
    """Classification, segmentation and video networks as published, and the backbones of the detectors."""
    models = import_torchvision().models
    groups = {
        "classification": models,
        "segmentation": models.segmentation,
        "video": models.video,
        "detection": models.detection,
    }
    for group, package in groups.items():
        for name in models.list_models(module=package):
            keys: dict[str, Any] = {"weights": None, **PUBLISHED_WITH.get(name, {})}
            if group in ("segmentation", "detection"):
                keys["weights_backbone"] = None
            build = _built(models.get_model, name, **keys)
            meta = next(iter(models.get_model_weights(name))).meta
            if group == "detection":
                # The heads choose boxes by their scores, which shapes do not have; what is published holds them.
                yield Case(group, f"{name}.backbone", _backbone(build), (3, *_detector_size(name)))
            else:
                size = _torchvision_size(models, name)
                yield Case(group, name, build, size, str(meta["num_params"]), f"{meta['_ops']:.3f}")


def _torchvision_size(models: Any, name: str) -> tuple[int, ...]:
    preset = next(iter(models.get_model_weights(name))).transforms.keywords
    size = preset.get("crop_size") or preset["resize_size"]
    return (3, size, size) if isinstance(size, int) else (3, 16, *size)  # clips of 16 images


def _detector_size(name: str) -> tuple[int, int]:
    side = next((number for number in (300, 320) if str(number) in name), 640 if name.startswith("keypoint") else 800)
    return (side, side)


def _backbone(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: build().get_submodule("backbone")


def torchvision_page(rows: Sequence[Row]) -> Iterator[str]:
    """The table, and what differs from the published figures."""
    yield from _counts(rows)
    with_figures = [row for row in rows if row.published_params]
    other_params = [row for row in with_figures if row.params != int(row.published_params)]
    other_macs = [row for row in with_figures if f"{row.macs / 1e9:.3f}" != row.published_gmacs]
    of = len(with_figures)
    yield f"- Published parameters (`num_params`): {of - len(other_params)} of {of} equal."
    yield f"- Published GFLOPS (`_ops`, which are 10^9 MACs, to 3 decimals): {of - len(other_macs)} of {of} equal."
    yield ""
    yield (
        "These networks are built with the arguments of the published figures: "
        + "; ".join(
            f"{name} with {', '.join(f'{key}={value}' for key, value in keys.items() if key != 'init_weights')}"
            for name, keys in PUBLISHED_WITH.items()
            if set(keys) - {"init_weights"}
        )
        + "."
    )
    yield "Inputs of video networks are clips of 16 images. Of detectors, only the backbones are captured, because"
    yield "their heads select boxes by score, which requires tensor values. The published figures of detectors include"
    yield "the heads."
    yield ""
    for title, differing in (("parameters", other_params), ("GFLOPS", other_macs)):
        if differing:
            yield f"Networks with different published {title}: {', '.join(row.name for row in differing)}."
            yield ""
    yield "| model | input | params | published | MACs | FlopCounterMode / 2 | published GFLOPS |"
    yield "|---|---|--:|--:|--:|--:|--:|"
    for row in rows:
        published = f"{int(row.published_params):,}" if row.published_params else "-"
        yield (
            f"| {row.name} | {row.input} | {row.params:,} | {published} | {row.macs:,} | {row.flop_counter_macs:,} | "
            f"{row.published_gmacs or '-'} |"
        )


# --- timm


# Counted after timm had folded their branches and norms into convolutions.
FUSED = ("efficientvit_m", "ghostnetv3", "repghostnet", "repvit", "tiny_vit")


def timm_cases() -> Iterator[Case]:
    """Every model of timm at its own size, and those with published figures at the size of these."""
    import_torchvision()
    import timm

    names = timm.list_models()
    sizes = {name: timm.get_pretrained_cfg(name) for name in names}
    for name in names:
        size = tuple(sizes[name].input_size) if sizes[name] else (3, 224, 224)
        yield Case("all", name, _built(timm.create_model, name), size)
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            name, side = row["model"].partition(".")[0], int(row["img_size"])
            if name in sizes:
                fused = row["model"].startswith(FUSED)
                build = _fused(name) if fused else _timm_at(name, side)
                group = "published, fused" if fused else "published"
                yield Case(group, row["model"], build, (3, side, side), row["param_m"], row["gmacs"])


def _timm_at(name: str, side: int) -> Callable[[], nn.Module]:
    """A model for images of this size; some are built for one size, and take it as an argument."""
    import timm

    def build() -> nn.Module:
        own = timm.get_pretrained_cfg(name)
        if own is None or own.input_size[1] == side:
            return _built(timm.create_model, name)()
        try:
            return _built(timm.create_model, name, img_size=side)()
        except TypeError:  # made of convolutions, it takes any size
            return _built(timm.create_model, name)()

    return build


def _fused(name: str) -> Callable[[], nn.Module]:
    """A model whose branches and norms are folded into its convolutions, as timm folds them. It needs real weights."""
    import timm
    from timm.utils.model import reparameterize_model

    return lambda: reparameterize_model(timm.create_model(name).eval())


def timm_page(rows: Sequence[Row]) -> Iterator[str]:
    """Counts, and every model that is not exact or is published otherwise."""
    yield from _counts([row for row in rows if row.group == "all"])
    published = [row for row in rows if row.group.startswith("published")]
    fused = [row for row in published if row.group.endswith("fused")]
    alike = [row for row in published if not _timm_difference(row)]
    yield f"- Published figures (parameters to 0.01M, gmacs to 0.01): {len(alike)} of {len(published)} equal."
    yield ""
    yield "timm's gmacs are totals of fvcore. They are compared with convcost's total under the convention `fvcore`."
    yield f"{len(fused)} of the published figures belong to networks whose branches and norms timm had fused into"
    yield f"convolutions (names that begin with {', '.join(FUSED)}). These networks are fused by timm before they are"
    yield "captured."
    yield ""
    yield from _table(
        "Not captured exactly", ((row, row.error or row.unmodelled or "other counts") for row in rows if not row.exact)
    )
    yield from _table(
        "Different from FlopCounterMode",
        (
            (row, f"{row.macs:,}, FlopCounterMode / 2: {row.flop_counter_macs:,}")
            for row in rows
            if row.group == "all" and not row.error and not row.counted_alike
        ),
    )
    yield from _table("Different from published figures", ((row, _timm_difference(row)) for row in published))


def _timm_difference(row: Row) -> str:
    """What differs from the published figures, empty if nothing does."""
    if row.error:
        return row.error
    found = []
    if f"{row.params / 1e6:.2f}" != f"{float(row.published_params):.2f}":
        found.append(f"{row.params / 1e6:.2f}M parameters, published {row.published_params}M")
    if f"{row.fvcore_macs / 1e9:.2f}" != f"{float(row.published_gmacs):.2f}":
        found.append(f"{row.fvcore_macs / 1e9:.4f} gmacs, published {row.published_gmacs}")
    return "; ".join(found)


# --- pages


def _counts(rows: Sequence[Row]) -> Iterator[str]:
    exact = [row for row in rows if row.exact]
    alike = [row for row in rows if not row.error and row.counted_alike]
    yield f"- {len(rows)} networks, {len(rows) - sum(bool(row.error) for row in rows)} captured."
    yield "- All operators have a cost rule, and parameters and buffers equal those of the module:"
    yield f"  {len(exact)} of {len(rows)} ({100 * len(exact) / len(rows):.2f}%)."
    yield f"- MACs equal to FLOPs / 2 of `torch.utils.flop_counter`: {len(alike)} of {len(rows)}."


def _table(title: str, entries: Iterable[tuple[Row, str]]) -> Iterator[str]:
    kept = [(row, text) for row, text in entries if text]
    if kept:
        yield f"## {title}"
        yield ""
        yield "| model | input | difference |"
        yield "|---|---|---|"
        yield from (f"| {row.name} | {row.input} | {text.replace('|', '/')} |" for row, text in kept)
        yield ""


ZOOS: dict[str, tuple[Callable[[], Iterator[Case]], Callable[[Sequence[Row]], Iterator[str]]]] = {
    "torchvision": (torchvision_cases, torchvision_page),
    "timm": (timm_cases, timm_page),
}


def main() -> None:
    """Measure, print or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zoo", choices=ZOOS)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--output", type=Path, default=ROOT / "reports")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    cases, page = ZOOS[options.zoo]
    chosen = [case for case in cases() if not options.names or case.name.partition(".")[0] in options.names]
    rows = [measure(case) for case in track(chosen, options.zoo, console=Console(stderr=True))]
    if options.names:
        for row in rows:
            print(row)
        return
    with (options.output / f"{options.zoo}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(rows)
    head = [
        f"# Models of {options.zoo}",
        "",
        f"This page is written by `python benchmarks/zoo.py {options.zoo}` with {options.zoo} {version(options.zoo)}",
        f"and torch {torch.__version__}. All models are captured on the meta device with batch 1 in evaluation mode.",
        f"The figures of all models are in [{options.zoo}.csv]({options.zoo}.csv).",
        "",
    ]
    text = "\n".join([*head, *page(rows)]).rstrip() + "\n"
    (options.output / f"{options.zoo}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
