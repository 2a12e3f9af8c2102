"""What keeps the code pleasant to read: short files and functions, small folders, docstrings, nothing unused."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import convcost
from convcost.sources import shipped

ROOT = Path(convcost.__file__).parent
REPOSITORY = Path(__file__).resolve().parent.parent
PATHS = sorted(ROOT.rglob("*.py"))
LINES, FUNCTION_LINES, MEDIAN, FOLDER_FILES = 400, 60, 150, 25
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(text_of(path))


def broken(rule, paths=PATHS):
    """The files that break a rule: each with what ``rule`` says of it."""
    return {str(path.relative_to(ROOT)): said for path in paths if (said := rule(path))}


def test_modules_are_short():
    lengths = {path: len(text_of(path).splitlines()) for path in PATHS}
    assert broken(lambda path: lengths[path] > LINES and lengths[path]) == {}
    assert sorted(lengths.values())[len(lengths) // 2] <= MEDIAN


def test_functions_are_short():
    def long(path):
        functions = [node for node in ast.walk(parsed(path)) if isinstance(node, FUNCTIONS)]
        lengths = {node.name: node.end_lineno - node.lineno + 1 for node in functions}
        return {name: length for name, length in lengths.items() if length > FUNCTION_LINES}

    assert broken(long) == {}


def folders(root: Path) -> dict[Path, list[str]]:
    """The Python files of every folder below ``root``, by name without the suffix; ``__init__`` is none of them."""
    found: dict[Path, list[str]] = {}
    for path in sorted(root.rglob("*.py")):
        names = found.setdefault(path.parent, [])
        if not path.stem.startswith("__"):
            names.append(path.stem)
    return found


def test_folders_are_small():
    assert {str(folder): len(names) for folder, names in folders(ROOT).items() if len(names) > FOLDER_FILES} == {}


def shared_prefixes(names: list[str]) -> dict[str, int]:
    """First words that three or more files share, one of which may be the word alone: these want to be a folder."""
    words = Counter(name.partition("_")[0] for name in names)
    return {word: number for word, number in words.items() if number > 2}


def test_no_prefix_stands_for_a_folder():
    assert {str(folder): shared for folder, names in folders(ROOT).items() if (shared := shared_prefixes(names))} == {}
    assert shared_prefixes(["torch", "torch_a", "torch_b", "conv", "conv_transpose"]) == {"torch": 3}


def undocumented(path):
    """Public classes and functions without a docstring. What a method does may stand on the class it overrides."""
    named = [node for node in parsed(path).body if isinstance(node, (*FUNCTIONS, ast.ClassDef))]
    return [node.name for node in named if not node.name.startswith("_") and not ast.get_docstring(node)]


def test_public_names_have_docstrings():
    assert broken(undocumented) == {}


def test_modules_begin_with_a_line_that_says_what_they_are_for():
    """At least five words: fewer only repeat the file's name."""

    def terse(path):
        first = (ast.get_docstring(parsed(path)) or "").partition("\n")[0]
        return (first or "no docstring") if len(first.split()) < 5 else ""

    assert broken(terse) == {}


def test_docstrings_begin_with_a_sentence():
    def no_sentence(path):
        nodes = [node for node in ast.walk(parsed(path)) if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Module))]
        texts = [text for node in nodes if (text := ast.get_docstring(node))]
        return [text for text in texts if text.split("\n\n")[0].rstrip("\n")[-1] not in '.:"?']

    assert broken(no_sentence) == {}


def test_nothing_is_left_to_do():
    """Open ends belong in the tracker; measured sizes in bytes do not carry a bare name."""
    unwanted = re.compile(
        r"\b(?:TODO|FIXME|XXX|HACK)\b|\t|^\s*#.*\b(?:import|def|return|print)\b.*[(:=]\s*$",  # the last: code
        re.MULTILINE,
    )
    assert broken(lambda path: unwanted.findall(text_of(path))) == {}


def data_files():
    for pattern in ("*.csv", "*.yaml", "*.yml"):
        for path in REPOSITORY.rglob(pattern):
            parts = path.relative_to(REPOSITORY).parts
            if not any(part.startswith(".") or part in ("build", "dist", "venv") for part in parts):
                yield path


def test_every_data_file_is_used():
    """An architecture ships; golden tables and wrong specs are read by a pattern; anything else is named somewhere."""
    architectures = {Path(file).resolve() for file in shipped.files()}
    by_pattern = ("tests/golden_*.csv", "tests/spec/bad/*.yaml", "convcost/hardware/data/*.yaml")
    pages = [*REPOSITORY.glob("docs/*"), *REPOSITORY.glob("reports/*.md"), REPOSITORY / "README.md"]
    readers = [*REPOSITORY.glob("tests/**/*.py"), *REPOSITORY.glob("benchmarks/*.py"), *PATHS, *pages]
    texts = [reader.read_text(encoding="utf-8") for reader in readers if reader.is_file()]
    others = [x for x in data_files() if x.resolve() not in architectures and not any(map(x.match, by_pattern))]
    assert others
    assert [str(path) for path in others if not any(path.name in text for text in texts)] == []


def test_architectures_lie_in_one_folder():
    names = {Path(file).name for file in shipped.files()}
    folder = Path(shipped.folder())
    assert names == {path.name for path in folder.iterdir() if path.suffix in (".yaml", ".yml")}
    assert [path.name for path in folder.iterdir() if path.suffix != ".yaml"] == []
