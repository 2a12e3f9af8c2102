"""The settings of ``convcost check``: ``convcost.toml``, or ``[tool.convcost]`` in ``pyproject.toml``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from ..analysis.quantities import QUANTITIES, budget_keys, lock_keys, quantities
from ..errors import SourceError, UsageError, Where, as_written, nearest
from ..precision import PRECISIONS
from .bounds import EXACT, Bound, Operator, Tolerance, bound, tolerance
from .findings import Finding
from .toml import Toml

OWN_FILE, PROJECT_FILE = "convcost.toml", "pyproject.toml"
KEYS = ("sources", "budgets", "tolerance", "lock")
SOURCE_KEYS = ("source", "name", "input", "batch", "dtype", "profile")
LOCK = "convcost.lock"

_SIZE = re.compile(r"[0-9]{1,10}(?:x[0-9]{1,10}){,7}\Z")

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
    file, table = _found(path)
    return _Reader(file, table, expand).read()


def _found(path: str | None) -> tuple[Toml, tuple[str, ...]]:
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


class _Reader:
    def __init__(self, file: Toml, table: tuple[str, ...], expand: Expand) -> None:
        self.file, self.table, self.expand = file, table, expand
        self.folder = os.path.dirname(file.path)
        self.problems: list[Finding] = []
        values: Any = file.values
        for key in table:
            values = values[key]
        self.values: dict[str, Any] = values if isinstance(values, dict) else {}
        if not isinstance(values, dict):
            self.fail("[tool.convcost] must be a table")

    def fail(self, message: str, *path: str, text: str | None = None) -> None:
        where = self.where(*path, text=text)
        self.problems.append(Finding("error", message, where=str(where)))

    def where(self, *path: str, text: str | None = None) -> Where:
        return self.file.where(*self.table, *path, text=text)

    def read(self) -> Config:
        for key in self.values:
            if key == "tool" and not self.table:
                self.fail(f"{OWN_FILE} has the keys at its top, without [tool.convcost]", key, "convcost")
            elif key not in KEYS:
                self.fail(f"unknown key {key!r}{nearest(key, KEYS)} (allowed: {', '.join(KEYS)})", key)
        sources = self.sources()
        budgets = self.budgets([source.name for source in sources])
        return Config(
            self.file.path, sources, budgets, self.tolerances(), self.lock(), tuple(self.problems)
        )  # fmt: skip

    # --- sources

    def sources(self) -> tuple[Source, ...]:
        written = self.values.get("sources")
        if not isinstance(written, list) or not written:
            self.fail('sources must be a list of one or more, such as ["net.yaml", "vgg16"]', "sources")
            return ()
        found: dict[str, Source] = {}
        for item in written:
            for source in self.source(item):
                if source.name in found:
                    message = f"{source.name!r} stands here twice; give one of them another name: {{source, name}}"
                    self.fail(message, "sources", text=source.name)
                found.setdefault(source.name, source)
        return tuple(found.values())

    def source(self, item: object) -> Iterable[Source]:
        text = item.get("source") if isinstance(item, dict) else item
        if not isinstance(text, str) or not text.strip() or not text.isprintable():
            self.fail(
                f'a source is a text, or {{source = "...", input = "3x224x224"}}, not {as_written(item)}', "sources"
            )
            return
        where = self.where("sources", text=text)
        keys = self.source_keys(item, text) if isinstance(item, dict) else {}
        name = keys.pop("name", None)
        expanded = list(self.expand(text, self.folder))
        if not expanded:
            self.fail(f"no file fits {text!r}", "sources", text=text)
        for found in expanded:
            path = os.path.join(self.folder, found)
            exists = os.path.exists(path) or os.path.exists(path.rpartition("@")[0])
            yield Source(name or found, path if self.folder and exists else found, where, **keys)

    def source_keys(self, item: dict[str, Any], text: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in item.items():
            if key == "input" and isinstance(value, str) and _SIZE.match(value):
                found["input_size"] = tuple(map(int, value.split("x")))
            elif key == "profile" and isinstance(value, str) and value.strip() and value.isprintable():
                found[key] = os.path.join(self.folder, value)
            elif (
                (key == "batch" and type(value) is int and value > 0)
                or (key == "dtype" and value in PRECISIONS)
                or (key == "name" and isinstance(value, str) and value.strip() and value.isprintable())
            ):
                found[key] = value
            elif key not in SOURCE_KEYS:
                near = nearest(key, SOURCE_KEYS)
                self.fail(f"unknown key {key!r}{near} (allowed: {', '.join(SOURCE_KEYS)})", "sources", text=text)
            elif key != "source":
                wanted = {
                    "input": '"3x224x224"',
                    "batch": "8",
                    "dtype": " or ".join(PRECISIONS),
                    "name": '"a name"',
                    "profile": '"runs/vgg16.json"',
                }[key]
                self.fail(f"{key} is {as_written(value)}, expected {wanted}", "sources", text=text)
        return found

    # --- budgets, tolerance, lock

    def budgets(self, names: list[str]) -> tuple[Budget, ...]:
        found: list[Budget] = []
        table = self.mapping("budgets")
        for key, value in table.items():
            if not isinstance(value, dict):
                found += self.budget(key, value, None, "budgets", key)
            elif key in names:
                for quantity, inner in value.items():
                    found += self.budget(quantity, inner, key, "budgets", key, quantity)
            else:
                near = nearest(key, names)
                self.fail(f"budgets for {key!r}, which is not among the sources{near}", "budgets", key)
        return tuple(found)

    def budget(self, quantity: str, value: object, source: str | None, *path: str) -> list[Budget]:
        known = budget_keys(measured=True)
        if quantity not in known:
            self.fail(f"unknown quantity {quantity!r}{nearest(quantity, known)} (allowed: {', '.join(known)})", *path)
            return []
        meant = quantities(measured=True)[quantity]
        default: Operator = ">=" if meant.best == "highest" else "<="
        try:
            return [Budget(quantity, bound(value, meant.unit, default), self.where(*path), source)]
        except UsageError as error:
            self.fail(f"budget of {quantity}: {error}", *path)
            return []

    def tolerances(self) -> dict[str, Tolerance]:
        found = {"params": EXACT, "macs": EXACT}
        for key, value in self.mapping("tolerance").items():
            if key not in lock_keys():
                near = nearest(key, lock_keys())
                self.fail(f"unknown quantity {key!r}{near} (allowed: {', '.join(lock_keys())})", "tolerance", key)
                continue
            try:
                found[key] = tolerance(value, QUANTITIES[key].unit)
            except UsageError as error:
                self.fail(f"tolerance of {key}: {error}", "tolerance", key)
        return found

    def mapping(self, key: str) -> dict[str, Any]:
        value = self.values.get(key, {})
        if isinstance(value, dict):
            return value
        self.fail(f"{key} must be a table, such as [{'.'.join((*self.table, key))}]", key)
        return {}

    def lock(self) -> str | None:
        value = self.values.get("lock", LOCK)
        if value is False:
            return None
        if not isinstance(value, str) or not value.strip():
            self.fail(f"lock is the name of a file, or false for none, not {as_written(value)}", "lock")
            value = LOCK
        return os.path.join(self.folder, value)
