"""``convcost report``: pages, Markdown and pictures as files."""

from __future__ import annotations

import json
import os
import sys

import pytest

import convcost.render.page.plotly_js  # a function of this name hides the module
from convcost import analyze, load, memory
from convcost.cli.output import opened
from convcost.pages import network_records
from convcost.render.charts import charts_of
from convcost.render.page import shell
from support.shown import html_tables, markdown_rows

pytest.importorskip("plotly", reason="pages need plotly")

SOURCES = {"vgg16": 6, "resnet152": 6, "densenet201": 6, "efficientnet_b7": 6, "swin_t": 6}


@pytest.mark.parametrize("name", SOURCES)
def test_a_page_is_small_enough(run, tmp_path, name):
    page = tmp_path / "page.html"
    assert run("report", name, "-o", str(page)) == (0, "", "")
    assert page.stat().st_size < SOURCES[name] * 10**6


def test_a_comparison_of_many_is_small_enough(run, tmp_path):
    page = tmp_path / "page.html"
    names = ["alexnet", "vgg16", "googlenet", "resnet50", "resnet152", "densenet201", "mobilenet_v2", "efficientnet_b7"]
    assert run("report", *names, "-o", str(page)) == (0, "", "")
    assert page.stat().st_size < 8 * 10**6


def test_plotly_js_is_there_once_and_nothing_is_loaded(run, tmp_path):
    page = tmp_path / "page.html"
    run("report", "lenet5", "-o", str(page))
    text = page.read_text("utf-8")
    assert text.count("* plotly.js v") == 1
    own = text.replace(text[text.rindex("<script>/**") : text.rindex("</script>")], "")
    assert " src=" not in own
    assert "<link" not in own
    assert "default-src 'none'" in own


def test_the_page_names_the_command_that_makes_it(run, tmp_path):
    page = tmp_path / "a page.html"
    options = ["--batch", "2", "--input", "3x192x192", "--dtype", "amp-bf16", "--train", "--convention", "paper"]
    assert run("report", "resnet18", *options, "-o", str(page)).status == 0
    first = page.read_text("utf-8")
    command = f"convcost report resnet18 {' '.join(options)} -o 'a page.html'"
    assert f'<code id="command">{command.replace(chr(39), "&#x27;")}</code>' in first
    assert "In the convention paper: " in first
    again = run("report", "resnet18", *options, "-o", str(tmp_path / "a page.html"))
    assert again.status == 0
    assert page.read_text("utf-8") == first


def test_analyze_makes_the_same_page(run, tmp_path):
    one, other = tmp_path / "page.html", tmp_path / "folder" / "page.html"
    other.parent.mkdir()
    run("report", "vgg16", "--batch", "4", "-o", str(one))
    assert run("analyze", "vgg16", "--batch", "4", "--format", "html", "-o", str(other)) == (0, "", "")
    assert one.read_text("utf-8") == other.read_text("utf-8")
    assert "apply to the table" in run("analyze", "vgg16", "--format", "html", "--top", "3").err


@pytest.mark.parametrize("train", [False, True])
def test_memory_over_time_of_both_modes(train):
    """The mode that was asked for stands first."""
    report = analyze(load("resnet18"), batch=4, train=train)
    chart = next(chart for chart in charts_of(network_records(report)) if chart.key == "memory")
    modes = ["inference", "train"]
    expected = [memory(load("resnet18"), 4, mode=mode).peak_bytes for mode in modes]
    peaks = [view.traces[-1]["y"][0] for view in chart.views]
    labels = [view.label for view in chart.views]
    assert (peaks, labels) == (
        (expected[::-1], ["training step with AdamW", "inference"]) if train
        else (expected, ["inference", "training step with AdamW"])
    )  # fmt: skip


def test_a_module_captured_in_one_mode_has_memory_of_that_one():
    torch = pytest.importorskip("torch")
    report = analyze(convcost.capture(torch.nn.Conv2d(3, 4, 3).eval(), torch.zeros(1, 3, 8, 8)))
    chart = next(chart for chart in charts_of(network_records(report)) if chart.key == "memory")
    assert chart.note.startswith("Inference: peak memory ")
    assert "Not shown, training step with AdamW: Conv2d was captured in eval mode" in chart.note


def test_the_page_without_a_script_has_the_sums(run, tmp_path):
    page = tmp_path / "page.html"
    run("report", "vgg16", "-o", str(page))
    text = page.read_text("utf-8")
    report = analyze(load("vgg16"))
    body = text[text.index("<body>") : text.index('<script type="application/json"')]
    start = body.index('<table class="groups">')
    (groups,) = html_tables(body[start : body.index("</table>", start) + len("</table>")])
    assert [row[0] for row in groups[1:]] == ["conv", "fc", "activation", "pool", "other", "total"]
    for verdict in report.published:
        assert verdict.note is None or verdict.note.replace("'", "&#x27;") in body


def test_markdown(run, tmp_path):
    result = run("report", "vgg16", "--format", "markdown")
    assert result.status == 0
    assert result.out.startswith("# VGG-16 (D)\n\n**VGG-16 (D): 138.36M parameters")
    assert markdown_rows(result.out) == markdown_rows(run("analyze", "vgg16", "--format", "markdown").out)
    assert result.out.endswith("```console\n$ convcost report vgg16 --format markdown -o report.md\n```\n")
    several = run("report", "vgg16", "alexnet", "-f", "markdown", "-o", str(tmp_path / "both.md"))
    assert several == (0, "", "")
    text = (tmp_path / "both.md").read_text("utf-8")
    assert [row[0] for row in markdown_rows(text)] == ["vgg16", "alexnet"]
    assert "$ convcost report vgg16 alexnet --format markdown -o both.md" in text


def test_a_picture(run):
    result = run("report", "vgg16", "-f", "svg")
    assert result.status == 0
    assert result.out.startswith("<svg ")
    assert run("report", "vgg16", "-f", "svg", "--chart", "layers") == result
    assert "89.4%" in run("report", "vgg16", "-f", "svg", "--chart", "split").out


@pytest.mark.parametrize("chart", ["bubble", "depth", "totals"])
def test_a_picture_of_several(run, chart):
    result = run("report", "vgg16", "resnet50", "alexnet", "-f", "svg", "--chart", chart)
    assert result.status == 0
    assert result.out.startswith("<svg ")
    assert "resnet50" in result.out
    default = run("report", "vgg16", "resnet50", "alexnet", "-f", "svg")
    assert (default == result) == (chart == "bubble")


def test_pictures_that_cannot_be(run):
    result = run("report", "vgg16", "-f", "svg", "--chart", "depth")
    assert result.status == 2
    assert "no picture depth of one network (allowed: layers, split)" in result.err
    result = run("report", "vgg16", "alexnet", "-f", "svg", "--chart", "layers")
    assert "no picture layers of several networks (allowed: bubble, depth, totals)" in result.err
    # Neither has a published error.
    result = run("report", "unet", "mnist_mlp", "-f", "svg")
    assert result.status == 2
    assert "no picture of unet, mnist_mlp: fewer than two of these networks have a published error" in result.err
    assert "--chart chooses a picture: it needs --format svg" in run("report", "vgg16", "--chart", "split").err


def test_a_folder_gets_pages_and_an_index(run, tmp_path):
    folder = tmp_path / "new" / ""
    assert run("report", "vgg16", "alexnet", "-o", f"{folder}{os.sep}").status == 0
    assert sorted(path.name for path in folder.iterdir()) == ["alexnet.html", "index.html", "vgg16.html"]
    index = (folder / "index.html").read_text("utf-8")
    assert '<a href="alexnet.html">alexnet</a>' in index
    assert run("report", "vgg16", "lenet5", "-f", "markdown", "-o", str(tmp_path)).status == 0
    assert "[vgg16](vgg16.md)" in (tmp_path / "index.md").read_text("utf-8")
    twice = run("report", "vgg16", "vgg16", "-o", str(tmp_path))
    assert twice.status == 2
    assert "two of the sources would be written to vgg16.html" in twice.err


def test_pages_may_share_their_scripts(run, tmp_path):
    page = tmp_path / "page.html"
    assert run("report", "vgg16", "--assets", "lib", "-o", str(page)) == (0, "", "")
    text = page.read_text("utf-8")
    assert '<script src="lib/plotly.min.js"></script>' in text
    assert len(text) < 10**5
    assert sorted(path.name for path in (tmp_path / "lib").iterdir()) == ["page.css", "page.js", "plotly.min.js"]
    assert run("report", "vgg16", "alexnet", "--assets", "lib", "-o", f"{tmp_path}{os.sep}").status == 0
    assert 'href="lib/page.css"' in (tmp_path / "index.html").read_text("utf-8")
    assert run("report", "vgg16", "--assets", "lib").status == 2


# --- what can go wrong


def write_half(page):
    with opened(str(page)) as out:
        out.write("half of a page")
        out.flush()
        raise RuntimeError("the disk is full")


def test_files_are_replaced_at_once_or_not_at_all(run, tmp_path, monkeypatch):
    """Whether the page cannot be made or the disk is full half way: what was there is there still, and nothing else."""
    page = tmp_path / "page.html"
    page.write_text("old")
    monkeypatch.setattr(shell, "asset", lambda name: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("report", "lenet5", "-o", str(page))
    with pytest.raises(RuntimeError):
        write_half(page)
    assert page.read_text() == "old"
    assert list(tmp_path.iterdir()) == [page]
    monkeypatch.undo()
    assert run("report", "lenet5", "-o", str(page)).status == 0
    assert page.read_text("utf-8").endswith("</html>\n")


def test_an_output_that_cannot_be_written(run, tmp_path):
    result = run("report", "lenet5", "-o", str(tmp_path / "missing" / "page.html"))
    assert result.status == 2
    assert "cannot write" in result.err
    assert "No such file or directory" in result.err
    (tmp_path / "file").write_text("")
    result = run("report", "lenet5", "-o", f"{tmp_path / 'file'}{os.sep}")
    assert result.status == 2
    assert "cannot make the folder" in result.err


def test_without_plotly_it_says_what_to_install(run, monkeypatch, tmp_path):
    monkeypatch.setattr(sys.modules["convcost.render.page.plotly_js"], "find_spec", lambda name: None)
    result = run("report", "lenet5", "-o", str(tmp_path / "page.html"))
    assert result.status == 2
    assert 'pip install "convcost[charts]"' in result.err
    assert not list(tmp_path.iterdir())
    assert run("report", "lenet5", "--format", "markdown").status == 0


@pytest.mark.parametrize("command", [["report", "lenet5"], ["analyze", "lenet5", "--format", "html"]])
def test_a_page_is_not_for_a_terminal(run, monkeypatch, command):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    result = run(*command)
    assert result.status == 2
    assert result.out == ""
    assert "-o page.html" in result.err
    monkeypatch.undo()
    assert run(*command).out.startswith("<!doctype html>")


def test_an_unknown_source(run):
    result = run("report", "vgg16", "vgg61")
    assert result.status == 2
    assert "'vgg16'?" in result.err


def test_data_of_a_page_is_json(run, tmp_path):
    page = tmp_path / "page.html"
    run("report", "densenet121", "-o", str(page))
    text = page.read_text("utf-8")
    start = text.index('id="data">') + len('id="data">')
    data = json.loads(text[start : text.index("</script>", start)])
    report = analyze(load("densenet121"))
    raw = data["numbers"]["raw"]
    for key in ("params", "macs", "flops", "activation_bytes"):
        assert [int(raw[place]) for place in data["layers"][key]] == [getattr(layer, key) for layer in report.layers]
    assert data["layers"]["name"] == [layer.name for layer in report.layers]
