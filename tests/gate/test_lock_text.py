"""Entries of the lock: written, read back, and readable."""

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


def test_every_shipped_network_is_read_back():
    for name, graph in load_shipped().items():
        report = analyze(graph)
        lines = entry(report)
        assert plain(layers_of(lines)) == plain(placed(report.layers)), name
        settings, totals, claims = values_of(lines)
        assert settings.endswith("; float32; eval")
        assert (totals["params"], totals["macs"]) == (report.totals.params, report.totals.macs)
        assert len(claims) == len(report.published)


def test_it_is_readable():
    """A line says what its layer is; numbers by hand: 3 * 9 * 8 + 8 parameters, each at 32 x 32 places."""
    lines = entry(analyze(chain((3, 32, 32), "{conv2d: {out_channels: 8, kernel_size: 3, padding: 1}, name: conv1}")))
    expected = "  conv1 conv2d out_channels=8 kernel_size=3 padding=1 in_channels=3 | params 224, macs 221184"
    assert lines[-1] == expected
    assert 3 * 9 * 8 + 8 == 224
    assert 3 * 9 * 8 * 32 * 32 == 221_184


def test_blocks_that_repeat_are_written_once():
    lines = entry(analyze(load("resnet101")))
    assert "  conv4_2 ... conv4_23:" in lines
    assert sum("conv4" in line for line in lines) == 2
    assert len(lines) < 130


def test_names_do_not_move_other_lines():
    """One line for one layer: what is inserted leaves the rest as it was, but for how many blocks repeat."""
    before = entry(analyze(load("vgg16")))
    after = entry(analyze(load("vgg19")))
    rows = slice(before.index("layers:"), None)
    gone = [line for line in before[rows] if line not in after]
    assert gone == ["  conv3_2 ... conv3_3:", "  conv4_2 ... conv4_3:", "  conv5_1 ... conv5_3:"]


def test_a_table_is_one_word():
    """LeNet-5's connections."""
    assert any(" connections=[[0,1,2]," in line for line in entry(analyze(load("lenet5"))))


def test_shared_weights_are_said():
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
def test_what_is_no_layer(line):
    with pytest.raises(OpError, match="is no layer"):
        layers_of(["layers:", line])


def test_the_file_is_sorted_and_complete(tmp_path):
    entries = {name: entry(analyze(load(name))) for name in ("vgg16", "alexnet", "resnet50")}
    path = tmp_path / "convcost.lock"
    path.write_text(lock.text(entries, "0.1.0"))
    found = lock.read(str(path))
    assert list(found.entries) == ["alexnet", "resnet50", "vgg16"]
    assert {name: x.lines for name, x in found.entries.items()} == entries
    assert not any(x.problem for x in found.entries.values())
    assert found.convcost == "0.1.0"


def test_windows_line_ends(tmp_path):
    entries = {"vgg16": entry(analyze(load("vgg16")))}
    path = tmp_path / "convcost.lock"
    path.write_bytes(lock.text(entries, "0.1.0").replace("\n", "\r\n").encode())
    assert lock.read(str(path)).entries["vgg16"].lines == entries["vgg16"]
