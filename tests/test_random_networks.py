"""Random networks: what the rules say of them, and what PyTorch does when they run on the meta device.

``CONVCOST_CASES`` (support/cases.py) says how many.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import convcost
from convcost import analyze
from convcost.ops import REGISTRY, Composite, generic
from support.cases import cases
from support.random_networks import networks

torch = pytest.importorskip("torch")
FlopCounterMode = pytest.importorskip("torch.utils.flop_counter").FlopCounterMode

from support.memory_oracles import saved_storages  # noqa: E402

CASES = cases(600)
UNCOUNTED = {"rbf", "bilinear"}  # PyTorch's counter knows convolutions and matrix products
UNSEEN = {"rbf"}  # its squares are a multiplication like any other to a capture
MAY_COPY = {"flatten", "reshape"}  # views by our rule, which knows no strides
dtypes = st.sampled_from(["float32", "float32", "float16", "bfloat16", "float64"])

pytestmark = pytest.mark.filterwarnings(
    "ignore:Using padding='same' with even kernel",
    "ignore:dropout option adds dropout",
)


class Run:
    """A forward pass on meta: the outputs of every layer, and the bytes of those that are in memory of their own."""

    def __init__(self, graph, batch, dtype, train):
        self.module = (
            convcost.build(graph, "meta", dtype).train(train).requires_grad_(False)
        )  # a parameter may be overwritten
        self.inputs = [
            torch.empty(
                (batch, *x.shape[1:]), dtype=getattr(torch, x.dtype if x.dtype == "int64" else dtype), device="meta"
            )
            for _, x in graph.inputs
        ]
        self.outputs, self.fresh, self.contiguous, self.flops = {}, {}, {}, {}
        self.storages = {
            x.untyped_storage()._cdata: x for x in (*self.inputs, *self.module.parameters(), *self.module.buffers())
        }
        for node in graph:
            self.module.get_submodule(node.name).register_forward_hook(self.watch(node.name))
        self.counter = FlopCounterMode(display=False)
        with self.counter:
            self.result = self.module(*self.inputs)

    def watch(self, name):
        def hook(module, args, result):
            found = result if isinstance(result, tuple) else (result,)
            self.outputs[name] = found
            self.contiguous[name] = all(x.is_contiguous() for x in args)
            new = {x.untyped_storage()._cdata: x for x in found if x.untyped_storage()._cdata not in self.storages}
            self.fresh[name] = sum(x.numel() * x.element_size() for x in new.values())
            self.storages |= new

        return hook


def described(x):
    return tuple(x.shape), str(x.dtype).removeprefix("torch.")


def macs(report, *but):
    return sum(layer.macs for layer in report.layers if layer.op not in but)


def agreed(network, batch, dtype, train):
    """Hold a network's figures against its run, and against the capture of the module that ran."""
    graph = network.graph
    report = analyze(graph, batch=batch, dtype=dtype, train=train)
    try:
        run = Run(graph, batch, dtype, train)
    except RuntimeError as error:
        # Some of PyTorch's own functions do not take values that were permuted; a spec knows no strides.
        assert "view size is not compatible" in str(error)
        return "refused"
    except ValueError as error:
        assert "Expected more than 1" in str(error)
        # A value that is no batch can have one value per channel in evaluation, too.
        constant = any(node.op.op == "parameter" for node in graph)
        assert constant or (train and any("cannot be trained" in warning for warning in report.warnings)), error
        return "refused"
    for layer in report.layers:
        outputs = run.outputs[layer.name]
        assert [(x.shape, x.dtype) for x in layer.cost.outputs] == [described(x) for x in outputs], layer.name
        if layer.op not in MAY_COPY or run.contiguous[layer.name]:
            assert layer.activation_bytes == run.fresh[layer.name], layer.name
        own = run.module.get_submodule(layer.name)
        assert layer.params == sum(x.numel() for x in own.parameters()), layer.name
        assert layer.buffers == sum(x.numel() for x in own.buffers()), layer.name
    assert 2 * macs(report, *UNCOUNTED) == run.counter.get_total_flops()
    captured = analyze(convcost.capture(run.module, *run.inputs))
    assert (captured.totals.params, captured.totals.buffers) == (report.totals.params, report.totals.buffers)
    assert captured.totals.macs == macs(report, *UNSEEN)
    assert captured.coverage.unmodelled == ()
    return "agreed"


def test_random_networks_cost_what_pytorch_says():
    seen, ops = Counter(), Counter()

    @settings(max_examples=CASES, deadline=None, derandomize=True, database=None, suppress_health_check=HealthCheck)
    @given(networks(), st.integers(2, 4), dtypes, st.booleans())
    def check(network, batch, dtype, train):
        if network.graph is None:
            return
        seen[agreed(network, batch, dtype, train)] += 1
        ops.update({node.op.op for node in network.graph})

    check()
    assert seen["agreed"] > CASES * 0.9, seen
    # Attention is written out in a graph; an operator as it was called comes from captures only.
    drawn = {
        name for name, op in REGISTRY.items() if not issubclass(op, Composite) and op.__module__ != generic.__name__
    }
    missing = drawn - set(ops)
    if CASES >= 600:
        assert len(missing) < (1 if CASES >= 2000 else 10), missing


def kept_alike(network, batch, dtype):
    """Hold what the rules say that autograd keeps against its hooks, in training."""
    module = convcost.build(network.graph, "meta", dtype).train()
    inputs = [
        torch.empty(
            (batch, *x.shape[1:]), dtype=getattr(torch, x.dtype if x.dtype == "int64" else dtype), device="meta"
        )
        for _, x in network.graph.inputs
    ]
    try:
        held = saved_storages(module, inputs)
    except (RuntimeError, ValueError) as error:
        # A parameter cannot be overwritten, a value of one element cannot be normalised, views need strides.
        known = ("in-place operation", "Expected more than 1", "view size is not compatible", "is a view")
        assert any(text in str(error) for text in known), error
        return "refused"
    memory = convcost.memory(convcost.capture(module, *inputs), kernels="meta")
    if memory.unknown:
        return "unknown"
    assert memory.saved_for_backward_bytes == sum(held.values())
    return "agreed"


def test_random_networks_keep_for_backward_what_the_hooks_see():
    seen = Counter()

    @settings(
        max_examples=CASES // 2, deadline=None, derandomize=True, database=None, suppress_health_check=HealthCheck
    )
    @given(networks(), st.integers(2, 4), dtypes)
    def check(network, batch, dtype):
        if network.graph is not None:
            seen[kept_alike(network, batch, dtype)] += 1

    check()
    assert seen["agreed"] > CASES * 0.25, seen
