"""Patterns that stand for several sources: ``nets/*.yaml``, ``resnet.yaml@*``, ``nets/*.yaml@*``."""

from __future__ import annotations

import os

from .load import compiled


def expand(pattern: str, folder: str = "") -> list[str]:
    """The sources that a pattern stands for, sorted; paths count from ``folder``. What is no pattern stands for itself.

    ``*`` in a path fits any file; ``@*`` stands for every variant of a file, or for the file if it has none.
    """
    path, _, variant = pattern.rpartition("@") if pattern.endswith("@*") else (pattern, "", "")
    if "*" in path:
        from glob import glob

        paths = sorted(glob(path, root_dir=folder or None, recursive=True))
    else:
        paths = [path]
    if not variant:
        return paths
    return [name for found in paths for name in _variants(found, folder)]


def _variants(path: str, folder: str) -> list[str]:
    """``path@variant`` for each; a file that cannot be read is left to whoever loads it."""
    from ..errors import ConvcostError

    file = os.path.join(folder, path)
    try:
        variants = compiled(file).variants if os.path.isfile(file) else {}
    except ConvcostError:
        return [path]
    return [f"{path}@{name}" for name in variants] or [path]
