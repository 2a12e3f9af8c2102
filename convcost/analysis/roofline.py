"""The static roofline: a lower bound on the time of each layer on a GPU, not a prediction.

The rate of a dtype comes from the hardware file (``hardware.rate_of``); a new figure per layer is a field of
``LayerBound`` that ``_bound`` computes and, if it is a sum, of ``Bounds``.
"""

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
"""The compute capability of Ampere, the first architecture with TF32."""

ASSUMPTIONS = (
    "Under these assumptions no run is faster than the bound.",
    "Each layer reads its inputs and weights from memory once and writes its outputs once. Caches, and kernels that "
    "fuse layers, move fewer bytes and can be faster.",
    "Every layer reaches its ceiling; the ceilings of hardware files are the vendor's dense peak rates. "
    "Multiply-accumulates overlap with all other operations, and kernel launches take no time.",
    "Convolutions use no algorithm with fewer multiplications (Winograd, FFT).",
)
"""The assumptions of the bound, one sentence or two each."""

Roof = Literal["conv", "matmul", "vector", ""]
Limit = Literal["compute", "memory", "mixed", ""]


class Ceilings(msgspec.Struct, frozen=True):
    """The highest rates of a device for layers of one dtype.

    Args:
        device: its name.
        conv_flops_per_s: multiply-accumulates (two FLOPs each) of convolutions and other cuDNN operations.
        matmul_flops_per_s: multiply-accumulates of linear layers and matrix products.
        vector_flops_per_s: all other operations.
        bytes_per_s: memory bandwidth.
        words: description of each rate by its field's name; ``sources``: its source likewise.
        others: ceilings of layers that compute in another dtype, such as those that autocast keeps in float32.
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
        """The rate of a roof in FLOPs per second."""
        rate: float = getattr(self, f"{roof or 'vector'}_flops_per_s")
        return rate

    def ridge(self, roof: Roof) -> float:
        """The intensity in FLOPs per byte above which layers under this roof are limited by arithmetic."""
        return self.rate(roof) / self.bytes_per_s


def ceilings_of(gpu: Gpu, dtype: str, tf32: bool | None = None) -> Ceilings:
    """The datasheet's rates for a dtype.

    Args:
        gpu: the GPU.
        dtype: as for ``analyze``. Half precision and mixed precision have the rate of tensor cores that accumulate in
            float32. Operations other than multiply-accumulates have the float32 rate, because PyTorch's elementwise
            kernels compute in float32.
        tf32: True if float32 may use TF32 tensor cores, False if not; None for PyTorch's defaults, TF32 in cuDNN
            (convolutions, recurrent layers) but not in matrix products. GPUs without TF32 use float32.

    Raises:
        UsageError: the GPU has no rate for this dtype; the message lists the dtypes with a rate.
    """
    precision = precision_of(dtype)
    compute, rates = precision.compute, _rates(gpu)
    if compute not in rates:
        key = rate_of(compute)
        missing = f"{gpu.name} has no rate of {compute}, {key}" if key else f"hardware files have no rate of {compute}"
        names = [row.name for row in PRECISIONS.values() if row.compute in rates]
        raise UsageError(f"{missing}; the file of {gpu.name} has rates for {', '.join(names)}")
    if tf32 is not None and "float32" not in (compute, precision.stored):
        raise UsageError(f"TF32 is a mode of float32 and has no effect with {dtype}")
    ceilings = {kind: _of(gpu, key, key) for kind, key in rates.items() if kind != "float32"}
    if compute == "float32" or tf32 is False or _tf32_is_known(gpu):
        ceilings["float32"] = _float32(gpu, tf32)
    return msgspec.structs.replace(ceilings.pop(compute), others=ceilings)


def _rates(gpu: Gpu) -> dict[str, str]:
    """Keys of the rates in the GPU's file, by the dtype that a precision computes in."""
    keys = {precision.compute: rate_of(precision.compute) for precision in PRECISIONS.values()}
    return {dtype: key for dtype, key in keys.items() if key in gpu.figures}


def _tf32_is_known(gpu: Gpu) -> bool:
    """True if the file has the TF32 rate, or if the GPU does not support TF32."""
    if TF32 in gpu.figures or not gpu.compute_capability:
        return True
    major, minor = map(int, gpu.compute_capability.split("."))
    return (major, minor) < FIRST_WITH_TF32


def _float32(gpu: Gpu, tf32: bool | None) -> Ceilings:
    if tf32 is False:
        return _of(gpu, FP32, FP32)
    if not _tf32_is_known(gpu):
        # The float32 rate is no upper bound, because TF32 tensor cores are faster.
        raise UsageError(
            f"{gpu.name} (compute capability {gpu.compute_capability}) supports TF32, but its file has no {TF32}; "
            "use --no-tf32 (tf32=False)"
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
    """The work of several layers and the lower bound on their time: sums over the layers.

    ``compute_limited_ns`` is the part of ``bound_ns`` in layers that are limited by arithmetic.
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
    """``"mixed"`` if some layers are limited by arithmetic and others by memory."""

    @property
    def intensity(self) -> float | None:
        """FLOPs per byte; None if no bytes are moved."""
        return self.flops / self.bytes_moved if self.bytes_moved else None

    def to_dict(self) -> dict[str, Any]:
        """The sums and the intensity by name."""
        return {**msgspec.structs.asdict(self), "intensity": self.intensity}


class LayerBound(msgspec.Struct, frozen=True, gc=False):
    """The lower bound on the time of one layer.

    Args:
        name, path, group, params, macs, flops, launches: as in ``LayerRecord``.
        bytes_moved: bytes read and written.
        intensity: FLOPs per byte; None if no bytes are moved.
        roof: the rate of its multiply-accumulates; "vector" if it has none, "" if it computes nothing.
        compute_ns: the larger of the times for multiply-accumulates and for all other operations, because tensor cores
            and vector units work in parallel.
        memory_ns: time to move the bytes.
        bound_ns: the larger of ``compute_ns`` and ``memory_ns``.
        limit: the larger of both, "compute" or "memory"; "" if both are 0.
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
        """The fields by name."""
        return msgspec.structs.asdict(self)


class Roofline(msgspec.Struct, Shown, frozen=True, dict=True):
    """The lower bound on the time of each layer of a network on a device, and of all layers run in sequence."""

    title: str
    settings: Settings
    ceilings: Ceilings
    layers: tuple[LayerBound, ...]

    def __repr__(self) -> str:
        return f"<Roofline {self.title!r} on {self.ceilings.device}: {self.bound_ns:,.0f} ns or more>"

    def summed(self, layers: Iterable[LayerBound]) -> Bounds:
        """The sums over the given layers."""
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
        """The sums by group; all groups in the order of ``GROUPS``."""
        return {group: self.summed(layer for layer in self.layers if layer.group == group) for group in GROUPS}

    @property
    def bound_ns(self) -> float:
        """The lower bound on the time of a forward pass in nanoseconds: the sum over the layers."""
        return self.totals.bound_ns

    @property
    def compute_ns(self) -> float:
        """The time of arithmetic alone in nanoseconds."""
        return self.totals.compute_ns

    @property
    def memory_ns(self) -> float:
        """The time of memory traffic alone in nanoseconds."""
        return self.totals.memory_ns

    @property
    def intensity(self) -> float | None:
        """FLOPs per byte of all layers."""
        return self.totals.intensity

    @property
    def compute_limited_ns(self) -> float:
        """The part of the bound in layers that are limited by arithmetic, in nanoseconds."""
        return self.totals.compute_limited_ns

    @property
    def samples_per_s(self) -> float | None:
        """The upper bound on samples per second; None if the time bound is 0."""
        return self.settings.batch * 1e9 / self.bound_ns if self.bound_ns else None

    @property
    def assumptions(self) -> tuple[str, ...]:
        """The assumptions of the bound in sentences."""
        return ASSUMPTIONS

    def plot(self, times_ns: Mapping[str, float] | None = None) -> Any:
        """A plotly figure. ``times_ns``, the measured time of each layer by name, is drawn next to the bounds."""
        return plotted(self, "roofline", times_ns=times_ns)

    def to_dict(self) -> dict[str, Any]:
        """The roofline as plain data, as in the JSON: integers, and floats for times and ratios."""
        plain: dict[str, Any] = msgspec.to_builtins({
            "settings": self.settings,
            "ceilings": self.ceilings,
            "assumptions": self.assumptions,
            "totals": {**self.totals.to_dict(), "samples_per_s": self.samples_per_s},
            "by_group": {group: bounds.to_dict() for group, bounds in self.by_group.items()},
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
    """The lower bound on the time of each layer of a forward pass on a GPU. It is not a prediction.

    Args:
        network: a graph from ``convcost.load`` or ``convcost.capture``, or a report.
        gpu: a name from ``convcost list --gpus``, the path of a hardware file, or ``Ceilings``.
        batch, dtype, input_size: as for ``analyze``; not with a report, which has them.
        tf32: True if float32 may use TF32 tensor cores, False if not; None for PyTorch's defaults, TF32 in
            convolutions but not in matrix products.

    Raises:
        UsageError: the GPU is unknown or has no rate for this dtype, or a report was given with a batch, dtype or size.
    """
    if isinstance(network, Report):
        if batch is not None or dtype is not None or input_size is not None:
            raise UsageError("a report has its own batch, dtype and input size; pass the graph to change them")
        report = network
    else:
        report = analyze(network, batch, dtype, input_size)
    if isinstance(gpu, Ceilings):
        if tf32 is not None:
            raise UsageError("tf32 has no effect with Ceilings; it selects rates of a GPU's hardware file")
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
