"""Counts the multiply-accumulates of a module with fvcore, on the meta device."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any

import msgspec
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from .layer_watch import exact_attention

_CONVOLUTION = torch.ops.aten.convolution.default
_TRACED_CONVOLUTION = torch.ops.aten._convolution.default


class FvcoreCount(msgspec.Struct, frozen=True):
    """fvcore's figures for a module, by the path of each submodule."""

    counts: dict[str, int] = {}
    """Multiply-accumulates of each module including its submodules."""
    operators: dict[str, tuple[str, ...]] = {}
    """The operators in each module. Those without a formula are named ``aten::...``."""
    note: str = ""
    """Why there are no figures; empty if there are."""


def fvcore_version() -> str | None:
    """The installed version, or None."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("fvcore")
    except PackageNotFoundError:
        return None


def fvcore_count(module: nn.Module, inputs: Sequence[torch.Tensor]) -> FvcoreCount:
    """Count one call of a module with fvcore. The module and its inputs are on the meta device.

    If fvcore is not installed or fails, the result has a ``note`` and no figures.
    """
    logger = logging.getLogger("fvcore")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fvcore uses torch.jit, which recent versions of PyTorch deprecate
            return _count(module, inputs)
    except ImportError:
        return FvcoreCount(note='not installed: pip install "convcost[torch]"')
    except Exception as error:  # noqa: BLE001 - torch.jit can raise anything; the other checks still run
        message = (str(error).splitlines() or [""])[0]
        return FvcoreCount(note=f"fvcore cannot trace this network: {type(error).__name__}: {message[:120]}")
    finally:
        logger.setLevel(level)


def _count(module: nn.Module, inputs: Sequence[torch.Tensor]) -> FvcoreCount:
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(module, tuple(inputs))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    with exact_attention(), torch.no_grad(), _TraceOnMeta():  # type: ignore[no-untyped-call]
        counts = {name: int(count) for name, count in analysis.by_module().items()}
        operators = {name: (*analysis.by_operator(name), *analysis.unsupported_ops(name)) for name in counts}
    return FvcoreCount(counts, operators)


class _TraceOnMeta(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Makes torch.jit able to trace meta tensors.

    PyTorch computes shapes on the meta device in Python, and this code does not accept the sizes that a trace passes,
    so tracing is suspended while an operator runs. A convolution must be traced as ``_convolution``, the operator that
    fvcore knows, which is otherwise called only on real tensors.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        internals: Any = torch._C
        state = internals._get_tracing_state()
        if func is _CONVOLUTION and state is not None:
            with self, _tracing_allowed():
                return _TRACED_CONVOLUTION(*args, False, False, False, False)
        if func is _TRACED_CONVOLUTION:
            func, args = _CONVOLUTION, args[:9]
        if state is None:
            return func(*args, **(kwargs or {}))
        with _tracing_allowed():
            internals._set_tracing_state(None)
            try:
                return func(*args, **(kwargs or {}))
            finally:
                internals._set_tracing_state(state)


def _tracing_allowed() -> Any:
    included, excluded = torch._C._dispatch_tls_local_include_set(), torch._C._dispatch_tls_local_exclude_set()
    return torch._C._ForceDispatchKeyGuard(included, excluded.remove(torch._C._dispatch_key_parse("Tracer")))
