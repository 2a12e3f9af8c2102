"""What is measured, in the order of usefulness: slices, each of which is one JSON file. No PyTorch here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from convcost.sources import shipped

NETWORKS = (
    "resnet50", "vgg16", "mobilenet_v2",
    "alexnet", "googlenet", "densenet121", "unet", "lenet5", "efficientnet_b0", "convnext_tiny",
)  # fmt: skip
"""The canon of the gallery, and two newer designs. The first three are looked at more closely."""
CLOSE = 3
BATCHES = (1, 32, 256)
DTYPES = ("float32", "bfloat16")
TRAIN_DTYPES = ("float32", "amp-bf16")
OPTIMIZERS = ("sgd", "adamw")
REMEMBERED = (
    "alexnet", "vgg16", "googlenet_bn", "inception_v3", "resnet18", "resnet50", "resnet152", "resnext50_32x4d",
    "wide_resnet50_2", "densenet121", "densenet201", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mnasnet1_0",
    "shufflenet_v2_x1_0", "squeezenet1_1", "efficientnet_b0", "convnext_tiny", "unet",
)  # fmt: skip
REMEMBERED_BATCHES = (1, 8, 32)
"""Networks and batches whose predicted peaks of memory are held against the allocator's."""
TESTS = {
    "memory": (
        "tests/measure/test_memory_cuda.py",
        "tensors that CUDA kernels save for the backward pass (cuDNN's reserve space, boolean masks), the model of the "
        "allocator block by block, the batch found by `fit` with memory limits of 8 and 16 GiB",
    ),
    "profile": (
        "tests/measure/profiling/test_profile_cuda.py",
        "validation, agreement with other timers, repeatability, sums over layers, out-of-memory errors, restored "
        "PyTorch settings",
    ),
}
"""Files of `pytest -m gpu`, and what they show."""


class Scope(NamedTuple):
    """How much is measured: the canon in three batches for the evidence, less to try the script."""

    networks: tuple[str, ...] = NETWORKS
    batches: tuple[int, ...] = BATCHES
    seconds: float = 3.0

    @property
    def close(self) -> tuple[str, ...]:
        """The networks that are looked at more closely."""
        return self.networks[:CLOSE]


class Slice(NamedTuple):
    """One file of evidence: ``kind`` says who measures it, with these arguments.

    ``words``: what is shown, of any subject; ``subject``: a network, a spec file, or "".
    ``estimate_s``: what it takes on an H200, about. ``cuda_only``: a processor has nothing of the kind.
    """

    prefix: str
    subject: str
    kind: str
    words: str
    estimate_s: float
    arguments: Mapping[str, Any] = {}
    cuda_only: bool = False

    @property
    def name(self) -> str:
        """What it is called, and its file."""
        return f"{self.prefix}-{self.subject}" if self.subject else self.prefix


def slices(scope: Scope = Scope(), device: str = "cuda") -> tuple[Slice, ...]:  # noqa: B008 - immutable
    """Everything that is to be measured on a device of this kind."""
    return tuple(each for each in _all(scope) if device == "cuda" or not each.cuda_only)


def _all(scope: Scope) -> Iterator[Slice]:
    yield Slice("device", "", "device", "the device, its software and its peak rates", 15)
    for name in scope.close:
        yield _profile(
            scope, "profile", name, "times of the network and of every layer, in place and isolated", layers="both"
        )
    for name in scope.close:
        yield Slice(
            "agreement", name, "agreement",
            "the same module timed by `triton.testing.do_bench` and `torch.utils.benchmark`",
            len(scope.batches) * len(DTYPES) * (3 * scope.seconds + 3), {"network": name},
        )  # fmt: skip
    yield Slice(
        "repeatability", "", "repeatability", f"the same runs repeated: {', '.join(scope.close)}",
        2 * len(scope.close) * len(scope.batches) * len(DTYPES) * (scope.seconds / 2 + 1), {"networks": scope.close},
    )  # fmt: skip
    for name in scope.networks[CLOSE:]:
        yield _profile(scope, "profile", name, "times of the network and of every layer in place", layers="in-place")
    for name in scope.networks:
        yield _profile(scope, "channels_last", name, "times in the channels_last memory format", channels_last=True)
    for name in scope.close:
        yield _profile(scope, "compile", name, "times with `torch.compile`", execution="compile", slower=90)
    for name in scope.close:
        yield _profile(scope, "cuda_graph", name, "times with a CUDA graph", execution="cuda_graph", cuda_only=True)
    for optimizer in OPTIMIZERS:
        for name in scope.close:
            yield _profile(
                scope, f"train-{optimizer}", name, f"time and memory of training steps with {optimizer}",
                dtype=TRAIN_DTYPES, train=True, optimizer=optimizer,
            )  # fmt: skip
    yield from _validations()
    for name in REMEMBERED:
        words = (
            "computed peak memory compared with `requested_bytes.all.peak`, batch 1, 8 and 32, forward pass and "
            "training step (`python benchmarks/gpu_memory.py` makes only these measurements)"
        )
        yield Slice("memory", name, "memory", words, 12, {"network": name}, True)
    for name, (path, words) in TESTS.items():
        yield Slice("tests", name, "tests", f"`pytest -m gpu {path}`: {words}", 500, {"path": path}, True)


def _profile(
    scope: Scope, prefix: str, network: str, words: str, slower: float = 0, cuda_only: bool = False, **options: Any
) -> Slice:
    layers = options.setdefault("layers", "none")
    dtypes = options.setdefault("dtype", DTYPES)
    each = 1.3 * scope.seconds + 2 + {"none": 0, "in-place": 2, "both": 17}[layers] + slower / 6
    return Slice(
        prefix, network, "profile", words, 10 + len(scope.batches) * len(dtypes) * each, {"source": network, **options},
        cuda_only,
    )  # fmt: skip


@cache
def _families() -> dict[str, list[str]]:
    """The networks of each spec file."""
    families: dict[str, list[str]] = {}
    for name, path, _ in shipped.shipped():
        families.setdefault(os.path.basename(path).removesuffix(".yaml"), []).append(name)
    return families


def _validations() -> Iterator[Slice]:
    """One for each spec file."""
    words = "validation on the device of all networks of a spec file: shapes and memory of a forward pass"
    for family, names in _families().items():
        yield Slice("validation", family, "validation", words, 4 * len(names), {"networks": tuple(names)})
