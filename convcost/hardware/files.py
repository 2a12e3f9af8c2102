"""Hardware files: those that ship, by name, and a user's own."""

from __future__ import annotations

import os
from functools import cache
from typing import NoReturn

from ..errors import SourceError, SpecError, UsageError, nearest
from ..yaml_reader import MAX_BYTES, Mapping, Mark, Row, Value, at, read
from .records import FIGURES, REQUIRED, UNITS, Figure, Gpu

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
SUFFIXES = (".yaml", ".yml")
TEXTS = ("name", "aliases", "architecture", "compute_capability", "year", "note", "sources")


def load_gpu(name: str) -> Gpu:
    """A GPU that ships, by its name (``rtx4090``) or an alias (``h100``); or that of a user's own file (``mine.yaml``).

    Raises:
        UsageError: there is none; the message has the nearest spelling.
        SpecError: the file has mistakes; the message has the place of each.
    """
    if name.endswith(SUFFIXES):
        return _of_file(name)
    wanted = _plain(name)
    path = os.path.join(FOLDER, f"{wanted}.yaml")
    if wanted in _names():
        return _of_file(path)
    for each in shipped_gpus():
        if wanted in map(_plain, (each.id, each.name, *each.aliases)):
            return each
    known = [word for each in shipped_gpus() for word in (each.id, *each.aliases)]
    hint = nearest(wanted, known)
    raise UsageError(f"unknown GPU {name!r}{hint} (there are {', '.join(_names())}; or a file of your own, gpu.yaml)")


@cache
def shipped_gpus() -> tuple[Gpu, ...]:
    """Every GPU that ships, by year and name."""
    found = [_of_file(os.path.join(FOLDER, f"{name}.yaml")) for name in _names()]
    return tuple(sorted(found, key=lambda each: (each.year or 0, each.id)))


@cache
def _names() -> tuple[str, ...]:
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in os.scandir(FOLDER) if entry.name[-5:] == ".yaml"))


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(" ", "-")


def _of_file(path: str) -> Gpu:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(MAX_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: {getattr(error, 'strerror', None) or 'the file is not UTF-8 text'}") from None
    shown = os.path.basename(path) if os.path.dirname(path) == FOLDER else path
    return _Reader(shown).gpu(read(text, shown), os.path.basename(path).rpartition(".")[0])


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file

    def fail(self, mark: Mark, message: str) -> NoReturn:
        raise SpecError([(at(self.file, mark), None, message)])

    def gpu(self, root: Mapping, id: str) -> Gpu:
        sources = self._sources(root)
        figures: dict[str, Figure] = {}
        for key, value in root.items():
            if key in FIGURES:
                figures[key] = self._figure(key, value, root.marks[key], sources)
            elif key not in TEXTS:
                self._unknown(key, root.key_marks[key])
        missing = [key for key in REQUIRED if key not in figures]
        if missing:
            self.fail(root.mark, f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
        aliases = root.get("aliases", Row(root.mark))
        if not isinstance(aliases, Row):
            self.fail(root.marks["aliases"], "aliases is a list of names")
        year = self._text(root, "year")
        if year and not year.isdecimal():
            self.fail(root.marks["year"], f"year is {year!r}; it must be a whole number")
        return Gpu(
            id=id,
            name=self._text(root, "name") or id,
            figures=figures,
            aliases=tuple(map(str, aliases)),
            architecture=self._text(root, "architecture"),
            compute_capability=self._text(root, "compute_capability"),
            year=int(year) if year else None,
            note=self._text(root, "note"),
        )

    def _unknown(self, key: str, mark: Mark) -> NoReturn:
        with_unit = [known for known in FIGURES if known.startswith(key)]
        if with_unit and not key.endswith(UNITS):
            self.fail(mark, f"{key!r} does not say its unit; did you mean {' or '.join(with_unit)}?")
        self.fail(
            mark, f"unknown key {key!r}{nearest(key, [*FIGURES, *TEXTS])} (allowed: {', '.join((*TEXTS, *FIGURES))})"
        )

    def _text(self, root: Mapping, key: str) -> str:
        value = root.get(key, "")
        if not isinstance(value, str):
            self.fail(root.marks[key], f"{key} is a text")
        return value

    def _sources(self, root: Mapping) -> dict[str, str]:
        found = root.get("sources", Mapping(root.mark))
        if not isinstance(found, Mapping):
            self.fail(root.marks["sources"], "sources is a mapping of short words to documents")
        return {word: str(text) for word, text in found.items()}

    def _figure(self, key: str, value: Value, mark: Mark, sources: dict[str, str]) -> Figure:
        source, estimate = "", False
        if isinstance(value, Mapping):
            for inner in value:
                if inner not in ("value", "source", "estimate"):
                    self.fail(value.key_marks[inner], f"{key} has value, source and estimate, not {inner!r}")
            word = str(value.get("source", ""))
            source, estimate = sources.get(word, word), value.get("estimate") == "true"
            mark = value.marks.get("value", mark)
            value = value.get("value", "")
        number = str(value).replace("_", "")
        try:
            exact = float(number)
        except ValueError:
            exact = -1.0
        if not 0 < exact < 1e21 or exact != int(exact):
            self.fail(
                mark, f"{key} is {value!r}; it must be a whole number above 0, without a suffix: its key says the unit"
            )
        return Figure(int(number) if number.isdecimal() else int(exact), source or "not given", estimate)
