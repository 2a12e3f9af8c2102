"""``convcost list``: what ships."""

from __future__ import annotations

import json

from convcost.sources import shipped
from support.shown import csv_rows


def test_everything_is_listed(run):
    result = run("list", "--format", "csv")
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines()[0] == "name,family,year,input,params,macs"
    rows = csv_rows(result.out)
    assert sorted(row[0] for row in rows) == sorted(name for name, _, _ in shipped.shipped())
    found = {row[0]: row for row in rows}
    assert found["vgg16"][2:] == ["2014", "3x224x224", "138357544", "15470264320"]


def test_families_stand_together_in_the_order_of_their_years(run):
    rows = csv_rows(run("list", "--format", "csv").out)
    families = list(dict.fromkeys(row[1] for row in rows))
    runs = [row[1] for number, row in enumerate(rows) if not number or rows[number - 1][1] != row[1]]
    assert runs == families, "no family is torn apart"
    first = {family: min(int(row[2]) for row in rows if row[1] == family) for family in families}
    assert sorted(first.values()) == list(first.values())
    assert all(1989 <= int(row[2]) <= 2026 for row in rows)


def test_a_family(run):
    names = [row[0] for row in csv_rows(run("list", "vgg", "-f", "csv").out)]
    assert {"vgg11", "vgg16", "vgg19", "vgg11_d2l", "fcn32s_vgg16"} <= set(names)
    assert all("vgg" in name for name in names)
    assert [row[0] for row in csv_rows(run("list", "VGG16", "-f", "csv").out)] == [
        name for name in names if "vgg16" in name
    ]  # fmt: skip


def test_json(run):
    found = json.loads(run("list", "resnet50", "--format", "json").out)
    assert found["schema"] == 1
    entry = next(entry for entry in found["architectures"] if entry["name"] == "resnet50")
    assert entry["title"] == "ResNet-50"
    assert (entry["params"], entry["macs"]) == (25_557_032, 4_089_184_256)
    assert entry["input_shapes"] == {"input": [3, 224, 224]}
    assert entry["year"] == 2015


def test_table(run):
    out = run("list").out
    count = sum(1 for _ in shipped.shipped())
    assert f"{count} architectures; batch 1." in out
    assert "vgg16" in out


def test_nothing_found_is_no_error(run):
    result = run("list", "zzz")
    assert (result.status, result.err) == (0, "")
    assert "0 architectures" in result.out


# --- GPUs


def test_gpus_as_raw_integers(run):
    result = run("list", "--gpus", "--format", "csv")
    assert (result.status, result.err) == (0, "")
    heading = result.out.splitlines()[0].split(",")
    rows = {row[0]: dict(zip(heading, row, strict=True)) for row in csv_rows(result.out)}
    assert len(rows) == 15
    assert rows["rtx4090"] == {
        "gpu": "rtx4090", "year": "2022", "memory_bytes": str(24 * 1024**3), "power_w": "450",
        "memory_bandwidth_bytes_per_s": "1008000000000", "l2_cache_bytes": str(72 * 1024**2),
        "bf16_tensor_fp32_accumulate_flops_per_s": "165200000000000", "fp32_flops_per_s": "82600000000000",
    }  # fmt: skip
    assert rows["t4"]["bf16_tensor_fp32_accumulate_flops_per_s"] == "", "Turing has no bfloat16"


def test_some_gpus(run):
    names = [row[0] for row in csv_rows(run("list", "--gpus", "ada", "-f", "csv").out)]
    assert names == ["rtx4090", "l4", "l40s"]
    assert [row[0] for row in csv_rows(run("list", "H100-80GB", "--gpus", "-f", "csv").out)] == ["h100-sxm"]
    assert "0 GPUs." in run("list", "--gpus", "zzz").out


def test_gpus_as_json(run):
    found = json.loads(run("list", "--gpus", "h200", "--format", "json").out)
    assert found["schema"] == 1
    (gpu,) = found["gpus"]
    assert (gpu["id"], gpu["name"], gpu["compute_capability"]) == ("h200", "H200 SXM", "9.0")
    power = gpu["figures"]["power_w"]
    assert (power["value"], power["estimate"]) == (700, False)
    assert power["source"].startswith("NVIDIA H200 datasheet, https://")
    assert gpu["figures"]["context_bytes"]["estimate"] is True


def test_gpus_as_a_table(run):
    out = run("list", "--gpus").out
    line = next(line for line in out.splitlines() if line.startswith("h100-sxm"))
    assert line.split() == ["h100-sxm", "2022", "80.00", "GiB", "3.352T", "50.00", "MiB", "989.4T", "66.9T", "700"]
    assert max(map(len, out.split("\n\n", maxsplit=1)[0].splitlines())) <= 80
    assert "| h100-sxm | 2022 | 80.00 GiB | 3.352T |" in run("list", "--gpus", "-f", "markdown").out
    assert "3,352,000,000,000" in run("list", "--gpus", "--units", "raw").out
