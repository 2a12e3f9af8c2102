"""``convcost analyze``: each option does what it says."""

from __future__ import annotations

import csv
import json

import pytest

import convcost
from convcost import analyze
from convcost.precision import PRECISIONS
from convcost.render.documents.analysis import column_keys
from support.shown import csv_rows, markdown_rows, table_rows, whole

NET = """name: family
reference: {title: A paper, year: 2020}
input: [3, 8, 8]
parameters: [width]
variants:
  small: {with: [4]}
  large: {with: [8]}
layers:
  - {conv2d: {out_channels: width, kernel_size: 3}, name: conv}
  - relu
  - dropout
"""


@pytest.fixture
def family(tmp_path):
    path = tmp_path / "family.yaml"
    path.write_text(NET, encoding="utf-8")
    return str(path)


def plain(result):
    assert (result.status, result.err) == (0, "")
    return json.loads(result.out)


def analyzed(run, *arguments):
    return plain(run("analyze", *arguments, "--format", "json"))


def test_table_is_the_default(run):
    result = run("analyze", "vgg16")
    assert (result.status, result.err) == (0, "")
    assert result.out == run("analyze", "vgg16", "--format", "table").out
    total = table_rows(result.out)[-1]
    assert total == ["total", "138.36M", "15.47G", "57.55", "MiB"]


def test_json_is_the_report(run):
    assert analyzed(run, "resnet18") == json.loads(analyze(convcost.load("resnet18")).to_json())


def test_sources(run, family):
    assert analyzed(run, f"{family}@small")["totals"]["params"] == 4 * 27 + 4
    assert analyzed(run, f"{family}@large")["totals"]["params"] == 8 * 27 + 8
    none = run("analyze", family)
    assert none.status == 2
    assert f"has variants; choose one, such as {family}@small: small, large" in none.err
    wrong = run("analyze", f"{family}@smal")
    assert wrong.status == 2
    assert "has no variant 'smal'; did you mean 'small'? (it has small, large)" in wrong.err


def test_batch(run):
    one, eight = analyzed(run, "lenet5"), analyzed(run, "lenet5", "--batch", "8")
    assert eight["settings"]["input_shapes"] == {"input": [8, 1, 32, 32]}
    assert eight["totals"]["macs"] == 8 * one["totals"]["macs"]
    assert eight["totals"]["params"] == one["totals"]["params"]


@pytest.mark.parametrize("size", ["3x32x32", "input=3x32x32"])
def test_input(run, size):
    found = analyzed(run, "resnet18", "--input", size)
    assert found["settings"]["input_shapes"] == {"input": [1, 3, 32, 32]}
    assert found["layers"][0]["output_shapes"] == [[1, 64, 16, 16]]


def test_several_inputs(run, tmp_path):
    path = tmp_path / "two.yaml"
    path.write_text(
        "name: two\ninputs: {a: [3, 4, 4], b: [3, 4, 4]}\nlayers:\n  - {add: {}, from: [a, b]}\n", encoding="utf-8"
    )
    found = analyzed(run, str(path), "--input", "a=3x8x8", "--input", "b=3x8x8")
    assert found["settings"]["input_shapes"] == {"a": [1, 3, 8, 8], "b": [1, 3, 8, 8]}
    clash = run("analyze", str(path), "--input", "a=3x8x8")
    assert (clash.status, clash.out) == (2, "")
    assert "layer 'add_1'" in clash.err
    unnamed = run("analyze", str(path), "--input", "3x8x8")
    assert "specify sizes by name: a, b" in unnamed.err


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_dtype(run, dtype):
    found = analyzed(run, "lenet5", "--dtype", dtype)
    assert found["settings"]["dtype"] == dtype
    size = {"float16": 2, "bfloat16": 2, "float64": 8}.get(dtype, 4)
    assert found["totals"]["weight_bytes"] == 60_000 * size


def test_mixed_precision(run):
    found = analyzed(run, "lenet5", "--dtype", "amp-bf16")
    assert found["totals"]["weight_bytes"] == 60_000 * 4
    assert found["layers"][0]["output_dtypes"] == ["bfloat16"]


def test_train(run):
    found = analyzed(run, "alexnet", "--train")
    assert found["settings"]["mode"] == "train"
    dropped = [layer for layer in found["layers"] if layer["op"] == "dropout"]
    assert all(layer["flops"] == 2 * layer["output_shapes"][0][1] for layer in dropped)


def test_depth(run):
    one = markdown_rows(run("analyze", "vgg16", "--depth", "1", "-f", "markdown").out)
    two = markdown_rows(run("analyze", "vgg16", "--depth", "2", "-f", "markdown").out)
    assert len(two) == len(one) + 13 * 2
    assert len(markdown_rows(run("analyze", "vgg16", "--depth", "999", "-f", "markdown").out)) == len(two)


def test_columns(run):
    out = run("analyze", "vgg16", "--columns", "op, macs ,flops", "-f", "csv").out
    assert out.splitlines()[0] == "name,op,macs,flops"
    for key in column_keys():
        assert run("analyze", "lenet5", "--columns", key).status == 0


def test_sort_and_top(run):
    options = "--sort params --top 3 --columns params --units raw --format markdown"
    rows = markdown_rows(run("analyze", "vgg16", *options.split()).out)
    assert [row[0] for row in rows] == ["fc6", "fc7", "fc8", "total"]
    assert whole(rows[0][1]) == 25_088 * 4_096 + 4_096


@pytest.mark.parametrize(("units", "size"), [("iec", "57.55 MiB"), ("si", "60.35 MB"), ("raw", "60,348,320")])
def test_units(run, units, size):
    assert size in run("analyze", "vgg16", "--units", units).out


@pytest.mark.parametrize("convention", ["torch", "fvcore", "paper"])
def test_convention(run, convention):
    plain_report = analyze(convcost.load("resnet18")).convention(convention)
    found = analyzed(run, "resnet18", "--convention", convention)["convention"]
    assert found == {"name": convention, "total": plain_report.total, "meaning": plain_report.meaning}
    assert f"In the convention {convention}: {plain_report.total:,}" in run(
        "analyze", "resnet18", "--convention", convention
    ).out  # fmt: skip


def test_csv_has_every_quantity_of_every_layer(run):
    out = run("analyze", "vgg16", "--format", "csv").out
    heading = out.splitlines()[0].split(",")
    assert heading == ["name", *(key for key in column_keys() if not key.endswith("%"))]
    rows = [dict(zip(heading, row, strict=True)) for row in csv_rows(out)]
    layers = [row for row in rows if row["op"]]
    assert sum(int(row["params"]) for row in layers) == 138_357_544
    assert sum(int(row["macs"]) for row in layers) == 15_470_264_320


def test_strict(run):
    """Nothing of a spec is unmodelled: a name without a rule is an error there."""
    assert run("analyze", "vgg16", "--strict").status == 0


def test_strict_finds_what_has_no_rule(run, monkeypatch):
    from convcost.analysis.records import Coverage
    from convcost.analysis.report import Report

    monkeypatch.setattr(Report, "coverage", Coverage(nodes=3, modelled=1, unmodelled=(("aten::fft", 2),)))
    lenient, strict = run("analyze", "lenet5"), run("analyze", "lenet5", "--strict")
    assert (lenient.status, strict.status) == (0, 1)
    assert lenient.out == strict.out
    assert "Coverage: 1 of 3 operations have a cost rule; NOT counted: aten::fft (2)." in strict.out


def test_csv_has_one_row_for_each_layer_and_adds_up(run):
    """No row for a block, or a sum over the rows would count twice. ResNet-50: torchvision's 25,557,032 parameters."""
    heading, *rows = csv.reader(run("analyze", "resnet50", "-f", "csv").out.splitlines())
    assert len({row[0] for row in rows}) == len(rows) == 175
    assert sum(int(row[heading.index("params")]) for row in rows) == 25_557_032
    assert run("analyze", "resnet50", "-f", "csv", "--depth", "1").status == 2


@pytest.mark.parametrize("arguments", [
    ["analyze", "lenet5", "--batch", "9" * 330],
    ["analyze", "lenet5", "--input", f"1x{'9' * 330}x32"],
    ["explain", "--op", "conv2d", "--input", "3x8x8", "out_channels=" + "9" * 330, "kernel_size=3"],
])  # fmt: skip
def test_absurd_numbers(run, arguments):
    assert run(*arguments).status == 2
