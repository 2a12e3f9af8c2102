"""Loads hardware files: the shipped ones by name, and a user's own by path."""

from __future__ import annotations

import os
from functools import cache

from ..errors import UsageError, nearest
from ..files import content_of, decoded
from ..yaml_reader import MAX_BYTES
from .gpu import Gpu
from .parse import gpu_from_text

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
SUFFIXES = (".yaml", ".yml")


def load_gpu(name: str) -> Gpu:
    """Load a shipped GPU by name (``rtx4090``) or alias (``h100``), or the GPU of a hardware file (``mine.yaml``).

    Raises:
        UsageError: there is no such GPU; the message has the nearest spelling.
        SourceError: the file cannot be read.
        SpecError: the file has mistakes; the message has the place of each.
    """
    if name.lower().endswith(SUFFIXES):
        return _of_file(name)
    wanted = _plain(name)
    if wanted in _names():
        return _shipped(wanted)
    for each in _names():
        # A file that does not even contain the name has no such alias, and is not worth its millisecond.
        if wanted and wanted in _plain(_text(_path(each))):
            found = _shipped(each)
            if wanted in map(_plain, (found.name, *found.aliases)):
                return found
    known = [word for gpu in shipped_gpus() for word in (gpu.id, *gpu.aliases)]
    hint = nearest(wanted, known)
    raise UsageError(f"unknown GPU {name!r}{hint} (there are {', '.join(_names())}; or a file of your own, gpu.yaml)")


def shipped_gpus() -> tuple[Gpu, ...]:
    """All shipped GPUs, sorted by year and name."""
    found = [_shipped(name) for name in _names()]
    return tuple(sorted(found, key=lambda gpu: (gpu.year or 0, gpu.id)))


def gpu_of_device(name: str) -> Gpu | None:
    """The shipped GPU with this name in the driver, such as ``NVIDIA H200``, or None."""
    return next((gpu for gpu in shipped_gpus() if name in gpu.devices), None)


@cache
def _names() -> tuple[str, ...]:
    return tuple(sorted(entry.name[:-5] for entry in os.scandir(FOLDER) if entry.name.endswith(".yaml")))


def _path(name: str) -> str:
    return os.path.join(FOLDER, f"{name}.yaml")


@cache
def _shipped(name: str) -> Gpu:
    return gpu_from_text(_text(_path(name)), f"{name}.yaml", name)


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(" ", "-")


def _of_file(path: str) -> Gpu:
    return gpu_from_text(_text(path), path, os.path.basename(path).rpartition(".")[0])


def _text(path: str) -> str:
    return decoded(content_of(path, MAX_BYTES), path, "a hardware file", MAX_BYTES)
