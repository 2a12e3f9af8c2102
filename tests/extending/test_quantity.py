"""A quantity is one row: made-up ones from outside are columns and in JSON, sort networks, are bounded by budgets."""

from __future__ import annotations

import csv
import io
import json
from unittest.mock import patch

import pytest
from click.testing import CliRunner

import convcost
from convcost import UsageError
from convcost.analysis.quantities import QUANTITIES, Quantity, lock_keys, register_quantity
from convcost.cli.group import cli
from support.networks import chain

WIDE = "name: wide\ninput: [3, 8, 8]\nlayers:\n  - conv2d: {out_channels: 16, kernel_size: 3, padding: 1}\n  - relu\n"
DEEP = (
    "name: deep\ninput: [3, 8, 8]\nlayers:\n  - conv2d: {out_channels: 4, kernel_size: 1}\n"
    "  - conv2d: {out_channels: 5, kernel_size: 1}\n"
)
# Channels of all outputs: 16 and 16; 4 and 5.
CHANNELS = {"wide": 32, "deep": 9}


def channels_of(layer):
    return layer.output_shapes[0][1]


@pytest.fixture(autouse=True)
def registered():
    """The channels of all outputs, a sum over the layers; gone after each test."""
    with patch.dict(QUANTITIES):
        register_quantity(
            Quantity(
                "channels", "Channels", "count", "channels of all outputs",
                value=lambda report: sum(map(channels_of, report.layers)), layer=channels_of, gate="budget",
            )
        )  # fmt: skip
        yield


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wide.yaml").write_text(WIDE)
    (tmp_path / "deep.yaml").write_text(DEEP)
    return tmp_path


def shell(*arguments, status=0):
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == status, result.output
    return result.output


def networks():
    return [convcost.load(f"{name}.yaml") for name in ("wide", "deep")]


def test_compare_has_it():
    found = convcost.compare(networks(), sort="channels")
    assert [(row.name, row.figures["channels"]) for row in found.networks] == [("deep", 9), ("wide", 32)]
    assert found.best["channels"] == ("deep",)
    assert found.networks[0].ratios["channels"] == 9 / 32
    plain = json.loads(found.to_json())
    assert {row["name"]: row["figures"]["channels"] for row in plain["networks"]} == CHANNELS


def test_the_command_compare_shows_and_sorts_it():
    text = shell("compare", "wide.yaml", "deep.yaml", "--sort", "channels")
    assert "Channels: channels of all outputs." in text
    table = text[text.index("Further") :].splitlines()
    assert table[1].split() == ["Network", "Channels"]
    assert [row.split() for row in table[3:5]] == [["deep", "9"], ["wide", "32"]]
    rows = list(csv.DictReader(io.StringIO(shell("compare", "wide.yaml", "deep.yaml", "-f", "csv"))))
    assert {row["name"]: int(row["channels"]) for row in rows} == CHANNELS
    assert "channels" in shell("compare", "--help")


def test_a_page_shows_it(folder):
    shell("compare", "wide.yaml", "deep.yaml", "-f", "html", "-o", "page.html")
    assert "Channels: channels of all outputs." in (folder / "page.html").read_text("utf-8")


def test_analyze_has_a_column_of_it():
    rows = list(csv.reader(io.StringIO(shell("analyze", "deep.yaml", "-f", "csv", "--columns", "channels,op"))))
    assert rows == [["name", "channels", "op"], ["conv2d_1", "4", "conv2d"], ["conv2d_2", "5", "conv2d"]]
    lines = shell("analyze", "deep.yaml", "--columns", "channels", "--sort", "channels").splitlines()
    start = next(k for k, line in enumerate(lines) if line.split() == ["Layer", "Channels"])
    shown = [line.split() for line in lines[start + 2 : start + 6] if line.strip()]
    assert shown[:3] == [["conv2d_2", "5"], ["conv2d_1", "4"], ["total", "9"]]


@pytest.mark.parametrize(("limit", "status"), [(32, 0), (31, 1)])
def test_a_budget_bounds_it(folder, limit, status):
    (folder / "convcost.toml").write_text(f'lock = false\nsources = ["wide.yaml"]\n[budgets]\nchannels = {limit}\n')
    text = " ".join(shell("check", status=status).split())
    assert ("channels is 32, expected at most 31; largest layers: conv2d_1 16, relu_1 16" in text) is bool(status)


def test_the_lock_does_not_have_it_unless_it_says_so(folder):
    (folder / "convcost.toml").write_text('sources = ["wide.yaml"]\n')
    shell("check", "--update")
    assert "\nchannels = " not in (folder / "convcost.lock").read_text()
    register_quantity(
        Quantity("outputs", "Outputs", "plain", "outputs", lambda report: len(report.graph.outputs), gate="lock")
    )
    assert lock_keys()[-1] == "outputs"
    shell("check", "--update")
    assert "outputs = 1\n" in (folder / "convcost.lock").read_text()
    assert shell("check", "-f", "json")
    (folder / "convcost.toml").write_text('sources = ["wide.yaml"]\n[tolerance]\nchannels = 1\n')
    assert "unknown quantity 'channels'" in shell("check", status=2)


def test_assert_cost_takes_it():
    net = chain((3, 8, 8), "conv2d: {out_channels: 4, kernel_size: 1}")
    convcost.assert_cost(net, channels=4)
    with pytest.raises(AssertionError, match="channels is 4, expected less than 4"):
        convcost.assert_cost(net, channels="< 4")


def test_a_quantity_of_layers_only():
    """It is a column, and no figure of a network."""
    register_quantity(Quantity("readers", "Inputs", "plain", "inputs", layer=lambda layer: len(layer.inputs)))
    assert "readers" not in convcost.compare(networks()).networks[0].figures
    with pytest.raises(UsageError, match="unknown quantity 'readers'"):
        convcost.assert_cost(networks()[0], readers=1)
    assert "Inputs" in shell("analyze", "deep.yaml", "--columns", "readers")


@pytest.mark.parametrize("key", ["channels", "params", "latency_ns", "largest_batch", "launches"])
def test_a_key_is_taken_once(key):
    with pytest.raises(TypeError, match=f"{key!r} is registered already"):
        register_quantity(Quantity(key, "", "count", "", lambda report: 1))
