"""The frame of pages, without a browser: what a text could break out of, and names of files."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from convcost import Graph, Node, Tensor, analyze, load
from convcost.graph import About
from convcost.ops import make
from convcost.render.page.index import file_name, html_index, markdown_index, master_table
from convcost.render.page.shell import Assets, as_script_data, code, page

EVIL = "</script><script>alert(1)</script><!-- \u2028 & ' \""


def test_no_text_ends_the_data_of_a_page():
    text = as_script_data({"a": [EVIL]})
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text) == {"a": [EVIL]}


def test_the_policy_knows_exactly_the_scripts_of_the_page():
    text = page("t", [("a", "A", "<p>b</p>")], "<h1>t</h1>", {"charts": [1]}, Assets(plotly="plotly();"))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text).group(1)
    expected = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in (code(), "plotly();")]
    assert re.findall(r"'sha256-([^']*)'", policy) == expected
    assert re.findall(r"<script>(.*?)</script>", text, re.DOTALL) == [code(), "plotly();"]


def test_a_page_without_charts_has_no_plotly():
    text = page("t", [], "", {"charts": []}, Assets(plotly="plotly();"))
    assert "plotly();" not in text


def test_long_titles_are_cut():
    text = page("n" * 10_000, [], "", {"charts": []}, Assets())
    assert len(re.search("<title>(.*)</title>", text).group(1)) == 120


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("vgg16", "vgg16"), ("timm:resnet50", "timm-resnet50"), ("../../etc/passwd", "etc-passwd"),
        ("a/b\\c d", "a-b-c-d"), ("..", "network"), ("", "network"), ("n" * 500, "n" * 80),
    ],
)  # fmt: skip
def test_names_become_names_of_files(name, file):
    assert file_name(name) == file


def odd():
    nodes = [Node("a", make("relu", {}), ((-1, 0),))]
    return analyze(Graph(nodes, [("x", Tensor((1, 3, 4, 4)))], about=About(name=EVIL, title=EVIL)))


def test_indices_escape_names():
    text = html_index([odd()], ["a.html"])
    assert "<script>alert" not in text
    assert "&lt;/script&gt;" in text
    assert "<script>" not in markdown_index([odd()], ["a.md"])


def test_the_master_table_has_the_numbers():
    """VGG-16: 138,357,544 parameters of 4 bytes are 553.43 MB and 527.79 MiB."""
    row = master_table([load_report("vgg16")], ["vgg16.md"]).splitlines()[2]
    assert row == (
        "| [vgg16](vgg16.md) | 2014 | 3x224x224 | 138.36M | 553.43 MB | 527.79 MiB | 57.55 MiB | 15.47G | 25.6% | 8.1% "
        "| 6 of 12 |"
    )


def load_report(name):
    return analyze(load(name))
