"""Text tables: whole numbers at 80 columns, colours on a terminal only, nothing cut off when piped."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len

import convcost
from convcost import Graph, Node, Tensor, analyze, fit, load, memory
from convcost.analysis.explain import explain
from convcost.graph import About
from convcost.hardware import shipped_gpus
from convcost.ops import make
from convcost.render import render
from convcost.render.documents.analysis import analysis_document
from convcost.render.documents.catalogue import catalogue_document, entry
from convcost.render.documents.explanation import explanation_document
from convcost.render.documents.fit import fit_document
from convcost.render.documents.gpus import gpus_document
from convcost.render.documents.memory import memory_document
from convcost.render.formats.terminal import show
from convcost.render.sheet import Column, Document, Line, Sheet
from convcost.sources.load import load_shipped
from support.networks import chain
from support.shown import ANSI, Terminal, shown


@pytest.fixture
def eighty(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")


def explained(name, layer, terminal):
    out = Terminal() if terminal else io.StringIO()
    render(explanation_document(explain(analyze(convcost.load(name)), layer)), "table", out)
    return out.getvalue()


def plain(text):
    return ANSI.sub("", text)


NAMES = ["vgg16", "resnet50", "googlenet", "unet", "vit_b_16", "swin_t", "lenet5", "alexnet_227_64", "efficientnet_b7"]


@pytest.mark.usefixtures("eighty")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("units", ["iec", "si", "raw"])
def test_fits_80_columns(name, units):
    report = analyze(convcost.load(name))
    text = plain(shown(report, "table", units, terminal=True))
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    assert "…" not in text, "nothing is left out"
    # Totals and exact figures stand whole.
    for value in (report.totals.params, report.totals.macs):
        printed = convcost.units.count(value, units)
        assert re.search(rf"(?<![0-9,.]){re.escape(printed)}(?![0-9,.])", text)
    for claim in report.published:
        if isinstance(claim.computed, int):
            assert f" {claim.computed:,} " in text
        assert f" {claim.verdict} " in text
    for group, sums in report.breakdown.items():
        if sums.layers:
            assert re.search(rf"^ ?{group} ", text, re.MULTILINE)


@pytest.mark.usefixtures("eighty")
@pytest.mark.parametrize(("name", "layer"), [("vgg16", "conv3_1"), ("resnet50", "conv5"), ("lenet5", "C3")])
def test_explanations_fit_80_columns(name, layer):
    text = plain(explained(name, layer, terminal=True))
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    for found in explain(analyze(convcost.load(name)), layer):
        for step in found.steps:
            if isinstance(step.value, int) and step.unit == "count":
                assert f" {step.value:,} " in text
            # Numbers are never broken, only the lines between them.
            for number in re.findall(r"[0-9][0-9,]*", step.substitution):
                assert number in text


@pytest.mark.usefixtures("eighty")
@pytest.mark.usefixtures("eighty")
def test_accounts_of_memory_fit_80_columns():
    training = memory(load("resnet152"), 32, checkpoint=True)
    accounts = [memory_document(training), memory_document(memory(load("densenet201"), mode="inference"))]
    fits = [fit(load("efficientnet_b7"), gpu.id) for gpu in shipped_gpus()]
    for shown_document in (*accounts, fit_document(fits), fit_document(fits[:1]), gpus_document(shipped_gpus())):
        out = Terminal()
        render(shown_document, "table", out)
        assert max(cell_len(line) for line in plain(out.getvalue()).splitlines()) <= 80


def test_the_catalogue_fits_80_columns():
    entries = [entry(analyze(graph)) for graph in load_shipped().values()]
    out = Terminal()
    render(catalogue_document(entries), "table", out)
    text = plain(out.getvalue())
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    assert all(found.name in text for found in entries)


@pytest.mark.usefixtures("eighty")
def test_too_many_columns_run_over():
    """Lines that the terminal breaks, and no number without its end."""
    report = analyze(convcost.load("vgg16"))
    columns = ("macs", "flops", "activation_bytes", "weight_bytes", "bytes_read", "bytes_written", "params")
    text = plain(shown(report, "table", "raw", terminal=True, columns=columns, depth=1))
    for quantity in columns:
        assert f"{getattr(report.totals, quantity):,}" in text
    assert "conv1_1 " in text


@pytest.mark.usefixtures("eighty")
def test_colours_on_a_terminal_only(monkeypatch):
    report = analyze(convcost.load("vgg16"))
    assert ANSI.search(shown(report, "table", terminal=True))
    assert not ANSI.search(shown(report, "table"))
    monkeypatch.setenv("NO_COLOR", "1")
    coloured = re.compile(r"\x1b\[[0-9;]*3[0-7]m")
    assert not coloured.search(shown(report, "table", terminal=True))


@pytest.mark.usefixtures("eighty")
def test_nothing_is_cut_when_piped():
    """The width of a terminal is no matter when nobody looks: names of any length are whole."""
    name = "block_" + "x" * 120
    nodes = [Node(name, make("relu", {}), ((-1, 0),))]
    about = About(name="long", title="A title " + "that goes on " * 40)
    report = analyze(Graph(nodes, [("x", Tensor((1, 3, 4, 4)))], about=about))
    text = shown(report, "table")
    assert name in text
    assert about.title in text
    assert "…" not in text


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("name", ["vgg16", "unet", "vit_b_16", "lenet5"])
def test_piped_tables_are_those_that_rich_draws(name, encoding, monkeypatch):
    """Without colours, and on a terminal that is wider than they are."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "4000")
    graph = load(name)
    report = analyze(graph)
    documents = [
        analysis_document(report), analysis_document(report, depth=1), memory_document(memory(graph)),
        fit_document([fit(graph, "t4")]), gpus_document(shipped_gpus()),
    ]  # fmt: skip
    for each in documents:
        piped = io.TextIOWrapper(io.BytesIO(), encoding)
        drawn = io.TextIOWrapper(io.BytesIO(), encoding)
        render(each, "table", piped)
        show(each, drawn, "iec")
        texts = []
        for out in (piped, drawn):
            out.seek(0)
            texts.append(ANSI.sub("", out.read()))
        assert texts[0] == texts[1]


def test_a_cell_stays_on_its_line():
    sheet = Sheet("", (Column("a", "A"), Column("b", "B", "plain")), (Line(("x\ry\nz", 1)), Line(("[b]", 22))))
    out = io.StringIO()
    render(Document((sheet,)), "table", out)
    assert out.getvalue().splitlines()[2:] == ["xy z   1 ", "[b]   22 "]


@pytest.mark.usefixtures("eighty")
def test_explanations_are_whole_when_piped():
    text = explained("vgg16", "conv3_1", terminal=False)
    assert "1 * 56 * 56 * 294,912" in text
    assert "924,844,032" in text


def test_bars():
    """A share is drawn in eighths of six characters; the smallest one above nothing still shows."""
    report = analyze(convcost.load("vgg16"))
    lines = shown(report, "table", columns=("params", "params%"), depth=1).splitlines()
    bars = {line.split()[0]: line.split()[2:] for line in lines if line.startswith(("conv1_1", "pool1", "fc6", "fc7"))}
    assert bars["fc6"] == ["████▌"], "102,764,544 / 138,357,544 of 48 eighths is 35.65"
    assert bars["conv1_1"] == ["▏"]
    assert bars["pool1"] == []


def test_bars_without_unicode():
    class Ascii(io.StringIO):
        encoding = "ascii"

    out = Ascii()
    render(analysis_document(analyze(chain((3, 8, 8), "linear: 4"))), "table", out)
    assert "######" in out.getvalue()
    assert "█" not in out.getvalue()
