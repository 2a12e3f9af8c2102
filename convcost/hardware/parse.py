"""A hardware file: its text to a record, with every mistake and its place. Which keys there are stands in ``gpu``."""

from __future__ import annotations

import re

from ..errors import as_written
from ..problems import YamlProblems
from ..yaml_reader import Mapping, Mark, Row, Value, read
from .gpu import DEFAULT_CONTEXT, KEYS, REQUIRED, TEXTS, Figure, Gpu

_NUMBER = re.compile(r"[0-9][0-9_]{,30}(?:\.[0-9]{1,15})?(?:[eE]\+?[0-9]{1,2})?\Z")
_UNITS = ("_bytes", "_bits", "_per_s", "_hz", "_w")
_PARTS = ("value", "source", "says", "estimate")


def gpu_from_text(text: str, file: str, id: str) -> Gpu:
    """The GPU that a hardware file describes.

    Args:
        text: the file's content.
        file: how to call it in errors.
        id: the name that the GPU gets.

    Raises:
        SpecError: the file has mistakes; the message has the place of each.
    """
    root = read(text, file, what="a hardware file", needs=REQUIRED)
    reader = _HardwareReader(root, file)
    gpu = reader.gpu(id)
    if reader.problems:
        raise reader.error()
    return gpu


class _HardwareReader(YamlProblems):
    def __init__(self, root: Mapping, file: str) -> None:
        super().__init__(file)
        self.root = root

    def gpu(self, id: str) -> Gpu:
        root = self.root
        sources = self.sources()
        figures: dict[str, Figure] = {}
        for key, value in root.items():
            if key in KEYS:
                figures[key] = self.figure(key, value, root.marks[key], sources)
            elif key not in TEXTS:
                self.unknown(key, root.key_marks[key])
        missing = [key for key in REQUIRED if key not in figures]
        misspelled = any(key not in KEYS and key not in TEXTS for key in root)
        if missing and not misspelled:  # else most likely an echo of it
            self.fail(root.mark, f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
        if not self.problems:
            self.no_more_than(figures, "usable_memory_bytes", "memory_bytes")
            self.no_more_than(figures, "context_bytes", "memory_bytes")
        return Gpu(
            id=id,
            name=self.like("name") or id,
            figures={"context_bytes": DEFAULT_CONTEXT, **figures},
            aliases=self.names("aliases", "[h100, h100-80gb]"),
            devices=self.names("devices", "[NVIDIA H100 PCIe]"),
            architecture=self.like("architecture"),
            compute_capability=self.like("compute_capability", r"[0-9]{1,2}\.[0-9]", "such as 8.6"),
            year=int(self.like("year", r"(19|20)[0-9]{2}", "such as 2022") or 0) or None,
            note=self.like("note"),
        )

    def unknown(self, key: str, mark: Mark) -> None:
        bare = key.lower().rstrip("_")
        meant = [known for known in KEYS if known.startswith(f"{bare}_") and known[len(bare) :] in _UNITS]
        meant = meant or [known for known in KEYS if bare and known.startswith(f"{bare}_")]
        if meant and not key.endswith(_UNITS):
            self.fail(mark, f"{key}: did you mean {' or '.join(meant)}? The unit is part of the key")
            return
        self.one_of(mark, "key", key, (*TEXTS, *KEYS))

    def like(self, key: str, pattern: str = "", example: str = "") -> str:
        """The text at ``key``, "" if there is none; it must fit the pattern."""
        value = self.text(self.root, key) or ""
        if value and pattern and not re.fullmatch(pattern, value):
            self.fail(self.root.marks[key], f"{key} is {as_written(value)}; it must be {example}")
            return ""
        return value

    def names(self, key: str, example: str) -> tuple[str, ...]:
        row = self.root.get(key, Row(self.root.mark))
        if not isinstance(row, Row) or not all(isinstance(each, str) and each for each in row):
            self.fail(self.root.marks[key], f"{key} must be a list of names, such as {example}")
            return ()
        return tuple(str(each) for each in row)

    def sources(self) -> dict[str, str]:
        given: Value = self.root.get("sources", Mapping(self.root.mark))
        if isinstance(given, Mapping) and all(isinstance(text, str) for text in given.values()):
            return {word: str(text) for word, text in given.items()}
        self.fail(self.root.marks["sources"], "sources must give each short word a text, such as {datasheet: ...}")
        return {}

    def figure(self, key: str, value: Value, mark: Mark, sources: dict[str, str]) -> Figure:
        if not isinstance(value, Mapping):
            return Figure(self.number(key, value, mark))
        self.keys(value, _PARTS, key)
        number, word, says, estimate = (self.text(value, part) or "" for part in _PARTS)
        if word and sources and " " not in word:
            self.one_of(value.marks["source"], "source", word, sources)
        if estimate not in ("", "true", "false"):
            self.fail(value.marks["estimate"], f"estimate is {as_written(estimate)}; it must be true or false")
        exact = self.number(key, number, value.marks.get("value", mark))
        return Figure(exact, sources.get(word, word), says, estimate == "true")

    def number(self, key: str, value: Value, mark: Mark) -> int:
        if not isinstance(value, str) or not _NUMBER.match(value):
            shown = as_written(value) if isinstance(value, str) else "a list"
            self.fail(mark, f"{key} is {shown}; it must be a number in the unit that its key says")
            return 1
        plain = value.replace("_", "")
        exact = int(plain) if plain.isdecimal() else float(plain)
        low, high = KEYS[key].low, KEYS[key].high
        if exact != int(exact):
            self.fail(mark, f"{key} is {value}; it must be a whole number")
        elif not low <= exact <= high:
            self.fail(mark, f"{key} is {value}; no GPU has that: {low:,} to {high:,} is possible")
        return int(exact)

    def no_more_than(self, figures: dict[str, Figure], part: str, whole: str) -> None:
        if part in figures and figures[part].value > figures[whole].value:
            self.fail(
                self.root.marks[part],
                f"{part} is {figures[part].value:,}, more than the {figures[whole].value:,} of {whole}",
            )
