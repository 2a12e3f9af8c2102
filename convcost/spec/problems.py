"""The mistakes of a spec file: the checks that every part of a spec needs beside those of any YAML document."""

from __future__ import annotations

from ..problems import YamlProblems
from ..yaml_reader import Mark
from .expressions import WORD

MAX_NAME = 60


class SpecProblems(YamlProblems):
    """Collects the mistakes of a spec, so that all of them are told at once."""

    def is_name(self, name: str, mark: Mark) -> bool:
        """Refuse what cannot be a name."""
        if WORD.match(name) and len(name) <= MAX_NAME and name != "previous":
            return True
        rule = f"use at most {MAX_NAME} letters a-z, A-Z, digits and _, and do not begin with a digit"
        reserved = "'previous' is the input of a layer" if name == "previous" else rule
        self.fail(mark, f"{name[:MAX_NAME]!r} cannot be a name: {reserved}")
        return False
