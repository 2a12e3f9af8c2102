"""The schemes of SOURCE: one table for loading, completion and help; a made-up one works everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import convcost
from convcost import SourceError
from convcost.cli.group import cli
from convcost.sources.load import completions
from convcost.sources.schemes import FACTORY, SCHEMES, Scheme, module_of, scheme_of

DOCS = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
SPEC = b"name: made_up\ninput: [3, 8, 8]\nlayers: [{linear: 5}]\n"


@pytest.mark.parametrize("scheme", [*SCHEMES.values(), FACTORY], ids=lambda scheme: scheme.form)
def test_every_form_is_in_the_help(scheme):
    for text in (cli.help, convcost.load.__doc__, DOCS):
        assert scheme.form in " ".join((text or "").split())


def test_a_row_gives_a_module_or_a_content():
    for word, scheme in SCHEMES.items():
        assert (scheme.module is None) != (scheme.content is None)
        assert scheme.form.startswith(f"{word}:")


def test_which_sources_have_a_scheme():
    assert scheme_of("git:HEAD:net.yaml") is SCHEMES["git"]
    for source in ("git", "net.yaml", "vgg16", "mine:factory", "torchvision.models:resnet18"):
        assert scheme_of(source) is None


def test_a_spec_is_no_module():
    with pytest.raises(SourceError, match=r"git:HEAD:net\.yaml is not a PyTorch module"):
        module_of("git:HEAD:net.yaml")


@pytest.fixture
def made_up(monkeypatch):
    """``mine:NAME``, a spec from wherever somebody keeps theirs."""
    monkeypatch.setitem(SCHEMES, "mine", Scheme("mine:NAME", "a spec of mine", content=lambda text: (SPEC, text, "")))


def test_a_made_up_scheme_loads(made_up):
    assert convcost.analyze(convcost.load("mine:anything")).totals.params == 8 * 5 + 5


def test_a_made_up_scheme_is_completed(made_up):
    assert list(completions("min")) == [("mine:", "a spec of mine: mine:NAME")]


def test_a_made_up_scheme_on_the_command_line(made_up):
    from click.testing import CliRunner

    result = CliRunner().invoke(cli, ["analyze", "mine:anything", "--format", "json"])
    assert json.loads(result.stdout)["totals"]["params"] == 45


def test_completion(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.yaml").write_text("name: n\ninput: [3]\nvariants:\n  a1: {}\n  b2: {}\n", encoding="utf-8")
    assert list(completions("net.yaml@a")) == [("net.yaml@a1", "variant")]
    assert dict(completions("git"))["git:"] == "a spec in a git revision: git:REV:PATH"
    assert dict(completions("lenet"))["lenet5"] == "lenet5.yaml"
