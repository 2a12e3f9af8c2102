"""The command ``convcost export``."""

from __future__ import annotations

import json

from convcost import analyze, load


def test_a_file_that_analyzes_the_same(run, tmp_path):
    path = tmp_path / "net.yaml"
    result = run("export", "googlenet", "-o", str(path))
    assert (result.status, result.out) == (0, "")
    assert analyze(load(str(path))).totals == analyze(load("googlenet")).totals
    assert path.read_text(encoding="utf-8").startswith("# Written by convcost ")


def test_standard_output_and_name(run):
    text = run("export", "lenet5", "--name", "mine").out
    assert "\nname: mine\n" in text
    assert "\nlayers:\n" in text


def test_json(run):
    found = json.loads(run("export", "lenet5", "-f", "json").out)
    assert [node["op"] for node in found["nodes"]][:3] == ["conv2d", "subsample2d", "sigmoid"]


def test_a_spec_is_not_captured(run):
    result = run("export", "lenet5", "--train")
    assert result.status == 2
    assert "lenet5 is not a PyTorch module" in result.err
