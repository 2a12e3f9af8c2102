"""``convcost fit``, ``analyze --memory`` and ``list --gpus``: what a user types and reads."""

from __future__ import annotations

import csv
import io
import json

import pytest

import convcost


def test_the_bill_of_a_training_step(run):
    result = run("analyze", "resnet50", "--train", "--optimizer", "adamw", "--batch", "32", "--depth", "1")
    memory = convcost.memory(convcost.load("resnet50"), 32)
    assert result.status == 0
    assert "ResNet-50, training (batch 32, float32, adamw): peak memory " in result.out
    assert f"in the backward of {memory.peak_layer}" in " ".join(result.out.split())
    for words in (
        "optimizer state",
        "saved for the backward pass",
        "gradients of weights",
        "over time",
        "Largest at the peak",
    ):
        assert words in result.out


def test_the_bill_of_a_forward_pass(run):
    result = run("analyze", "vgg16", "--memory")
    assert "VGG-16 (D), inference (batch 1, float32): peak memory " in result.out
    assert "optimizer" not in result.out


def test_the_memory_stands_in_the_json(run):
    plain = json.loads(run("analyze", "vgg16", "--memory", "-f", "json").out)
    memory = convcost.memory(convcost.load("vgg16"), mode="inference")
    assert plain["schema"] == 1
    assert plain["memory"]["peak_bytes"] == memory.peak_bytes
    assert sum(plain["memory"]["bill"].values()) == memory.peak_bytes
    assert "memory" not in json.loads(run("analyze", "vgg16", "-f", "json").out)


def test_fit_of_one_gpu(run):
    result = run("fit", "vgg16", "--gpu", "rtx4090", "--train", "-f", "json")
    (fit,) = json.loads(result.out)["fits"]
    assert fit["batch"] == convcost.fit(convcost.load("vgg16"), "rtx4090").batch
    assert fit["room_bytes"] == fit["memory_bytes"] - fit["context_bytes"] - fit["workspace_bytes"]
    assert fit["margin_bytes"] == fit["room_bytes"] - fit["memory"]["peak_allocated_bytes"]


def test_fit_of_several_gpus_gives_a_table(run):
    result = run("fit", "resnet50", "--gpu", "t4", "--gpu", "h100,rtx4090")
    assert [line.split("  ")[0] for line in result.out.splitlines() if "3x224x224" in line] == [
        "Tesla T4", "H100 SXM5", "GeForce RTX 4090",
    ]  # fmt: skip


def test_fit_of_a_batch_gives_a_resolution(run):
    result = run("fit", "resnet50", "--gpu", "t4", "--train", "--batch", "16")
    assert "batch 16 of 3x" in result.out


def test_what_does_not_fit_has_the_bill_and_status_1(run):
    result = run("fit", "unet", "--gpu", "t4", "--train", "--input", "1x9996x9996")
    assert result.status == 1
    assert "does NOT fit, not even batch 1 of 1x9996x9996" in " ".join(result.out.split())
    assert "saved for the backward pass" in result.out


def test_a_smaller_allowance_leaves_more(run):
    batches = []
    for mebibytes in ("0", "4096"):
        result = run("fit", "vgg16", "--gpu", "t4", "--workspace", mebibytes, "-f", "json")
        batches.append(json.loads(result.out)["fits"][0]["batch"])
    assert batches[0] > batches[1] > 0


def test_a_hardware_file_of_ones_own(run, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "memory_bytes: 8589934592\nmemory_bandwidth_bytes_per_s: 448e9\nfp32_flops_per_s: 10e12\ncontext_bytes: 4e8\n"
    )
    assert run("fit", "resnet18", "--gpu", str(path)).status == 0


def test_the_gpus_that_ship(run):
    assert "h100-sxm" in run("list", "--gpus").out
    rows = list(csv.DictReader(io.StringIO(run("list", "--gpus", "-f", "csv").out)))
    plain = json.loads(run("list", "--gpus", "-f", "json").out)
    assert len(rows) == len(plain["gpus"]) == 15
    assert all(figure["source"] for gpu in plain["gpus"] for figure in gpu["figures"].values())
    assert run("list", "--gpus", "hopper").out.count("h100") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "vgg16", "--gpu", "rtx409"], "unknown GPU 'rtx409'; did you mean 'rtx4090'"),
        (["fit", "vgg16"], "Missing option '--gpu'"),
        (["fit", "vgg16", "--gpu", "t4", "--train", "--optimizer", "adamm"], "'adamm' is not one of"),
        (["fit", "vgg16", "--gpu", "t4", "--optimizer", "sgd"], "need --train"),
        (["fit", "vgg", "--gpu", "t4"], "did you mean"),
        (["fit", "vgg16", "--gpu", "t4", "--batch", "8"], "layer 'fc6'"),
        (["fit", "resnet50", "--gpu", "t4", "--batch", "8", "--input", "3x64x64"], "not both"),
        (["fit", "vgg16", "--gpu", "missing.yaml"], "missing.yaml"),
        (["analyze", "vgg16", "--checkpoint"], "need --train"),
        (["analyze", "vgg16", "--train", "--accumulate", "0"], "--accumulate"),
    ],
)
def test_wrong_use_is_told_with_status_2(run, arguments, message):
    result = run(*arguments)
    assert result.status == 2
    assert message in " ".join(result.err.split())
    assert "Traceback" not in result.err
