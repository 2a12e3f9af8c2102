"""Who may import whom. Data flows one way: sources -> graph -> analysis -> records -> render; nobody looks back."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import convcost

ROOT = Path(convcost.__file__).parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted(ROOT.rglob("*.py"))
    if "architectures" not in path.parts
}
PARTS = sorted({name.partition(".")[0] for name in MODULES})

# What each part may import at run time, itself left out; inside functions counts as well.
RUNTIME = {
    "errors": set(),
    "files": set(),
    "units": set(),
    "graph": {"errors"},
    "ops": {"errors", "units", "graph"},
    "yaml_reader": {"errors"},
    "notebook": {"render"},
    "hardware": {"errors", "yaml_reader"},
    "sources": {"errors", "units", "graph", "ops", "yaml_reader"},
    "analysis": {"errors", "units", "graph", "ops", "hardware", "notebook"},
    "profiles": {"errors", "files", "notebook", "analysis"},
    "measure": {"errors", "units", "graph", "ops", "hardware", "notebook", "sources", "analysis", "profiles"},
    "gate": {"errors", "units", "graph", "analysis", "profiles"},
    "render": {"errors", "units"},
    "assertion": {"errors", "graph", "sources", "analysis", "gate", "render"},
    "pytest_plugin": {"__init__"},
    "cli": {
        "errors",
        "files",
        "units",
        "graph",
        "ops",
        "sources",
        "hardware",
        "analysis",
        "gate",
        "measure",
        "profiles",
        "render",
    },
    "__main__": {"cli"},
    "__init__": set(),
}
# What it may name besides in annotations only (under TYPE_CHECKING).
TYPING = {
    "graph": {"ops.base"},  # a node has an op
    # what is shown
    "render": {
        "analysis.changes",
        "analysis.compare",
        "analysis.diff",
        "analysis.explain",
        "analysis.layers",
        "analysis.memory",
        "analysis.memory.fit",
        "analysis.quantities",
        "analysis.records",
        "analysis.roofline",
        "gate.records",
        "hardware.records",
        "measure.records",
        "ops.base",
        "profiles.figures",
        "profiles.measured",
        "profiles.records",
    },
    # public names, imported when first used
    "__init__": {"analysis", "assertion", "errors", "graph", "measure", "profiles", "sources"},
}
# Single looks upwards, each with its reason.
EXCEPTIONS = {
    ("__init__", "errors"): "a public name of PyTorch's side says what to install where torch is missing",
    ("analysis.records", "render.charts.figures"): "a notebook asks the record itself for its figures",
    ("analysis.compare", "render.charts.figures"): "as a comparison does",
    ("analysis.roofline", "render.charts.figures"): "and a roofline",
    ("analysis.json", "__init__"): "the version stands in the JSON",
    ("gate.check", "__init__"): "and in the lock",
    ("cli.group", "__init__"): "and behind --version",
    ("cli.validate", "__init__"): "and in the JSON of validations",
    ("cli.report", "__init__"): "and on a page",
    ("profiles.files", "__init__"): "and in a saved profile",
    ("cli.compare", "__init__"): "and on a page of several",
    ("sources.export.__init__", "__init__"): "and in the first line of a spec that it has written",
}
# What is PyTorch's from end to end: imported inside functions as a whole.
TORCH_SIDE = ("ops.twins", "sources.torch", "measure.")
HEAVY = ("torch", "torchvision", "pandas", "numpy", "plotly", "fvcore")


def imports(name: str):
    """(imported module, whether only for annotations) of a module of convcost; "render.table" for its own parts."""
    path = MODULES[name]
    package = list(path.relative_to(ROOT).parts[:-1])

    def visit(node: ast.AST, typing: bool):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, typing) for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.level == 0:
                yield child.module or "", typing
            elif isinstance(child, ast.ImportFrom):
                base = [*package[: len(package) - child.level + 1], *(child.module or "").split(".")]
                found = ".".join(filter(None, base))
                for alias in child.names:
                    inner = ".".join(filter(None, (found, alias.name)))
                    inside = inner in MODULES or f"{inner}.__init__" in MODULES
                    yield "convcost." + (inner if inside else found or "__init__"), typing
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                yield from visit(ast.Module(child.body, []), True)
                yield from visit(ast.Module(child.orelse, []), typing)
            else:
                yield from visit(child, typing)

    yield from visit(ast.parse(path.read_text(encoding="utf-8")), False)


def own(name: str):
    """The parts of convcost that a module imports."""
    for target, typing in imports(name):
        if target == "convcost":
            yield "__init__", typing
        elif target.startswith("convcost."):
            yield target.removeprefix("convcost."), typing


def test_the_table_is_complete():
    assert set(RUNTIME) == set(PARTS)


def test_the_scan_sees_imports():
    found = set(own("render.analysis"))
    assert ("units", False) in found
    assert ("analysis.records", True) in found
    assert ("render.sheet", False) in found
    assert ("render.charts.figures", False) in set(own("analysis.records"))
    assert ("pandas", False) in set(imports("analysis.frame"))


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name):
    part = name.partition(".")[0]
    wrong = []
    for target, typing in own(name):
        home = target.partition(".")[0]
        allowed = home == part or home in RUNTIME[part] or (name, target) in EXCEPTIONS
        if typing:
            allowed = allowed or {target, home} & TYPING.get(part, set())
        if not allowed:
            wrong.append(target)
    assert wrong == [], f"{name} must not import {wrong}"


def test_exceptions_are_still_needed():
    for name, target in EXCEPTIONS:
        assert target in {found for found, _ in own(name)}, (name, target)


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith(TORCH_SIDE)])
def test_heavy_packages_are_imported_inside_functions(name):
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    top = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    found = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module or "" for node in top if isinstance(node, ast.ImportFrom) and node.level == 0}
    assert not {package.partition(".")[0] for package in found} & set(HEAVY)


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


def test_every_public_name_is_there():
    code = "import convcost\nfor name in {names}:\n    assert getattr(convcost, name) is not None, name"
    torch_side = {name for home, names in convcost._HOMES.items() if home.startswith(TORCH_SIDE) for name in names}
    modules = loaded(code.format(names=sorted({*convcost.__all__} - torch_side)))
    assert not modules & {*HEAVY, "rich", "click"}
    assert "torch" in loaded(code.format(names=sorted(torch_side)))
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
    assert "convcost.render.html_table" not in modules


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
    assert not {name for name in modules if name.startswith(("convcost.analysis", "convcost.sources", "convcost.ops"))}


@pytest.mark.parametrize("format", ["html", "markdown", "svg"])
def test_reports_are_light(format):
    """A page holds plotly.js, and its charts are made of dicts: plotly itself, a second to import, is not needed."""
    modules = loaded(RUN, "report", "vgg16", "--format", format, "-o", os.devnull)
    assert not modules & {*HEAVY, "rich"}
