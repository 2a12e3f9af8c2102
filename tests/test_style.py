"""What keeps the code pleasant to read: short files and functions, docstrings, nothing that nobody uses."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import convcost
from convcost.sources import shipped

ROOT = Path(convcost.__file__).parent
REPOSITORY = Path(__file__).resolve().parent.parent
PATHS = sorted(ROOT.rglob("*.py"))
FILES = [pytest.param(path, id=str(path.relative_to(ROOT))) for path in PATHS]
LINES, FUNCTION_LINES, MEDIAN = 400, 60, 150
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES)
def test_modules_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LINES


def test_most_modules_are_shorter():
    lengths = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in PATHS)
    assert lengths[len(lengths) // 2] <= MEDIAN


@pytest.mark.parametrize("path", FILES)
def test_functions_are_short(path):
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(parsed(path))
        if isinstance(node, FUNCTIONS) and node.end_lineno - node.lineno + 1 > FUNCTION_LINES
    }
    assert long == {}


def undocumented(tree):
    """Public classes and functions without a docstring. What a method does may stand on the class it overrides."""
    for node in tree.body:
        named = isinstance(node, (*FUNCTIONS, ast.ClassDef)) and not node.name.startswith("_")
        if named and not ast.get_docstring(node):
            yield node.name


@pytest.mark.parametrize("path", FILES)
def test_modules_and_public_names_have_docstrings(path):
    tree = parsed(path)
    assert ast.get_docstring(tree)
    assert list(undocumented(tree)) == []


@pytest.mark.parametrize("path", FILES)
def test_docstrings_begin_with_a_sentence(path):
    for node in ast.walk(parsed(path)):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Module)):
            text = ast.get_docstring(node)
            if text:
                assert text.split("\n\n")[0].rstrip("\n")[-1] in '.:"?', (getattr(node, "name", path.name), text)


@pytest.mark.parametrize("path", FILES)
def test_nothing_is_left_to_do(path):
    """Open ends belong in the tracker; measured sizes in bytes do not carry a bare name."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)
    assert "\t" not in text
    assert not re.search(r"^\s*#.*\b(import|def|return|print)\b.*[(:=]\s*$", text, re.MULTILINE), "code in a comment"


def data_files():
    for pattern in ("*.csv", "*.yaml", "*.yml"):
        for path in REPOSITORY.rglob(pattern):
            parts = path.relative_to(REPOSITORY).parts
            if not any(part.startswith(".") or part in ("build", "dist", "venv") for part in parts):
                yield path


@pytest.mark.parametrize("path", sorted(data_files()), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_data_file_is_used(path):
    """An architecture ships; golden tables and wrong specs are read by a pattern; anything else is named somewhere."""
    architectures = {Path(file).resolve() for file in shipped.files()}
    by_pattern = ("tests/golden_*.csv", "tests/spec/bad/*.yaml", "convcost/hardware/data/*.yaml")
    if path.resolve() in architectures or any(map(path.match, by_pattern)):
        return
    pages = [*REPOSITORY.glob("docs/*"), *REPOSITORY.glob("reports/*.md"), REPOSITORY / "README.md"]
    readers = [*REPOSITORY.glob("tests/**/*.py"), *REPOSITORY.glob("benchmarks/*.py"), *PATHS, *pages]
    texts = [reader.read_text(encoding="utf-8") for reader in readers if reader.is_file()]
    assert any(path.name in text for text in texts)


def test_architectures_lie_in_one_folder():
    names = {Path(file).name for file in shipped.files()}
    folder = Path(shipped.folder())
    assert names == {path.name for path in folder.iterdir() if path.suffix in (".yaml", ".yml")}
    assert [path.name for path in folder.iterdir() if path.suffix != ".yaml"] == []
