"""Networks built from graphs: every op, every shipped architecture, weights of all kinds, and what they compute."""

from __future__ import annotations

import ast
import gc
import inspect
import weakref

import pytest

import convcost
from convcost import Graph, Node, Tensor
from convcost.errors import SpecError, UsageError
from convcost.graph import GIVEN, OWN, About
from convcost.ops import make, ready
from convcost.ops.base import Op
from convcost.sources.load import load_shipped
from ops.examples import EXAMPLES, expanded
from support.cases import FULL, NETWORKS
from support.networks import chain, network

torch = pytest.importorskip("torch")
nn = torch.nn

from convcost.measure import build as build_module  # noqa: E402 - needs torch
from convcost.measure.build import build  # noqa: E402

SHIPPED = load_shipped()
# PyTorch's, on its speed.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")


def zeros(graph, batch=1, device="meta"):
    """Inputs for a graph: zeros, which are valid indices too."""
    return [
        torch.zeros(
            (batch, *x.shape[1:]) if graph.batch_free else x.shape, dtype=getattr(torch, x.dtype), device=device
        )
        for _, x in graph.inputs
    ]


def shapes(made):
    return [tuple(x.shape) for x in (made if isinstance(made, tuple) else (made,))]


def stated(report):
    """What the report says of the graph's outputs."""
    found = []
    for position, output in report.graph.outputs:
        inputs = list(report.settings.input_shapes.values())
        found.append(report.layers[position].output_shapes[output] if position >= 0 else inputs[-1 - position])
    return found


def one(op, inputs, owner=OWN, given=()):
    """A graph of one op."""
    ports = [(f"x{number}", x) for number, x in enumerate((*inputs, *given))]
    node = Node("only", op, tuple((-1 - number, 0) for number in range(len(ports))), owner)
    outputs = [(0, number) for number in range(len(op.outputs(inputs)))]
    return Graph([node], ports, outputs, About("one"), batch_free=False)


def examples():
    for example in EXAMPLES:
        for step in expanded(ready(make(example.op, example.fields), example.inputs), example.inputs):
            yield pytest.param(step.op, step.inputs, id=f"{example}-{step.name}")


@pytest.mark.parametrize(("op", "inputs"), list(examples()))
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_every_op(op, inputs, device):
    graph = one(op, inputs)
    module = build(graph, device)
    made = module(*(x * 1 for x in zeros(graph, device=device)))
    assert shapes(made) == [x.shape for x in op.outputs(inputs)]
    assert {name: tuple(x.shape) for name, x in module.state_dict().items()} == {
        name: weight.shape for name, weight in graph.weights.items()
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_every_shipped_architecture(name):
    graph = SHIPPED[name]
    report = convcost.analyze(graph, batch=2)
    module = build(graph)
    assert shapes(module(*zeros(graph, 2))) == stated(report)
    assert sum(x.numel() for x in module.parameters()) == report.totals.params
    assert sum(x.numel() for x in module.buffers()) == report.totals.buffers
    assert set(module.state_dict()) >= set(graph.weights)


@pytest.mark.parametrize("name", ["lenet5", "squeezenet1_1", "resnet20_cifar", "mobilenet_v3_small", "m5_audio"])
@pytest.mark.parametrize("train", [False, True])
def test_some_run_on_the_cpu(name, train):
    graph = SHIPPED[name]
    module = build(graph, "cpu").train(train)
    made = module(*zeros(graph, 2, "cpu"))
    assert shapes(made) == stated(convcost.analyze(graph, batch=2))
    assert torch.isfinite(made).all()
    made.sum().backward()
    assert all(x.grad is not None for x in module.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["resnet18", "vit_b_16", "swin_t", "unet"])
def test_some_run_on_cuda(name):
    graph = SHIPPED[name]
    module = build(graph, "cuda")
    assert shapes(module(*zeros(graph, 2, "cuda"))) == stated(convcost.analyze(graph, batch=2))


# --- names


def test_names_are_those_of_the_graph():
    module = build(SHIPPED["resnet18"])
    assert "conv2_1.conv_bn_1.conv2d_1.weight" in module.state_dict()
    assert module.get_submodule("conv2_1.conv_bn_1.conv2d_1").out_channels == 64
    assert "resnet18" in repr(module)


def test_layers_may_be_called_as_methods_of_modules():
    graph = network("""
        name: odd
        input: [3, 8, 8]
        layers:
          - {conv2d: {out_channels: 4, kernel_size: 3}, name: half}
          - {relu: {}, name: forward}
          - {conv2d: {out_channels: 4, kernel_size: 3}, name: type}
    """)
    module = build(graph, "cpu")
    assert list(module.state_dict()) == ["half.weight", "half.bias", "type.weight", "type.bias"]
    assert module(torch.zeros(1, 3, 8, 8)).shape == (1, 4, 4, 4)
    module.load_state_dict(module.state_dict())
    assert {x.dtype for x in module.half().parameters()} == {torch.float16}


def test_a_layer_may_lie_below_another():
    """A captured functional call in a module that also is one layer."""
    conv = ready(make("conv2d", {"out_channels": 4, "kernel_size": 3}), (Tensor((1, 3, 8, 8)),))
    inner = ready(make("conv2d", {"out_channels": 2, "kernel_size": 1}), (Tensor((1, 4, 6, 6)),))
    for names in (("a", "a.b"), ("a.b", "a")):
        graph = Graph(
            [Node(names[0], conv, ((-1, 0),)), Node(names[1], inner, ((0, 0),))], [("x", Tensor((1, 3, 8, 8)))]
        )
        module = build(graph)
        assert set(module.state_dict()) == {f"{name}.{weight}" for name in names for weight in ("weight", "bias")}
        assert module(*zeros(graph)).shape == (1, 2, 6, 6)


# --- weights


def test_shared_weights_are_the_same_parameters():
    graph = network("""
        name: shared
        input: [8, 8, 8]
        layers:
          - {conv2d: {out_channels: 8, kernel_size: 3, padding: 1}, name: first}
          - relu
          - {conv2d: {out_channels: 8, kernel_size: 3, padding: 1}, name: second, shares: first}
    """)
    module = build(graph, "cpu")
    assert module.get_submodule("second").weight is module.get_submodule("first").weight
    assert sum(x.numel() for x in module.parameters()) == convcost.analyze(graph).totals.params == 8 * 8 * 9 + 8
    x = torch.randn(1, 8, 8, 8)
    first = module.get_submodule("first")
    torch.testing.assert_close(module(x), first(torch.relu(first(x))))


def test_shared_buffers_are_the_same_too():
    norm = ready(make("batch_norm2d", {}), (Tensor((2, 3, 4, 4)),))
    graph = Graph([Node("a", norm, ((-1, 0),)), Node("b", norm, ((0, 0),), 0)], [("x", Tensor((2, 3, 4, 4)))])
    module = build(graph, "cpu").train()
    a, b = module.get_submodule("a"), module.get_submodule("b")
    assert a.running_mean is b.running_mean
    module(torch.randn(2, 3, 4, 4))
    assert a.num_batches_tracked == 2


GIVEN_OPS = {
    "conv2d": ("conv2d", {"out_channels": 5, "kernel_size": 3}, (2, 3, 8, 8), nn.Conv2d(3, 5, 3)),
    "linear": ("linear", {"out_features": 4, "bias": False}, (2, 3), nn.Linear(3, 4, bias=False)),
    "batch_norm2d": ("batch_norm2d", {}, (2, 3, 8, 8), nn.BatchNorm2d(3).eval()),
}


@pytest.mark.parametrize("case", GIVEN_OPS)
def test_given_weights_arrive_as_inputs(case):
    name, fields, size, expected = GIVEN_OPS[case]
    inputs = (Tensor(size),)
    op = ready(make(name, fields), inputs)
    given = [Tensor(weight.shape, weight.dtype or "float32") for weight in op.weights()]
    module = build(one(op, inputs, GIVEN, given), "cpu")
    assert dict(module.state_dict()) == {}
    x = torch.randn(size)
    weights = [*expected.parameters(), *expected.buffers()]
    made = module(x, *weights)
    torch.testing.assert_close(made, expected(x))
    assert dict(module.state_dict()) == {}, "a learned tensor that is given does not become the layer's"
    if name != "batch_norm2d":
        made.sum().backward()
        assert all(weight.grad is not None for weight in expected.parameters())


def test_a_learned_value_may_be_a_weight():
    """A convolution whose kernel another layer computes from a parameter."""
    conv = ready(make("conv2d", {"out_channels": 5, "kernel_size": 3, "bias": False}), (Tensor((2, 3, 8, 8)),))
    nodes = [
        Node("kernel", make("parameter", {"shape": [5, 3, 3, 3]}), ()),
        Node("twice", make("scale", {"factor": 2}), ((0, 0),)),
        Node("conv", conv, ((-1, 0), (1, 0)), GIVEN),
    ]
    module = build(Graph(nodes, [("x", Tensor((2, 3, 8, 8)))]), "cpu")
    assert list(module.state_dict()) == ["kernel.weight"]
    x = torch.randn(2, 3, 8, 8)
    kernel = module.get_submodule("kernel").weight
    torch.testing.assert_close(module(x), nn.functional.conv2d(x, 2 * kernel))


# --- several inputs and outputs, lifetimes, modes


def test_several_inputs_and_outputs():
    graph = network("""
        name: pair
        inputs: {image: [3, 8, 8], other: [3, 8, 8]}
        layers:
          - {add: {}, from: [image, other], name: sum}
          - {chunk: 3, from: sum, name: parts}
          - {concat: {}, from: [parts.2, parts.0], name: joined}
        outputs: [sum, joined]
    """)
    image, other = torch.randn(2, 1, 3, 8, 8)
    total, joined = build(graph, "cpu")(image, other)
    torch.testing.assert_close(total, image + other)
    torch.testing.assert_close(joined, (image + other)[:, [2, 0]])
    with pytest.raises(UsageError, match=r"pair takes 2 inputs \(image, other\), not 1"):
        build(graph)(image)


def test_values_die_after_their_last_reader():
    graph = chain((4, 8, 8), *["conv2d: {out_channels: 4, kernel_size: 1}"] * 6)
    module = build(graph, "cpu")
    alive, most = [], []

    def watch(inner, inputs, made):
        alive.append(weakref.ref(made))
        gc.collect()
        most.append(sum(ref() is not None for ref in alive))

    for call in module.calls:
        call.module.register_forward_hook(watch)
    with torch.no_grad():
        module(*zeros(graph, device="cpu"))
    assert max(most) == 2, "what a layer reads and what it makes"


def test_modes():
    graph = SHIPPED["lenet5"]
    assert not build(graph).training
    dropping = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    assert build(convcost.capture(dropping.train(), torch.zeros(2, 3))).training
    assert not build(convcost.capture(dropping.eval(), torch.zeros(2, 3))).training


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_dtypes(dtype):
    module = build(SHIPPED["resnet20_cifar"], dtype=dtype)
    kinds = {str(x.dtype) for x in module.parameters()}
    assert kinds == {f"torch.{dtype}"}
    made = module(torch.zeros(1, 3, 32, 32, dtype=getattr(torch, dtype), device="meta"))
    assert str(made.dtype) == f"torch.{dtype}"
    assert module.get_submodule("conv1.batch_norm2d_1").num_batches_tracked.dtype == torch.int64


# --- what a capture computes


class Branches(nn.Module):
    """Shared layers, a parameter as a value, several outputs of one operator, functions."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.scale = nn.Parameter(torch.randn(1, 4, 1, 1))
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.norm(self.conv(self.conv(x).relu_())) * self.scale
        low, high = x.chunk(2, 1)
        pooled = torch.cat(
            [low.mean((2, 3)), high.amax((2, 3)), (low * high).flatten(2).std(-1), x.sum((2, 3))[:, ::2]], 1
        )
        return self.head(pooled).softmax(-1), low


def test_a_captured_module_computes_the_same():
    torch.manual_seed(0)
    module = Branches().eval()
    x = torch.randn(2, 4, 8, 8)
    rebuilt = build(convcost.capture(module, x), "cpu")
    theirs = module.state_dict()
    # The second call of a layer has a name of its own for the same tensors, and a parameter as a value is a layer.
    names = {name: name.replace("conv_2.", "conv.").replace("scale.weight", "scale") for name in rebuilt.state_dict()}
    assert set(names.values()) == set(theirs)
    rebuilt.load_state_dict({name: theirs[source] for name, source in names.items()})
    with torch.no_grad():
        for ours, expected in zip(rebuilt(x), module(x), strict=True):
            torch.testing.assert_close(ours, expected)


# --- refusals and independence


def test_wrong_use():
    with pytest.raises(UsageError, match="build takes a graph, not 'resnet18'"):
        build("resnet18")
    with pytest.raises(UsageError, match="unknown device 'cupa'; did you mean 'cuda'"):
        build(SHIPPED["lenet5"], "cupa")
    with pytest.raises(UsageError, match="'cpu:x' is not a device; write cpu or cpu:0"):
        build(SHIPPED["lenet5"], "cpu:x")
    with pytest.raises(UsageError, match=r"cannot be built in 'float23'; did you mean 'float32'"):
        build(SHIPPED["lenet5"], dtype="float23")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_no_cuda():
    with pytest.raises(UsageError, match="CUDA"):
        build(SHIPPED["lenet5"], "cuda")


def test_an_operator_that_is_not_there():
    unknown = make(
        "unmodelled", {"function": "nowhere.nothing.default", "arguments": ["$0"], "results": [{"shape": [1]}]}
    )
    graph = Graph([Node("odd", unknown, ((-1, 0),))], [("x", Tensor((1,)))])
    with pytest.raises(SpecError, match="layer 'odd': PyTorch cannot build this unmodelled"):
        build(graph)


def test_the_builder_asks_no_rules():
    """Otherwise PyTorch would be no check on them."""
    rules = {name for name in vars(Op) if callable(getattr(Op, name)) and not name.startswith("_")} - {"to_torch"}
    tree = ast.parse(inspect.getsource(build_module))
    called = {
        ast.unparse(node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not {call for call in called if ".op." in call and call.rpartition(".")[2] in rules}
    assert "node.op.to_torch" in called


@pytest.mark.slow
@pytest.mark.skipif(not FULL, reason="takes minutes; CONVCOST_CASES=full runs it")
@pytest.mark.parametrize("name", SHIPPED)
def test_all_run_on_the_cpu(name):
    graph = SHIPPED[name]
    with torch.no_grad():
        made = build(graph, "cpu")(*zeros(graph, device="cpu"))
    assert shapes(made) == stated(convcost.analyze(graph))
