"""Digests of every figure that convcost prints as JSON: they show that a change of the code changes no number.

Run: python tests/figures.py             compare with tests/figures.json; exit status 1 if a digest differs
     python tests/figures.py --write     write tests/figures.json
     python tests/figures.py --dump DIR  write the JSON itself, to see which figure differs
     python tests/figures.py --only vgg16 timm:resnet18

For each shipped network and for thirty modules of torchvision and timm, one digest is taken of each command: analyze,
explain, memory (inference and training; three optimizers, mixed precision, checkpoints), fit and compare. Sentences
do not count, the numbers in them do: a text with a space in it is replaced by its numbers.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import convcost
from convcost.cli.group import cli
from support.torchvision_ops import import_torchvision

DIGESTS = Path(__file__).with_name("figures.json")

CAPTURED = (
    "torchvision:alexnet", "torchvision:vgg11_bn", "torchvision:googlenet", "torchvision:inception_v3",
    "torchvision:resnet18", "torchvision:resnet50", "torchvision:resnext50_32x4d", "torchvision:densenet121",
    "torchvision:squeezenet1_1", "torchvision:mobilenet_v2", "torchvision:mobilenet_v3_large",
    "torchvision:mnasnet0_5", "torchvision:shufflenet_v2_x1_0", "torchvision:efficientnet_b0",
    "torchvision:regnet_y_400mf", "torchvision:convnext_tiny", "torchvision:swin_t", "torchvision:vit_b_16",
    "torchvision:fcn_resnet50", "torchvision:r3d_18", "timm:resnet26d", "timm:efficientnetv2_rw_t",
    "timm:mobilevit_s", "timm:deit_tiny_patch16_224", "timm:mixer_s16_224", "timm:convnext_atto",
    "timm:ghostnet_100", "timm:res2net50_26w_4s", "timm:dla34", "timm:coatnet_nano_rw_224",
)  # fmt: skip

ANALYZE = {
    "analyze": [],
    "analyze b2 amp": ["--batch", "2", "--dtype", "amp-bf16", "--convention", "torch", "--gpu", "h100"],
    "inference": ["--memory"],
    "inference fp16": ["--memory", "--dtype", "float16", "--convention", "fvcore"],
}
TRAINING = {
    "train": ["--train", "--memory", "--convention", "paper", "--gpu", "t4"],
    "train sgd": ["--train", "--memory", "--optimizer", "sgd"],
    "train adam8bit": ["--train", "--memory", "--optimizer", "adam8bit", "--accumulate", "2"],
    "train amp": ["--train", "--memory", "--dtype", "amp-fp16"],
    "train checkpoint": ["--train", "--memory", "--checkpoint"],
}
FIT = {"fit": ["--gpu", "t4"], "fit train": ["--gpu", "h100", "--train", "--dtype", "amp-bf16"]}


def plain(value: Any) -> Any:
    """JSON without sentences: of a text with a space its numbers are left."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if key != "convcost"}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, str) and re.search(r"\s", value):
        return re.findall(r"\d+(?:\.\d+)?", value)
    return value


def written(figures: Any) -> str:
    """Figures as JSON text, with keys in order."""
    return json.dumps(figures, sort_keys=True, indent=1)


def digest(figures: Any) -> str:
    """Twelve hexadecimal digits that stand for these figures."""
    return hashlib.sha256(written(figures).encode()).hexdigest()[:12]


def output(arguments: list[str]) -> Any:
    """What a command prints as JSON; the message of one that refuses, as a text."""
    out = io.StringIO()
    try:
        with redirect_stdout(out):
            cli([*arguments, "--format", "json"], standalone_mode=False)
    except convcost.ConvcostError as error:
        return {"error": type(error).__name__}
    except SystemExit:
        pass  # fit of what does not fit
    return plain(json.loads(out.getvalue()))


def cases(only: list[str]) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The name of each case, ``SOURCE: command``, and what gives its content."""
    shipped = [row["name"] for row in json.loads(_shown(["list", "--format", "json"]))["architectures"]]
    captured = CAPTURED if find_spec("torch") and find_spec("timm") else ()
    if captured:
        import_torchvision()
    for source in [*shipped, *captured]:
        if only and source not in only:
            continue
        for name, options in {**ANALYZE, **TRAINING}.items():
            yield f"{source}: {name}", lambda source=source, options=options: output(["analyze", source, *options])
        yield f"{source}: explain", lambda source=source: output(["explain", source])
        if source in shipped:
            for name, options in FIT.items():
                yield f"{source}: {name}", lambda source=source, options=options: output(["fit", source, *options])
            for command in (["compare", source, "resnet18"], ["compare", "--layers", source, "vgg16"]):
                yield f"{source}: {' '.join(command)}", lambda command=command: output(command)
    if captured and (not only or "captured" in only):
        pair = ["torchvision:resnet18", "resnet18"]
        yield "captured: fit", lambda: output(["fit", "torchvision:resnet18", "--gpu", "t4"])
        yield "captured: fit train", lambda: output(["fit", "timm:resnet26d", "--gpu", "h100", "--train"])
        yield "captured: compare", lambda: output(["compare", *pair])
        yield "captured: layers", lambda: output(["compare", "--layers", *pair])


def _shown(arguments: list[str]) -> str:
    out = io.StringIO()
    with redirect_stdout(out):
        cli(arguments, standalone_mode=False)
    return out.getvalue()


def main() -> None:
    """Compute the digests; write or compare them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the digests")
    parser.add_argument("--dump", type=Path, metavar="DIR", help="write the JSON of each case into DIR")
    parser.add_argument("--only", nargs="*", default=[], metavar="SOURCE", help="these sources only")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # those of foreign packages
    known = json.loads(DIGESTS.read_text(encoding="utf-8")) if DIGESTS.exists() else {}
    found: dict[str, dict[str, str]] = {}
    number, different = 0, 0
    for name, content in cases(arguments.only):
        figures = content()
        source, _, command = name.rpartition(": ")
        found.setdefault(source, {})[command] = digest(figures)
        number += 1
        if arguments.dump:
            arguments.dump.mkdir(parents=True, exist_ok=True)
            (arguments.dump / (re.sub(r"[^\w.-]+", "_", name) + ".json")).write_text(
                written(figures) + "\n", encoding="utf-8"
            )
        if not arguments.write and known.get(source, {}).get(command) != found[source][command]:
            different += 1
            print(f"differs: {name}", flush=True)
    if arguments.write:
        lines = ",\n".join(f"{json.dumps(source)}: {json.dumps(digests)}" for source, digests in found.items())
        DIGESTS.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    print(f"{number} cases, {different} different")
    raise SystemExit(1 if different else 0)


if __name__ == "__main__":
    main()
