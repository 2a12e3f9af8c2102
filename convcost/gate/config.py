"""The settings of ``convcost check``: ``convcost.toml``, or ``[tool.convcost]`` in ``pyproject.toml``.

A new setting is a key in ``KEYS`` or ``SOURCE_KEYS``, a field of ``Config`` or ``Source``, and is read in
``_ConfigReader``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from ..analysis.quantities import QUANTITIES, budget_keys, lock_keys, quantities
from ..errors import SourceError, UsageError, Where, as_written, nearest
from ..precision import PRECISIONS
from ..problems import Problems
from .bounds import EXACT, Bound, Operator, Tolerance, bound, tolerance
from .findings import Finding
from .toml import Toml

OWN_FILE, PROJECT_FILE = "convcost.toml", "pyproject.toml"
KEYS = ("sources", "budgets", "tolerance", "lock")
LOCK = "convcost.lock"

_SIZE = re.compile(r"[0-9]{1,10}(?:x[0-9]{1,10}){,7}\Z")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


SOURCE_KEYS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "source": (_is_text, '"net.yaml"'),
    "name": (_is_text, '"a name"'),
    "input": (lambda value: isinstance(value, str) and _SIZE.match(value) is not None, '"3x224x224"'),
    "batch": (lambda value: type(value) is int and value > 0, "8"),
    "dtype": (_is_text, '"float16"'),
    "profile": (_is_text, '"runs/vgg16.json"'),
}
"""The keys of a source: a function that accepts its valid values, and an example for messages."""

Expand = Callable[[str, str], Iterable[str]]
"""Function from a pattern and the folder that it is relative to, to the sources that match."""


class Source(msgspec.Struct, frozen=True):
    """A source to check, and the options of its analysis.

    Args:
        name: its name in the lock and in ``budgets``.
        source: the SOURCE, relative to the working folder.
        where: its line in the settings.
        input_size: without the batch; default: as declared.
        batch, dtype: as for ``analyze``.
        profile: the file of a saved profile, for budgets of measured times. Not needed if the source is a profile.
    """

    name: str
    source: str
    where: Where
    input_size: tuple[int, ...] | None = None
    batch: int | None = None
    dtype: str | None = None
    profile: str | None = None


class Budget(msgspec.Struct, frozen=True):
    """A bound on one quantity of one source, or of every source if ``source`` is None."""

    quantity: str
    bound: Bound
    where: Where
    source: str | None = None


class Config(msgspec.Struct, frozen=True):
    """The settings of a check. ``problems``: mistakes in the file, each with its line; valid settings still apply."""

    file: str
    sources: tuple[Source, ...]
    budgets: tuple[Budget, ...]
    tolerance: Mapping[str, Tolerance]
    lock: str | None
    problems: tuple[Finding, ...]


def configuration(path: str | None, expand: Expand) -> Config:
    """Read the settings.

    Args:
        path: the file; default: the nearest one in the working folder or its parents, up to the repository's root.
        expand: returns the sources that a pattern in ``sources`` matches.

    Raises:
        SourceError: no file has settings, or the file cannot be read.
        SpecError: the file is not valid TOML.
        UsageError: one folder has settings in both files.
    """
    file, table = _settings_file(path)
    return _ConfigReader(file, table, expand).read()


def _settings_file(path: str | None) -> tuple[Toml, tuple[str, ...]]:
    if path is not None:
        file = Toml(path)
        in_project = os.path.basename(path) == PROJECT_FILE
        if in_project and not _has_table(file):
            raise SourceError(f"{path} has no [tool.convcost]")
        return file, ("tool", "convcost") if in_project else ()
    folder = os.getcwd()
    while True:
        own, project = os.path.join(folder, OWN_FILE), os.path.join(folder, PROJECT_FILE)
        pyproject = Toml(os.path.relpath(project)) if os.path.isfile(project) else None
        in_project = pyproject is not None and _has_table(pyproject)
        if os.path.isfile(own):
            if in_project:
                raise UsageError(f"both {OWN_FILE} and {PROJECT_FILE} [tool.convcost] have settings; remove one")
            return Toml(os.path.relpath(own)), ()
        if pyproject is not None and in_project:
            return pyproject, ("tool", "convcost")
        outer = os.path.dirname(folder)
        if outer == folder or os.path.exists(os.path.join(folder, ".git")):
            break
        folder = outer
    raise SourceError(
        f"no settings: this folder and its parents have neither {OWN_FILE} nor {PROJECT_FILE} with [tool.convcost]; "
        'write a convcost.toml with sources = ["net.yaml"]'
    )


def _has_table(file: Toml) -> bool:
    tool = file.values.get("tool")
    return isinstance(tool, dict) and "convcost" in tool


class _ConfigReader(Problems[Where]):
    limit = None  # the valid settings apply in spite of mistakes, so reading does not stop

    def __init__(self, file: Toml, table: tuple[str, ...], expand: Expand) -> None:
        super().__init__(file.path)
        self.toml, self.table, self.expand = file, table, expand
        self.folder = os.path.dirname(file.path)
        values: Any = file.values
        for key in table:
            values = values[key]
        self.values: dict[str, Any] = values if isinstance(values, dict) else {}
        if not isinstance(values, dict):
            self.fail(self.at(), "[tool.convcost] must be a table")

    def at(self, *path: str, text: str | None = None) -> Where:
        return self.toml.where(*self.table, *path, text=text)

    def read(self) -> Config:
        for key in self.values:
            if key == "tool" and not self.table:
                self.fail(self.at(key, "convcost"), f"{OWN_FILE} has its keys at the top level, not in [tool.convcost]")
            else:
                self.one_of(self.at(key), "key", key, KEYS)
        sources = self.sources()
        budgets = self.budgets([source.name for source in sources])
        tolerances, lock = self.tolerances(), self.lock()
        problems = tuple(Finding("error", message, where=str(where)) for where, _, message in self.problems)
        return Config(self.file, sources, budgets, tolerances, lock, problems)

    # --- sources

    def sources(self) -> tuple[Source, ...]:
        written = self.values.get("sources")
        if not isinstance(written, list) or not written:
            self.fail(self.at("sources"), 'sources must be a non-empty list, such as ["net.yaml", "vgg16"]')
            return ()
        sources: dict[str, Source] = {}
        for item in written:
            for source in self.source(item):
                if source.name in sources:
                    message = f"duplicate source {source.name!r}; give one of them another name: {{source, name}}"
                    self.fail(self.at("sources", text=source.name), message)
                sources.setdefault(source.name, source)
        return tuple(sources.values())

    def source(self, item: object) -> Iterable[Source]:
        table = item if isinstance(item, dict) else {"source": item}
        text = table.get("source")
        if not isinstance(text, str) or not _is_text(text):
            message = f'a source must be a string or {{source = "...", input = "3x224x224"}}, not {as_written(item)}'
            self.fail(self.at("sources"), message)
            return
        where = self.at("sources", text=text)
        keys = self.source_keys(table, where)
        expanded = list(self.expand(text, self.folder))
        if not expanded:
            self.fail(where, f"no file matches {text!r}")
        for match in expanded:
            path = os.path.join(self.folder, match)
            exists = os.path.exists(path) or os.path.exists(path.rpartition("@")[0])
            yield Source(
                name=keys.get("name", match),
                source=path if self.folder and exists else match,
                where=where,
                input_size=tuple(map(int, keys["input"].split("x"))) if "input" in keys else None,
                batch=keys.get("batch"),
                dtype=keys.get("dtype"),
                profile=os.path.join(self.folder, keys["profile"]) if "profile" in keys else None,
            )

    def source_keys(self, table: dict[str, Any], where: Where) -> dict[str, Any]:
        """The keys with valid values."""
        keys: dict[str, Any] = {}
        for key, value in table.items():
            if self.one_of(where, "key", key, SOURCE_KEYS):
                is_valid, example = SOURCE_KEYS[key]
                if is_valid(value):
                    keys[key] = value
                else:
                    self.fail(where, f"{key} is {as_written(value)}, expected {example}")
        if "dtype" in keys and not self.one_of(where, "dtype", keys["dtype"], PRECISIONS):
            del keys["dtype"]
        return keys

    # --- budgets, tolerance, lock

    def budgets(self, names: list[str]) -> tuple[Budget, ...]:
        budgets: list[Budget] = []
        for key, value in self.mapping("budgets").items():
            where = self.at("budgets", key)
            if not isinstance(value, dict):
                budgets += self.budget(key, value, None, where)
            elif key in names:
                for quantity, inner in value.items():
                    budgets += self.budget(quantity, inner, key, self.at("budgets", key, quantity))
            else:
                self.fail(where, f"budgets of {key!r}, which is not among the sources{nearest(key, names)}")
        return tuple(budgets)

    def budget(self, quantity: str, value: object, source: str | None, where: Where) -> list[Budget]:
        if not self.one_of(where, "quantity", quantity, budget_keys(measured=True)):
            return []
        row = quantities(measured=True)[quantity]
        default: Operator = ">=" if row.best == "highest" else "<="
        try:
            return [Budget(quantity, bound(value, row.unit, default), where, source)]
        except UsageError as error:
            self.fail(where, f"budget of {quantity}: {error}")
            return []

    def tolerances(self) -> dict[str, Tolerance]:
        tolerances = {"params": EXACT, "macs": EXACT}
        for key, value in self.mapping("tolerance").items():
            where = self.at("tolerance", key)
            try:
                if self.one_of(where, "quantity", key, lock_keys()):
                    tolerances[key] = tolerance(value, QUANTITIES[key].unit)
            except UsageError as error:
                self.fail(where, f"tolerance of {key}: {error}")
        return tolerances

    def mapping(self, key: str) -> dict[str, Any]:
        value = self.values.get(key, {})
        if isinstance(value, dict):
            return value
        self.fail(self.at(key), f"{key} must be a table, such as [{'.'.join((*self.table, key))}]")
        return {}

    def lock(self) -> str | None:
        value = self.values.get("lock", LOCK)
        if value is False:
            return None
        if not isinstance(value, str) or not value.strip():
            self.fail(self.at("lock"), f"lock must be a file name, or false for no lock, not {as_written(value)}")
            value = LOCK
        return os.path.join(self.folder, value)
