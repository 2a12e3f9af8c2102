"""``convcost list``: what ships."""

from __future__ import annotations

import json

from convcost.sources import library
from support.shown import csv_rows


def test_everything_is_listed(run):
    result = run("list", "--format", "csv")
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines()[0] == "name,family,year,input,params,macs"
    rows = csv_rows(result.out)
    assert sorted(row[0] for row in rows) == sorted(name for name, _, _ in library.shipped())
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
    count = sum(1 for _ in library.shipped())
    assert f"{count} architectures; batch 1." in out
    assert "vgg16" in out


def test_nothing_found_is_no_error(run):
    result = run("list", "zzz")
    assert (result.status, result.err) == (0, "")
    assert "0 architectures" in result.out
