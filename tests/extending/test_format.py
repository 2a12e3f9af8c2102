"""A format from outside of the package: one call registers it, and every command that has its form offers it."""

from __future__ import annotations

import io
import json

import pytest
from click.testing import CliRunner

from convcost.cli.group import cli
from convcost.errors import UsageError
from convcost.render.formats import FORMATS, register_format
from convcost.render.sheet import Paragraph, Sheet

SHOWN = (
    "analyze lenet5", "compare lenet5 alexnet", "compare lenet5 alexnet --layers", "list lenet", "list --gpus t4",
    "explain lenet5 C1", "fit lenet5 --gpu t4",
)  # fmt: skip


def invoke(words):
    return CliRunner().invoke(cli, words.split())


@pytest.fixture
def formats():
    """The table as it is, which is put back afterwards."""
    before = dict(FORMATS)
    yield FORMATS
    FORMATS.clear()
    FORMATS.update(before)


@pytest.fixture
def counted(formats):
    """A made-up format of documents: how many sentences and how many lines of tables there are."""

    def render(document, out, units):
        sentences = sum(isinstance(part, Paragraph) for part in document.parts)
        lines = sum(len(part.lines) for part in document.parts if isinstance(part, Sheet))
        out.write(f"{sentences} sentences, {lines} lines, {units}\n")

    register_format("counted", render)


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("words", SHOWN)
def test_every_command_that_shows_documents_offers_it(words):
    result = invoke(f"{words} --format counted --units si")
    assert result.exit_code == 0, result.output
    assert result.output.endswith(" lines, si\n")
    assert not result.output.startswith("0 ")
    assert "|counted" in invoke(f"{words.split()[0]} --help").output.replace("\n", "").replace(" ", "")


@pytest.mark.usefixtures("counted")
def test_its_lines_are_those_of_the_table():
    """LeNet-5's C1 has seven steps: its arithmetic is one sentence and a table."""
    rows = json.loads(invoke("explain lenet5 C1 --format json").output)["layers"][0]["steps"]
    assert invoke("explain lenet5 C1 -f counted").output == f"1 sentences, {len(rows)} lines, iec\n"


@pytest.mark.usefixtures("counted")
def test_it_is_written_to_a_file(tmp_path):
    path = tmp_path / "out.txt"
    assert invoke(f"explain lenet5 C1 -f counted -o {path}").exit_code == 0
    assert path.read_text() == invoke("explain lenet5 C1 -f counted").output


@pytest.mark.usefixtures("counted")
def test_what_cannot_be_shown_in_it_does_not_offer_it():
    """A spec is no document; and ``report`` writes files, which need a suffix."""
    for words in ("export lenet5", "report lenet5"):
        result = invoke(f"{words} --format counted")
        assert result.exit_code == 2
        assert "'counted' is not one of" in result.output


def test_with_a_suffix_report_writes_its_files(formats, tmp_path):
    def render(document, out, units):
        out.write(f"{document.parts[0].text}\n{document.parts[-1].text}\n")

    register_format("plain", render, suffix=".txt")
    assert invoke(f"report lenet5 alexnet -f plain -o {tmp_path}").exit_code == 0
    title, command = (tmp_path / "lenet5.txt").read_text().splitlines()
    assert title == "LeNet-5 (1998)"
    assert command == "convcost report lenet5 --format plain -o lenet5.txt"
    assert {path.name for path in tmp_path.iterdir()} == {"lenet5.txt", "alexnet.txt", "index.md"}


def test_a_format_of_what_json_holds(formats):
    def render(content, out, units):
        found = content if isinstance(content, dict) else content.to_dict()
        out.write(" ".join(found) + "\n")

    register_format("keys", render, form="content")
    assert "totals" in invoke("analyze lenet5 -f keys").output.split()
    assert invoke("list --gpus -f keys").output == "schema gpus\n"
    assert "networks" in invoke("compare lenet5 alexnet -f keys").output.split()


def test_once_it_is_gone_it_is_not_offered():
    result = invoke("analyze lenet5 --format counted")
    assert result.exit_code == 2
    assert "'counted' is not one of 'table', 'markdown', 'json', 'csv', 'html'" in " ".join(result.output.split())


def test_an_unknown_form(formats):
    with pytest.raises(UsageError, match=r"unknown form 'documents'; did you mean 'document'"):
        register_format("x", lambda shown, out, units: None, form="documents")
    assert "x" not in formats


@pytest.mark.parametrize(("name", "shown"), [("html", "<p>"), ("svg", "<svg/>")])
def test_pages_and_pictures_are_written_as_they_are(name, shown):
    out = io.StringIO()
    FORMATS[name].render(shown, out)
    assert out.getvalue() == shown
