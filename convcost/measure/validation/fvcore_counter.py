"""fvcore's count of a module on the meta device, by layer."""

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
    """Its figures by module, parts included, or why there are none (``note``).

    ``operators``: what it met in each module; those without a formula are called "aten::...".
    """

    counts: dict[str, int] = {}
    operators: dict[str, tuple[str, ...]] = {}
    note: str = ""


def fvcore_version() -> str | None:
    """The version that is installed, or None."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("fvcore")
    except PackageNotFoundError:
        return None


def fvcore_count(module: nn.Module, inputs: Sequence[torch.Tensor]) -> FvcoreCount:
    """What fvcore counts in one call of ``module``, which is on the meta device."""
    loggers = logging.getLogger("fvcore")
    before = loggers.level
    loggers.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it uses torch.jit, which newer torch deprecates
            return _counted(module, inputs)
    except ImportError:
        return FvcoreCount(note='not installed: pip install "convcost[torch]"')
    except Exception as error:  # noqa: BLE001 - torch.jit raises what it likes, and a witness may be missing
        first = (str(error).splitlines() or [""])[0]
        return FvcoreCount(note=f"it cannot trace this: {type(error).__name__}: {first[:120]}")
    finally:
        loggers.setLevel(before)


def _counted(module: nn.Module, inputs: Sequence[torch.Tensor]) -> FvcoreCount:
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(module, tuple(inputs))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    with exact_attention(), torch.no_grad(), _Traceable():  # type: ignore[no-untyped-call]
        counts = {name: int(count) for name, count in analysis.by_module().items()}
        operators = {name: (*analysis.by_operator(name), *analysis.unsupported_ops(name)) for name in counts}
    return FvcoreCount(counts, operators)


class _Traceable(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Lets torch.jit trace meta tensors.

    PyTorch's shape functions on meta are written in Python: while a trace is recorded they would be handed traced
    sizes, which they refuse. And a convolution is traced as ``_convolution``, which only real kernels call.
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
