"""The static roofline: how fast a GPU could run each layer at most. A lower bound on its time, not a prediction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from math import fsum
from typing import Any, Literal

import msgspec

from ..display import Shown, plotted
from ..errors import UsageError
from ..graph import Graph
from ..hardware import Gpu, load_gpu, rate_of
from ..ops.base import GROUPS, Group
from ..precision import PRECISIONS, precision_of
from ..tensor import FLOATING, ITEM_BYTES
from .layers import LayerRecord
from .report import Report, analyze
from .settings import InputSize, Settings

FP32, TF32 = "fp32_flops_per_s", "tf32_tensor_flops_per_s"
BANDWIDTH = "memory_bandwidth_bytes_per_s"

FIRST_WITH_TF32 = (8, 0)
"""Ampere, by its compute capability."""

ASSUMPTIONS = (
    "Under these assumptions no run is faster than the bound.",
    "Each layer by itself reads its inputs and weights from memory once and writes its outputs once. What stays in a "
    "cache, or a kernel that fuses layers, moves less and can be faster.",
    "Every layer reaches its ceiling; those of hardware files are the vendor's dense peak rates. Multiply-accumulates "
    "and all other operations overlap, launches of kernels cost nothing.",
    "No algorithm with fewer multiplications (Winograd, FFT).",
)
"""What the bound takes for granted, in sentences."""

Roof = Literal["conv", "matmul", "vector", ""]
Limit = Literal["compute", "memory", "mixed", ""]


class Ceilings(msgspec.Struct, frozen=True):
    """What a device can do in a second at most, for layers of one dtype.

    ``conv_flops_per_s``: multiply-accumulates (two FLOPs each) of convolutions and whatever else cuDNN computes;
    ``matmul_flops_per_s``: of linear layers and matrix products; ``vector_flops_per_s``: everything that is not a
    multiply-accumulate. ``words`` says for each rate by its field's name which figure it is, ``sources`` the document.
    ``others``: the ceilings of layers that compute in another dtype, such as what autocast leaves in float32.
    """

    device: str
    conv_flops_per_s: float
    matmul_flops_per_s: float
    vector_flops_per_s: float
    bytes_per_s: float
    words: Mapping[str, str] = {}
    sources: Mapping[str, str] = {}
    others: Mapping[str, Ceilings] = {}

    def rate(self, roof: Roof) -> float:
        """FLOPs per second under this roof."""
        rate: float = getattr(self, f"{roof or 'vector'}_flops_per_s")
        return rate

    def ridge(self, roof: Roof) -> float:
        """The intensity, FLOPs per byte, from which on arithmetic is the limit under this roof."""
        return self.rate(roof) / self.bytes_per_s


def ceilings_of(gpu: Gpu, dtype: str, tf32: bool | None = None) -> Ceilings:
    """The datasheet's rates that hold for a dtype.

    Args:
        dtype: as for ``analyze``. Half precision and mixed precision: tensor cores with sums in float32. What is not a
            multiply-accumulate runs at the float32 rate: PyTorch's elementwise kernels compute in float32.
        tf32: whether float32 may use TF32 tensor cores; None: as PyTorch does by itself, for what cuDNN computes
            (convolutions, recurrent layers) and not for matrix products. A GPU without them uses float32.

    Raises:
        UsageError: the file has no rate for this dtype; the message has what there is.
    """
    precision = precision_of(dtype)
    own, rates = precision.compute, _rates(gpu)
    if own not in rates:
        key = rate_of(own)
        missing = f"{gpu.name} has no rate of {own}, {key}" if key else f"hardware files have no rate of {own}"
        names = [each.name for each in PRECISIONS.values() if each.compute in rates]
        raise UsageError(f"{missing}; the file of {gpu.name} is good for {', '.join(names)}")
    if tf32 is not None and "float32" not in (own, precision.stored):
        raise UsageError(f"TF32 is a way to compute in float32; with {dtype} there is nothing to choose")
    ceilings = {kind: _of(gpu, key, key) for kind, key in rates.items() if kind != "float32"}
    if own == "float32" or tf32 is False or _tf32_is_known(gpu):
        ceilings["float32"] = _float32(gpu, tf32)
    return msgspec.structs.replace(ceilings.pop(own), others=ceilings)


def _rates(gpu: Gpu) -> dict[str, str]:
    """The key of the rate of each dtype that a precision computes in, as far as the GPU's file has it."""
    keys = {each.compute: rate_of(each.compute) for each in PRECISIONS.values()}
    return {dtype: key for dtype, key in keys.items() if key in gpu.figures}


def _tf32_is_known(gpu: Gpu) -> bool:
    """True if the file has the rate, or the GPU is too old to have any."""
    if TF32 in gpu.figures or not gpu.compute_capability:
        return True
    major, minor = map(int, gpu.compute_capability.split("."))
    return (major, minor) < FIRST_WITH_TF32


def _float32(gpu: Gpu, tf32: bool | None) -> Ceilings:
    if tf32 is False:
        return _of(gpu, FP32, FP32)
    if not _tf32_is_known(gpu):
        # The float32 rate would be no bound: tensor cores are faster.
        raise UsageError(
            f"{gpu.name} (compute capability {gpu.compute_capability}) can use TF32, and its file has no {TF32}; "
            "--no-tf32 (tf32=False) counts without it"
        )
    quick = max((key for key in (TF32, FP32) if key in gpu.figures), key=lambda key: gpu.figures[key].value)
    return _of(gpu, quick, quick if tf32 else FP32)


def _of(gpu: Gpu, conv: str, matmul: str) -> Ceilings:
    keys = {
        "conv_flops_per_s": conv, "matmul_flops_per_s": matmul, "vector_flops_per_s": FP32, "bytes_per_s": BANDWIDTH,
    }  # fmt: skip
    figures = {rate: gpu.figures[key] for rate, key in keys.items()}
    rates = {rate: float(figure.value) for rate, figure in figures.items()}
    words = {rate: key + (" (an estimate)" if figures[rate].estimate else "") for rate, key in keys.items()}
    sources = {rate: figure.source for rate, figure in figures.items()}
    return msgspec.convert({"device": gpu.name, **rates, "words": words, "sources": sources}, Ceilings)


class Bounds(msgspec.Struct, frozen=True):
    """The work of some layers and the least time for it; times are sums of those of the layers.

    ``compute_limited_ns``: how much of ``bound_ns`` lies in layers that arithmetic limits.
    """

    layers: int
    params: int
    macs: int
    flops: int
    bytes_moved: int
    launches: int
    compute_ns: float
    memory_ns: float
    bound_ns: float
    compute_limited_ns: float
    limit: Limit
    """"mixed" if some layers are limited by arithmetic and some by memory."""

    @property
    def intensity(self) -> float | None:
        """FLOPs per byte; None if nothing is moved."""
        return self.flops / self.bytes_moved if self.bytes_moved else None

    def to_dict(self) -> dict[str, Any]:
        """The sums by name, the intensity with them."""
        return {**msgspec.structs.asdict(self), "intensity": self.intensity}


class LayerBound(msgspec.Struct, frozen=True, gc=False):
    """The least time for one layer.

    ``bytes_moved``: read and written. ``intensity``: FLOPs per byte, None if nothing is moved. ``roof``: which rate its
    multiply-accumulates have ("vector" without any). ``compute_ns``: the larger of the time for multiply-accumulates
    and that for all other operations, since tensor cores and vector units work side by side. ``memory_ns``: for the
    bytes. ``bound_ns``: the larger of both; ``limit`` says which, and is "" for what neither computes nor moves.
    """

    name: str
    path: tuple[str, ...]
    group: Group
    params: int
    macs: int
    flops: int
    bytes_moved: int
    launches: int
    intensity: float | None
    roof: Roof
    compute_ns: float
    memory_ns: float
    bound_ns: float
    limit: Limit

    def to_dict(self) -> dict[str, Any]:
        """Everything by name."""
        return msgspec.structs.asdict(self)


class Roofline(msgspec.Struct, Shown, frozen=True, dict=True):
    """The least time for each layer of a network on a device, and in all if they run one after the other."""

    title: str
    settings: Settings
    ceilings: Ceilings
    layers: tuple[LayerBound, ...]

    def __repr__(self) -> str:
        return f"<Roofline {self.title!r} on {self.ceilings.device}: {self.bound_ns:,.0f} ns or more>"

    def summed(self, layers: Iterable[LayerBound]) -> Bounds:
        """The sums over some of the layers."""
        chosen = tuple(layers)
        limits: set[Limit] = {layer.limit for layer in chosen if layer.limit}
        return Bounds(
            layers=len(chosen),
            params=sum(layer.params for layer in chosen),
            macs=sum(layer.macs for layer in chosen),
            flops=sum(layer.flops for layer in chosen),
            bytes_moved=sum(layer.bytes_moved for layer in chosen),
            launches=sum(layer.launches for layer in chosen),
            compute_ns=fsum(layer.compute_ns for layer in chosen),
            memory_ns=fsum(layer.memory_ns for layer in chosen),
            bound_ns=fsum(layer.bound_ns for layer in chosen),
            compute_limited_ns=fsum(layer.bound_ns for layer in chosen if layer.limit == "compute"),
            limit="mixed" if len(limits) > 1 else next(iter(limits), ""),
        )

    @cached_property
    def totals(self) -> Bounds:
        """The sums over all layers."""
        return self.summed(self.layers)

    @cached_property
    def by_group(self) -> dict[Group, Bounds]:
        """The sums by group; every group is there, in the order of ``GROUPS``."""
        return {group: self.summed(layer for layer in self.layers if layer.group == group) for group in GROUPS}

    @property
    def bound_ns(self) -> float:
        """The least time of a forward pass: the sum over the layers."""
        return self.totals.bound_ns

    @property
    def compute_ns(self) -> float:
        """What arithmetic alone would take."""
        return self.totals.compute_ns

    @property
    def memory_ns(self) -> float:
        """What memory traffic alone would take."""
        return self.totals.memory_ns

    @property
    def intensity(self) -> float | None:
        """FLOPs per byte of all layers."""
        return self.totals.intensity

    @property
    def compute_limited_ns(self) -> float:
        """How much of the bound lies in layers that arithmetic limits."""
        return self.totals.compute_limited_ns

    @property
    def samples_per_s(self) -> float | None:
        """Samples in a second at most; None if no layer takes time."""
        return self.settings.batch * 1e9 / self.bound_ns if self.bound_ns else None

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the bound takes for granted."""
        return ASSUMPTIONS

    def plot(self, times_ns: Mapping[str, float] | None = None) -> Any:
        """A plotly figure; ``times_ns``: measured time of each layer by its name, drawn beside the bounds."""
        return plotted(self, "roofline", times_ns=times_ns)

    def to_dict(self) -> dict[str, Any]:
        """The roofline as in the JSON: integers and, for times in nanoseconds and ratios, floats."""
        plain: dict[str, Any] = msgspec.to_builtins({
            "settings": self.settings,
            "ceilings": self.ceilings,
            "assumptions": self.assumptions,
            "totals": {**self.totals.to_dict(), "samples_per_s": self.samples_per_s},
            "by_group": {group: found.to_dict() for group, found in self.by_group.items()},
            "layers": self.layers,
        })  # fmt: skip
        return plain


def roofline(
    network: Graph | Report,
    gpu: str | Ceilings,
    batch: int | None = None,
    dtype: str | None = None,
    *,
    input_size: InputSize | None = None,
    tf32: bool | None = None,
) -> Roofline:
    """The least time that a GPU needs for each layer of a forward pass. A bound, not a prediction.

    Args:
        network: from ``convcost.load`` or ``convcost.capture``; or the report of one, which has its batch and dtype.
        gpu: a GPU that ships (``convcost list --gpus``), a hardware file of your own, or ``Ceilings``.
        batch, dtype, input_size: as for ``analyze``.
        tf32: whether float32 may use TF32 tensor cores; None: in convolutions and not in matrix products, as PyTorch
            does by itself.

    Raises:
        UsageError: an unknown GPU, one without a rate for this dtype, or a batch, dtype or size beside a report.
    """
    if isinstance(network, Report):
        if batch is not None or dtype is not None or input_size is not None:
            raise UsageError("a report has its batch, dtype and size already; give the graph to change them")
        report = network
    else:
        report = analyze(network, batch, dtype, input_size)
    if isinstance(gpu, Ceilings):
        if tf32 is not None:
            raise UsageError("ceilings have their rates already; tf32 is for a GPU's name")
        ceilings = gpu
    else:
        ceilings = ceilings_of(load_gpu(gpu), report.settings.dtype, tf32)
    bounds: dict[tuple[int, bool], dict[str, Any]] = {}
    layers = []
    for layer in report.layers:
        key = (id(layer.cost), layer.node.op.cudnn)
        if key not in bounds:
            bounds[key] = _bound(layer, ceilings)
        layers.append(LayerBound(layer.name, layer.path, **bounds[key]))
    return Roofline(report.about.title or report.about.name, report.settings, ceilings, tuple(layers))


def _bound(layer: LayerRecord, ceilings: Ceilings) -> dict[str, Any]:
    cost = layer.cost
    floats = [tensor.dtype for tensor in cost.inputs if tensor.dtype in FLOATING]
    widest = max(floats, key=ITEM_BYTES.__getitem__, default="")
    rates = ceilings.others.get(widest, ceilings)
    roof: Roof = "vector" if cost.flops else ""
    if cost.macs:
        roof = "conv" if cost.group == "conv" or layer.node.op.cudnn else "matmul"
    moved = cost.bytes_read + cost.bytes_written
    of_macs = 2e9 * cost.macs / rates.rate(roof)
    of_rest = 1e9 * (cost.flops - 2 * cost.macs) / rates.vector_flops_per_s
    compute, memory = max(of_macs, of_rest), 1e9 * moved / rates.bytes_per_s
    return {
        "group": cost.group,
        "params": cost.params,
        "macs": cost.macs,
        "flops": cost.flops,
        "bytes_moved": moved,
        "launches": cost.launches,
        "intensity": cost.flops / moved if moved else None,
        "roof": roof,
        "compute_ns": compute,
        "memory_ns": memory,
        "bound_ns": max(compute, memory),
        "limit": "compute" if compute > memory else "memory" if memory else "",
    }
