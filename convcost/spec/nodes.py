"""Records of a compiled spec file: its blocks and layers with every word classified. ``parse`` makes them."""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import nearest
from ..yaml_reader import Mapping, Mark
from .values import Term


class LayerItem(msgspec.Struct, eq=False):
    """One item of a list of layers, compiled.

    ``kind``: op, block, choice (the verb is a parameter), layers, residual or branches. ``argument`` is the verb's
    value if it was one value, ``named`` its values by name; a structure has ``bodies`` (branch name or None, layers).
    ``fixed`` and ``size`` are the expansion's: fields that are the same each time, and the work of comparing them.
    """

    kind: str
    verb: str
    mark: Mark
    argument: Term | None = None
    named: dict[str, Term] | None = None
    bodies: tuple[tuple[str | None, tuple[LayerItem, ...]], ...] = ()
    name: str | None = None
    sources: tuple[str, ...] | None = None
    repeat: Term | None = None
    first: dict[str, Term] | None = None
    last: dict[str, Term] | None = None
    when: Term | None = None
    shares: str | None = None
    weights: tuple[str, ...] | None = None
    merge: LayerItem | None = None
    split: LayerItem | None = None
    projection: tuple[LayerItem, ...] | None = None
    fixed: dict[str, Any] | None = None
    size: int = 0


class BlockDefinition(msgspec.Struct, eq=False):
    """A named list of layers with parameters. A default of None in ``parameters`` says: must be given."""

    name: str
    mark: Mark
    parameters: dict[str, Term | None] = {}
    let: dict[str, Term] = {}
    layers: tuple[LayerItem, ...] = ()

    def unknown(self, parameter: str) -> str:
        """The message for an argument that is no parameter of this block."""
        names = tuple(self.parameters)
        allowed = f"it has {', '.join(names)}" if names else "it has none"
        return f"block {self.name!r} has no parameter {parameter!r}{nearest(parameter, names)} ({allowed})"

    def too_many(self, count: int) -> str:
        """The message for a row of more arguments than parameters."""
        takes = f"takes {len(self.parameters)}: {', '.join(self.parameters)}" if self.parameters else "takes none"
        return f"block {self.name!r} is given {count} argument{'' if count == 1 else 's'} and {takes}"

    def missing(self, parameter: str) -> str:
        """The message for a parameter that is given no value."""
        needs = ", ".join(name for name, default in self.parameters.items() if default is None)
        return f"block {self.name!r} needs {parameter!r} (it needs {needs})"


class Spec(msgspec.Struct, eq=False):
    """A compiled file. ``root`` holds the keys that are not layers, as they were written."""

    root: Mapping
    file: str
    name: str = ""
    blocks: dict[str, BlockDefinition] = {}
    parameters: dict[str, Term | None] = {}
    let: dict[str, Term] = {}
    layers: tuple[LayerItem, ...] = ()
    variants: dict[str, Mapping] = {}
