"""The passes of a network in one setting, as functions to be timed. ``check_setting`` refuses impossible settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ...analysis.memory.optimizers import NO_OPTIMIZER, optimizer_of, timed_optimizers
from ...analysis.report import Report
from ...errors import UsageError
from ...precision import precision_of
from ...profiles.runs import PHASES, Setting
from ...tensor import FLOATING
from ..build import Network, build
from ..devices import check_precision
from .clock import Call


class Passes:
    """A network on a device in one setting, with random weights and inputs."""

    def __init__(self, report: Report, setting: Setting, device: torch.device) -> None:
        self.setting = setting
        self.device = device
        self.network = _network(report, setting, device)
        self.inputs = inputs_of(report, device, setting.channels_last)
        self._gradients: list[torch.Tensor] = []
        self._losses: list[torch.Tensor] = []
        self.model: Callable[..., Any] = self.network
        if setting.execution == "compile":
            # All networks share one code object. Without the reset, compilation stops after eight networks, and from
            # the second batch size on it is for dynamic shapes.
            torch.compiler.reset()
            self.model = torch.compile(self.network, dynamic=False)
        self._optimizer: torch.optim.Optimizer | None = None
        if setting.mode == "train":
            self._optimizer = _optimizer(setting.optimizer, self.network)

    @contextmanager
    def around(self) -> Iterator[None]:
        """The context of a forward pass: gradients in training only, and autocast in mixed precision."""
        with torch.set_grad_enabled(self.setting.mode == "train"), self._autocast():
            yield

    def _autocast(self) -> Any:
        low = precision_of(self.setting.dtype).low
        return torch.autocast(self.device.type, getattr(torch, low or "bfloat16"), enabled=low is not None)

    def forward(self) -> object:
        """Run one forward pass."""
        with self.around():
            return self.model(*self.inputs)

    @property
    def phases(self) -> dict[str, Call]:
        """The functions of one iteration by the name of the phase, in order."""
        if self.setting.mode == "forward":
            return {"forward": self.forward}
        calls: tuple[Call, ...] = (self._train_forward, self._backward, self._step)
        return dict(zip(PHASES, calls, strict=True))

    def _train_forward(self) -> object:
        result = self.forward()
        outputs = result if isinstance(result, tuple) else (result,)
        self._losses = [x for x in outputs if isinstance(x, torch.Tensor) and x.requires_grad]
        return result

    def _backward(self) -> object:
        if len(self._gradients) != len(self._losses):
            # The gradients of a mean, in place of those of a loss, which is not part of the network.
            self._gradients = [torch.full_like(x, 1 / x.numel()) for x in self._losses]
        torch.autograd.backward(self._losses, self._gradients)
        self._losses = []
        return None

    def _step(self) -> object:
        if self._optimizer is not None:
            self._optimizer.step()
        self.network.zero_grad(set_to_none=True)
        return None


def _optimizer(name: str, network: Network) -> torch.optim.Optimizer | None:
    """The optimizer of the network's parameters; None without an optimizer class or without parameters."""
    row = optimizer_of(name)
    parameters = [x for x in network.parameters() if x.requires_grad]
    if row.torch_class is None or not parameters:
        return None
    # A learning rate of 0 does the same work and keeps the weights constant over many steps.
    optimizer: torch.optim.Optimizer = getattr(torch.optim, row.torch_class)(parameters, lr=0.0, **row.torch_arguments)
    return optimizer


def _check_optimizer(name: str) -> None:
    allowed = f"(allowed: {', '.join(timed_optimizers())})"
    row = optimizer_of(name)
    if row is NO_OPTIMIZER:
        return
    if row.torch_class is None:
        raise UsageError(f"{name!r} cannot be timed: it has no class in torch.optim {allowed}")
    if not hasattr(torch.optim, row.torch_class):
        raise UsageError(f"{name!r} cannot be timed: PyTorch has no torch.optim.{row.torch_class} {allowed}")


def check_setting(setting: Setting, device: torch.device) -> None:
    """Check that a setting can be timed on a device.

    Raises:
        UsageError: the device does not support the dtype or the execution, or PyTorch has no such optimizer.
    """
    precision = precision_of(setting.dtype)
    check_precision(precision)
    if setting.batch < 1:
        raise UsageError(f"batch is {setting.batch}, expected 1 or more")
    if setting.mode == "train":
        _check_optimizer(setting.optimizer)
    if setting.execution == "cuda_graph" and device.type != "cuda":
        raise UsageError(f"CUDA graphs need a CUDA device, not {device.type}; omit --execution")
    if setting.execution == "cuda_graph" and setting.mode == "train":
        raise UsageError("CUDA graphs are timed for forward passes only; omit --train or --execution")
    if setting.tf32 is not None and device.type != "cuda":
        raise UsageError(f"TF32 is a mode of CUDA devices, not of {device.type}")
    if precision.compute == "bfloat16" and device.type == "cuda" and _capability(device) < (8, 0):
        name = torch.cuda.get_device_name(device)
        raise UsageError(f"{name} does not support bfloat16 (compute capability below 8.0); use float16 or float32")


def _capability(device: torch.device) -> tuple[int, int]:
    """Compute capability; (8, 0) for AMD's devices, which number theirs differently and support bfloat16."""
    return (8, 0) if torch.version.hip else torch.cuda.get_device_capability(device)


def _network(report: Report, setting: Setting, device: torch.device) -> Network:
    network = build(report.graph, device, precision_of(setting.dtype).stored).train(setting.mode == "train")
    if setting.channels_last:
        for weight in (*network.parameters(), *network.buffers()):
            weight.data = _innermost(weight.data)
    return network


def _innermost(x: torch.Tensor) -> torch.Tensor:
    """The tensor in channels-last format if it has two or three spatial dimensions, else unchanged."""
    layout = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.dim())
    return x if layout is None else x.contiguous(memory_format=layout)


def inputs_of(report: Report, device: torch.device, channels_last: bool = False) -> list[torch.Tensor]:
    """Random inputs of the analysed shapes.

    With zeros a GPU draws less power and can run at a higher clock than with data. Integers are valid indices of the
    embeddings that read them.
    """
    inputs = []
    for position, tensor in enumerate(report.settings.input_tensors(report.graph)):
        if tensor.dtype in FLOATING:
            x = torch.randn(tensor.shape, device=device).to(getattr(torch, tensor.dtype))
            x = _innermost(x) if channels_last else x
        else:
            x = torch.randint(0, _rows(report, position), tensor.shape, device=device).to(getattr(torch, tensor.dtype))
        inputs.append(x)
    return inputs


def _rows(report: Report, position: int) -> int:
    """The rows of the smallest embedding that reads an input; 1 if none does."""
    readers = [node.op for node in report.graph if (-1 - position, 0) in node.inputs]
    return min((int(getattr(op, "num_embeddings", 1)) for op in readers), default=1)


__all__ = ["Passes", "check_setting", "inputs_of"]
