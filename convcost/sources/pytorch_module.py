"""PyTorch modules that a SOURCE names: built without weights, given inputs, and captured.

How a name becomes a module is in ``model_zoo`` and ``python_file``; the schemes are in ``schemes``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import torch
from torch import nn
from torch.nn.modules import module as registration

from ..capture.capture import record
from ..errors import ConvcostError, SourceError
from ..graph import About, Graph

InputSize = Sequence[int] | Mapping[str, Sequence[int]] | None

IMAGE = (3, 224, 224)
"""What a module is given if nothing says otherwise."""


class SourceModule(msgspec.Struct):
    """A module on the meta device, and what it is called and given: example inputs, or the size of an image."""

    module: nn.Module
    about: About
    size: tuple[int, ...] = IMAGE
    example: tuple[Any, ...] | None = None

    def inputs(self, batch: int | None, input_size: InputSize) -> tuple[list[Any], dict[str, Any]]:
        """What to call the module with, by position and by name, on the meta device.

        Args:
            batch: samples at once; default: 1, or as many as the module's own example inputs have.
            input_size: without the batch; by name for several inputs. Default: what the module is published for.
        """
        if isinstance(input_size, Mapping):
            return [], {name: _empty(batch, size) for name, size in input_size.items()}
        if input_size is not None:
            return [_empty(batch, input_size)], {}
        if self.example is None:
            return [_empty(batch, self.size)], {}
        return [_batched(each, batch) for each in self.example], {}


def capture_source(source: SourceModule, batch: int | None, input_size: InputSize, train: bool) -> Graph:
    """The graph of a module with these inputs (see ``SourceModule.inputs``), in training mode with ``train``.

    Raises:
        SourceError: the module cannot be captured.
    """
    source.module.train(train)
    args, kwargs = source.inputs(batch, input_size)
    try:
        return record(source.module, args, kwargs, source.about)
    except SourceError as error:
        shapes = ", ".join("x".join(map(str, x.shape)) for x in args if isinstance(x, torch.Tensor)) or "nothing"
        hint = "" if input_size else f" (given: {shapes}; --input gives another size)"
        raise SourceError(f"{source.about.source}: {error}{hint}") from error.__cause__


def _empty(batch: int | None, size: Sequence[int]) -> torch.Tensor:
    return torch.empty((batch or 1, *size), device="meta")


def _batched(value: Any, batch: int | None) -> Any:
    """An example input with another number of samples."""
    if batch is None or not isinstance(value, torch.Tensor) or not value.dim():
        return value
    return torch.empty((batch, *value.shape[1:]), dtype=value.dtype, device="meta")


@contextmanager
def without_weights() -> Iterator[None]:
    """Parameters and buffers that modules register meanwhile go to the meta device, one by one as they are made.

    Building under ``torch.device("meta")`` would stop the many constructors that compute with tensors.
    """

    def parameter(module: nn.Module, name: str, value: Any) -> Any:
        if value is None or value.is_meta or nn.parameter.is_lazy(value):
            return None
        return nn.Parameter(value.detach().to("meta"), value.requires_grad)

    def buffer(module: nn.Module, name: str, value: Any) -> Any:
        return None if value is None or value.is_meta else value.to("meta")

    handles = [
        registration.register_module_parameter_registration_hook(parameter),
        registration.register_module_buffer_registration_hook(buffer),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def built(source: str, make: Callable[[], Any]) -> Any:
    """What ``make`` makes, its weights on the meta device unless its constructor needs their values."""
    try:
        try:
            with without_weights():
                return make()
        except (RuntimeError, NotImplementedError) as error:
            if "meta" not in str(error):
                raise
            return make()
    except ConvcostError:
        raise
    except Exception as error:
        text = str(error).splitlines()[0] if str(error) else ""
        raise SourceError(f"{source}: building the module failed: {type(error).__name__}: {text}") from error
