"""Random programs of PyTorch's functions, captured: the graph has what a watcher of the dispatcher counts.

``CONVCOST_CASES`` (support/cases.py) says how many.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import convcost
from support.cases import cases

torch = pytest.importorskip("torch")
nn = torch.nn
F = torch.nn.functional
FlopCounterMode = pytest.importorskip("torch.utils.flop_counter").FlopCounterMode
TorchDispatchMode = pytest.importorskip("torch.utils._python_dispatch").TorchDispatchMode
tree_leaves = pytest.importorskip("torch.utils._pytree").tree_leaves

CASES = cases(400)

# Each takes a floating-point x of two dimensions or more, another value y of the same shape, and a dimension d of x.
FUNCTIONS = {
    "exp": lambda x, y, d: x.exp(),
    "power": lambda x, y, d: x**2 + 1,
    "scalars": lambda x, y, d: 1 - x / 3,
    "add": lambda x, y, d: torch.add(x, y, alpha=2),
    "mul": lambda x, y, d: x * y,
    "row of y": lambda x, y, d: x - y.narrow(d, 0, 1),
    "add_": lambda x, y, d: (x * 1).add_(y),
    "clamp_": lambda x, y, d: x.clone().clamp_(0, 1),
    "lerp": lambda x, y, d: torch.lerp(x, y, 0.3),
    "addcmul": lambda x, y, d: torch.addcmul(x, x, y),
    "where": lambda x, y, d: torch.where(x > y, x, y),
    "masked_fill": lambda x, y, d: x.masked_fill(y.isnan(), 0.0),
    "masks": lambda x, y, d: ((x > 0) & (y <= 1) | x.isinf()).to(x.dtype),
    "sum": lambda x, y, d: x.sum(d),
    "sum of all": lambda x, y, d: x * x.sum(),
    "mean": lambda x, y, d: x.mean(d, keepdim=True) * y,
    "amax": lambda x, y, d: x.amax(d, keepdim=True),
    "max": lambda x, y, d: x.max(d, keepdim=True).values,
    "argmax": lambda x, y, d: y.gather(d, x.argmax(d, keepdim=True)),
    "var": lambda x, y, d: x.var(d, keepdim=True),
    "norm": lambda x, y, d: F.normalize(x, dim=d),
    "logsumexp": lambda x, y, d: x.logsumexp(d, keepdim=True),
    "softmax": lambda x, y, d: F.softmax(x, d),
    "cumsum": lambda x, y, d: x.cumsum(d),
    "sort": lambda x, y, d: x.sort(d).values,
    "topk": lambda x, y, d: x.topk(1, d).values,
    "slice": lambda x, y, d: x[..., ::2],
    "slices joined": lambda x, y, d: torch.cat([x[..., 1::2], y[..., ::2]], -1),
    "strip": lambda x, y, d: x.narrow(d, 0, 1).squeeze(d) if x.dim() > 2 else x,
    "stack": lambda x, y, d: torch.stack([x, y], d),
    "cat": lambda x, y, d: torch.cat([x, y, x], d),
    "chunk": lambda x, y, d: x.chunk(2, d)[0],
    "unbind": lambda x, y, d: sum(x.unbind(d)).unsqueeze(d),
    "unsqueeze": lambda x, y, d: x.unsqueeze(d),
    "expand": lambda x, y, d: x.unsqueeze(0).expand(2, *x.shape),
    "repeat": lambda x, y, d: x.repeat(*[1] * (x.dim() - 1), 2),
    "repeat_interleave": lambda x, y, d: x.repeat_interleave(2, d),
    "transpose": lambda x, y, d: x.transpose(d, -1),
    "reshape": lambda x, y, d: x.transpose(0, -1).reshape(x.shape[0], -1),
    "contiguous": lambda x, y, d: x.mT.contiguous(),
    "flatten": lambda x, y, d: x.flatten(d),
    "flip": lambda x, y, d: x.flip(d),
    "roll": lambda x, y, d: x.roll(1, d),
    "triu": lambda x, y, d: x.triu(),
    "half": lambda x, y, d: x.to(torch.float16).float(),
    "index": lambda x, y, d: x.index_select(d, torch.arange(x.shape[d], device=x.device)),
    "list": lambda x, y, d: x[[0, 0, -1]],
    "one_hot": lambda x, y, d: x @ torch.eye(x.shape[-1], device=x.device),
    "write": lambda x, y, d: x.clone().copy_(y),
    "assign": lambda x, y, d: assigned(x.clone()),
    "scatter": lambda x, y, d: x.scatter_add(d, torch.zeros_like(y, dtype=torch.int64), y),
    "matmul": lambda x, y, d: x @ y.mT,
    "einsum": lambda x, y, d: torch.einsum("...ij,...kj->...ik", x, y),
    "linear": lambda x, y, d: F.linear(x, y.flatten(0, -2)),
    "addmm": lambda x, y, d: torch.addmm(x.flatten(0, -2) @ y.flatten(0, -2).T, x.flatten(0, -2), y.flatten(0, -2).T),
    "baddbmm": lambda x, y, d: (x @ x.mT).baddbmm(x, y.mT) if x.dim() == 3 else x,
    "outer": lambda x, y, d: torch.outer(x.flatten()[:7], y.flatten()[:5]),
    "attention": lambda x, y, d: F.scaled_dot_product_attention(x, y, y) if x.dim() > 2 else x,
    "layer_norm": lambda x, y, d: F.layer_norm(x, x.shape[-1:]),
    "glu": lambda x, y, d: F.glu(torch.cat([x, y], d), d),
    "gelu": lambda x, y, d: F.gelu(x, approximate="tanh"),
    "relu_": lambda x, y, d: F.relu_(x * y),
    "pad": lambda x, y, d: F.pad(x, (1, 2)),
    "reflect": lambda x, y, d: F.pad(x, (1, 0), mode="reflect") if x.dim() == 3 and x.shape[-1] > 1 else x,
    "conv1d": lambda x, y, d: F.conv1d(x, x.new_ones(4, x.shape[1], 1), padding=1) if x.dim() == 3 else x,
    "conv2d": lambda x, y, d: F.conv2d(x, x.new_ones(2, x.shape[1], 1, 1)) if x.dim() == 4 else x,
    "upconv": lambda x, y, d: F.conv_transpose2d(x, x.new_ones(x.shape[1], 2, 2, 3)) if x.dim() == 4 else x,
    "pool": lambda x, y, d: F.max_pool2d(x, 2, ceil_mode=True) if x.dim() == 4 and min(x.shape) > 1 else x,
    "unfold": lambda x, y, d: F.unfold(x, 1) if x.dim() == 4 else x,
    "interpolate": lambda x, y, d: F.interpolate(x, scale_factor=2.0) if x.dim() in {3, 4} else x,
}


# Batches whose dimensions do not lie evenly in memory are copied within these, before the product and for its length:
# scratch, and no result. So that the watcher sees results alone, they are given operands that lie evenly.
PRODUCTS = {"one_hot", "matmul", "einsum", "linear", "addmm", "baddbmm", "attention"}


def assigned(x):
    x[0] = 1.0
    x[..., :1] *= 2
    return x


class Program(nn.Module):
    """Calls functions one after the other; a value that grew too large is cut."""

    def __init__(self, calls):
        super().__init__()
        self.calls = calls

    def forward(self, x):
        values = [x]
        for name, back, dim in self.calls:
            value = values[-1 - back % len(values)]
            alike = [other for other in values if other.shape == value.shape]
            other = alike[0]
            if name in PRODUCTS:
                value, other = value.contiguous(), other.contiguous()
            made = FUNCTIONS[name](value, other, dim % value.dim())
            if made.dim() < 2:
                made = made.reshape(1, -1)
            while made.dim() > 5 or made.numel() > 20_000:
                made = made[0] if made.dim() > 2 else made[:10, :10]
            values.append(made)
        return tuple(values[1:])


# Beside the result that the program sees, these give their backward pass statistics, or indices.
FOR_BACKWARD = {torch.ops.aten.native_layer_norm.default, torch.ops.aten.max_pool2d_with_indices.default}


class Fresh(TorchDispatchMode):
    """Bytes of all results in memory of their own, and how many there are."""

    def __init__(self, *known):
        super().__init__()
        self.known = {x.untyped_storage()._cdata: x for x in known}
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **kwargs or {})
        values = result[:1] if func in FOR_BACKWARD else result
        for x in tree_leaves(values):
            if isinstance(x, torch.Tensor) and x.untyped_storage()._cdata not in self.known:
                self.known[x.untyped_storage()._cdata] = x
                self.bytes += x.numel() * x.element_size()
        return result


def agreed(calls, shape):
    program, x = Program(calls), torch.empty(shape, device="meta")
    try:
        with FlopCounterMode(display=False) as counter:
            result = program(x)
    except (RuntimeError, IndexError) as error:
        with pytest.raises(convcost.SourceError, match=r"(?s).+"):
            convcost.capture(program, x)
        return f"refused: {error}"[:60]
    graph = convcost.capture(program, x)
    report = convcost.analyze(graph)
    assert report.coverage.unmodelled == ()
    assert 2 * report.totals.macs == counter.get_total_flops()
    watch = Fresh(x)
    with watch:
        program(x)
    assert report.totals.activation_bytes == watch.bytes
    outputs = [report.layers[n].cost.outputs[k] if n >= 0 else graph.inputs[0][1] for n, k in graph.outputs]
    assert [(y.shape, y.dtype) for y in outputs] == [(tuple(y.shape), str(y.dtype)[6:]) for y in result]
    again = convcost.build(graph)
    with FlopCounterMode(display=False) as counter:
        built = again(x)
    assert [y.shape for y in (built if isinstance(built, tuple) else (built,))] == [y.shape for y in result]
    assert counter.get_total_flops() == 2 * report.totals.macs
    return "agreed"


calls = st.lists(
    st.tuples(st.sampled_from(sorted(FUNCTIONS)), st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=8
)
shapes = st.lists(st.integers(1, 6), min_size=2, max_size=4)


def test_random_programs_are_captured_as_pytorch_runs_them():
    seen, used = Counter(), set()

    @settings(max_examples=CASES, deadline=None, derandomize=True, database=None, suppress_health_check=HealthCheck)
    @given(calls, shapes)
    def check(drawn, shape):
        verdict = agreed(drawn, shape)
        seen[verdict] += 1
        if verdict == "agreed":
            used.update(name for name, *_ in drawn)

    check()
    assert seen["agreed"] > CASES * 0.7, seen
    missing = set(FUNCTIONS) - used
    if CASES >= 400:
        assert len(missing) < (1 if CASES >= 2000 else 5), missing
