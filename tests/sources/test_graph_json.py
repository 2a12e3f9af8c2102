"""A graph's JSON is a source: what is read back costs the same, and what is wrong in it is told with its place."""

from __future__ import annotations

import json
import os
import subprocess
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import convcost
from convcost import ConvcostError, SourceError, SpecError, UsageError, analyze, export, load, memory
from convcost.graph import GIVEN, OWN, Allocation, Graph, Node
from convcost.ops import make, ready
from convcost.sources.graph_json import graph_from_json, graph_of
from convcost.sources.load import load_shipped
from convcost.tensor import Tensor
from support.cases import NETWORKS, cases, few

SHIPPED = load_shipped()


def account(graph, **how):
    """All that analyze says, apart from the lines of the spec, which the JSON does not have."""
    found = analyze(graph, **how).to_dict()
    for layer in found["layers"]:
        del layer["where"]
    return found


def read(document, file="net.json"):
    return graph_from_json(json.dumps(document).encode(), file)


ALEXNET = export(SHIPPED["alexnet"], "json")


@pytest.fixture
def written():
    return json.loads(ALEXNET)


# --- there and back


@pytest.mark.parametrize("name", NETWORKS)
def test_shipped_networks_come_back(name):
    graph = SHIPPED[name]
    text = export(graph, "json")
    again = graph_from_json(text.encode(), "net.json")
    assert account(again) == account(graph)
    assert account(again, batch=3, train=True, dtype="amp-bf16") == account(
        graph, batch=3, train=True, dtype="amp-bf16"
    )
    for how in ({"mode": "inference"}, {"batch": 2, "checkpoint": True}):
        ours, theirs = memory(again, **how), memory(graph, **how)
        assert ours.schedule.events == theirs.schedule.events
        assert ours.schedule.sizes == theirs.schedule.sizes
        assert ours.peak_bytes == theirs.peak_bytes
    assert again.about == graph.about
    assert again.scopes == graph.scopes
    assert export(again, "json") == text


def test_a_graph_from_json_is_a_graph_like_others():
    again = graph_from_json(ALEXNET.encode(), "net.json")
    assert export(again) == export(SHIPPED["alexnet"])
    assert memory(again).to_dict() == memory(SHIPPED["alexnet"]).to_dict()
    assert convcost.compare([again, SHIPPED["alexnet"]]).networks[1].ratios["macs"] == 1
    assert not convcost.diff(again, SHIPPED["alexnet"]).changes


def test_a_file_is_a_source(tmp_path, written):
    file = tmp_path / "net.json"
    file.write_text(json.dumps(written))
    assert account(load(str(file))) == account(SHIPPED["alexnet"])
    assert account(load(file), batch=4) == account(SHIPPED["alexnet"], batch=4)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert account(load(file)) == account(SHIPPED["alexnet"])


def test_a_document_that_holds_a_graph(tmp_path, written):
    """Saved profiles have the network that they measured under a key."""
    file = tmp_path / "run.json"
    file.write_text(json.dumps({"schema": 1, "kind": "profile", "layers": [{"time_ms": 1.5}], "network": written}))
    assert account(load(file)) == account(SHIPPED["alexnet"])
    assert account(graph_of(written, "run.json")) == account(SHIPPED["alexnet"])
    del written["nodes"][3]["op"]
    file.write_text(json.dumps({"schema": 1, "kind": "profile", "network": written}))
    with pytest.raises(SpecError) as error:
        load(file)
    assert str(error.value) == f"{file}: network.nodes[3]: the key 'op' is missing"


def test_a_spec_may_be_written_as_json(tmp_path):
    file = tmp_path / "net.json"
    file.write_text(
        json.dumps(
            {"name": "net", "input": [3, 8, 8], "layers": [{"conv2d": {"out_channels": 4, "kernel_size": 3}}, "relu"]}
        )
    )
    assert analyze(load(file)).totals.params == 4 * 3 * 3 * 3 + 4


def test_a_graph_in_a_revision(tmp_path, monkeypatch, written):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.json").write_text(json.dumps(written))
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "a network"]):
        subprocess.run(["git", *words], check=True, capture_output=True)
    (tmp_path / "net.json").unlink()
    assert account(load("git:HEAD:net.json")) == account(SHIPPED["alexnet"])


def test_only_what_cannot_be_computed_must_be_there():
    """Another program may leave out what follows: fields with defaults, sizes taken over, outputs, weights."""
    graph = read({
        "schema": 1,
        "architecture": {"name": "small"},
        "inputs": [{"name": "x", "shape": [1, 3, 8, 8]}],
        "nodes": [
            {"name": "conv", "op": "conv2d", "inputs": [[-1, 0]], "fields": {"out_channels": 4, "kernel_size": [3, 3]}},
            {"name": "act", "op": "relu", "inputs": [[0, 0]]},
        ],
        "outputs": [[1, 0]],
    })  # fmt: skip
    report = analyze(graph, batch=2)
    assert report.totals.params == 4 * 3 * 3 * 3 + 4
    assert report.layers[1].output_shapes == ((2, 4, 6, 6),)


def test_sharing_values_and_numbers_that_json_lacks():
    image = (("x", Tensor((1, 8, 8, 8))),)
    conv = {"out_channels": 8, "kernel_size": 1}
    fill = {"function": "aten.masked_fill.Scalar", "arguments": ("$0", "$1", float("-inf"))}
    rows = [
        ("first", "conv2d", conv, [(-1, 0)], OWN),
        ("second", "conv2d", conv, [(0, 0)], 0),
        ("weight", "parameter", {"shape": [8, 8, 1, 1], "feeds": "conv"}, [], OWN),
        ("third", "conv2d", {**conv, "bias": False}, [(1, 0), (2, 0)], GIVEN),
        ("mask", "compare", {"function": "aten.gt.Scalar", "arguments": ("$0", 0)}, [(3, 0)], OWN),
        ("mask_2", "compare", {"function": "aten.gt.Scalar", "arguments": ("$0", 0.0)}, [(3, 0)], OWN),
        ("fill", "elementwise", fill, [(3, 0), (4, 0)], OWN),
        ("clip", "hardtanh", {"min_val": float("-inf"), "max_val": 1.0}, [(6, 0)], OWN),
    ]
    nodes, values = [], []
    for name, word, fields, reads, owner in rows:
        arriving = tuple(values[at] if at >= 0 else image[0][1] for at, _ in (reads[:1] if owner == GIVEN else reads))
        op = ready(make(word, fields), arriving)
        values += op.outputs(arriving)
        nodes.append(Node(name, op, tuple(reads), owner))
    graph = Graph(nodes, image)
    again = graph_from_json(export(graph, "json").encode(), "net.json")
    assert again.nodes == graph.nodes
    assert [repr(node.op) for node in again] == [repr(node.op) for node in graph]  # 0 is not 0.0
    assert analyze(again).totals.params == (8 * 8 + 8) + 8 * 8


def test_a_network_without_a_layer():
    """What a capture of ``nn.Identity`` is: it gives what arrives."""
    graph = read({
        "schema": 1, "architecture": {"name": "same"}, "inputs": [{"name": "x", "shape": [1, 3, 8, 8]}], "nodes": [],
        "outputs": [[-1, 0]], "published": [{"quantity": "output_shape", "value": [3, 8, 8], "source": "by hand"}],
    })  # fmt: skip
    report = analyze(graph)
    assert (report.totals.layers, report.totals.macs) == (0, 0)
    assert [claim.verdict for claim in report.published] == ["agrees"]
    assert export(graph_from_json(export(graph, "json").encode(), "net.json"), "json") == export(graph, "json")


def test_allocations_of_a_run_come_along(written):
    conv = 64 * 55 * 55 * 4
    written = {**written, "allocations": [
        {"bytes": 3 * 224 * 224 * 4, "label": "input_1", "born": 0, "died": None},
        {"bytes": conv, "label": "conv1", "born": 1, "died": 3},
        {"bytes": conv, "label": "copy", "born": 2, "died": None},
    ]}  # fmt: skip
    graph = read(written)
    assert graph.observed[1] == Allocation(conv, "conv1", 1, 3)
    found = memory(graph, mode="inference")
    assert found.observed
    assert found.activation_peak_bytes == 3 * 224 * 224 * 4 + 2 * conv
    assert not memory(graph, mode="train").observed


def test_a_large_network_is_read_fast():
    text = export(SHIPPED["resnet152"], "json").encode()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        graph_from_json(text, "resnet152.json")
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05  # 3 ms where this was written


# --- captured modules

PLAIN = ["resnet18", "googlenet", "vit_b_16", "mobilenet_v2", "shufflenet_v2_x1_0", "swin_t"]


def comes_back(graph, mode):
    text = export(graph, "json")
    again = graph_from_json(text.encode(), "net.json")
    assert account(again) == account(graph)
    assert memory(again, mode=mode).to_dict() == memory(graph, mode=mode).to_dict()
    assert export(again, "json") == text
    return again


@pytest.mark.parametrize("name", few(PLAIN, ["googlenet", "mobilenet_v2"]))
def test_torchvision(models, name):
    import torch

    with torch.device("meta"):
        module = models.get_model(name, weights=None, **({"init_weights": False} if name == "googlenet" else {}))
        image = torch.empty(2, 3, 224, 224)
    graph = convcost.capture(module.eval(), image)
    again = comes_back(graph, "inference")
    assert memory(again, mode="inference").observed
    trained = comes_back(convcost.capture(module.train(), image), "train")
    assert trained.observed is None


def test_a_module_as_it_was_captured(tmp_path):
    """Its batch, its input and its mode are fixed; half precision and several inputs and outputs stay what they are."""
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)
            self.scale = nn.Parameter(torch.ones(8, 3, 3, 3))

        def forward(self, image, tokens):
            x = self.conv(image)
            y = nn.functional.conv2d(image, self.conv.weight * self.scale)
            return {"sum": x + y.masked_fill(y > 1, float("-inf")), "tokens": tokens.float().mean()}

    module = Both().to(torch.bfloat16).eval()
    graph = convcost.capture(module, torch.ones(4, 3, 8, 8, dtype=torch.bfloat16), torch.ones(4, 5, dtype=torch.int64))
    again = comes_back(graph, "inference")
    assert (again.batch_free, again.mode, again.dtype) == (False, "eval", "bfloat16")
    file = tmp_path / "both.json"
    file.write_text(export(graph, "json"))
    assert account(load(file, 4, {"image": (3, 8, 8)})) == account(graph)
    with pytest.raises(UsageError, match="was captured in eval mode; capture it again with module"):
        load(file, train=True)
    for how in ({"batch": 2}, {"input_size": {"image": (3, 16, 16)}}, {"input_size": {"picture": (3, 8, 8)}}):
        with pytest.raises(UsageError) as error:
            load(file, **how)
        assert "as it was captured, for image 4x3x8x8, tokens 4x5; capture the module again" in str(error.value)


def test_a_module_that_runs_only_once():
    torch = pytest.importorskip("torch")

    class Once(torch.nn.Conv2d):
        runs = 0

        def forward(self, x):
            self.runs += 1
            if self.runs > 1:
                raise RuntimeError("not again")
            return super().forward(x)

    graph = convcost.capture(Once(3, 4, 1).eval(), torch.ones(1, 3, 8, 8))
    with pytest.raises(SourceError, match="Once ran once and not again, as its memory needs: RuntimeError: not again"):
        memory(graph, mode="inference").peak_bytes  # noqa: B018
    again = graph_from_json(export(graph, "json").encode(), "net.json")
    assert account(again) == account(graph)
    assert not memory(again, mode="inference").observed


def test_validation_needs_no_module(tmp_path):
    """PyTorch is still the judge: the network is built from the graph. The module itself is not there to be run."""
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU()).eval()
    file = tmp_path / "small.json"
    file.write_text(export(convcost.capture(module, torch.ones(2, 3, 8, 8)), "json"))
    found = convcost.validate(str(file))
    assert found.ok
    assert {check.witness for check in found.checks} <= {"PyTorch", "torch flop counter", "fvcore"}


# --- what is wrong


def wrong(document, *path, to=None):
    """A copy with another value at a place; without ``to`` the place is taken out."""
    inner = document = json.loads(json.dumps(document))
    for key in path[:-1]:
        inner = inner[key]
    if to is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return document


@pytest.mark.parametrize(
    ("path", "to", "message"),
    [
        (["schema"], 2, "schema is 2, and 1 can be read; it was written by a newer version: update convcost"),
        (["schema"], "one", "schema is 'one', and 1 can be read"),
        (["schema"], None, "schema is null, and 1 can be read"),
        (["nodes"], None, "it contains no graph (it is the output of another command; convcost export --format json writes a graph)"),
        (["nodes"], {}, "nodes: expected a list, got a mapping"),
        (["nodes", 2, "op"], "conv3d2", "nodes[2]: unknown op 'conv3d2'; did you mean 'conv3d'"),
        (["nodes", 2, "op"], "multihead_attention", "nodes[2]: multihead_attention"),
        (["nodes", 2, "op"], 7, "nodes[2].op: expected a text, got a whole number"),
        (["nodes", 0, "fields"], [], "nodes[0].fields: expected a mapping, got a list"),
        (["nodes", 0, "fields", "kernel_size"], "wide", "nodes[0].fields.kernel_size: conv2d: kernel_size is 'wide', expected a whole number or a list"),
        (["nodes", 0, "fields", "kernel_size"], 10**30, "nodes[0]: conv2d: the window is 1000000000000000000000000000000"),
        (["nodes", 0, "fields", "kernel_size"], [3, 0], "nodes[0].fields.kernel_size: conv2d: kernel_size is [3, 0], expected"),
        (["nodes", 0, "fields", "kernel"], 3, "nodes[0]: conv2d has no field 'kernel'; did you mean 'kernel_size'"),
        (["nodes", 0, "fields", "kernel_size"], None, "nodes[0]: conv2d needs kernel_size"),
        (["nodes", 0, "fields", "in_channels"], 5, "nodes[0]: "),
        (["nodes", 0, "fields", "out_channels"], 65, "nodes[0].outputs: the file has 1x64x55x55 float32, but conv2d returns 1x65x55x55 float32"),
        (["nodes", 0, "fields", "out_channels"], 2**62, "a tensor of 1x4611686018427387904x55x55 has more elements"),
        (["nodes", 1, "inputs"], [[4, 0]], "nodes[1].inputs[0]: [4, 0] is nothing that comes before it"),
        (["nodes", 1, "inputs"], [[-2, 0]], "nodes[1].inputs[0]: [-2, 0] is nothing that comes before it"),
        (["nodes", 1, "inputs"], [[0, 1]], "nodes[1].inputs[0]: [0, 1]: that gives 1 value(s), the first one is 0"),
        (["nodes", 1, "inputs"], [[0, -1]], "nodes[1].inputs[0]: [0, -1]: "),
        (["nodes", 1, "inputs"], [[0]], "nodes[1].inputs[0]: expected a list of length 2"),
        (["nodes", 1, "inputs"], [], "nodes[1]: relu takes 1 input, got 0"),
        (["nodes", 1, "owner"], 0, "nodes[1].owner: layer 0, 'conv1', has no such weights"),
        (["nodes", 1, "owner"], 9, "nodes[1].owner: layer 9 does not come before this one"),
        (["nodes", 1, "owner"], "them", "nodes[1].owner: invalid enum value 'them'"),
        (["nodes", 1, "owner"], "inputs", "nodes[1]: relu has no weights, so"),
        (["nodes", 1, "name"], "conv1", "nodes[1].name: the name 'conv1' is used twice"),
        (["nodes", 1, "name"], "", "nodes[1].name: the name is empty"),
        (["nodes", 1, "name"], "\x1b[31mred", "nodes[1].name: the text '\\x1b[31mred' contains characters that cannot be printed"),
        (["inputs", 0, "shape"], [2, 3, 224, 224], "inputs[0].shape: it begins with the batch, 1 where 'batch_free' is true"),
        (["inputs", 0, "shape"], [], "inputs[0].shape: it begins with the batch"),
        (["inputs", 0, "shape"], [1, 3, -224, 224], "inputs[0].shape: sizes are 0 or more, not [1, 3, -224, 224]"),
        (["inputs", 0, "shape"], [1, 3, 2.5, 224], "inputs[0].shape[2]: expected a whole number, got a number"),
        (["inputs", 0, "dtype"], "float31", "inputs[0].dtype: unknown dtype 'float31'"),
        (["dtype"], "float31", "dtype: unknown dtype 'float31'"),
        (["mode"], "test", "mode: invalid enum value 'test'"),
        (["outputs"], [[99, 0]], "outputs[0]: [99, 0] is nothing that comes before it"),
        (["outputs"], [], "outputs: the network has no outputs"),
        (["repeats"], [[0, 99]], "repeats: [0, 99] is not a range of layers"),
        (["repeats"], [[0, 4], [2, 6]], "repeats: [2, 6] is not a range of layers"),
        (["architecture", "name"], None, "architecture: the key 'name' is missing"),
        (["architecture", "title"], "\x07", "architecture.title: the text"),
        (["architecture", "reference"], {"authors": ["a\nb"]}, "architecture.reference: the text"),
        (["published"], [{"quantity": "parms", "value": "1", "source": ""}], "published[0].quantity: unknown quantity 'parms'; did you mean 'params'? (allowed: params"),
        (["published"], [{"quantity": "params", "value": "many", "source": ""}], "published[0].value: 'many' is not a figure"),
        (["published"], [{"quantity": "params", "value": 7, "source": ""}], "published[0].value: expected a text or a list, got a whole number"),
        (["allocations"], [{"bytes": 4, "label": "a", "born": 3, "died": 1}], "allocations[0]: bytes and events"),
        (["allocations"], [{"bytes": 4, "label": "a", "born": 3}, {"bytes": 4, "label": "a", "born": 3}], "allocations[1]: event 3 is another one's"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(written, path, to, message):
    with pytest.raises((SpecError, SourceError)) as error:
        read(wrong(written, *path, to=to))
    assert str(error.value).startswith("net.json: ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "net.json: the file is empty"),
        (b'{"schema": 1, "nodes": [{"na', "net.json: the file ends in the middle, after 28 bytes; it is not complete"),
        (b'{"schema": 1,\n "nodes": [NaN]}', "net.json:2:12: not valid JSON: invalid character"),
        (b'{"schema": 1}{', "net.json:1:15: not valid JSON: trailing characters"),
        (b'{"schema": 1, "nodes": [{"name": "\xff"}]}', "net.json: the file is not UTF-8 text"),
        (b"{}", "it contains no graph (it has no 'nodes'; convcost export --format json writes a graph)"),
        (b"[1, 2]", "net.json: expected a mapping, got a list"),
        (b'{"schema": 1, "nodes": ' + b"[" * 100_000, "net.json: the JSON is nested too deeply"),
        (b'{"schema": 1, "convcost": "0.1.0", "layers": []}', "it is the output of another command"),
    ],
)  # fmt: skip
def test_what_is_no_graph_is_said(content, message):
    with pytest.raises(ConvcostError) as error:
        graph_from_json(content, "net.json")
    assert message in str(error.value)


def test_files_that_cannot_be(tmp_path):
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(SourceError, match="larger than 64 MiB, the limit of a graph's JSON"):
        load(huge)
    (tmp_path / "net.json").write_text(export(load("lenet5"), "json"))
    with pytest.raises(SourceError, match="a graph's JSON has no variants, so @small means nothing"):
        load(f"{tmp_path}{os.sep}net.json@small")
    with pytest.raises(SourceError, match=r"there is no file .*nut\.json; did you mean 'net\.json'"):
        load(f"{tmp_path}{os.sep}nut.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
    | st.sampled_from(["inf", "$0", "$9", "int64", "inputs", "conv2d", "aten.add.Tensor", -1, 0, 1, 2**63]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def places(value, path=()):
    yield path
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


MANGLED = {
    name: (document := json.loads(export(SHIPPED[name], "json")), [path for path in places(document) if path])
    for name in ("lenet5_1998", "lenet5", "squeezenet1_0", "vit_b_16", "swin_t", "mobilenet_v3_small", "unet")
    if name in SHIPPED
}


@settings(deadline=None, derandomize=True, max_examples=cases(1000), suppress_health_check=list(HealthCheck))
@given(st.data())
def test_anything_anywhere_is_a_graph_or_an_error(data):
    """A document with another value at some place gives a network that every analysis takes, or an error of ours."""
    document, found = MANGLED[data.draw(st.sampled_from(sorted(MANGLED)))]
    path = data.draw(st.sampled_from(found))
    try:
        graph = read(wrong(document, *path, to=data.draw(JSON)))
        analyze(graph).to_json()
        memory(graph).to_dict()
        memory(graph, mode="inference").to_dict()
        export(graph, "json")
    except ConvcostError as error:
        assert str(error)
