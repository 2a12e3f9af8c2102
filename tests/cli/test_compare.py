"""``convcost compare``: tables, diffs, and git revisions as sources."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from support.shown import csv_rows, html_tables

SPEC = """name: net
title: My network
input: [3, 32, 32]
layers:
  - {conv2d: {out_channels: 8, kernel_size: 11, padding: 5}, name: conv1}
  - relu_
  - flatten
  - {linear: 10, name: fc}
"""


def test_table(run):
    result = run("compare", "alexnet_2012", "zfnet", "vgg19", "googlenet", "resnet152")
    assert (result.status, result.err) == (0, "")
    rows = {line.split()[0]: line.split() for line in result.out.splitlines()[2:7]}
    assert rows["resnet152"] == ["resnet152", "152", "60.19M", "11.51G", "23.15G", "172.85", "MiB", "21.43%", "5.71%"]
    assert rows["googlenet"][-1] == "10.07%"
    assert "Relative to alexnet_2012" in result.out
    assert (
        "Published errors of resnet152 on ImageNet: table 3, ten crops, validation; 3.57% with six networks."
        in result.out
    )


def test_memory_and_batches(run):
    lines = run("compare", "vgg16", "resnet50", "--gpu", "h200").out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.split() == ["Memory"])
    assert lines[start + 1].split("  ")[0] == "Network"
    row = next(line.split() for line in lines[start:] if line.startswith("vgg16"))
    assert row[1:3] == ["527.79", "MiB"], "138,357,544 floats"
    assert row[-2].isdigit()
    assert int(row[-2]) > int(row[-1]) > 0


def test_it_fits_a_terminal(shell):
    out = shell("convcost compare alexnet_2012 vgg19 resnet152", COLUMNS="80", FORCE_COLOR="1").out
    assert "\x1b[1;32m" in out, "the best stands out"
    plain = shell("convcost compare alexnet_2012 vgg19 resnet152", COLUMNS="80", FORCE_COLOR="1", NO_COLOR="1").out
    assert max(len(line.rstrip()) for line in re.sub(r"\x1b\[[0-9;]*m", "", plain).splitlines()) <= 80


def test_markdown_marks_the_best(run):
    out = run("compare", "vgg16", "resnet50", "-f", "markdown").out
    assert "| resnet50 | 50 | **25.56M** | **4.09G** |" in out


def test_csv(run):
    out = run("compare", "vgg16", "resnet50", "-f", "csv", "--sort", "params").out
    heading, *rows = [out.splitlines()[0].split(","), *csv_rows(out)]
    found = dict(zip(heading, rows[0], strict=True))
    assert found["name"] == "resnet50"
    assert (found["params"], found["macs"], found["top1_error"]) == ("25557032", "4089184256", "22.85")
    assert found["fc_params"] == str(2048 * 1000 + 1000)
    assert found["accuracy_dataset"] == "ImageNet"


def test_json(run):
    found = json.loads(run("compare", "vgg16", "--batch", "4", "-f", "json").out)
    assert found["networks"][0]["settings"]["batch"] == 4
    assert found["networks"][0]["figures"]["macs"] == 4 * 15_470_264_320


def test_one_that_fails_stops_only_itself(run):
    result = run("compare", "vgg16", "vgg61", "resnet50")
    assert result.status == 2
    assert result.err.count("\n") == 1
    assert "no architecture called 'vgg61'" in result.err
    assert "vgg16" in result.out
    assert "resnet50" in result.out
    alone = run("compare", "vgg61")
    assert (alone.status, alone.out) == (2, "")


def test_layers(run):
    out = run("compare", "vgg16", "vgg19", "--layers").out
    lines = [line.split() for line in out.splitlines() if line.startswith(("inserted", "removed", "changed", "moved"))]
    assert [line[:4] for line in lines] == [["inserted", f"conv{k}_4", "conv2d,", "relu"] for k in (3, 4, 5)]
    assert "39 layers are identical." in out


def test_equal_blocks_in_a_row_are_one_line(run):
    out = run("compare", "resnet50", "resnet101", "--layers").out
    (line,) = [line for line in out.splitlines() if line.startswith("inserted")]
    assert "conv4_7 ... conv4_23" in line
    assert "17 blocks, each 3 conv2d, 3 batch_norm2d, 3 relu, add" in line
    assert "+18.99M" in line
    verbose = run("compare", "resnet50", "resnet101", "--layers", "--verbose").out
    assert sum(line.startswith("inserted") for line in verbose.splitlines()) == 170


def test_fields_of_layers(run):
    out = run("compare", "alexnet_cs231n", "zfnet_1024", "--layers", "-f", "markdown").out
    assert "| changed | conv1 | kernel\\_size 11 -\\> 7, stride 4 -\\> 2, padding 0 -\\> 1 | -20.74K |" in out
    assert "| resized | fc6 | in\\_features 9216 -\\> 18432 | +37.75M |" in out
    assert "| params | 62,378,344 | 107,627,624 | +45,249,280 | 1.73x |" in out


@pytest.mark.parametrize("pair", [("alexnet_cs231n", "zfnet_1024"), ("densenet121", "densenet169"), ("vgg16", "unet")])
def test_lines_add_up_to_the_total(run, pair):
    """The lines that are shown, those that are folded and those that are cut off."""
    rows = []
    for line in run("compare", *pair, "--layers", "--units", "raw", "-f", "markdown").out.splitlines():
        cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
        if len(cells) == 6 and cells[3].lstrip("+-").replace(",", "").isdigit():
            rows.append([int(cell.replace(",", "")) for cell in cells[3:]])
    *lines, total = rows
    assert [sum(column) for column in zip(*lines, strict=True)] == total


def test_layers_as_csv_and_json(run):
    rows = csv_rows(run("compare", "vgg16", "vgg19", "--layers", "-f", "csv").out)
    assert [row[0] for row in rows] == ["inserted"] * 6
    found = json.loads(run("compare", "vgg16", "vgg19", "--layers", "-f", "json").out)
    assert len(found["changes"]) == 6


def body(text):
    return text[text.index("<main") : text.index("</main>") + len("</main>")]


def test_page(run, tmp_path):
    """The page of ``report``, in the order and with the tables of the comparison."""
    pytest.importorskip("plotly")
    page = tmp_path / "page.html"
    options = ("--sort", "macs", "--gpu", "rtx4090", "--relative-to", "best", "-f", "html", "-o", str(page))
    assert run("compare", "vgg16", "mobilenet_v2", *options) == (0, "", "")
    text = page.read_text("utf-8")
    side, memory, ratios, split = html_tables(body(text))[:4]
    assert [row[0] for row in side] == ["Network", "mobilenet_v2", "vgg16"]
    shown = [line.split()[-1] for line in run("compare", "mobilenet_v2", "vgg16", "--gpu", "rtx4090").out.splitlines()
             if line.startswith(("mobilenet_v2", "vgg16"))][2:4]  # fmt: skip
    assert [row[-1] for row in memory[1:]] == shown
    assert ratios[1][1:] == ["1x"] * 5
    assert split[2][1:3] == ["10.6%", "89.4%"]
    assert text.count('<td class="best">') >= 4
    command = re.search("convcost compare vgg16 mobilenet_v2 --relative-to best [^<]*", text)
    assert command
    before = page.read_bytes()
    assert run(*command.group().split()[1:-1], str(page)).status == 0
    assert page.read_bytes() == before


def test_page_of_layers(run, tmp_path):
    page = tmp_path / "page.html"
    assert run("compare", "vgg16", "vgg19", "--layers", "-f", "html", "-o", str(page)) == (0, "", "")
    text = page.read_text("utf-8")
    changes, totals = html_tables(body(text))
    assert [row[:3] for row in changes[1:-1]] == [["inserted", f"conv{k}_4", "conv2d, relu"] for k in (3, 4, 5)]
    added = [512 * 512 * 9 + 512, 256 * 256 * 9 + 256]
    assert f'<data value="{2 * added[0] + added[1]}" title="+{2 * added[0] + added[1]:,}">+5.31M</data>' in text
    assert ["depth", "16", "19", "+3", "1.19x"] in totals
    assert len(text) < 100_000  # plotly.js would be five million
    assert "no layer differs" in run("compare", "vgg16", "vgg16", "--layers", "-f", "html").out


def test_a_page_is_not_for_a_terminal(run, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    for more in ([], ["--layers"]):
        result = run("compare", "vgg16", "vgg19", "-f", "html", *more)
        assert (result.status, result.out) == (2, "")
        assert "an HTML page cannot be written to a terminal" in result.err


def test_a_page_without_one_that_fails(run, tmp_path):
    pytest.importorskip("plotly")
    page = tmp_path / "page.html"
    result = run("compare", "vgg16", "vgg161", "-f", "html", "-o", str(page))
    assert result.status == 2
    assert "no architecture called 'vgg161'" in result.err
    assert "vgg16" in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["vgg16", "--layers"], "--layers takes two sources, the old one and the new one, not 1"),
        (["vgg16", "vgg19", "--layers", "--gpu", "h200"], "are for the table, not for --layers"),
        (["vgg16", "--gpu", "h20"], "unknown GPU 'h20'; did you mean 'h200'"),
        (["vgg16", "vgg19", "--verbose"], "--verbose goes with --layers"),
        (["vgg16", "--relative-to", "vgg19"], "cannot compare with 'vgg19'"),
        (["vgg16", "--sort", "parms"], "Invalid value for '--sort'"),
        ([], "Missing argument 'SOURCE...'"),
    ],
)
def test_wrong_use(run, arguments, message):
    result = run("compare", *arguments)
    assert result.status == 2
    assert message in result.err


# --- git


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with two versions of ``nets/net.yaml``; the current folder is its top."""
    (tmp_path / "nets").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)

    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments], check=True, capture_output=True
        )

    git("init", "-q")
    for size in (11, 7):
        (tmp_path / "nets" / "net.yaml").write_text(
            SPEC.replace("11", str(size)).replace("padding: 5", f"padding: {size // 2}")
        )
        git("add", ".")
        git("commit", "-qm", f"kernel {size}")
    return tmp_path


def test_a_revision_is_a_source(run, repository):
    out = run("compare", "git:HEAD~1:nets/net.yaml", "nets/net.yaml", "--layers").out
    assert "kernel_size 11 -> 7, padding 5 -> 3" in out
    assert f"-{8 * 3 * (121 - 49):,}" in out
    assert "My network (git:HEAD~1:nets/net.yaml -> nets/net.yaml)" in out
    assert run("analyze", "git:HEAD:nets/net.yaml").status == 0


def test_a_path_from_the_current_folder(run, repository, monkeypatch):
    monkeypatch.chdir(repository / "nets")
    assert run("analyze", "git:HEAD:./net.yaml").status == 0


def test_a_variant_in_a_revision(run, repository):
    text = SPEC.replace("layers:", "parameters: [n]\nvariants: {a: {with: [1]}, b: {with: [2]}}\nlayers:")
    (repository / "v.yaml").write_text(text)
    subprocess.run(["git", "add", "."], check=True)
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "v"], check=True)
    assert json.loads(run("analyze", "git:HEAD:v.yaml@b", "-f", "json").out)["architecture"]["name"] == "b"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("git:HEAD", "a spec in a revision is written git:REV:PATH, such as git:HEAD~1:net.yaml"),
        ("git::net.yaml", "a spec in a revision is written git:REV:PATH"),
        ("git:HEAD~9:nets/net.yaml", "git knows no revision 'HEAD~9' here (a shallow clone has only the latest)"),
        ("git:HEAD:nets/nett.yaml", "there is no file nets/nett.yaml in HEAD; did you mean 'net.yaml'?"),
        ("git:HEAD:nets", "nets is no file in HEAD"),
        ("git:--output=x:net.yaml", "'--output=x' is an option of git, not a revision"),
    ],
)
def test_wrong_revisions(run, repository, source, message):
    result = run("analyze", source)
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert result.err.count("\n") == 1


def test_mistakes_in_a_revision_have_their_place(run, repository):
    (repository / "nets" / "net.yaml").write_text(SPEC.replace("relu_", "rlu"))
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qam", "bad"], check=True)
    assert "git:HEAD:nets/net.yaml:6:5: unknown op or block 'rlu'" in run("analyze", "git:HEAD:nets/net.yaml").err


def test_no_repository_and_no_git(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "the current folder is not in a git repository" in run("analyze", "git:HEAD:net.yaml").err
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "git: sources need git, and git is not installed" in run("analyze", "git:HEAD:net.yaml").err
