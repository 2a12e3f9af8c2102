"""SOURCE strings that name PyTorch modules: ``torchvision:NAME``, ``timm:NAME``, ``package.module:factory``."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import msgspec
import torch
from torch import nn
from torch.nn.modules import module as registration

from ..capture.capture import record
from ..capture.meta_copy import meta_copy
from ..errors import ConvcostError, MissingExtraError, SourceError, UsageError, nearest
from ..graph import About, Graph

InputSize = Sequence[int] | Mapping[str, Sequence[int]] | None

IMAGE = (3, 224, 224)
"""What a module is given if nothing says otherwise."""

FRAMES = 16
"""Images of a clip for torchvision's video networks, as in their published figures."""


class Found(msgspec.Struct):
    """A module on the meta device, and what it is called and given: example inputs, or the size of an image."""

    module: nn.Module
    about: About
    size: tuple[int, ...] = IMAGE
    example: tuple[Any, ...] | None = None


def capture_source(source: str, batch: int | None, input_size: InputSize, train: bool) -> Graph:
    """The graph of the module that a SOURCE names.

    Args:
        source: ``torchvision:NAME``, ``timm:NAME`` or ``package.module:factory``.
        batch: samples at once; default: 1, or as many as the factory's own example inputs have.
        input_size: without the batch; by name for several inputs. Default: what the module is published for.
        train: capture in training mode.

    Raises:
        SourceError: no such name, a factory that raises, a module that cannot be captured.
        MissingExtraError: torchvision or timm is not installed.
    """
    found, args, kwargs = found_source(source, batch, input_size, train)
    try:
        return record(found.module, args, kwargs, found.about)
    except SourceError as error:
        hint = "" if input_size else f" (given: {_shown(args)}; --input gives another size)"
        raise SourceError(f"{source}: {error}{hint}") from error.__cause__


def found_source(
    source: str, batch: int | None = None, input_size: InputSize = None, train: bool = False
) -> tuple[Found, list[Any], dict[str, Any]]:
    """The module that a SOURCE names, on the meta device, with what it is to be called with. See capture_source."""
    scheme, _, name = source.partition(":")
    found = {"torchvision": _torchvision, "timm": _timm}.get(scheme, _factory)(source, name)
    found.module.train(train)
    args, kwargs = _inputs(found, batch, input_size)
    return found, args, kwargs


def _shown(args: Sequence[Any]) -> str:
    shapes = ("x".join(map(str, x.shape)) for x in args if isinstance(x, torch.Tensor))
    return ", ".join(shapes) or "nothing"


# --- inputs


def _inputs(found: Found, batch: int | None, input_size: InputSize) -> tuple[list[Any], dict[str, Any]]:
    if isinstance(input_size, Mapping):
        return [], {name: _empty(batch, size) for name, size in input_size.items()}
    if input_size is not None:
        return [_empty(batch, input_size)], {}
    if found.example is None:
        return [_empty(batch, found.size)], {}
    return [_batched(each, batch) for each in found.example], {}


def _empty(batch: int | None, size: Sequence[int]) -> torch.Tensor:
    return torch.empty((batch or 1, *size), device="meta")


def _batched(value: Any, batch: int | None) -> Any:
    """An example input with another number of samples."""
    if batch is None or not isinstance(value, torch.Tensor) or not value.dim():
        return value
    return torch.empty((batch, *value.shape[1:]), dtype=value.dtype, device="meta")


# --- building without weights


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


def _built(source: str, make: Callable[[], Any]) -> Any:
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


def _package(name: str, command: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if find_spec(name) is None:
            raise MissingExtraError(f"{name}: sources need {name}, which is not installed: {command}") from None
        raise SourceError(f"{name} is installed but cannot be imported: {error}") from error
    except RuntimeError as error:
        raise SourceError(f"{name} does not go with torch {torch.__version__}: {error}") from error


# --- torchvision


def _torchvision(source: str, name: str) -> Found:
    models = _package("torchvision", 'pip install "convcost[torch]" torchvision').models
    name, _, inner = name.partition(".")
    known = models.list_models()
    if name not in known:
        raise SourceError(f"torchvision has no model {name!r}{nearest(name, known)}")
    keys: dict[str, Any] = {"weights": None}
    if name in models.list_models(module=models.detection) or name in models.list_models(module=models.segmentation):
        keys["weights_backbone"] = None
    if name in ("googlenet", "inception_v3"):
        keys["init_weights"] = False  # its default draws every weight, slowly, and warns that it does
    whole = _built(source, lambda: models.get_model(name, **keys))
    size = _torchvision_size(models, name, whole)
    return Found(_inner(source, meta_copy(whole), inner), About(name=name, title=name, source=source), size)


def _torchvision_size(models: Any, name: str, module: nn.Module) -> tuple[int, ...]:
    """What torchvision's own transforms give to the network."""
    size = getattr(module, "image_size", None)
    if isinstance(size, int):
        return (3, size, size)
    resize = getattr(module, "transform", None)
    if resize is not None and hasattr(resize, "min_size"):
        return (3, *(resize.fixed_size or (resize.min_size[0],) * 2))
    weights = next(iter(models.get_model_weights(name)), None)
    preset = getattr(getattr(weights, "transforms", None), "keywords", {})
    crop = preset.get("crop_size") or preset.get("resize_size") or IMAGE[1]
    if isinstance(crop, int):
        return (3, crop, crop)
    return (3, FRAMES, *crop)


def _inner(source: str, module: nn.Module, path: str) -> nn.Module:
    """``fasterrcnn_resnet50_fpn.backbone``: a part of a network."""
    if not path:
        return module
    parts = [name for name, _ in module.named_modules() if name]
    if path not in parts:
        raise SourceError(f"{source}: {type(module).__name__} has no part {path!r}{nearest(path, parts)}")
    return module.get_submodule(path)


# --- timm


def _timm(source: str, name: str) -> Found:
    timm = _package("timm", 'pip install "convcost[torch]" timm')
    if not timm.is_model(name):
        raise SourceError(f"timm has no model {name!r}{nearest(name, timm.list_models())}")
    module = _built(source, lambda: timm.create_model(name))
    config = getattr(module, "pretrained_cfg", None) or getattr(module, "default_cfg", None) or {}
    return Found(
        meta_copy(module), About(name=name, title=name, source=source), tuple(config.get("input_size") or IMAGE)
    )


# --- package.module:factory


def _factory(source: str, attribute: str) -> Found:
    module_name = source.partition(":")[0]
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        package = importlib.import_module(module_name)
    except ImportError as error:
        raise SourceError(f"{source}: cannot import {module_name}: {error}") from error
    except Exception as error:
        raise SourceError(f"{source}: importing {module_name} failed: {type(error).__name__}: {error}") from error
    target: Any = package
    for part in attribute.split("."):
        if not hasattr(target, part):
            where = getattr(target, "__name__", type(target).__name__)
            raise SourceError(f"{source}: {where} has no {part!r}{nearest(part, dir(target))}")
        target = getattr(target, part)
    made = target if isinstance(target, nn.Module) else _built(source, lambda: _called(source, target))
    example = None
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], nn.Module):
        made, given = made
        example = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    if not isinstance(made, nn.Module):
        raise SourceError(f"{source} gives {type(made).__name__}, not a torch.nn.Module")
    if example is None and getattr(made, "example_input_array", None) is not None:
        given = made.example_input_array
        example = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    name = re.sub(r"\W", "_", attribute)
    return Found(meta_copy(made), About(name=name, title=name, source=source), example=example)


def _called(source: str, target: Any) -> Any:
    if not callable(target):
        raise UsageError(f"{source} is {type(target).__name__}: neither a module nor something that makes one")
    return target()
