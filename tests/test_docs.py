"""The documentation is true: generated parts are fresh, links lead somewhere, examples load."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from convcost import analyze, export, load
from convcost.cli.group import COMMANDS
from convcost.errors import SpecError
from convcost.ops import REGISTRY
from convcost.sources import shipped
from convcost.sources.load import graph_from_text
from convcost.spec import json_schema
from convcost.spec.parse import compile_spec
from convcost.yaml_reader import read
from support.pinned import other_versions

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / ".github" / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
LINK = re.compile(r"\[[^]]*\]\(([^)#\s]*)(#[^)\s]*)?\)")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- generated parts


def test_generated_parts_are_fresh(capsys):
    pytest.importorskip("torch", reason="pages show PyTorch modules")
    if others := other_versions("click", "rich", "msgspec", "pandas"):
        pytest.skip(f"generated with the versions of constraints.txt: {', '.join(others)}")
    status = generator().main(["--check"])
    assert status == 0, capsys.readouterr().err


def test_a_stale_page_is_noticed(monkeypatch, tmp_path, capsys):
    module = generator()
    stale = tmp_path / "page.md"
    stale.write_text("<!-- generated: convcost --version -->\nconvcost 0.0.0\n<!-- end -->\n")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "pages", lambda: [stale])
    (tmp_path / "convcost").mkdir()
    assert module.main(["--check"]) == 1
    assert "stale: page.md" in capsys.readouterr().err
    assert module.main([]) == 0
    assert "$ convcost --version\nconvcost " in stale.read_text()
    assert "0.0.0" not in stale.read_text()
    assert module.main(["--check"]) == 0


def test_every_command_and_op_is_described():
    reference = (ROOT / "docs" / "cli.md").read_text("utf-8")
    readme = (ROOT / "README.md").read_text("utf-8")
    ops = (ROOT / "docs" / "ops.md").read_text("utf-8")
    for command in COMMANDS:
        assert f"convcost {command}" in readme
        assert f"## convcost {command}\n" in reference
    for name in REGISTRY:
        assert f"`{name}`" in ops or name == "attention_softmax"


# --- links


def anchors(page: Path) -> set[str]:
    """The anchors that a code host makes of a page's headings."""
    text = FENCED.sub("", page.read_text("utf-8"))
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page):
    for target, anchor in LINK.findall(FENCED.sub("", page.read_text("utf-8"))):
        if "://" in target:
            continue
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor[1:] in anchors(there), f"{page.name} links to {target}{anchor}"


# --- examples


def example_specs() -> list[Any]:
    """Every YAML block that the shipped ops are enough for, as a whole spec."""
    found = []
    for name in ("spec-language.md", "tutorial.md", "../README.md"):
        text = (ROOT / "docs" / name).read_text("utf-8")
        for block in re.finditer(r"(<!-- file: (\S+) -->\n)?```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            body, wrong = block.group(3), (block.group(2) or "").startswith("wrong")
            line = text[: block.start()].count("\n") + 1
            if not wrong and re.search(r"^[^#\s]", body, re.MULTILINE):
                found.append(pytest.param(whole(body), id=f"{name}:{line}"))
    return found


def whole(body: str) -> str:
    """A part of a spec with what is missing to make it a spec."""
    if re.search(r"^name:", body, re.MULTILINE):
        return body
    if re.search(r"^layers:", body, re.MULTILINE):
        return f"name: example\ninput: [3, 64, 64]\n{body}"
    return "name: example\ninput: [3, 64, 64]\nlayers:\n" + "".join(f"  {line}\n" for line in body.splitlines())


@pytest.mark.parametrize("text", example_specs())
def test_examples_load(text):
    spec = compile_spec(read(text, "example.yaml"), "example.yaml")
    for variant in spec.variants or (None,):
        report = analyze(graph_from_text(text, "example.yaml", variant))
        assert report.totals.layers
        assert [v for v in report.published if v.verdict != "agrees"] == []


# --- the JSON Schema of specs

SCHEMA = json_schema.schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


class Core(yaml.SafeLoader):
    """YAML as language servers read it: 1.2, so that only true and false are truth values."""


Core.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("null", r"^(?:null|~|)$", ["n", "~", ""]),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
):
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))


def mistakes(text: str, loader: Any = Core) -> list[str]:
    return [f"{list(e.absolute_path)}: {e.message}" for e in VALIDATOR.iter_errors(yaml.load(text, loader))]


def test_schema_file_is_fresh_and_valid():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    shipped = json.loads((ROOT / "convcost" / "spec.schema.json").read_text("utf-8"))
    assert shipped == SCHEMA, "python docs/generate.py writes it"
    assert json.loads(json_schema.text()) == SCHEMA


@pytest.mark.parametrize("loader", [Core, yaml.BaseLoader], ids=["numbers", "words"])
@pytest.mark.parametrize("path", [pytest.param(p, id=Path(p).stem) for p in shipped.files()])
def test_schema_takes_every_shipped_spec(path, loader):
    assert mistakes(Path(path).read_text("utf-8"), loader) == []


@pytest.mark.parametrize("text", example_specs())
def test_schema_takes_the_examples(text):
    assert mistakes(text) == []


@pytest.mark.parametrize("name", ["resnet50", "inception_v3", "mobilenet_v3_large", "swin_t", "unet"])
def test_schema_takes_what_is_exported(name):
    assert mistakes(export(load(name))) == []


GOOD = "name: x\ninput: [3, 32, 32]\nlayers:\n"


@pytest.mark.parametrize(
    "text",
    [
        "name: x\nlayers: [relu]",
        "name: x\ninput: [3]\ninputs: {a: [3]}\nlayers: [relu]",
        "name: x\ninput: [3]\nlayer: [relu]",
        "name: two words\ninput: [3]\nlayers: [relu]",
        "name: x\ninput: [3]\nlayers: []",
        "name: x\ninput: [0, 32, 32]\nlayers: [relu]",
        "name: x\ninput: {shape: [3], dtype: float23}\nlayers: [relu]",
        "name: x\ninput: [3]\nlayers: [relu]\nblocks: {relu: [sigmoid]}",
        "name: x\ninput: [3]\nlayers: [relu]\nblocks: {block: {layer: [relu]}}",
        "name: x\ninput: [3]\nlayers: [relu]\nparameters: [{a: 1, b: 2}]",
        "name: x\ninput: [3]\nlayers: [relu]\nvariants: {a: {layers: [relu]}}",
        "name: x\ninput: [3]\nlayers: [relu]\npublished: [{quantity: parms, value: 1, source: table 1}]",
        "name: x\ninput: [3]\nlayers: [relu]\npublished: [{quantity: params, value: 1}]",
        *(
            f"{GOOD}  - {layer}"
            for layer in (
                "conv2d",
                "conv2d: 16",
                "conv2d: {out_channels: 16}",
                "conv2d: {out_channels: 16, kernel_sise: 3}",
                "conv2d: {out_channels: 0, kernel_size: 3}",
                "conv2d: {out_channels: 1.5, kernel_size: 3}",
                'conv2d: {out_channels: "${width}", kernel_size: 3}',
                "conv2d: {out_channels: 16, kernel_size: 3, bias: 1}",
                "conv2d: {out_channels: 16, kernel_size: {height: 3}}",
                "max_pool2d: 0",
                "sigmoid: 3",
                "dropout: 1.5",
                "gelu: {approximate: 2}",
                "[relu, sigmoid]",
                "{relu: {}, sigmoid: {}}",
                "{conv2d: {out_channels: 16, kernel_size: 3}, repaet: 2}",
                "{name: conv1}",
                "{relu: {}, name: 3}",
                "{relu: {}, repeat: -1}",
                "{relu: {}, first: {inplace: true}}",
                "{branches: [[relu], [sigmoid]]}",
                "{residual: [relu], split: {chunk: 2}}",
                "{relu: {}, projection: none}",
                "{relu: {}, merge: add}",
                "residual: relu",
            )
        ),
    ],
)
def test_schema_refuses(text):
    assert mistakes(text)
    with pytest.raises(SpecError):
        graph_from_text(text, "x.yaml")


def test_schema_describes_every_op():
    for name, cls in REGISTRY.items():
        if name != "attention_softmax":
            made = SCHEMA["$defs"][f"op_{name}"]
            assert made["description"].rstrip(".") in json_schema.first_sentence(cls)
            fields = made.get("properties", made.get("then", {}).get("properties"))
            assert list(fields) == list(cls.__struct_fields__)
