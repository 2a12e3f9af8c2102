"""PyTorch modules of a user's own, ``package.module:factory``: a module, a class, or a function that makes one."""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import Any

from torch import nn

from ..capture.meta_copy import meta_copy
from ..errors import SourceError, UsageError, nearest
from ..graph import About
from .pytorch_module import SourceModule, built


def module_of_factory(source: str) -> SourceModule:
    """The module that ``package.module:attribute`` is, or that a call of it makes, with or without example inputs.

    The current folder is searched first, as ``python -m`` does.

    Raises:
        SourceError: it cannot be imported, has no such attribute, fails, or gives no module.
        UsageError: the attribute is neither a module nor can it be called.
    """
    module_name, _, attribute = source.partition(":")
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
    made = target if isinstance(target, nn.Module) else built(source, lambda: _called(source, target))
    example = None
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], nn.Module):
        made, given = made
        example = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    if not isinstance(made, nn.Module):
        raise SourceError(f"{source} returned {type(made).__name__}, not a torch.nn.Module")
    if example is None and getattr(made, "example_input_array", None) is not None:
        given = made.example_input_array
        example = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    name = re.sub(r"\W", "_", attribute)
    return SourceModule(meta_copy(made), About(name=name, title=name, source=source), example=example)


def _called(source: str, target: Any) -> Any:
    if not callable(target):
        raise UsageError(f"{source} is {type(target).__name__}: neither a module nor callable")
    return target()
