"""Static figures held against PyTorch: the network runs, and every layer of it is compared."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_map
from torch.utils.flop_counter import FlopCounterMode

from ...analysis import Report, analyze
from ...errors import ConvcostError, UsageError, first_line
from ...graph import Graph
from ...precision import precision_of
from ...sources.load import is_json, load
from ..build import Network, build
from ..devices import check_precision, device_of
from ..memory_limits import check_room
from . import cuda_memory_checks
from .fvcore_counter import FvcoreCount, fvcore_count, fvcore_version
from .layer_watch import Watch, empty_inputs, exact_attention
from .module_checks import OWN, against_module, against_module_counter
from .module_run import Places, positional, run_module
from .results import Check, Difference, Validation
from .spec_checks import COUNTERS, against_counter, against_pytorch

InputSize = Sequence[int] | Mapping[str, Sequence[int]] | None

META = torch.device("meta")


def validate(
    source: str | Graph,
    device: str = "meta",
    batch: int | None = None,
    input_size: InputSize = None,
    dtype: str | None = None,
    train: bool = False,
) -> Validation:
    """The figures of a network against what PyTorch does and counts, layer by layer.

    The graph is built as a PyTorch module and run. A PyTorch module (``torchvision:NAME``, ``timm:NAME``,
    ``package.module:factory``) is run itself too, on the meta device, and compared module by module.

    Args:
        source: what ``load`` takes, or a graph.
        device: "meta" (shapes only, nothing is computed), "cpu" or "cuda" (it really runs).
        batch, input_size, dtype, train: as ``analyze`` takes them.

    Returns:
        The checks; ``.ok`` is False if any figure differs and no rule explains it, ``.differences`` holds these.

    Raises:
        SourceError, SpecError: there is no such network, or it has mistakes.
        UsageError: there is no such device, or its memory is too small.
    """
    start = time.perf_counter()
    place = device_of(device)
    graph = source if isinstance(source, Graph) else load(source, batch, input_size, train)
    precision = precision_of(dtype or graph.dtype or "float32")
    check_precision(precision)
    if precision.mixed:
        plain = f"{precision.stored} or {precision.compute}"
        raise UsageError(f"{dtype} is autocast, which does nothing on meta; validate in {plain}")
    captured = isinstance(source, str) and not graph.batch_free  # with these settings already
    report = analyze(graph, dtype=dtype) if captured else analyze(graph, batch, dtype, input_size, train or None)
    check_room(report, place)
    checks = _twin_checks(report, place)
    if captured and not is_json(str(source)):  # the module is there too
        checks += _own_checks(analyze(graph), str(source), batch, input_size, train)
    versions = {"torch": str(torch.__version__), "fvcore": fvcore_version() or "not installed"}
    return Validation(
        name=graph.about.name,
        source=source if isinstance(source, str) else graph.about.source,
        device=str(place),
        dtype=report.settings.dtype,
        mode=report.settings.mode,
        input_shapes=dict(report.settings.input_shapes),
        layers=len(report.layers),
        checks=checks,
        versions=versions,
        seconds=round(time.perf_counter() - start, 3),
    )


def failed(source: str, device: str, error: ConvcostError) -> Validation:
    """The record of a network that could not be validated, for a list in which the others go on."""
    return Validation(source, source, device, error=str(error))


# --- the network built from the graph


def _twin_checks(report: Report, device: torch.device) -> tuple[Check, ...]:
    network = _built(report, device)
    watch = Watch(network)
    counter = FlopCounterMode(display=False)
    inputs = empty_inputs(report.settings.input_tensors(report.graph), device)
    try:
        with torch.enable_grad(), exact_attention(), watch.on(counter), counter:
            network(*inputs)
    except Exception as error:
        if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error):
            raise UsageError(f"{report.about.name}: {device} has too little memory; take a smaller batch") from error
        refused = _refused(report, watch, error)
        return (refused, *against_pytorch(report, watch.observed))
    checks = against_pytorch(report, watch.observed)
    flops = {name: seen.flops for name, seen in watch.observed.items()}
    checks += (against_counter(report, "torch", flops), _fvcore_check(report))
    if device.type == "cuda":
        del inputs, watch
        checks += cuda_memory_checks.checks(report, network, report.settings.input_tensors(report.graph), device)
    return checks


def _built(report: Report, device: torch.device) -> Network:
    network = build(report.graph, device, report.settings.precision.stored)
    network.train(report.settings.mode == "train")
    return network


def _refused(report: Report, watch: Watch, error: Exception) -> Check:
    layer = report.layers[report.graph.index[watch.running]] if watch.running else None
    name, op = (layer.name, layer.op) if layer else ("", "")
    difference = Difference(name, op, "runs", "refused", first_line(error))
    return Check("runs", "PyTorch", len(report.layers), len(watch.observed), differences=(difference,))


def _fvcore_check(report: Report) -> Check:
    network = _built(report, META)
    found = fvcore_count(network, empty_inputs(report.settings.input_tensors(report.graph), META))
    if found.note:
        return Check("macs", COUNTERS["fvcore"], note=found.note)
    alone = Places(list(found.counts)).own(found.counts)
    return against_counter(report, "fvcore", {layer.name: alone[layer.name] for layer in report.layers})


# --- the user's own module


def _own_checks(
    report: Report, source: str, batch: int | None, input_size: InputSize, train: bool
) -> tuple[Check, ...]:
    from ...capture.meta_copy import meta_copy
    from ...sources.schemes import module_of

    # Made anew: a module may remember its first call, which was the capture's.
    found = module_of(source)
    found.module.train(train)
    args, kwargs = found.inputs(batch, input_size)
    args, kwargs = tree_map(_to_meta, (args, kwargs))
    again, spare = meta_copy(found.module), meta_copy(found.module)
    try:
        try:
            ran = run_module(found.module, args, kwargs)
        except RuntimeError:  # what it overwrites may be a parameter, which PyTorch refuses with gradients on
            ran = run_module(spare, args, kwargs, gradients=False)
    except Exception as error:  # noqa: BLE001 - whatever a user's module raises
        refused = Difference("", "", "was captured", "refused", first_line(error))
        return (Check("runs", OWN, 1, differences=(refused,)),)
    checks = (
        *against_module(report, ran),
        against_module_counter(report, "torch", {path: ran.flops.get(path, 0) for path in ran.params}, {}),
    )
    return (*checks, _own_fvcore(report, again, args, kwargs))


def _to_meta(value: Any) -> Any:
    return value.detach().to("meta") if isinstance(value, torch.Tensor) else value


def _own_fvcore(report: Report, module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Check:
    inputs = positional(module, args, kwargs)
    found = FvcoreCount(note="it takes tensors by position only")
    if inputs is not None:
        found = fvcore_count(module, inputs)
    if found.note:
        return Check("macs", f"{COUNTERS['fvcore']}, {OWN}", note=found.note)
    alone = Places(list(found.counts)).own(found.counts)
    return against_module_counter(report, "fvcore", alone, found.operators)


__all__ = ["failed", "validate"]
