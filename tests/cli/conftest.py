from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import convcost
from convcost.cli import main


class Result(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command line in this process: ``run("analyze", "vgg16")``."""

    def run(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["convcost", *arguments])
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Result(status, *capsys.readouterr())

    for name in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    return run


@pytest.fixture
def shell():
    """Runs a shell's command line, in which ``convcost`` is this one, in a process of its own."""
    here = str(Path(convcost.__file__).parent.parent)
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "FORCE_COLOR")}
    environment["PYTHONPATH"] = here

    def shell(command: str, **options) -> Result:
        script = f'set -o pipefail\nconvcost() {{ "{sys.executable}" -m convcost "$@"; }}\n{command}'
        done = subprocess.run(
            ["bash", "-c", script],
            capture_output=True, text=True, timeout=60, env={**environment, **options}, check=False,
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    return shell
