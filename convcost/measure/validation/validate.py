"""The function ``validate``: runs a network in PyTorch and compares every layer with convcost's figures.

``spec_checks.py`` compares the network that is built from the graph, and ``module_checks.py`` the user's own module.
"""

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
from ..memory_limits import check_memory
from . import cuda_memory_checks
from .fvcore_counter import FvcoreCount, fvcore_count, fvcore_version
from .layer_watch import LayerWatch, exact_attention, zero_inputs
from .module_checks import OWN, against_module, against_module_counter
from .module_run import ModulePaths, positional, run_module
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
    """Compare the figures of a network with what PyTorch does and counts, layer by layer.

    The graph is built as a PyTorch module and run. If the source is a PyTorch module (``torchvision:NAME``,
    ``timm:NAME``, ``package.module:factory``), the original module runs, too, on the meta device, and is compared
    module by module.

    Args:
        source: a graph, or the argument of ``load``.
        device: "meta" (shapes only, without computation), "cpu" or "cuda".
        batch, input_size, dtype, train: as for ``analyze``.

    Returns:
        All checks. ``ok`` is False if a figure differs without an explanation, and ``differences`` lists these.

    Raises:
        SourceError, SpecError: the network does not exist, or its spec contains mistakes.
        UsageError: the device does not exist, or it does not have enough memory.
    """
    start = time.perf_counter()
    place = device_of(device)
    graph = source if isinstance(source, Graph) else load(source, batch, input_size, train)
    precision = precision_of(dtype or graph.dtype or "float32")
    check_precision(precision)
    if precision.mixed:
        plain = f"{precision.stored} or {precision.compute}"
        raise UsageError(f"{dtype} is autocast, which has no effect on meta tensors; validate in {plain}")
    captured = isinstance(source, str) and not graph.batch_free  # then the graph already has these settings
    report = analyze(graph, dtype=dtype) if captured else analyze(graph, batch, dtype, input_size, train or None)
    check_memory(report, place)
    checks = _built_network_checks(report, place)
    if captured and not is_json(str(source)):
        checks += _own_module_checks(analyze(graph), str(source), batch, input_size, train)
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
    """The record of a network that could not be validated, for a list of several networks."""
    return Validation(source, source, device, error=str(error))


# --- the network built from the graph


def _built_network_checks(report: Report, device: torch.device) -> tuple[Check, ...]:
    network = _build(report, device)
    watch = LayerWatch(network)
    counter = FlopCounterMode(display=False)
    inputs = zero_inputs(report.settings.input_tensors(report.graph), device)
    try:
        with torch.enable_grad(), exact_attention(), watch.on(counter), counter:
            network(*inputs)
    except Exception as error:
        if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error):
            raise UsageError(
                f"{report.about.name}: {device} does not have enough memory; use a smaller batch"
            ) from error
        return (_failed_run(report, watch, error), *against_pytorch(report, watch.observed))
    checks = against_pytorch(report, watch.observed)
    flops = {name: layer.flops for name, layer in watch.observed.items()}
    checks += (against_counter(report, "torch", flops), _fvcore_check(report))
    if device.type == "cuda":
        del inputs, watch
        checks += cuda_memory_checks.checks(report, network, report.settings.input_tensors(report.graph), device)
    return checks


def _build(report: Report, device: torch.device) -> Network:
    network = build(report.graph, device, report.settings.precision.stored)
    network.train(report.settings.mode == "train")
    return network


def _failed_run(report: Report, watch: LayerWatch, error: Exception) -> Check:
    layer = report.layers[report.graph.index[watch.running]] if watch.running else None
    name, op = (layer.name, layer.op) if layer else ("", "")
    difference = Difference(name, op, "runs", "refused", first_line(error))
    return Check("runs", "PyTorch", len(report.layers), len(watch.observed), differences=(difference,))


def _fvcore_check(report: Report) -> Check:
    count = fvcore_count(_build(report, META), zero_inputs(report.settings.input_tensors(report.graph), META))
    if count.note:
        return Check("macs", COUNTERS["fvcore"], note=count.note)
    exclusive = ModulePaths(list(count.counts)).exclusive(count.counts)
    return against_counter(report, "fvcore", {layer.name: exclusive[layer.name] for layer in report.layers})


# --- the user's own module


def _own_module_checks(
    report: Report, source: str, batch: int | None, input_size: InputSize, train: bool
) -> tuple[Check, ...]:
    from ...capture.meta_copy import meta_copy
    from ...sources.schemes import module_of

    # Created again, because a module may behave differently after its first call, which was the capture.
    original = module_of(source)
    original.module.train(train)
    args, kwargs = original.inputs(batch, input_size)
    args, kwargs = tree_map(_to_meta, (args, kwargs))
    for_fvcore, for_retry = meta_copy(original.module), meta_copy(original.module)
    try:
        try:
            run = run_module(original.module, args, kwargs)
        except RuntimeError:  # with gradients enabled PyTorch refuses to overwrite a parameter in place
            run = run_module(for_retry, args, kwargs, gradients=False)
    except Exception as error:  # noqa: BLE001 - a user's module can raise anything
        difference = Difference("", "", "was captured", "refused", first_line(error))
        return (Check("runs", OWN, 1, differences=(difference,)),)
    checks = (
        *against_module(report, run),
        against_module_counter(report, "torch", {path: run.flops.get(path, 0) for path in run.params}, {}),
    )
    return (*checks, _own_module_fvcore(report, for_fvcore, args, kwargs))


def _to_meta(value: Any) -> Any:
    return value.detach().to("meta") if isinstance(value, torch.Tensor) else value


def _own_module_fvcore(report: Report, module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Check:
    inputs = positional(module, args, kwargs)
    count = FvcoreCount(note="fvcore accepts only tensors as positional arguments")
    if inputs is not None:
        count = fvcore_count(module, inputs)
    if count.note:
        return Check("macs", f"{COUNTERS['fvcore']}, {OWN}", note=count.note)
    exclusive = ModulePaths(list(count.counts)).exclusive(count.counts)
    return against_module_counter(report, "fvcore", exclusive, count.operators)


__all__ = ["failed", "validate"]
