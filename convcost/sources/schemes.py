"""The schemes of SOURCE strings, one row each: a new scheme is a row in ``SCHEMES`` and the function that serves it.

``load``, ``validate`` and the shell's completion ask this table. The functions import what they need when they are
called: PyTorch takes a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from ..errors import SourceError

if TYPE_CHECKING:
    from .pytorch_module import SourceModule


class Scheme(msgspec.Struct, frozen=True):
    """How SOURCE strings of one form become a graph. One of ``module`` and ``content`` is given.

    ``form``: as in help, ``git:REV:PATH``; ``about``: what that is. ``module``: the PyTorch module that a SOURCE names,
    to be captured. ``content``: the bytes of a spec or a graph's JSON, what to call them in messages, and the variant
    or "".
    """

    form: str
    about: str
    module: Callable[[str], SourceModule] | None = None
    content: Callable[[str], tuple[bytes, str, str]] | None = None


def _git(source: str) -> tuple[bytes, str, str]:
    from .git import committed

    return committed(source)


def _timm(source: str) -> SourceModule:
    from .model_zoo import timm_model

    return timm_model(source)


def _torchvision(source: str) -> SourceModule:
    from .model_zoo import torchvision_model

    return torchvision_model(source)


def _factory(source: str) -> SourceModule:
    from .python_file import module_of_factory

    return module_of_factory(source)


SCHEMES: dict[str, Scheme] = {
    "git": Scheme("git:REV:PATH", "a spec in a git revision", content=_git),
    "timm": Scheme("timm:NAME", "a model of timm, captured", _timm),
    "torchvision": Scheme("torchvision:NAME", "a model of torchvision, captured", _torchvision),
}
FACTORY = Scheme("package.module:factory", "a PyTorch module of your own, captured", _factory)
"""The form of a SOURCE with a colon but without a scheme."""


def scheme_of(source: str) -> Scheme | None:
    """The scheme that a SOURCE begins with, None if it begins with none."""
    word, colon, _ = source.partition(":")
    return SCHEMES.get(word) if colon else None


def module_of(source: str) -> SourceModule:
    """Build the PyTorch module that a SOURCE names.

    Raises:
        SourceError: the source is not a PyTorch module.
    """
    find = (scheme_of(source) or FACTORY).module
    if find is None:
        raise SourceError(f"{source} is not a PyTorch module")
    return find(source)
