"""Models of torchvision and timm by name: ``torchvision:NAME``, ``torchvision:NAME.part``, ``timm:NAME``."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from ..capture.meta_copy import meta_copy
from ..errors import MissingExtraError, SourceError, nearest
from ..graph import About
from .pytorch_module import IMAGE, SourceModule, built

FRAMES = 16
"""Images of a clip for torchvision's video networks, as in their published figures."""


def torchvision_model(source: str) -> SourceModule:
    """The model of torchvision that ``torchvision:NAME`` names, or a part of it, ``torchvision:NAME.part``.

    Raises:
        SourceError: there is no such model or part.
        MissingExtraError: torchvision is not installed.
    """
    models = _package("torchvision", 'pip install "convcost[torch]" torchvision').models
    name, _, inner = source.partition(":")[2].partition(".")
    known = models.list_models()
    if name not in known:
        raise SourceError(f"torchvision has no model {name!r}{nearest(name, known)}")
    keys: dict[str, Any] = {"weights": None}
    if name in models.list_models(module=models.detection) or name in models.list_models(module=models.segmentation):
        keys["weights_backbone"] = None
    if name in ("googlenet", "inception_v3"):
        keys["init_weights"] = False  # its default draws every weight, slowly, and warns that it does
    whole = built(source, lambda: models.get_model(name, **keys))
    size = _torchvision_size(models, name, whole)
    return SourceModule(_inner(source, meta_copy(whole), inner), About(name=name, title=name, source=source), size)


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


def timm_model(source: str) -> SourceModule:
    """The model of timm that ``timm:NAME`` names.

    Raises:
        SourceError: there is no such model.
        MissingExtraError: timm is not installed.
    """
    name = source.partition(":")[2]
    timm = _package("timm", 'pip install "convcost[torch]" timm')
    if not timm.is_model(name):
        raise SourceError(f"timm has no model {name!r}{nearest(name, timm.list_models())}")
    module = built(source, lambda: timm.create_model(name))
    config = getattr(module, "pretrained_cfg", None) or getattr(module, "default_cfg", None) or {}
    return SourceModule(
        meta_copy(module), About(name=name, title=name, source=source), tuple(config.get("input_size") or IMAGE)
    )


def _package(name: str, command: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if find_spec(name) is None:
            raise MissingExtraError(f"{name}: sources need {name}, which is not installed: {command}") from None
        raise SourceError(f"{name} is installed but cannot be imported: {error}") from error
    except RuntimeError as error:
        raise SourceError(f"{name} does not go with torch {torch.__version__}: {error}") from error
