"""Lock entries: their text, and reading it back."""

from __future__ import annotations

import pytest

from convcost import analyze, load
from convcost.analysis.comparison.layer_keys import placed
from convcost.errors import OpError
from convcost.gate import lock
from convcost.gate.lock_text import entry, layers_of, values_of
from convcost.sources.load import load_shipped
from support.networks import chain, network


def plain(layers):
    return [(x.name, x.op, dict(x.fields), x.params, x.macs) for x in layers]


def test_entries_of_all_shipped_networks_round_trip():
    for name, graph in load_shipped().items():
        report = analyze(graph)
        lines = entry(report)
        assert plain(layers_of(lines)) == plain(placed(report.layers)), name
        settings, totals, claims = values_of(lines)
        assert settings.endswith("; float32; eval")
        assert (totals["params"], totals["macs"]) == (report.totals.params, report.totals.macs)
        assert len(claims) == len(report.published)


def test_line_of_a_layer():
    """By hand: 3 * 9 * 8 + 8 parameters, and 3 * 9 * 8 MACs at each of 32 x 32 positions."""
    lines = entry(analyze(chain((3, 32, 32), "{conv2d: {out_channels: 8, kernel_size: 3, padding: 1}, name: conv1}")))
    expected = "  conv1 conv2d out_channels=8 kernel_size=3 padding=1 in_channels=3 | params 224, macs 221184"
    assert lines[-1] == expected
    assert 3 * 9 * 8 + 8 == 224
    assert 3 * 9 * 8 * 32 * 32 == 221_184


def test_repeated_blocks_are_written_once():
    lines = entry(analyze(load("resnet101")))
    assert "  conv4_2 ... conv4_23:" in lines
    assert sum("conv4" in line for line in lines) == 2
    assert len(lines) < 130


def test_added_layers_do_not_change_other_lines():
    """VGG-19 has the lines of VGG-16, except for the headings with the numbers of equal blocks."""
    before = entry(analyze(load("vgg16")))
    after = entry(analyze(load("vgg19")))
    rows = slice(before.index("layers:"), None)
    gone = [line for line in before[rows] if line not in after]
    assert gone == ["  conv3_2 ... conv3_3:", "  conv4_2 ... conv4_3:", "  conv5_1 ... conv5_3:"]


def test_table_of_connections_is_one_word():
    assert any(" connections=[[0,1,2]," in line for line in entry(analyze(load("lenet5"))))


def test_shared_weights():
    text = """
        name: net
        input: [4, 8, 8]
        layers:
          - {conv2d: {out_channels: 4, kernel_size: 1}, name: a}
          - {conv2d: {out_channels: 4, kernel_size: 1}, shares: a, name: b}
    """
    report = analyze(network(text))
    lines = entry(report)
    assert " shares=a " in lines[-1]
    assert plain(layers_of(lines)) == plain(placed(report.layers))


@pytest.mark.parametrize("line", ["  conv1", "  conv1 conv2d | params x", "  conv1 conv2d | 5"])
def test_invalid_layer_lines(line):
    with pytest.raises(OpError, match="is not a layer"):
        layers_of(["layers:", line])


def test_file_is_sorted_and_complete(tmp_path):
    entries = {name: entry(analyze(load(name))) for name in ("vgg16", "alexnet", "resnet50")}
    path = tmp_path / "convcost.lock"
    path.write_text(lock.text(entries, "0.1.0"))
    found = lock.read(str(path))
    assert list(found.entries) == ["alexnet", "resnet50", "vgg16"]
    assert {name: x.lines for name, x in found.entries.items()} == entries
    assert not any(x.problem for x in found.entries.values())
    assert found.convcost == "0.1.0"


def test_windows_line_endings(tmp_path):
    entries = {"vgg16": entry(analyze(load("vgg16")))}
    path = tmp_path / "convcost.lock"
    path.write_bytes(lock.text(entries, "0.1.0").replace("\n", "\r\n").encode())
    assert lock.read(str(path)).entries["vgg16"].lines == entries["vgg16"]
