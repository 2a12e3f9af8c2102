"""The settings of ``convcost check``: ``convcost.toml``, or ``[tool.convcost]`` in ``pyproject.toml``.

A new setting is a key in ``KEYS`` or ``SOURCE_KEYS`` and a field of ``Config`` or ``Source``.
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


SOURCE_KEYS: dict[str, tuple[Callable[[Any], bool], str | Callable[[], str]]] = {
    "source": (_is_text, '"net.yaml"'),
    "name": (_is_text, '"a name"'),
    "input": (lambda value: isinstance(value, str) and _SIZE.match(value) is not None, '"3x224x224"'),
    "batch": (lambda value: type(value) is int and value > 0, "8"),
    "dtype": (lambda value: isinstance(value, str) and value in PRECISIONS, lambda: " or ".join(PRECISIONS)),
    "profile": (_is_text, '"runs/vgg16.json"'),
}
"""The keys of a source: what fits, and an example, or a function that gives it where a table may grow."""

Expand = Callable[[str, str], Iterable[str]]
"""(pattern, folder that paths count from) -> the sources that it stands for."""


class Source(msgspec.Struct, frozen=True):
    """A source to check, what it is called in the lock, and what it is analysed with.

    ``profile``: the file of a saved profile, whose times budgets bound; a source that is one needs none.
    """

    name: str
    source: str
    where: Where
    input_size: tuple[int, ...] | None = None
    batch: int | None = None
    dtype: str | None = None
    profile: str | None = None


class Budget(msgspec.Struct, frozen=True):
    """A bound on one quantity of one source, or of all (``source`` None)."""

    quantity: str
    bound: Bound
    where: Where
    source: str | None = None


class Config(msgspec.Struct, frozen=True):
    """What is checked. ``problems``: mistakes in the file, each with its line; the rest is checked all the same."""

    file: str
    sources: tuple[Source, ...]
    budgets: tuple[Budget, ...]
    tolerance: Mapping[str, Tolerance]
    lock: str | None
    problems: tuple[Finding, ...]


def configuration(path: str | None, expand: Expand) -> Config:
    """The settings in ``path``, or in the nearest file of this or an outer folder that has some.

    Raises:
        SourceError: there are none, or the file cannot be read.
        SpecError: the file is no TOML.
        UsageError: settings stand in two files of one folder.
    """
    file, table = _settings_file(path)
    return _ConfigReader(file, table, expand).read()


def _settings_file(path: str | None) -> tuple[Toml, tuple[str, ...]]:
    if path is not None:
        file = Toml(path)
        inside = os.path.basename(path) == PROJECT_FILE
        if inside and not _has_table(file):
            raise SourceError(f"{path} has no [tool.convcost]")
        return file, ("tool", "convcost") if inside else ()
    folder = os.getcwd()
    while True:
        own, project = os.path.join(folder, OWN_FILE), os.path.join(folder, PROJECT_FILE)
        pyproject = Toml(os.path.relpath(project)) if os.path.isfile(project) else None
        in_project = pyproject is not None and _has_table(pyproject)
        if os.path.isfile(own):
            if in_project:
                raise UsageError(f"settings stand in {OWN_FILE} and in {PROJECT_FILE} [tool.convcost]; keep one")
            return Toml(os.path.relpath(own)), ()
        if pyproject is not None and in_project:
            return pyproject, ("tool", "convcost")
        outer = os.path.dirname(folder)
        if outer == folder or os.path.exists(os.path.join(folder, ".git")):
            break
        folder = outer
    raise SourceError(
        f"nothing to check: there is no {OWN_FILE} and no [tool.convcost] in {PROJECT_FILE}, here or in the folders "
        'above; write a convcost.toml with sources = ["net.yaml"]'
    )


def _has_table(file: Toml) -> bool:
    tool = file.values.get("tool")
    return isinstance(tool, dict) and "convcost" in tool


class _ConfigReader(Problems[Where]):
    limit = None  # what is right is checked all the same

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
                self.fail(self.at(key, "convcost"), f"{OWN_FILE} has the keys at its top, without [tool.convcost]")
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
            self.fail(self.at("sources"), 'sources must be a list of one or more, such as ["net.yaml", "vgg16"]')
            return ()
        sources: dict[str, Source] = {}
        for item in written:
            for source in self.source(item):
                if source.name in sources:
                    message = f"{source.name!r} stands here twice; give one of them another name: {{source, name}}"
                    self.fail(self.at("sources", text=source.name), message)
                sources.setdefault(source.name, source)
        return tuple(sources.values())

    def source(self, item: object) -> Iterable[Source]:
        given = item if isinstance(item, dict) else {"source": item}
        text = given.get("source")
        if not isinstance(text, str) or not _is_text(text):
            message = f'a source is a text, or {{source = "...", input = "3x224x224"}}, not {as_written(item)}'
            self.fail(self.at("sources"), message)
            return
        where = self.at("sources", text=text)
        keys = self.source_keys(given, where)
        expanded = list(self.expand(text, self.folder))
        if not expanded:
            self.fail(where, f"no file fits {text!r}")
        for each in expanded:
            path = os.path.join(self.folder, each)
            exists = os.path.exists(path) or os.path.exists(path.rpartition("@")[0])
            yield Source(
                name=keys.get("name", each),
                source=path if self.folder and exists else each,
                where=where,
                input_size=tuple(map(int, keys["input"].split("x"))) if "input" in keys else None,
                batch=keys.get("batch"),
                dtype=keys.get("dtype"),
                profile=os.path.join(self.folder, keys["profile"]) if "profile" in keys else None,
            )

    def source_keys(self, given: dict[str, Any], where: Where) -> dict[str, Any]:
        """Those that are right."""
        keys: dict[str, Any] = {}
        for key, value in given.items():
            if self.one_of(where, "key", key, SOURCE_KEYS):
                fits, example = SOURCE_KEYS[key]
                if fits(value):
                    keys[key] = value
                else:
                    shown = example if isinstance(example, str) else example()
                    self.fail(where, f"{key} is {as_written(value)}, expected {shown}")
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
                self.fail(where, f"budgets for {key!r}, which is not among the sources{nearest(key, names)}")
        return tuple(budgets)

    def budget(self, quantity: str, value: object, source: str | None, where: Where) -> list[Budget]:
        if not self.one_of(where, "quantity", quantity, budget_keys(measured=True)):
            return []
        meant = quantities(measured=True)[quantity]
        default: Operator = ">=" if meant.best == "highest" else "<="
        try:
            return [Budget(quantity, bound(value, meant.unit, default), where, source)]
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
            self.fail(self.at("lock"), f"lock is the name of a file, or false for none, not {as_written(value)}")
            value = LOCK
        return os.path.join(self.folder, value)
