"""``capture``: PyTorch modules as graphs. Expected numbers are calculated by hand or come from PyTorch."""

from __future__ import annotations

import contextlib
import copy
import gc
import subprocess
import sys
import weakref
from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import pytest

from convcost import OperatorCost, SourceError, UsageError, analyze, operator_rule

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from convcost import capture, validate  # noqa: E402 - needs torch
from convcost.capture import custom_operators  # noqa: E402


class Calls(nn.Module):
    """A module with the given submodules whose ``forward`` calls ``function(module, *inputs)``."""

    def __init__(self, function, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.function = function

    def forward(self, *args, **kwargs):
        return self.function(self, *args, **kwargs)


def report(module, *args, **kwargs):
    return analyze(capture(module, *args, **kwargs))


def flop_counter_macs(module, *args, **kwargs):
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        module(*args, **kwargs)
    return counter.get_total_flops() // 2


def ops(found):
    return [layer.op for layer in found.layers]


# --- the user's module


class Everything(nn.Module):
    """Shared and frozen parameters, buffers, plain tensors, and attributes that ``forward`` changes."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.tied = self.conv
        self.frozen = nn.Parameter(torch.ones(4, 1, 1), requires_grad=False)
        self.register_buffer("kept", torch.arange(4.0).view(4, 1, 1))
        self.register_buffer("unsaved", torch.zeros(1), persistent=False)
        self.plain = torch.full((4, 1, 1), 2.0)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        self.unsaved += 1
        self.cache = self.norm(self.tied(x)) * self.frozen + self.kept * self.plain
        return self.cache


@pytest.mark.parametrize("train", [False, True])
def test_capture_does_not_change_the_module(train):
    seen = []
    module = Everything().train(train)
    module.conv.register_forward_hook(lambda *_: None)
    module.norm.register_full_backward_hook(lambda *_: seen.append("backward"))
    module(torch.rand(2, 3, 8, 8)).sum().backward()
    state = copy.deepcopy(module.state_dict())
    addresses = {name: x.data_ptr() for name, x in module.state_dict(keep_vars=True).items()}
    identities = {name: id(x) for name, x in module.named_parameters()}
    gradients = {name: x.grad.clone() for name, x in module.named_parameters() if x.grad is not None}
    flags = {name: x.requires_grad for name, x in module.named_parameters()}
    modes = [inner.training for inner in module.modules()]
    hooks = [dict(inner._forward_hooks) for inner in module.modules()]
    names, cache, unsaved = set(vars(module)), module.cache, module.unsaved.clone()
    x = torch.rand(2, 3, 8, 8, requires_grad=True)
    capture(module, x)
    assert list(state) == list(module.state_dict())
    for name, before in state.items():
        assert torch.equal(before, module.state_dict()[name])
    assert addresses == {name: x.data_ptr() for name, x in module.state_dict(keep_vars=True).items()}
    assert identities == {name: id(x) for name, x in module.named_parameters()}
    for name, before in gradients.items():
        assert torch.equal(before, dict(module.named_parameters())[name].grad)
    assert flags == {name: x.requires_grad for name, x in module.named_parameters()}
    assert modes == [inner.training for inner in module.modules()]
    assert hooks == [dict(inner._forward_hooks) for inner in module.modules()]
    assert set(vars(module)) == names
    assert module.cache is cache
    assert module.calls == 1
    assert torch.equal(module.unsaved, unsaved)
    assert x.grad is None
    assert seen == ["backward"]
    assert not torch.is_inference(module(x))
    module(x).sum().backward()


def test_capture_restores_global_state():
    before = torch.is_inference_mode_enabled(), torch.is_grad_enabled(), torch.get_default_device()
    hooks = dict(nn.modules.module._global_forward_hooks), dict(nn.modules.module._global_forward_pre_hooks)
    for module in (nn.Linear(4, 2), Calls(lambda self, x: x.nonzero())):
        with contextlib.suppress(SourceError):
            capture(module, torch.rand(1, 4))
    assert before == (torch.is_inference_mode_enabled(), torch.is_grad_enabled(), torch.get_default_device())
    assert hooks == (dict(nn.modules.module._global_forward_hooks), dict(nn.modules.module._global_forward_pre_hooks))
    assert gc.isenabled()


def test_no_weights_are_allocated():
    """A module with 80 GB of parameters on the meta device, and one with 1 GB on the CPU that is not copied."""
    with torch.device("meta"):
        huge = nn.Sequential(nn.Linear(100_000, 100_000), nn.ReLU(), nn.Linear(100_000, 100_000))
    found = report(huge, torch.empty(1, 100_000, device="meta"))
    assert found.totals.params == 2 * (100_000 * 100_000 + 100_000)
    code = """
import resource, torch, convcost
module = torch.nn.utils.skip_init(torch.nn.Linear, 16_000, 16_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
convcost.analyze(convcost.capture(module, torch.empty(1, 16_000)))
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
assert grown < 200_000, grown  # KiB; the weights are 1,000,000
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_graph_does_not_keep_the_module_alive():
    module = nn.Linear(4, 2)
    gone = weakref.ref(module)
    graph = capture(module, torch.rand(1, 4))
    del module
    gc.collect()
    assert gone() is None
    assert len(graph) == 1


# --- what forward does


def test_functional_calls_and_operators():
    def forward(self, x):
        y = F.conv2d(x, self.weight, stride=2, padding=1)
        y = F.relu(y) + 1
        return torch.cat([y, y.sigmoid()], 1).mean((2, 3))

    module = Calls(forward, weight=nn.Parameter(torch.rand(6, 3, 3, 3)))
    found = report(module, torch.rand(2, 3, 9, 9))
    assert ops(found) == ["conv2d", "relu", "elementwise", "sigmoid", "concat", "mean"]
    assert found.totals.macs == 2 * 6 * 5 * 5 * 27
    assert found.totals.params == 6 * 27
    assert found.layers[0].params == 6 * 27
    assert found.layers[-1].cost.outputs[0].shape == (2, 12)


def test_loops_and_control_flow_that_depends_on_shapes():
    def forward(self, x, deep=False):
        for _ in range(3 if x.shape[-1] > 4 else 1):
            x = self.inner(x)
        return self.extra(x) if deep else x

    module = Calls(forward, inner=nn.Linear(8, 8), extra=nn.Linear(8, 2))
    found = report(module, torch.rand(5, 8))
    assert found.totals.macs == 3 * 5 * 64
    assert found.totals.params == 72 + 18
    assert report(module, torch.rand(5, 8), deep=True).totals.macs == 3 * 5 * 64 + 5 * 16


def test_the_parameters_of_a_reused_module_count_once():
    shared = nn.Conv2d(4, 4, 3, padding=1)
    module = nn.Sequential(OrderedDict(first=shared, act=nn.ReLU(), again=shared, norm=nn.BatchNorm2d(4), last=shared))
    found = report(module.eval(), torch.rand(1, 4, 6, 6))
    weights = 4 * 4 * 9 + 4
    assert found.totals.params == weights + 8
    assert [layer.params for layer in found.layers if layer.op == "conv2d"] == [weights, 0, 0]
    assert found.totals.macs == 3 * 36 * 4 * 36
    assert found.totals.buffers == 4 + 4 + 1


def test_tied_embeddings():
    def forward(self, tokens):
        return F.linear(self.inner(self.table(tokens)), self.table.weight)

    module = Calls(forward, table=nn.Embedding(50, 16), inner=nn.Linear(16, 16))
    tokens = torch.randint(0, 50, (2, 7))
    found = report(module, tokens)
    assert found.totals.params == 50 * 16 + 16 * 17
    assert found.totals.macs == 14 * 16 * 16 + 14 * 16 * 50
    assert found.totals.macs == flop_counter_macs(module, tokens)
    assert [layer.params for layer in found.layers] == [50 * 16, 16 * 17, 0]


def test_a_weight_shared_by_two_layers():
    first, second = nn.Linear(8, 8), nn.Linear(8, 8)
    second.weight = first.weight
    found = report(nn.Sequential(first, second), torch.rand(3, 8))
    assert found.totals.params == 64 + 8 + 8
    assert found.totals.macs == 2 * 3 * 64


def test_computed_weights():
    """Weight standardisation: the parameters from which the weight is computed count as the convolution's."""

    def forward(self, x):
        w = self.weight
        return F.conv2d(x, (w - w.mean((1, 2, 3), keepdim=True)) / w.std((1, 2, 3), keepdim=True))

    module = Calls(forward, weight=nn.Parameter(torch.rand(4, 3, 3, 3)))
    found = report(module, torch.rand(1, 3, 5, 5))
    assert found.totals.params == 108
    assert found.totals.macs == 9 * 4 * 27
    assert found.breakdown["conv"].params == 108
    assert found.coverage.unmodelled == ()


def test_parametrized_weights():
    from torch.nn.utils import parametrizations

    plain = nn.Conv2d(3, 4, 3)
    normed = parametrizations.weight_norm(nn.Conv2d(3, 4, 3))
    x = torch.rand(1, 3, 6, 6)
    assert report(normed, x).totals.params == report(plain, x).totals.params + 4
    assert report(normed, x).totals.macs == report(plain, x).totals.macs
    spectral = parametrizations.spectral_norm(nn.Linear(8, 4)).eval()
    assert report(spectral, torch.rand(2, 8)).totals.params == 36


def test_unused_parameters_count():
    module = nn.Sequential(OrderedDict(used=nn.Linear(4, 2)))
    module.spare = nn.ParameterList([nn.Parameter(torch.rand(3)), nn.Parameter(torch.rand(5))])
    module.register_buffer("kept", torch.rand(7))
    found = report(Calls(lambda self, x: self.inner.used(x), inner=module), torch.rand(1, 4))
    assert found.totals.params == 10 + 8
    assert found.totals.buffers == 7


# --- inputs and outputs


Pair = namedtuple("Pair", ["left", "right"])


@dataclass
class Result:
    logits: object
    hidden: tuple


def test_nested_inputs_and_outputs():
    def forward(self, pair, *, extra, scale=1.0):
        left = self.a(pair.left) + extra["bias"][0]
        return {"left": left * scale, "both": (left, [self.b(pair.right)])}

    module = Calls(forward, a=nn.Linear(4, 3), b=nn.Linear(5, 2))
    pair = Pair(torch.rand(2, 4), torch.rand(2, 5))
    graph = capture(module, pair, extra={"bias": (torch.rand(3),)}, scale=2.0)
    assert [tensor.shape for _, tensor in graph.inputs] == [(2, 4), (2, 5), (3,)]
    found = analyze(graph)
    shapes = [graph.nodes[node] and found.layers[node].cost.outputs[port].shape for node, port in graph.outputs]
    assert shapes == [(2, 3), (2, 3), (2, 2)]
    assert found.totals.macs == 2 * 12 + 2 * 10


def test_a_dataclass_as_output():
    module = Calls(lambda self, x: Result(self.a(x), (x, self.a(x))), a=nn.Linear(4, 3))
    assert len(capture(module, torch.rand(2, 4)).outputs) == 3


def test_one_tensor_passed_twice():
    module = Calls(lambda self, x, y: self.a(x) + self.a(y), a=nn.Linear(4, 3))
    x = torch.rand(2, 4)
    found = report(module, x, x)
    assert found.totals.macs == 2 * 2 * 12


def test_inputs_are_named_after_the_parameters_of_forward():
    class Named(nn.Module):
        def forward(self, image, mask=None):
            return image * mask

    graph = capture(Named(), torch.rand(2, 3), mask=torch.rand(3))
    assert [name for name, _ in graph.inputs] == ["image", "mask"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtypes(dtype):
    found = report(nn.Linear(4, 3).to(dtype), torch.rand(2, 4).to(dtype))
    assert found.layers[0].cost.outputs[0].dtype == str(dtype).partition(".")[2]
    assert found.totals.activation_bytes == 6 * dtype.itemsize
    assert found.totals.weight_bytes == 15 * dtype.itemsize


# --- names


def test_layers_are_named_after_their_modules():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3, padding=1)
            self.act = nn.ReLU()

        def forward(self, x):
            return self.act(self.conv(x)) + x

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 1)
            self.stages = nn.Sequential(Block(), Block())

        def forward(self, x):
            return self.stages(self.stem(x)).flatten(1)

    names = [node.name for node in capture(Net(), torch.rand(1, 3, 8, 8)).nodes]
    assert names == [
        "stem",
        "stages.0.conv", "stages.0.act", "stages.0.add",
        "stages.1.conv", "stages.1.act", "stages.1.add",
        "flatten",
    ]  # fmt: skip


def test_no_layer_has_the_name_of_a_module_around_other_layers():
    inner = Calls(lambda self, x: self.deep(x), deep=nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
    outer = Calls(lambda self, x: self.inner(x) + 1, inner=inner)
    names = {node.name for node in capture(nn.Sequential(outer), torch.rand(1, 4)).nodes}
    assert not any(other.startswith(f"{name}.") for name in names for other in names)


# --- attention

TOKENS = torch.rand(2, 10, 32)


def attention(**keys):
    return nn.MultiheadAttention(32, 4, batch_first=True, **keys)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("backend", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION])
def test_attention_does_not_depend_on_the_backend(train, need_weights, backend):
    """2 images of 10 tokens with width 32: 4*32*32 MACs per token, and 2*10*10*32 for the two products."""
    module = attention().train(train)
    with sdpa_kernel(backend):
        found = report(module, TOKENS, TOKENS, TOKENS, need_weights=need_weights)
    assert found.totals.macs == 2 * (10 * 4 * 32 * 32 + 2 * 10 * 10 * 32)
    assert found.totals.params == 4 * 32 * 32 + 4 * 32
    assert found.breakdown["attention"].macs == 2 * 2 * 10 * 10 * 32
    assert found.coverage.unmodelled == ()


@pytest.mark.parametrize(
    "keys",
    [{"bias": False}, {"add_bias_kv": True}, {"add_zero_attn": True}, {"kdim": 20, "vdim": 24}, {"dropout": 0.1}],
    ids=str,
)
def test_variants_of_attention(keys):
    module = attention(**keys).train()
    key = torch.rand(2, 7, keys.get("kdim", 32))
    value = torch.rand(2, 7, keys.get("vdim", 32))
    found = report(module, TOKENS, key, value)
    assert found.totals.params == sum(x.numel() for x in module.parameters())
    assert found.totals.macs == flop_counter_macs(module, TOKENS, key, value)
    assert found.coverage.unmodelled == ()


@pytest.mark.parametrize("mask", [None, "bool", "float", "causal"])
def test_masks(mask):
    q = torch.rand(2, 4, 10, 8)
    keys = {
        None: {},
        "bool": {"attn_mask": torch.ones(10, 10, dtype=torch.bool)},
        "float": {"attn_mask": torch.zeros(10, 10)},
        "causal": {"is_causal": True},
    }[mask]
    module = Calls(lambda self, q, k, v: F.scaled_dot_product_attention(q, k, v, **keys))
    found = report(module, q, q, q)
    assert found.totals.macs == 2 * 2 * 4 * 10 * 10 * 8
    assert found.breakdown["attention"].macs == found.totals.macs
    assert found.coverage.unmodelled == ()


def test_grouped_queries():
    module = Calls(lambda self, q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True))
    q, k = torch.rand(2, 8, 10, 16), torch.rand(2, 2, 10, 16)
    found = report(module, q, k, k)
    assert found.totals.macs == 2 * 2 * 8 * 10 * 10 * 16
    assert found.coverage.unmodelled == ()


def test_attention_from_single_operators():
    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return ((q @ k.transpose(-2, -1)) / 32**0.5).softmax(-1) @ v

    found = report(Calls(forward, qkv=nn.Linear(32, 96, bias=False)), TOKENS)
    assert found.totals.macs == 2 * (10 * 32 * 96 + 2 * 10 * 10 * 32)
    assert "attention_softmax" in ops(found)
    assert found.breakdown["attention"].macs == 2 * 2 * 10 * 10 * 32


@pytest.mark.parametrize("train", [False, True])
def test_transformer_layers(train):
    module = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 2).train(train)
    found = report(module, TOKENS)
    assert found.totals.macs == 2 * 2 * (10 * (4 * 32 * 32 + 2 * 32 * 64) + 2 * 10 * 10 * 32)
    assert found.totals.params == sum(x.numel() for x in module.parameters())


# --- general operators


def test_general_operators_are_modelled():
    def forward(self, x):
        y = torch.where(x > 0.5, x.exp(), x.clamp(0, 1))
        y = y.masked_fill(y.isnan(), 0).amax(-1, keepdim=True) - y.var(-1, keepdim=True)
        rows = y.expand(-1, 3).contiguous()[:, [0, 2]]
        order = rows.sort(-1).indices
        return rows.gather(-1, order), rows.flip(0).roll(1), torch.einsum("ij,kj->ik", x, x), rows.cumsum(0).argmax(1)

    found = report(Calls(forward), torch.rand(4, 6))
    assert found.coverage.unmodelled == ()
    assert found.totals.macs == 4 * 4 * 6
    known = {layer.op for layer in found.layers}
    assert {"compare", "elementwise", "reduce", "view", "contiguous", "index", "sort", "matmul"} <= known


def test_views_need_no_memory_and_copies_do():
    def forward(self, x):
        return x.view(2, 12).t().unsqueeze(0)[:, ::2].squeeze(0), x.permute(0, 2, 1).reshape(2, 12)

    found = report(Calls(forward), torch.rand(2, 3, 4))
    assert found.totals.flops == 0
    assert found.totals.activation_bytes == 4 * 2 * 3 * 4


@pytest.mark.parametrize(
    ("expression", "macs"),
    [
        ("x @ y", 5 * 6 * 7),
        ("torch.bmm(x.expand(3, 5, 6), y.expand(3, 6, 7))", 3 * 5 * 6 * 7),
        ("torch.addmm(torch.ones(7), x, y)", 5 * 6 * 7),
        ("torch.einsum('ab,bc->ca', x, y)", 5 * 6 * 7),
        ("torch.tensordot(x, y, 1)", 5 * 6 * 7),
        ("x.mv(y[:, 0])", 5 * 6),
        ("y[:, 0].dot(y[:, 1])", 6),
        ("torch.baddbmm(torch.ones(1), x[None], y[None])", 5 * 6 * 7),
        ("torch.outer(x[0], y[0])", 0),
    ],
)
def test_matrix_products(expression, macs):
    code = compile(expression, "test", "eval")
    module = Calls(lambda self, x, y: eval(code, {"torch": torch, "x": x, "y": y}))
    found = report(module, torch.rand(5, 6), torch.rand(6, 7))
    assert found.totals.macs == macs
    assert found.coverage.unmodelled == ()


def test_a_module_is_captured_in_its_mode():
    module = nn.Sequential(nn.BatchNorm2d(4), nn.Dropout(0.5), nn.ReLU(inplace=True))
    x = torch.rand(2, 4, 6, 6)
    train, evaluate = report(module.train(), x), report(module.eval(), x)
    assert train.settings.mode == "train"
    assert evaluate.settings.mode == "eval"
    assert ops(train) == ops(evaluate) == ["batch_norm2d", "dropout", "relu"]
    assert train.totals.buffers == evaluate.totals.buffers == 4 + 4 + 1
    assert evaluate.totals.activation_bytes == 4 * 2 * 4 * 36
    assert train.totals.flops > evaluate.totals.flops


# --- unknown operators


@pytest.fixture(scope="module")
def library():
    made = torch.library.Library("convcost_test", "DEF")
    made.define("mystery(Tensor x, Tensor w) -> Tensor")
    made.impl("mystery", lambda x, w: x @ w, "CompositeExplicitAutograd")
    made.define("twice(Tensor x) -> (Tensor, Tensor)")
    made.impl("twice", lambda x: (x.clone(), x.clone()), "CompositeExplicitAutograd")
    yield made
    made._destroy()


def mystery():
    def forward(self, x):
        return torch.ops.convcost_test.mystery(self.inner(x), self.w).relu()

    return Calls(forward, inner=nn.Linear(4, 6), w=nn.Parameter(torch.rand(6, 3)))


def test_an_unknown_operator_is_reported(library):
    found = report(mystery(), torch.rand(5, 4))
    assert found.coverage.unmodelled == (("convcost_test.mystery.default", 1),)
    unknown = next(layer for layer in found.layers if layer.op == "unmodelled")
    assert unknown.cost.outputs[0].shape == (5, 3)
    assert unknown.cost.inputs[0].shape == (5, 6)
    assert found.totals.params == 30 + 18
    assert found.totals.macs == 5 * 24  # of the linear layer alone
    assert report(Calls(lambda self, x: torch.ops.convcost_test.twice(x)), torch.rand(2)).coverage.unmodelled


def test_a_rule_of_a_user(library, monkeypatch):
    monkeypatch.setattr(custom_operators, "_CUSTOM", {})

    @operator_rule("convcost_test::mystery")
    def count(x, w, out):
        return OperatorCost(macs=out.numel() * x.shape[-1], group="fc")

    found = report(mystery(), torch.rand(5, 4))
    assert found.coverage.unmodelled == ()
    assert found.totals.macs == 5 * 24 + 5 * 6 * 3
    assert found.breakdown["fc"].macs == 5 * 24 + 5 * 6 * 3


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda *_, out: 12, "convcost_test::mystery must return an OperatorCost, not 12"),
        (lambda *_, out: OperatorCost(macs=-1), "counts must be integers of 0 or more"),
        (lambda *_, out: OperatorCost(group="convs"), "the group one of conv, fc"),
        (lambda *_, out: out.no_such_thing, "AttributeError"),
    ],
)
def test_wrong_rules_are_refused(library, monkeypatch, rule, message):
    monkeypatch.setattr(custom_operators, "_CUSTOM", {})
    operator_rule("convcost_test::mystery")(rule)
    with pytest.raises((SourceError, UsageError), match=message):
        capture(mystery(), torch.rand(5, 4))


def test_a_rule_needs_the_full_name_of_an_operator():
    message = "the name of an operator has the form \"namespace::operator\", not 'mystery'"
    with pytest.raises(UsageError, match=message):
        operator_rule("mystery")


# --- what cannot be captured


@pytest.mark.parametrize(
    ("forward", "operator"),
    [
        (lambda self, x: x * 2 if x.sum() > 0 else x, "aten._local_scalar_dense"),
        (lambda self, x: self.inner(x)[x[:, 0] > 0], "aten.nonzero|aten.index"),
        (lambda self, x: x.nonzero(), "aten.nonzero"),
        (lambda self, x: x.unique(), "unique"),
        (lambda self, x: x[: int(x.max())], "aten._local_scalar_dense"),
    ],
)
def test_control_flow_that_depends_on_values_is_refused(forward, operator):
    module = nn.Sequential(OrderedDict(part=Calls(forward, inner=nn.Linear(4, 4))))
    with pytest.raises(SourceError, match=rf"Sequential\.part: .*({operator}).*depends on data.*shapes and no values"):
        capture(module, torch.rand(3, 4))


def test_an_error_names_the_module_that_raised():
    module = nn.Sequential(OrderedDict(body=nn.Sequential(nn.Linear(4, 3), nn.Linear(4, 3))))
    with pytest.raises(SourceError, match=r"Sequential\.body\.1: RuntimeError: .*\[2, 3\] X \[4, 3\]"):
        capture(module, torch.rand(2, 4))


def test_missing_and_wrong_inputs():
    with pytest.raises(SourceError, match=r"Linear: TypeError: .*missing 1 required positional argument: 'input'"):
        capture(nn.Linear(4, 3))
    with pytest.raises(SourceError, match="unexpected keyword argument 'image'"):
        capture(nn.Linear(4, 3), image=torch.rand(1, 4))
    with pytest.raises(UsageError, match=r"capture takes a torch\.nn\.Module, not 'resnet50'"):
        capture("resnet50", torch.rand(1, 4))


def test_a_failed_capture_does_not_disturb_the_next():
    """Hooks and modes are removed."""
    with pytest.raises(SourceError):
        capture(nn.Linear(3, 3), torch.rand(1, 4))
    assert report(nn.Linear(4, 3), torch.rand(1, 4)).totals.macs == 12


def test_lazy_modules_are_initialised():
    module = nn.Sequential(nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(5))
    found = report(module.eval(), torch.rand(2, 3, 6, 6))
    assert found.totals.params == 8 * 27 + 8 + 16 + 8 * 16 * 5 + 5
    assert found.totals.macs == 2 * (16 * 8 * 27 + 8 * 16 * 5)
    assert any(isinstance(x, nn.UninitializedParameter) for x in module.parameters())


def test_compiled_and_wrapped_modules():
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    expected = report(module, torch.rand(2, 4)).totals
    assert report(torch.compile(module, backend="eager"), torch.rand(2, 4)).totals == expected
    assert report(nn.DataParallel(module), torch.rand(2, 4)).totals == expected


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
def test_a_scripted_module_is_refused():
    with pytest.raises(SourceError, match=r"RecursiveScriptModule is TorchScript, .*capture the Python module"):
        capture(torch.jit.script(nn.Linear(4, 3)), torch.rand(2, 4))


def test_the_shapes_of_a_captured_graph_are_fixed():
    graph = capture(nn.Linear(4, 3), torch.rand(2, 4))
    with pytest.raises(UsageError, match="captured at fixed shapes; capture it again for another batch"):
        analyze(graph, batch=4)
    assert analyze(graph).totals.macs == 24


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_float_conversion_in_a_half_precision_module(dtype):
    """``t.float()`` is float32 for any dtype of the model; the result of an embedding has the model's dtype."""

    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(10, 4)

        def forward(self, t):
            return self.table(t), t.float() * 2

    module = Mixed().to(dtype).eval()
    graph = capture(module, torch.zeros(2, 3, dtype=torch.int64))
    made = [layer.cost.outputs[0].dtype for layer in analyze(graph).layers if layer.activation_bytes]
    assert made == [str(dtype).removeprefix("torch."), "float32", "float32"]
    assert validate(graph).differences == ()
