"""``convcost explain``: a layer, a block, everything, or a single op."""

from __future__ import annotations

import json

import pytest

import convcost
from convcost import analyze
from convcost.analysis.explain import explain


def test_a_layer(run):
    result = run("explain", "alexnet_cs231n", "conv1")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("conv1: conv2d(out_channels=96, kernel_size=11, stride=4")
    assert "((227 + 2 * 0 - 11) / 4) + 1" in result.out
    assert "96 * 3 * 11 * 11" in result.out
    assert "105,415,200" in result.out
    assert "1.11 MiB = 1.16 MB" in result.out


def test_a_block_and_everything(run):
    block = run("explain", "vgg16", "conv1_1", "-f", "json")
    assert [layer["name"] for layer in json.loads(block.out)["layers"]] == ["conv1_1.conv2d_1", "conv1_1.relu_1"]
    everything = json.loads(run("explain", "vgg16", "-f", "json").out)
    assert len(everything["layers"]) == len(explain(analyze(convcost.load("vgg16"))))


def test_json(run):
    result = run("explain", "lenet5", "C1", "--format", "json")
    found = json.loads(result.out)
    assert (found["schema"], found["architecture"]) == (1, "lenet5")
    assert found["settings"]["input_shapes"] == {"input": [1, 1, 32, 32]}
    (layer,) = found["layers"]
    assert set(layer) == {"name", "op", "fields", "input_shapes", "output_shapes", "steps", "warnings"}
    assert {
        "label": "weights", "formula": "C_out*C_in*K_h*K_w", "substitution": "6*1*5*5", "value": 150, "unit": "count",
    } in layer["steps"]  # fmt: skip
    assert layer["output_shapes"] == [[1, 6, 28, 28]]


def test_markdown(run):
    out = run("explain", "lenet5", "C1", "--format", "markdown").out
    assert out.startswith("**C1: conv2d(")
    assert "| weights |" in out
    assert r"6 \* 1 \* 5 \* 5" in out


def test_options_reach_the_arithmetic(run):
    out = run("explain", "resnet18", "conv1", "--batch", "4", "--input", "3x32x32", "--dtype", "float16").out
    assert "4x3x32x32 -> 4x64x16x16" in out
    assert "4 * 64 * 16 * 16 * 2" in out


def test_what_does_not_fit_is_told(run):
    out = run("explain", "--op", "conv2d", "--input", "1x7x7", "out_channels=1", "kernel_size=3", "stride=3").out
    assert "= floor(1.333) + 1" in out
    assert "warning: the last row and the last column of the input are never read" in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["conv2d", "--input", "3x227x227", "out_channels=96", "kernel_size=11", "stride=4"], "-> 1x96x55x55"),
        (["conv2d", "--input", "3x9x9", "out_channels=2", "kernel_size=3x5", "padding=1,2"], "1x3x9x9 -> 1x2x9x9"),
        (["conv2d", "--input", "3x9x9", "out_channels=2", "kernel_size=3", "padding=same", "bias=false"], "bias=False"),
        (["max_pool2d", "--input", "3x8x8", "--batch", "2", "kernel_size=2"], "2x3x8x8 -> 2x3x4x4"),
        (["dropout", "--input", "8", "p=0.25"], "p=0.25"),
        (["relu", "--input", "3x8x8", "inplace=true"], "in place, on its input"),
        (["concat", "--input", "3x8x8", "--input", "5x8x8"], "1x3x8x8 + 1x5x8x8 -> 1x8x8x8"),
        (["multihead_attention", "--input", "9x12", "num_heads=3"], "in_proj: linear("),
        (["conv2d", "--input", "3x8x8", "out_channels=1", "kernel_size=3", "connections=null"], "1x1x6x6"),
    ],
)  # fmt: skip
def test_a_single_op(run, arguments, expected):
    result = run("explain", "--op", *arguments)
    assert (result.status, result.err) == (0, "")
    assert expected in result.out
