"""Validation of whole networks: shipped networks agree, and an error in a rule is detected."""

from __future__ import annotations

import sys
import warnings
from importlib.util import find_spec

import msgspec
import pytest

import convcost
from convcost import Graph, Node, Tensor
from convcost.analysis import costs
from convcost.errors import SourceError, SpecError, UsageError
from convcost.ops import REGISTRY, make, ready
from support.cases import NETWORKS
from support.networks import chain
from support.torchvision_ops import import_torchvision

torch = pytest.importorskip("torch")
nn = torch.nn

from convcost import validate  # noqa: E402 - needs torch
from convcost.measure import memory_limits  # noqa: E402
from convcost.measure.validation.cuda_memory_checks import activation_checks  # noqa: E402
from convcost.measure.validation.module_run import ModulePaths  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")


def fvcore_is_there():
    return find_spec("fvcore") is not None


needs_fvcore = pytest.mark.skipif(not fvcore_is_there(), reason="needs fvcore")


def unequal(found):
    return [(check.quantity, check.witness, difference) for check in found.checks for difference in check.differences]


@pytest.mark.parametrize("name", NETWORKS)
def test_shipped_networks_agree(name):
    found = validate(name)
    assert unequal(found) == []
    assert found.ok
    assert found.layers == len(convcost.load(name))
    for check in found.checks:
        assert check.compared == found.layers or (check.witness == "fvcore" and check.status == "not run")
        explained = sum(part.layers for part in check.explained)
        assert check.equal + explained == check.compared
    assert found.check("macs", "torch flop counter").ours == convcost.analyze(convcost.load(name)).totals.macs


@pytest.mark.parametrize("name", ["lenet5", "resnet20_cifar", "mobilenet_v3_small", "m5_audio"])
@pytest.mark.parametrize("train", [False, True])
def test_networks_on_the_cpu(name, train):
    found = validate(name, "cpu", batch=2, train=train)
    assert unequal(found) == []
    assert (found.device, found.mode) == ("cpu", "train" if train else "eval")


@pytest.mark.parametrize("options", [
    {"batch": 3}, {"input_size": (3, 96, 96)}, {"dtype": "bfloat16"}, {"train": True, "batch": 2},
])  # fmt: skip
def test_other_settings(options):
    found = validate("resnet18", **options)
    assert unequal(found) == []
    assert found.input_shapes["input"] == (options.get("batch", 1), *options.get("input_size", (3, 224, 224)))


def test_the_record_converts_to_json():
    found = validate("lenet5")
    plain = msgspec.json.decode(msgspec.json.encode(found.to_dict()))
    assert plain["ok"] is True
    assert plain["name"] == "lenet5"
    assert [check["status"] for check in plain["checks"]] == [check.status for check in found.checks]
    assert plain["versions"]["torch"] == torch.__version__
    with pytest.raises(AttributeError):
        found.name = "other"


def test_the_output_layer_of_lenet_is_explained():
    """Its 84 * 10 multiply-accumulates belong to an operator that no counter knows."""
    check = validate("lenet5").check("macs", "torch flop counter")
    (part,) = check.explained
    assert (part.first, part.ours, part.theirs, check.ours - check.theirs) == ("output", 840, 0, 840)


# --- errors in rules


@pytest.fixture
def break_rule(monkeypatch):
    """Changes the result of a rule of an op: ``break_rule("conv2d", "macs", lambda correct, *args: correct + 1)``."""

    def change_rule(op, rule, change):
        cls = REGISTRY[op]
        correct = getattr(cls, rule)
        monkeypatch.setattr(cls, rule, lambda self, *args: change(correct(self, *args), *args))
        costs._weights.cache_clear()

    yield change_rule
    costs._weights.cache_clear()


NET = chain(
    (3, 16, 16),
    "{conv2d: {out_channels: 8, kernel_size: 3, bias: false}, name: first}",
    "batch_norm2d",
    "relu",
    "{conv2d: {out_channels: 4, kernel_size: 3}, name: second}",
    "{max_pool2d: 2, name: pool}",
)


def one_more_row(correct, *args):
    (output,) = correct
    return (Tensor((*output.shape[:2], output.shape[2] + 1, *output.shape[3:]), output.dtype),)


def test_a_wrong_shape_is_detected(break_rule):
    break_rule("max_pool2d", "outputs", one_more_row)
    found = validate(NET)
    assert not found.ok
    (difference,) = found.check("output shapes", "PyTorch").differences
    assert (difference.layer, difference.ours, difference.theirs) == ("pool", "1x4x7x6", "1x4x6x6")
    assert "dimension 2: the shape rule of max_pool2d gives 7, PyTorch 6" in difference.reason


def test_wrong_parameters_are_detected(break_rule):
    break_rule("conv2d", "weights", lambda correct, *args: correct[:1])
    found = validate(NET)
    (difference,) = found.check("params", "PyTorch").differences
    assert (difference.layer, difference.ours, difference.theirs) == ("second", 8 * 4 * 9, 8 * 4 * 9 + 4)
    assert [d.layer for d in found.check("weight bytes", "PyTorch").differences] == ["second"]


def test_wrong_buffers_are_detected(break_rule):
    break_rule("batch_norm2d", "weights", lambda correct, *args: correct[:-1])
    (difference,) = validate(NET).check("buffers", "PyTorch").differences
    assert (difference.op, difference.ours, difference.theirs) == ("batch_norm2d", 16, 17)
    assert difference.reason == "probably the weights rule of batch_norm2d"


@pytest.mark.parametrize("factor", [0, 1, 2, 3])
def test_wrong_macs_are_detected(break_rule, factor):
    break_rule("conv2d", "macs", lambda correct, *args: factor * correct)
    found = validate(NET)
    first, second = 8 * 14 * 14 * 27, 4 * 12 * 12 * 72
    for witness in ("torch flop counter", *["fvcore"] * fvcore_is_there()):
        differences = found.check("macs", witness).differences
        expected = [] if factor == 1 else [("first", factor * first, first), ("second", factor * second, second)]
        assert [(d.layer, d.ours, d.theirs) for d in differences] == expected


def test_macs_of_a_layer_without_macs_are_detected(break_rule):
    """fvcore counts something for batch norm, too, but another number."""
    break_rule("batch_norm2d", "macs", lambda correct, *args: 7)
    found = validate(NET)
    assert [d.op for d in found.check("macs", "torch flop counter").differences] == ["batch_norm2d"]
    if fvcore_is_there():
        assert [d.op for d in found.check("macs", "fvcore").differences] == ["batch_norm2d"]


def test_wrong_memory_is_detected(break_rule):
    break_rule("relu", "placement", lambda correct, *args: (msgspec.structs.replace(correct[0], kind="view"),))
    (difference,) = validate(NET).check("activation bytes", "PyTorch").differences
    assert (difference.op, difference.ours, difference.theirs) == ("relu", 0, 4 * 8 * 14 * 14)


def test_a_copy_because_of_strides_is_detected():
    """PyTorch's flatten copies a permuted tensor; in a spec this copy is a ``contiguous`` layer."""
    layers = ("permute: [0, 2, 3, 1]", "{flatten: {}, name: flat}")
    (difference,) = validate(chain((3, 4, 4), *layers)).check("activation bytes", "PyTorch").differences
    assert (difference.layer, difference.ours, difference.theirs) == ("flat", 0, 4 * 48)
    assert "contiguous" in difference.reason
    assert validate(chain((3, 4, 4), layers[0], "contiguous", layers[1])).ok


def test_an_error_in_pytorch_is_a_difference():
    found = validate(chain((3, 8, 8), "adaptive_avg_pool2d: 1", "{batch_norm2d: {}, name: norm}"), train=True)
    assert not found.ok
    (difference,) = found.check("runs", "PyTorch").differences
    assert difference.layer == "norm"
    assert difference.reason.startswith("ValueError: Expected more than 1 value per channel when training")


# --- transposed and grouped convolutions, which some counters count incorrectly


@needs_fvcore
@pytest.mark.parametrize("fields", [
    {"out_channels": 6, "kernel_size": 2, "stride": 2},
    {"out_channels": 6, "kernel_size": 2, "stride": 2, "groups": 6},
    {"out_channels": 12, "kernel_size": 3, "padding": 1, "groups": 3, "bias": False},
])  # fmt: skip
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_transposed_convolutions(fields, rank):
    op = f"conv_transpose{rank}d"
    inputs = (Tensor((2, 6, *(7,) * rank)),)
    graph = Graph([Node("up", ready(make(op, fields), inputs), ((-1, 0),))], [("x", inputs[0])])
    found = validate(graph, batch=2)
    macs = 2 * 6 * 7**rank * fields["out_channels"] // fields.get("groups", 1) * fields["kernel_size"] ** rank
    assert unequal(found) == []
    assert {check.theirs for check in found.checks if check.quantity == "macs"} == {macs}


# --- fvcore


def test_without_fvcore(monkeypatch):
    monkeypatch.setitem(sys.modules, "fvcore.nn", None)
    found = validate("lenet5")
    check = found.check("macs", "fvcore")
    assert (check.status, check.note) == ("not run", 'not installed: pip install "convcost[torch]"')
    assert found.ok


@needs_fvcore
def test_fvcore_counts_the_same_on_the_cpu():
    """On meta tensors fvcore runs with our workaround; on the CPU it needs none and gives the same figures."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fvcore uses torch.jit, which recent versions of PyTorch deprecate
        from fvcore.nn import FlopCountAnalysis

    from convcost.measure.build import build
    from convcost.measure.validation.fvcore_counter import fvcore_count

    module = chain((3, 12, 12), "conv2d: {out_channels: 4, kernel_size: 3}", "batch_norm2d", "upsample: 2",
                   "conv_transpose2d: {out_channels: 2, kernel_size: 2, stride: 2}", "group_norm: 2", "flatten",
                   "linear: 7", "layer_norm")  # fmt: skip
    x = torch.zeros(2, 3, 12, 12)
    theirs = FlopCountAnalysis(build(module, "cpu"), x)
    theirs.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {name: int(count) for name, count in theirs.by_module().items()}
    assert sum(expected.values()) > 0
    assert fvcore_count(build(module), [x.to("meta")]).counts == expected


# --- a user's PyTorch module


class Mixed(nn.Module):
    """A layer that is called twice, functions, attention, and a module that is not used."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.unused = nn.Linear(3, 3)
        self.head = nn.Sequential(nn.Linear(8, 5), nn.ReLU())

    def forward(self, x):
        x = self.norm(self.conv(self.conv(x)))
        tokens = x.flatten(2).transpose(1, 2)
        tokens = tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]
        return self.head(tokens.mean(1)) @ torch.eye(5, device=x.device)


@pytest.fixture
def factory(tmp_path, monkeypatch):
    """Writes a Python file with a module and gives its SOURCE: ``factory("nn.Linear(3, 4)", size)``."""

    def make_source(expression, size):
        name = f"made_{abs(hash((expression, size)))}"
        text = f"import torch\nfrom torch import nn\ndef make():\n    return {expression}, torch.zeros{size}\n"
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        return f"{name}:make"

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return make_source


def test_a_module_of_a_user(factory, monkeypatch):
    monkeypatch.setattr(nn, "Mixed", Mixed, raising=False)
    found = validate(factory("nn.Mixed()", (2, 8, 6, 6)))
    assert unequal(found) == []
    params = found.check("params", "your module")
    assert params.ours == params.theirs == sum(x.numel() for x in Mixed().parameters())
    macs = 2 * (2 * 8 * 8 * 9 * 36) + 2 * (4 * 36 * 64 + 2 * 36 * 36 * 8) + 2 * 8 * 5 + 2 * 5 * 5
    assert found.check("macs", "torch flop counter, your module").theirs == macs
    if fvcore_is_there():
        check = found.check("macs", "fvcore, your module")
        reasons = {part.reason.partition(":")[0]: part for part in check.explained}
        assert reasons["scaled_dot_product_attention"].theirs == 2 * 4 * 36 * 64
        assert reasons["batch_norm"].theirs == 2 * 2 * 8 * 36


@pytest.mark.parametrize("rule", ["macs", "outputs"])
def test_an_error_in_a_captured_layer_is_detected(factory, break_rule, rule):
    source = factory("nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2))", (1, 3, 9, 9))
    # If an op's outputs are not PyTorch's, the capture has a generic op in its place, without MACs.
    change = (lambda correct, *args: correct + 5) if rule == "macs" else one_more_row
    break_rule("conv2d", rule, change)
    found = validate(source)
    assert not found.ok
    witnesses = {check.witness for check in found.checks if check.differences}
    assert {"torch flop counter", "torch flop counter, your module"} <= witnesses


class Counting(nn.Module):
    """Overwrites a parameter, which PyTorch allows only without gradients."""

    def __init__(self, fails=False):
        super().__init__()
        self.seen = nn.Parameter(torch.zeros(3))
        self.calls = 2 * (not fails)

    def forward(self, x):
        self.calls += 1
        if self.calls == 1 and not torch.is_inference_mode_enabled():
            raise ValueError("not like this")
        return x + self.seen.add_(1)


def test_a_module_that_runs_only_without_gradients(factory, monkeypatch):
    monkeypatch.setattr(nn, "Counting", Counting, raising=False)
    found = validate(factory("nn.Counting()", (2, 3)))
    assert found.check("params", "your module").equal == 1


def test_a_module_that_fails_after_its_capture(factory, monkeypatch):
    monkeypatch.setattr(nn, "Counting", Counting, raising=False)
    found = validate(factory("nn.Counting(fails=True)", (2, 3)))
    (difference,) = found.check("runs", "your module").differences
    assert difference.reason == "ValueError: not like this"


def test_paths_of_modules():
    paths = ModulePaths(["", "a", "a.b", "a.c_2", "d"])
    assert [paths.of(name) for name in ("a.b", "a.b_2", "a.b.add", "a.c_2", "a.c_3", "e", "d_x")] == [
        "a.b", "a.b", "a.b", "a.c_2", "a", "", "",
    ]  # fmt: skip
    inclusive = {"": 10, "a": 7, "a.b": 4, "a.c_2": 1, "d": 3}
    assert paths.exclusive(inclusive) == {"": 0, "a": 2, "a.b": 4, "a.c_2": 1, "d": 3}


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "mobilenet_v3_small", "swin_t", "vit_b_16", "maxvit_t"])
def test_torchvision(name):
    try:
        import_torchvision()
    except ImportError as error:
        pytest.skip(str(error))
    found = validate(f"torchvision:{name}", batch=2)
    assert unequal(found) == []
    assert found.check("params", "your module").compared > 20


# --- wrong use


def test_wrong_use():
    with pytest.raises(UsageError, match="unknown device 'gpu'; did you mean 'cpu'"):
        validate("lenet5", "gpu")
    with pytest.raises(SourceError, match="did you mean 'lenet5'"):
        validate("lenet6")
    with pytest.raises(UsageError, match=r"amp-bf16 is autocast, .* validate in float32 or bfloat16"):
        validate("lenet5", dtype="amp-bf16")
    with pytest.raises(SpecError, match="layer"):
        validate("lenet5", input_size=(1, 4, 4))
    with pytest.raises(UsageError, match="fixed shapes"):
        validate(convcost.capture(nn.Linear(3, 3), torch.zeros(1, 3)), batch=2)


def test_too_large_for_the_memory(monkeypatch):
    with pytest.raises(UsageError, match=r"vgg16 needs .*TiB on cpu, where .* is free; use a smaller batch"):
        validate("vgg16", "cpu", batch=100_000)
    monkeypatch.setattr(memory_limits, "_system_free", lambda: 10**6)
    with pytest.raises(UsageError, match=r"where 976.56 KiB is free"):
        validate("alexnet", "cpu")
    assert validate("lenet5", "cpu").ok


# --- memory on CUDA


def test_comparison_of_memory_on_cuda():
    """Tested with given figures, because measuring them needs a CUDA device."""
    kept, peak = activation_checks(1000, 1000, 4096)
    assert (kept.status, peak.status) == ("agrees", "agrees")
    kept, peak = activation_checks(1000, 1100, 4096)
    assert (kept.differences[0].ours, kept.differences[0].theirs) == (1000, 1100)
    _, peak = activation_checks(1000, 1000, 999)
    assert peak.status == "differs"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "vit_b_16", "swin_t", "unet", "densenet121"])
def test_on_cuda(name):
    found = validate(name, "cuda", batch=2)
    assert unequal(found) == []
    assert found.check("activation bytes, kept", "torch.cuda").equal == 1
