"""Networks with many equal repetitions: what is written out from a few must be what a walk through all gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import convcost
from convcost.analysis.memory import Script, repetitions, schedules
from convcost.analysis.memory.repetitions import WALKED, Folded, Run, runs
from convcost.analysis.memory.schedules import Walks
from convcost.analysis.memory.written_out import written_out
from convcost.sources.load import graph_from_text, load_shipped

HOW = [{}, {"dtype": "amp-bf16"}, {"mode": "inference"}, {"kernels": "cpu", "optimizer": "adam8bit"}]


def least(monkeypatch, count):
    monkeypatch.setattr(repetitions, "LEAST", count)


CONV = "[conv2d: {out_channels: 8, kernel_size: 3, padding: 1}]"


def spec(body, count=9, before=CONV, after="[linear: 5]", channels=3):
    """A network of a block that is repeated, with or without something before and behind."""
    first, last = (f"  - layers: {layers}\n" if layers else "" for layers in (before, after))
    return (
        f"name: net\ninput: [{channels}, 8, 8]\nblocks:\n  unit:\n    layers: {body}\n"
        f"layers:\n{first}  - {{unit: {{}}, repeat: {count}, name: stage}}\n{last}"
    )


def graph_of(text):
    return graph_from_text(text, "net.yaml")


def figures(memory):
    """All that is read off a script, and what is worked out of the nodes."""
    script = memory.script
    return (
        [script.sizes, script.parts, script.labels, script.events, script.marks],
        [memory.peak_bytes, memory.peak_ideal_bytes, memory.saved_for_backward_bytes, memory.macs, memory.unknown],
    )


def compared(monkeypatch, graph, **how):
    """Whether the graph is folded; its figures are those of the whole walk."""
    least(monkeypatch, WALKED + 1)
    folded = convcost.memory(graph, 3, **how)
    found = figures(folded)
    least(monkeypatch, 10**9)
    whole = convcost.memory(graph, 3, **how)
    assert found == figures(whole)
    assert not whole.walks.folded.runs
    return bool(folded.walks.folded.runs)


@pytest.mark.parametrize("how", HOW, ids=str)
def test_shipped_networks_with_repetitions(monkeypatch, how):
    folded = {name for name, graph in load_shipped().items() if compared(monkeypatch, graph, **how)}
    assert folded >= {"resnet101", "resnet152", "resnet1202_cifar"}
    assert "densenet121" not in folded  # each layer reads all before it


def test_the_runs_of_a_network():
    """6n + 2 layers: n units in each of three stages, of which the first one of the later stages halves the image."""
    report = convcost.analyze(convcost.load("resnet1202_cifar"), train=True)
    found = runs(report)
    unit = 7  # conv, bn, relu, conv, bn, add, relu
    assert [(run.length, run.count) for run in found] == [(unit, 200), (unit, 199), (unit, 199)]
    folded = Folded(report, found)
    assert len(folded.report.costs) == 4210 - unit * (200 + 199 + 199 - 3 * WALKED)
    assert sum(folded.times) == len(report.costs) == 4210
    macs = sum(cost.macs * times for cost, times in zip(folded.report.costs, folded.times, strict=True))
    assert macs == report.totals.macs
    assert sorted(k for position in range(len(folded.times)) for k in folded.all_of(position)) == [*range(4210)]


RESIDUAL = "[residual: [{conv2d: {out_channels: 8, kernel_size: 3, padding: 1, bias: false}}, batch_norm2d, relu_]]"

BODIES = {
    "plain": "[{conv2d: {out_channels: 8, kernel_size: 3, padding: 1}}, relu]",
    "residual": RESIDUAL,
    "in_place": "[{residual: [{conv2d: {out_channels: 8, kernel_size: 1}}, batch_norm2d], merge: add_}, relu_, "
    "dropout: 0.5]",
    "branches": "[{branches: [[{conv2d: {out_channels: 4, kernel_size: 1}}], "
    "[{conv2d: {out_channels: 4, kernel_size: 1}}, relu_]], merge: concat}]",
    "sums_only": "[residual: [relu]]",
    "views": "[{transpose: {dim0: 2, dim1: 3}}]",
    "nothing_at_all": "[relu_]",
    "pooled": "[{max_pool2d: {kernel_size: 3, stride: 1, padding: 1}}]",
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("how", [*HOW, {"checkpoint": True}, {"accumulate": 2}], ids=str)
def test_repeated_blocks(monkeypatch, name, how):
    compared(monkeypatch, graph_of(spec(BODIES[name])), **how)


def test_most_of_them_are_folded(monkeypatch):
    least(monkeypatch, WALKED + 1)
    found = {name: runs(convcost.analyze(graph_of(spec(body)))) for name, body in BODIES.items()}
    assert [name for name, each in found.items() if not each] == []
    assert {run.count for each in found.values() for run in each} <= {8, 9}  # the first reads something else


@pytest.mark.parametrize(
    "text",
    [
        # a layer far behind reads one in the middle
        "name: net\ninput: [3, 8, 8]\nlayers:\n  - {conv2d: {out_channels: 3, kernel_size: 1}, repeat: 9, name: c}\n"
        "  - {relu: {}, from: c_4}\n"
        "  - {flatten: {}, name: a}\n  - {flatten: {}, from: c_9, name: b}\n  - {concat: 1, from: [a, b]}\n",
        # each reads the input
        "name: net\ninput: [3, 8, 8]\nlayers:\n"
        "  - layers: [{conv2d: {out_channels: 3, kernel_size: 1}}, {add: {}, from: [previous, input]}]\n"
        "    repeat: 9\n    name: c\n",
        # each has the weights of the first
        "name: net\ninput: [3, 8, 8]\nlayers:\n  - {conv2d: {out_channels: 3, kernel_size: 1}, name: a}\n"
        "  - {conv2d: {out_channels: 3, kernel_size: 1}, shares: a, repeat: 9, name: c}\n",
        # each image is smaller than the one before
        "name: net\ninput: [3, 64, 64]\nlayers:\n  - {conv2d: {out_channels: 3, kernel_size: 3}, repeat: 9, name: c}\n",
    ],
    ids=["far", "input", "shared", "shrinking"],
)
def test_what_depends_on_more_than_its_neighbours_is_walked_whole(monkeypatch, text):
    graph = graph_of(text)
    for how in HOW:
        assert not compared(monkeypatch, graph, **how)


def test_they_are_written_out():
    for name in ("resnet1202_cifar", "resnet110_cifar", "resnet152"):
        for how in HOW:
            memory = convcost.memory(convcost.load(name), 3, **how)
            for eager in (True, False):
                assert proven(memory, eager)


def proven(memory, eager=True):
    """Whether it is known from a few repetitions what all of them do."""
    folded = memory.walks.folded
    walked = Walks(folded.report, memory.setup).script(eager)
    return bool(folded.runs) and written_out(walked, folded, Script())


def test_without_proof_all_is_walked(monkeypatch):
    graph = convcost.load("resnet110_cifar")
    script = convcost.memory(graph, 2).script
    monkeypatch.setattr(schedules, "written_out", lambda *args: False)
    assert vars(convcost.memory(graph, 2).script) == vars(script)


OPS = st.sampled_from(
    [
        "{conv2d: {out_channels: 6, kernel_size: 3, padding: 1, bias: false}}",
        "{conv2d: {out_channels: 6, kernel_size: 1}}",
        "batch_norm2d", "relu", "relu_", "{dropout: 0.5}", "sigmoid", "silu_",
        "{max_pool2d: {kernel_size: 3, stride: 1, padding: 1}}", "{avg_pool2d: {kernel_size: 1}}",
        "group_norm: 2", "hardswish", "{concat: 1, from: [previous, input]}", "{add: {}, from: [previous, input]}",
        "{mul: {}, from: [previous, input]}",
    ]
)  # fmt: skip


@st.composite
def bodies(draw):
    """A block that gives 6 channels, of ops in a row, some of them in a residual or in branches."""
    rows = []
    for _ in range(draw(st.integers(1, 3))):
        row = draw(st.lists(OPS, min_size=1, max_size=4))
        kind = draw(st.sampled_from(["row", "residual", "branches"]))
        if kind == "residual":
            end = "{conv2d: {out_channels: 6, kernel_size: 1}}"
            rows.append(
                f"{{residual: [{', '.join([*row, end])}], merge: {draw(st.sampled_from(['add', 'add_', 'mul']))}}}"
            )
        elif kind == "branches":
            other, merge = draw(st.lists(OPS, min_size=1, max_size=2)), draw(st.sampled_from(["add", "concat"]))
            rows.append(f"{{branches: [[{', '.join(row)}], [{', '.join(other)}]], merge: {merge}}}")
        else:
            rows += row
    if draw(st.booleans()):
        rows.append("{conv2d: {out_channels: 6, kernel_size: 1}}")
    return f"[{', '.join(rows)}]"


@given(
    bodies(), bodies(), st.integers(7, 9), st.integers(0, 9), st.sampled_from(HOW), st.booleans(), st.booleans(),
    st.booleans(),
)  # fmt: skip
def test_random_blocks(body, other, count, more, how, named, begun, ended):
    """Whatever can be built, one run or two, with or without ends; what grows or lives on must not be folded."""
    before = "[conv2d: {out_channels: 6, kernel_size: 3, padding: 1}]" if begun else ""
    text = spec(body, count, before, "[linear: 5]" if ended else "", channels=6)
    if more:
        text = text.replace("layers:\n  - ", f"  rest:\n    layers: {other}\nlayers:\n  - ", 1)
        text += f"  - {{rest: {{}}, repeat: {more}, name: more}}\n"
    if not named:
        text = text.replace(", name: stage", "")
    try:
        graph = graph_of(text)
    except convcost.SpecError:
        return
    with pytest.MonkeyPatch.context() as patch:
        compared(patch, graph, **how)


def handed_on(count, kind, last, end):
    """Each repetition hands on ``count`` values: the first changed by ``last``, the others by ``kind`` and moved up."""
    names = [f"r{k}" for k in range(count)]
    body = ["{layers: [], name: p}"]
    body += [f"{{{kind}, from: p.{k + 1}, name: {name}}}" for k, name in enumerate(names[:-1])]
    body += [f"{{{last}, from: p.0, name: {names[-1]}}}", f"{{layers: [], from: [{', '.join(names)}]}}"]
    begin = "".join(f"  - {{{kind}, from: input, name: i{k}}}\n" for k in range(count))
    begin += f"  - {{layers: [], from: [{', '.join(f'i{k}' for k in range(count))}]}}\n"
    return (
        f"name: net\ninput: [3, 8, 8]\nlayers:\n{begin}  - {{layers: [{', '.join(body)}], repeat: 20, name: s}}\n{end}"
    )


CONV1 = "conv2d: {out_channels: 3, kernel_size: 1}"
SWAP = "transpose: {dim0: 2, dim1: 3}"
HEAD = "name: net\ninput: [6, 6]\nlayers: "


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "[{linear: 6}, {layers: [linear: 6, softmax], repeat: 20, name: s}]\n",
        HEAD + "[{residual: [linear: 6, gelu], repeat: 20, name: s}]\n",
        HEAD + "[{residual: [layer_norm, {linear: 6}], repeat: 20, name: s}]\n",
        "name: net\ninput: [6, 6]\nblocks: {unit: {layers: [{sub: {}, from: [input, previous]}]}}\n"
        "layers: [linear: 6, {layers: [{unit: {}, repeat: 11}], repeat: 18, name: outer}]\n",
        handed_on(4, "relu: {}", CONV1, "  - concat: 1\n"),
        handed_on(3, SWAP, CONV1, "  - concat: 1\n"),
        handed_on(5, "contiguous: {}", CONV1, "  - concat: 1\n"),
        handed_on(5, SWAP, "sigmoid: {}", "outputs: [s.0, s.1, s.2, s.3, s.4]\n"),
        "name: net\ninput: [6, 8, 8]\nblocks: {unit: {layers: [{branches: [[], [hardswish]], merge: mul}, relu, "
        "{add_: {}, from: [previous, input]}]}}\n"
        "layers: [{conv2d: {out_channels: 6, kernel_size: 1}}, {residual: [{unit: {}, repeat: 20}]}]\n",
        HEAD + "[{residual: [{layers: [{branches: [[], [linear: 6]], merge: add}], repeat: 20, name: s}]}, relu]\n",
        HEAD + "[{linear: 6, name: of}, {layers: [linear: 6, sigmoid], repeat: 20, name: s}, linear: 2]\n",
        HEAD + "[{linear: 6, name: gradient}, {layers: [linear: 6, sigmoid], repeat: 20, name: s}, linear: 2]\n",
    ],
    ids=[
        "casts of biases at the end", "a gradient through all", "an attention block without ends", "runs in runs",
        "four values", "three views", "five copies", "five views that are outputs",
        "a run in a residual", "a run of sums in a residual", "of", "gradient",
    ],
)  # fmt: skip
@pytest.mark.parametrize("how", HOW, ids=str)
def test_what_lives_on(monkeypatch, text, how):
    compared(monkeypatch, graph_of(text), **how)


def test_a_run_knows_its_end():
    assert Run(first=3, length=7, count=200).end == 3 + 7 * 200
