"""What is timed: the passes of a network in one setting, ready to be called."""

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
    """A network on a device in one setting.

    ``phases`` are its calls by name, in the order of an iteration. ``around`` gives the context that layers run in.
    """

    def __init__(self, report: Report, setting: Setting, device: torch.device) -> None:
        self.setting = setting
        self.device = device
        self.network = _network(report, setting, device)
        self.inputs = inputs_of(report, device, setting.channels_last)
        self._gradients: list[torch.Tensor] = []
        self._losses: list[torch.Tensor] = []
        self.model: Callable[..., Any] = self.network
        if setting.execution == "compile":
            # All networks share one piece of code: it would be compiled for eight of them and then no more, and from
            # the second batch on for batches of any size.
            torch.compiler.reset()
            self.model = torch.compile(self.network, dynamic=False)
        self._optimizer: torch.optim.Optimizer | None = None
        if setting.mode == "train":
            self._optimizer = _optimizer(setting.optimizer, self.network)

    @contextmanager
    def around(self) -> Iterator[None]:
        """What a forward pass runs in: no gradients unless it trains, and autocast if it is asked for."""
        with torch.set_grad_enabled(self.setting.mode == "train"), self._autocast():
            yield

    def _autocast(self) -> Any:
        low = precision_of(self.setting.dtype).low
        return torch.autocast(self.device.type, getattr(torch, low or "bfloat16"), enabled=low is not None)

    def forward(self) -> object:
        """One forward pass."""
        with self.around():
            return self.model(*self.inputs)

    @property
    def phases(self) -> dict[str, Call]:
        """The calls of one iteration by the names of its phases."""
        if self.setting.mode == "forward":
            return {"forward": self.forward}
        calls: tuple[Call, ...] = (self._train_forward, self._backward, self._step)
        return dict(zip(PHASES, calls, strict=True))

    def _train_forward(self) -> object:
        made = self.forward()
        outputs = made if isinstance(made, tuple) else (made,)
        self._losses = [x for x in outputs if isinstance(x, torch.Tensor) and x.requires_grad]
        return made

    def _backward(self) -> object:
        if len(self._gradients) != len(self._losses):
            # As if they came from a loss, which is not part of the network.
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
    """The optimizer of the network's parameters, ready to step; None if nothing is to step."""
    row = optimizer_of(name)
    parameters = [x for x in network.parameters() if x.requires_grad]
    if row.torch_class is None or not parameters:
        return None
    # A learning rate of 0 does the same work, and leaves the weights as they are however often it steps.
    made: torch.optim.Optimizer = getattr(torch.optim, row.torch_class)(parameters, lr=0.0, **row.torch_arguments)
    return made


def _check_optimizer(name: str) -> None:
    allowed = f"(allowed: {', '.join(timed_optimizers())})"
    row = optimizer_of(name)
    if row is NO_OPTIMIZER:
        return
    if row.torch_class is None:
        raise UsageError(f"{name!r} cannot be timed: it names no class of torch.optim {allowed}")
    if not hasattr(torch.optim, row.torch_class):
        raise UsageError(f"{name!r} cannot be timed: PyTorch has no torch.optim.{row.torch_class} {allowed}")


def check_setting(setting: Setting, device: torch.device) -> None:
    """Refuse what cannot be timed there.

    Raises:
        UsageError: a dtype that the device lacks, an optimizer or an execution that is not to be had.
    """
    precision = precision_of(setting.dtype)
    check_precision(precision)
    if setting.batch < 1:
        raise UsageError(f"batch is {setting.batch}; it must be 1 or more")
    if setting.mode == "train":
        _check_optimizer(setting.optimizer)
    if setting.execution == "cuda_graph" and device.type != "cuda":
        raise UsageError(f"CUDA graphs need a CUDA device, not {device.type}; leave --execution out")
    if setting.execution == "cuda_graph" and setting.mode == "train":
        raise UsageError("CUDA graphs are timed for forward passes only; leave --train or --execution out")
    if setting.tf32 is not None and device.type != "cuda":
        raise UsageError(f"TF32 is a mode of CUDA devices; {device.type} has none")
    if precision.compute == "bfloat16" and device.type == "cuda" and _capability(device) < (8, 0):
        name = torch.cuda.get_device_name(device)
        raise UsageError(f"{name} has no bfloat16 (compute capability below 8.0); take float16 or float32")


def _capability(device: torch.device) -> tuple[int, int]:
    """Compute capability; AMD's devices, which count otherwise, have bfloat16."""
    return (8, 0) if torch.version.hip else torch.cuda.get_device_capability(device)


def _network(report: Report, setting: Setting, device: torch.device) -> Network:
    network = build(report.graph, device, precision_of(setting.dtype).stored).train(setting.mode == "train")
    if setting.channels_last:
        for weight in (*network.parameters(), *network.buffers()):
            weight.data = _innermost(weight.data)
    return network


def _innermost(x: torch.Tensor) -> torch.Tensor:
    """With the channels innermost, if it has two or three dimensions beside them."""
    layout = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.dim())
    return x if layout is None else x.contiguous(memory_format=layout)


def inputs_of(report: Report, device: torch.device, channels_last: bool = False) -> list[torch.Tensor]:
    """Random inputs of the shapes that were analysed: zeros would let a GPU run cooler, and so faster, than data does.

    Integers are indices of the embedding that reads them.
    """
    found = []
    for position, tensor in enumerate(report.settings.input_tensors(report.graph)):
        if tensor.dtype in FLOATING:
            x = torch.randn(tensor.shape, device=device).to(getattr(torch, tensor.dtype))
            x = _innermost(x) if channels_last else x
        else:
            x = torch.randint(0, _rows(report, position), tensor.shape, device=device).to(getattr(torch, tensor.dtype))
        found.append(x)
    return found


def _rows(report: Report, position: int) -> int:
    """How many rows the smallest table has that is indexed by an input; 1 where nothing says so."""
    readers = [node.op for node in report.graph if (-1 - position, 0) in node.inputs]
    return min((int(getattr(op, "num_embeddings", 1)) for op in readers), default=1)


__all__ = ["Passes", "check_setting", "inputs_of"]
