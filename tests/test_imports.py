"""Who may import whom: imports point down, and no files import each other in a circle.

Imports inside functions and under ``TYPE_CHECKING`` count like all others.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import convcost
from convcost.cli.group import COMMANDS

ROOT = Path(convcost.__file__).parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted(ROOT.rglob("*.py"))
    if "architectures" not in path.parts
}
PARTS = sorted({name.partition(".")[0] for name in MODULES})

GROUND = {"version", "errors", "units", "files", "tensor", "precision", "display", "yaml_reader", "problems"}
"""Modules that know nothing of networks."""

ALLOWED = {
    **dict.fromkeys(GROUND, GROUND),
    "ops": GROUND,
    "graph": {*GROUND, "ops"},
    "aliasing": {*GROUND, "ops", "graph"},
    "hardware": GROUND,
    "spec": {*GROUND, "ops", "graph", "aliasing"},
    "capture": {*GROUND, "ops", "graph", "aliasing"},
    "sources": {*GROUND, "ops", "graph", "aliasing", "spec", "capture"},
    "export": {*GROUND, "ops", "graph", "aliasing", "spec", "sources"},
    "analysis": {*GROUND, "ops", "graph", "aliasing", "hardware"},
    "profiles": {*GROUND, "ops", "graph", "hardware", "analysis"},
    "gate": {*GROUND, "ops", "graph", "analysis", "profiles"},
    "measure": {
        *GROUND,
        "ops",
        "graph",
        "aliasing",
        "hardware",
        "capture",
        "sources",
        "export",
        "analysis",
        "profiles",
    },
    "render": {*GROUND, "ops", "graph", "hardware", "analysis", "profiles", "gate", "measure"},
    "pages": {*GROUND, "analysis", "profiles", "render"},
    "assertion": {*GROUND, "graph", "capture", "sources", "analysis", "gate", "render"},
    "cli": set(PARTS) - {"__init__", "__main__", "assertion", "pytest_plugin"},
    "__main__": {"cli"},
    "__init__": set(PARTS) - {"cli", "pytest_plugin"},
    "pytest_plugin": {"__init__"},
}
"""What each part of the package may import, itself left out. The order is that of the floors, from the ground up."""

# What is PyTorch's from end to end: imported inside functions as a whole.
TORCH_SIDE = (
    "ops.torch_modules",
    "capture",
    "sources.model_zoo",
    "sources.python_file",
    "sources.pytorch_module",
    "measure.",
)
HEAVY = ("torch", "torchvision", "pandas", "numpy", "plotly", "fvcore")


def imports(name: str):
    """(imported module, line) for every import of a module; ``convcost.render.sheet`` for the package's own."""
    path = MODULES[name]
    package = list(path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or "", node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            home = ".".join(filter(None, base))
            for alias in node.names:
                inner = ".".join(filter(None, (home, alias.name)))
                module = next((each for each in (inner, f"{inner}.__init__") if each in MODULES), None)
                if module is None:
                    module = home if home in MODULES else ".".join(filter(None, (home, "__init__")))
                yield f"convcost.{module}", node.lineno


def own(name: str) -> dict[str, int]:
    """The modules of convcost that a module imports, each with the line of the import."""
    return {
        ("__init__" if target == "convcost" else target.removeprefix("convcost.")): line
        for target, line in imports(name)
        if target == "convcost" or target.startswith("convcost.")
    }


def circles(arrows):
    """The strongly connected components of more than one module (Tarjan)."""
    index, low, stack, components = {}, {}, [], []

    def visit(one):
        index[one] = low[one] = len(index)
        stack.append(one)
        for other in arrows[one]:
            if other not in index:
                visit(other)
                low[one] = min(low[one], low[other])
            elif other in stack:
                low[one] = min(low[one], index[other])
        if low[one] == index[one]:
            cut = stack.index(one)
            if len(stack) - cut > 1:
                components.append(stack[cut:])
            del stack[cut:]

    for one in arrows:
        if one not in index:
            visit(one)
    return components


def floor(name: str) -> int:
    return list(ALLOWED).index(name.partition(".")[0])


def test_the_table_is_complete():
    assert set(ALLOWED) == set(PARTS)


def test_the_table_points_down():
    parts = {part: allowed - {part} for part, allowed in ALLOWED.items() if part not in GROUND}
    try:
        TopologicalSorter(parts).prepare()
    except CycleError as error:
        pytest.fail(f"these parts may import each other in a circle: {error.args[1]}")


def test_the_scan_sees_imports():
    assert "units" in own("render.documents.analysis")
    assert "analysis.report" in own("render.documents.analysis")  # under TYPE_CHECKING
    assert "render.notebook" in own("__init__")  # inside a function
    assert "pandas" in dict(imports("analysis.frame"))


def test_circles_are_found():
    assert circles({"a": ["b"], "b": ["c"], "c": ["b"], "d": ["a"]}) == [["b", "c"]]


def test_no_files_import_each_other_in_a_circle():
    arrows = {name: own(name) for name in MODULES}
    for component in circles(arrows):
        inside = set(component)
        inner = [(one, other, line) for one in component for other, line in arrows[one].items() if other in inside]
        up = [arrow for arrow in inner if floor(arrow[0]) < floor(arrow[1])] or inner
        cut = "\n".join(f"  {one}, line {line}: imports {other}" for one, other, line in up)
        pytest.fail(f"{len(component)} files import each other in a circle; cut one of:\n{cut}")


def test_imports_point_down():
    parts = {name: name.partition(".")[0] for name in MODULES}
    wrong = [
        f"{name}, line {line}: must not import {target}"
        for name, part in parts.items()
        for target, line in own(name).items()
        if target.partition(".")[0] not in {part, *ALLOWED[part]}
    ]
    assert wrong == []


def test_heavy_packages_are_imported_inside_functions():
    def heavy(name):
        tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
        top = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        packages = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
        packages |= {node.module or "" for node in top if isinstance(node, ast.ImportFrom) and node.level == 0}
        return {package.partition(".")[0] for package in packages} & set(HEAVY)

    assert {name: heavy(name) for name in MODULES if not name.startswith(TORCH_SIDE) and heavy(name)} == {}


# --- what is loaded by the real thing


def loaded(code: str, *arguments: str) -> set[str]:
    """The modules that a fresh interpreter has after ``code``."""
    ending = "\nimport sys, json\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("COVERAGE", "PYTHONDEV"))}
    environment["PYTHONPATH"] = str(ROOT.parent)
    result = subprocess.run(
        [sys.executable, "-c", code + ending, *arguments],
        capture_output=True, text=True, timeout=60, env=environment, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return set(json.loads(result.stderr.splitlines()[-1]))


RUN = """
import sys
from convcost.cli import main
sys.argv[0] = "convcost"
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


def test_import_is_light():
    modules = loaded("import convcost")
    assert not modules & {*HEAVY, "rich", "yaml", "msgspec", "click"}


def test_an_analysis_is_light():
    """``fractions`` costs 5 ms to import, ``tempfile`` 4, sixty dataclasses 25."""
    modules = loaded("import convcost\nconvcost.analyze(convcost.load('resnet50')).to_json()")
    assert not modules & {*HEAVY, "rich", "click", "fractions", "dataclasses", "tempfile"}


def test_a_gpu_is_light():
    modules = loaded("from convcost.hardware import load_gpu\nload_gpu('h100')")
    assert not modules & {*HEAVY, "rich", "click", "difflib", "convcost.ops", "convcost.sources", "convcost.analysis"}


EVERY_NAME = "import convcost\nfor name in {names}:\n    assert getattr(convcost, name) is not None, name"
NEED_TORCH = {name for home, names in convcost._HOMES.items() if home.startswith(TORCH_SIDE) for name in names}


def test_public_names_that_need_torch_are_there():
    pytest.importorskip("torch")
    assert "torch" in loaded(EVERY_NAME.format(names=sorted(NEED_TORCH)))


def test_every_other_public_name_is_there_without_heavy_packages():
    modules = loaded(EVERY_NAME.format(names=sorted({*convcost.__all__} - NEED_TORCH)))
    assert not modules & {*HEAVY, "rich", "click"}
    assert set(convcost.__all__) <= set(dir(convcost))
    with pytest.raises(AttributeError, match="has no attribute 'analyse'"):
        _ = convcost.analyse


@pytest.mark.parametrize(
    "arguments",
    [
        ["analyze", "vgg16", "--format", "json"],
        ["analyze", "vit_b_16", "--format", "csv"],
        ["analyze", "vgg16", "--format", "markdown", "--convention", "fvcore"],
        ["explain", "vgg16", "conv1_1", "--format", "json"],
        ["list", "vgg", "--format", "json"],
        ["list", "--gpus", "--format", "csv"],
        ["compare", "vgg16", "resnet50", "--format", "json"],
        ["check", "--config", str(ROOT.parent / "pyproject.toml"), "--format", "json"],
        ["compare", "vgg16", "vgg19", "--layers", "--format", "markdown"],
        ["analyze", "vgg16", "--gpu", "h200", "--format", "json"],
    ],
)
def test_commands_are_light(arguments):
    """Neither JSON nor CSV nor Markdown loads the table's renderer."""
    modules = loaded(RUN, *arguments)
    assert not modules & {*HEAVY, "rich"}
    assert "convcost.render.formats.html_table" not in modules


def test_the_table_is_light_too():
    modules = loaded(RUN, "analyze", "vgg16")
    assert "rich" in modules
    assert not modules & {*HEAVY, "convcost.analysis.roofline", "convcost.hardware", "convcost.analysis.memory"}


@pytest.mark.parametrize("command", ["analyze", "explain", "list"])
def test_a_command_loads_no_other(command):
    modules = loaded(RUN, command, "--help")
    assert f"convcost.cli.{command}" in modules
    assert not {f"convcost.cli.{other}" for other in ("analyze", "explain", "list") if other != command} & modules
    assert "rich" not in modules


def test_help_loads_no_command():
    modules = loaded(RUN, "--help")
    assert "yaml" not in modules
    assert not {
        name
        for name in modules
        if name.startswith(("convcost.analysis", "convcost.sources", "convcost.spec", "convcost.ops"))
    }


@pytest.mark.parametrize("format", ["html", "markdown", "svg"])
def test_reports_are_light(format):
    """A page holds plotly.js, and its charts are made of dicts: plotly itself, a second to import, is not needed."""
    modules = loaded(RUN, "report", "vgg16", "--format", format, "-o", os.devnull)
    assert not modules & {*HEAVY, "rich"}


def test_no_command_imports_another():
    commands = {f"cli.{name}" for name in COMMANDS}
    assert commands <= set(MODULES)
    for name in commands:
        assert not set(own(name)) & (commands - {name}), name
