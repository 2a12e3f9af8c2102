"""Everything in the documentation that a program can know.

    python docs/generate.py           writes what has changed
    python docs/generate.py --check   names what is stale; exit status 1 if anything is

It writes convcost/spec.schema.json, and in README.md and docs/*.md the regions between ``<!-- generated: WHAT -->``
and ``<!-- end -->``. WHAT is a ``convcost ...`` command line; ``python``, for what the Python block before it prints;
or one of ``TABLES``. A page's commands run in an empty folder that holds the page's own code blocks with
``<!-- file: NAME -->`` before them, and what ``<!-- copy: NAME -->`` takes from docs/; a Python block after
``<!-- run: python -->`` runs without showing what it prints.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import click  # noqa: E402

import convcost.cli  # noqa: E402
from convcost.analysis.memory.optimizers import OPTIMIZERS  # noqa: E402
from convcost.analysis.quantities import QUANTITIES  # noqa: E402
from convcost.cli.group import COMMANDS  # noqa: E402
from convcost.hardware import KEYS, REQUIRED, TEXTS  # noqa: E402
from convcost.ops import REGISTRY  # noqa: E402
from convcost.ops.base import GROUPS  # noqa: E402
from convcost.ops.flop_counts import KINDS, PER_ELEMENT, Operations  # noqa: E402
from convcost.precision import PRECISIONS  # noqa: E402
from convcost.render.charts import CHARTS  # noqa: E402
from convcost.render.formats import FORMATS  # noqa: E402
from convcost.spec import json_schema  # noqa: E402

WIDTH = 80
TERMINAL = {"COLUMNS": str(WIDTH), "LINES": "50", "TERM": "dumb", "NO_COLOR": "1"}
MARKER = re.compile(r"<!-- (generated|file|copy|run): (.+?) -->\n")
FENCE = re.compile(r"```(\w*)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
END = "<!-- end -->\n"


def main(arguments: list[str]) -> int:
    """Write or check all generated files. Returns the exit status."""
    stale = [path for path, text in generated() if not path.exists() or path.read_text("utf-8") != text]
    if arguments == ["--check"]:
        for path in stale:
            click.echo(f"stale: {path.relative_to(ROOT)} (python docs/generate.py writes it)", err=True)
        return 1 if stale else 0
    if arguments:
        click.echo("usage: python docs/generate.py [--check]", err=True)
        return 2
    for path, text in generated():
        if path in stale:
            path.write_text(text, "utf-8")
            click.echo(f"wrote {path.relative_to(ROOT)}")
    return 0


def generated() -> Iterator[tuple[Path, str]]:
    """Each file with the text that it should have."""
    yield ROOT / "convcost" / "spec.schema.json", json_schema.text()
    for path in pages():
        with empty_folder(), restored():
            yield path, page(path.read_text("utf-8"))


def pages() -> list[Path]:
    """The pages that may have generated regions."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


# --- pages


EXTENDED: tuple[dict[str, Any], ...] = (REGISTRY, PRECISIONS, QUANTITIES, OPTIMIZERS, FORMATS, CHARTS)
"""What a page may add to."""


@contextmanager
def restored() -> Iterator[None]:
    """What a page adds to the tables of the package, such as an op of its own, is gone after the page."""
    with ExitStack() as stack:
        for table in EXTENDED:
            stack.enter_context(mock.patch.dict(table))
        yield


@contextmanager
def empty_folder() -> Iterator[None]:
    """An empty current folder."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def page(text: str) -> str:
    """A page with its regions filled, from top to bottom."""
    names: dict[str, Any] = {}
    done = ""
    while marker := MARKER.search(text):
        done, text = done + text[: marker.end()], text[marker.end() :]
        kind, what = marker.groups()
        if kind == "copy":
            shutil.copy(ROOT / "docs" / what, what)
            continue
        if kind in ("file", "run"):
            block = FENCE.match(text)
            if block is None:
                raise SystemExit(f"no code block follows <!-- {kind}: {what} -->")
            if kind == "file":
                Path(what).write_text(block.group(2), "utf-8")
            else:
                run(block.group(2), names)
            continue
        _, end, text = text.partition(END)
        if not end:
            raise SystemExit(f"no {END.strip()} follows <!-- generated: {what} -->")
        done += region(what, done, names) + END
    return done + text


def region(what: str, before: str, names: dict[str, Any]) -> str:
    """What stands between the markers. ``before``: the page so far; ``names``: what its Python blocks have defined."""
    if what.startswith("convcost "):
        return fenced(f"$ {what}\n{output_of(what)}", "console")
    if what == "python":
        code = [block.group(2) for block in FENCE.finditer(before) if block.group(1) == "python"][-1]
        return fenced(run(code, names), "text")
    if what not in TABLES:
        raise SystemExit(f"<!-- generated: {what} -->: neither a command nor one of {', '.join(TABLES)}")
    return TABLES[what]()


def run(code: str, names: dict[str, Any]) -> str:
    """What a Python block prints."""
    with terminal() as out:
        exec(compile(code, "<page>", "exec"), names)
    return text_of(out)


def fenced(text: str, language: str) -> str:
    """A code block."""
    return f"```{language}\n{text.strip(chr(10))}\n```\n"


# --- commands


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal: what a command prints is what a person sees."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")

    def isatty(self) -> bool:
        return True


@contextmanager
def terminal() -> Iterator[Terminal]:
    """Standard output and error on a terminal of 80 columns without colours."""
    out = Terminal()
    with mock.patch.dict(os.environ, TERMINAL), redirect_stdout(out), redirect_stderr(out):
        yield out


def text_of(out: Terminal) -> str:
    """What was written, without blanks at the ends of lines."""
    out.seek(0)
    return "\n".join(line.rstrip() for line in out.read().splitlines())


def output_of(command: str) -> str:
    """What a command line prints, output and errors."""
    # Once it has run, the package's name ``main`` is its module of that name: read it anew.
    entry = importlib.reload(convcost.cli).main
    with terminal() as out, mock.patch.object(sys, "argv", shlex.split(command)), suppress(SystemExit):
        entry()
    return text_of(out)


# --- tables


def commands() -> str:
    """The help of every command."""
    parts = [f"## convcost\n\n{fenced(output_of('convcost --help'), 'text')}"]
    parts += [f"## convcost {name}\n\n{fenced(output_of(f'convcost {name} --help'), 'text')}" for name in COMMANDS]
    return "\n" + "\n".join(parts)


def counts() -> str:
    """What everything that is not a multiply-accumulate costs."""
    lines = ["| What | Formula | Per element | Once per group |", "|---|---|---|---|"]
    for kind in KINDS:
        lines.append(f"| **{kind}** | | | |")
        for name, row in PER_ELEMENT.items():
            if row.kind == kind:
                once = _operations(row.once)
                each = _operations(row.operations) or "0"
                total = f"**{row.total}**: {each}" if row.total else "0"
                lines.append(f"| `{name}` | `{row.formula}` | {total} | {once} |")
    return "\n".join(lines) + "\n"


def _operations(operations: Operations) -> str:
    return ", ".join(f"{number} {name}" for name, number in operations)


def optimizers() -> str:
    """Every optimizer with its state."""
    lines = ["| `--optimizer` | State | In `convcost profile` |", "|---|---|---|"]
    for name, row in OPTIMIZERS.items():
        arguments = "".join(f", {key}={value}" for key, value in row.torch_arguments.items())
        runs = f"`torch.optim.{row.torch_class}(parameters, lr=0.0{arguments})`" if row.torch_class else "-"
        lines.append(f"| `{name}` | {row.note} | {runs} |")
    return "\n".join(lines) + "\n"


def hardware_keys() -> str:
    """Every key of a hardware file."""
    lines = ["| Key | Meaning |", "|---|---|"]
    lines += [f"| `{key}`{' (needed)' if key in REQUIRED else ''} | {found.meaning} |" for key, found in KEYS.items()]
    lines += [f"| `{key}` | {meaning} |" for key, meaning in TEXTS.items()]
    return "\n".join(lines) + "\n"


def ops() -> str:
    """Every op with its fields, by group."""
    definitions = json_schema.schema()["$defs"]
    parts = []
    for group in GROUPS:
        lines = ["| Op | What it does | Fields |", "|---|---|---|"]
        for name, op in sorted(REGISTRY.items()):
            if op.group == group:
                made = definitions[f"op_{name}"]
                fields = made.get("properties", made.get("then", {}).get("properties", {}))
                required = made.get("required", made.get("then", {}).get("required", ()))
                words = [_field(key, inner, key in required) for key, inner in fields.items() if key != "inplace"]
                called = f"`{name}`, `{name}_`" if "inplace" in fields else f"`{name}`"
                what = _cell(made["description"]) + _inputs(*op.arity)
                lines.append(f"| {called} | {what} | {'<br>'.join(words)} |")
        parts.append(f"## {group}\n\n" + "\n".join(lines) + "\n")
    return "\n" + "\n".join(parts)


def _inputs(least: int, most: int | None) -> str:
    if (least, most) == (1, 1):
        return ""
    if most is None:
        return f" *{least} or more inputs.*"
    return f" *{least} to {most} inputs.*" if most != least else f" *{least or 'No'} inputs.*"


def _field(name: str, made: dict[str, Any], required: bool) -> str:
    if required:
        return f"**`{name}`**: {_type(made)}"
    if "default" not in made:
        return f"`{name}`: {_type(made)}, optional"
    default = made["default"]
    shown = default if isinstance(default, str) else json.dumps(default)
    return f"`{name}`: {_type(made)} = {shown}"


def _type(made: dict[str, Any]) -> str:
    """A type in words: the name of a shared one, the texts of an enumeration, "list of ..."."""
    if "$ref" in made:
        return str(made["$ref"]).rpartition("/")[2]
    if "enum" in made:
        return ", ".join(f"`{text}`" for text in made["enum"])
    if "anyOf" in made:
        inner = [_type(choice) for choice in made["anyOf"]]
        return " or ".join(word for word in dict.fromkeys(inner) if word not in ("expression", "null"))
    if made.get("type") == "array":
        return f"list of {_type(made['items'])}"
    return f"{made['type']} from {made['minimum']}" if "minimum" in made else str(made["type"])


def _cell(text: str) -> str:
    """Text for a Markdown table cell; what stands in backticks stays."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([\\*_|<>\[\]])", r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [part.replace("|", "\\|") for part in parts[1::2]]
    return "`".join(parts)


TABLES: dict[str, Callable[[], str]] = {
    "help of every command": commands,
    "operation counts": counts,
    "hardware keys": hardware_keys,
    "optimizers": optimizers,
    "every op": ops,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
