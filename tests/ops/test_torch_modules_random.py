"""Random fields and sizes: rules and PyTorch modules agree on shapes, bytes, weights and MACs, and on what they refuse.

``CONVCOST_CASES`` (support/cases.py) says how many cases each family gets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convcost.errors import OpError
from convcost.ops import make, ready
from convcost.tensor import Tensor
from support.cases import cases

torch = pytest.importorskip("torch")
FlopCounterMode = pytest.importorskip("torch.utils.flop_counter").FlopCounterMode

CASES = cases(400)


class Case(NamedTuple):
    """An op, its inputs, and the fields that it infers from the inputs."""

    op: str
    fields: Mapping[str, Any]
    inputs: tuple[Tensor, ...]
    bound: Mapping[str, Any] = {}


# Cases that only one of the two accepts, by intent: each has its reason and its condition.
PYTORCH_ALONE = {
    "pad": lambda case: len(case.fields["padding"]) > 2 * (len(case.inputs[0].shape) - 1),  # the batch is not padded
    "mean": lambda case: case.fields["dim"] == [],  # means all dimensions in PyTorch
    "sum": lambda case: case.fields["dim"] == [],
    "roll": lambda case: case.fields["dims"] == [],  # PyTorch rolls the flattened value
    "window_mask": lambda case: case.fields["shift"] >= case.fields["window_size"],  # a shift past a whole window
}
# PyTorch refuses one value per channel at batch 1 and accepts it at batch 2; a graph has no fixed batch.
ONE_VALUE = {"batch_norm1d", "batch_norm2d", "batch_norm3d", "group_norm"}


def excused(case, by_us):
    if not by_us:
        return PYTORCH_ALONE.get(case.op, lambda case: False)(case)
    batch, channels, *positions = case.inputs[0].shape
    return case.op in ONE_VALUE and (batch * channels // case.fields.get("num_groups", channels), *positions) == (
        1, *(1 for _ in positions),
    )  # fmt: skip


def by_the_rules(case):
    """The bound op, or None if a rule refuses the case."""
    try:
        return ready(make(case.op, case.fields), case.inputs)
    except OpError:
        return None


def by_pytorch(case, device):
    """The PyTorch module without our checks, its outputs and its FLOPs; None if PyTorch refuses the case."""
    op = msgspec.structs.replace(make(case.op, case.fields), **case.bound)
    tensors = [torch.zeros(x.shape, dtype=getattr(torch, x.dtype), device=device) for x in case.inputs]
    try:
        with torch.device(device):
            module = op.to_torch().eval()
        with FlopCounterMode(display=False) as counter:
            outputs = module(*tensors)
    except (RuntimeError, ValueError, IndexError, TypeError):
        return None
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    # Some kernels return empty tensors for inputs that others refuse.
    return (module, outputs, counter.get_total_flops()) if all(y.numel() for y in outputs) else None


def compared(case):
    """The outcome: agreed, refused or excused. Fails if only one of the two accepts the case, or a figure differs."""
    op, theirs = by_the_rules(case), by_pytorch(case, "meta")
    # The meta device accepts some cases that real kernels refuse.
    refused = theirs is None or (op is None and by_pytorch(case, "cpu") is None)
    if (op is None) != refused:
        assert excused(case, op is not None), f"{'PyTorch' if op is None else 'convcost'} alone takes {case}"
        return "excused"
    if op is None:
        return "refused"
    module, outputs, flops = theirs
    ours = op.outputs(case.inputs)
    assert [(x.shape, x.bytes) for x in ours] == [(tuple(y.shape), y.numel() * y.element_size()) for y in outputs]
    weights = [(weight.name, weight.shape) for weight in op.weights()]
    assert weights == [(name, tuple(x.shape)) for name, x in (*module.named_parameters(), *module.named_buffers())]
    assert op.torch_flops(case.inputs, ours) == flops
    return "agreed"


small, size = st.integers(1, 4), st.integers(1, 12)
ranks = st.sampled_from([1, 2, 3])
dtypes = st.sampled_from(["float32", "float16", "bfloat16", "float64"])


def each(values, rank):
    """One for all dimensions, or one for each."""
    return st.one_of(values, st.tuples(*[values] * rank))


def shapes(rank, channels=size):
    return st.tuples(small, channels, *[size] * rank)


@st.composite
def convolutions(draw):
    rank, transposed = draw(ranks), draw(st.booleans())
    shape = draw(shapes(rank))
    groups = draw(st.sampled_from([1, 1, 2, 3, shape[1]]))
    fields = {
        "out_channels": draw(st.integers(1, 3)) * draw(st.sampled_from([1, groups])),
        "kernel_size": draw(each(st.integers(1, 5), rank)),
        "stride": draw(each(small, rank)),
        "padding": draw(each(st.integers(0, 4), rank)),
        "dilation": draw(each(st.integers(1, 3), rank)),
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    if transposed:
        fields["output_padding"] = draw(each(st.integers(0, 2), rank))
    elif draw(st.integers(0, 3)) == 0:
        fields["padding"] = draw(st.sampled_from(["same", "valid"]))
    name = "conv_transpose" if transposed else "conv"
    return Case(f"{name}{rank}d", fields, (Tensor(shape),), {"in_channels": shape[1]})


@st.composite
def connected(draw):
    rank, channels = draw(ranks), draw(small)
    row = st.lists(st.integers(0, channels - 1), min_size=1, unique=True)
    table = draw(st.lists(row, min_size=1, max_size=5))
    fields = {
        "out_channels": len(table),
        "kernel_size": draw(each(small, rank)),
        "stride": draw(each(small, rank)),
        "padding": draw(st.one_of(each(st.integers(0, 2), rank), st.just("valid"))),
        "dilation": draw(each(st.integers(1, 2), rank)),
        "bias": draw(st.booleans()),
        "connections": table,
    }
    shape = draw(shapes(rank, st.just(channels)))
    return Case(f"conv{rank}d", fields, (Tensor(shape),), {"in_channels": channels})


@st.composite
def poolings(draw):
    rank = draw(ranks)
    name = draw(st.sampled_from(["max_pool", "avg_pool"]))
    fields = {
        "kernel_size": draw(each(small, rank)),
        "stride": draw(st.one_of(st.none(), each(st.integers(1, 5), rank))),
        "padding": draw(each(st.integers(0, 2), rank)),
        "ceil_mode": draw(st.booleans()),
    }
    if name == "max_pool":
        fields |= {"dilation": draw(each(st.integers(1, 3), rank)), "return_indices": draw(st.booleans())}
    else:
        fields["count_include_pad"] = draw(st.booleans())
    return Case(f"{name}{rank}d", fields, (Tensor(draw(shapes(rank))),))


@st.composite
def other_poolings(draw):
    rank = draw(ranks)
    name = draw(st.sampled_from(["adaptive_avg_pool", "adaptive_max_pool", "global", "subsample2d"]))
    shape = draw(shapes(2 if name == "subsample2d" else rank))
    inputs = (Tensor(shape),)
    if name == "global":
        name = draw(st.sampled_from(["global_avg_pool", "global_max_pool"]))
        return Case(name, {"keepdim": draw(st.booleans())}, inputs)
    if name == "subsample2d":
        fields = {"kernel_size": draw(each(small, 2)), "stride": draw(st.one_of(st.none(), each(small, 2)))}
        return Case(name, fields, inputs, {"in_channels": shape[1]})
    return Case(f"{name}{rank}d", {"output_size": draw(each(size, rank))}, inputs)


LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


@st.composite
def resamplings(draw):
    if draw(st.integers(0, 4)) == 0:
        name, field = draw(
            st.sampled_from([("pixel_shuffle", "upscale_factor"), ("pixel_unshuffle", "downscale_factor")])
        )
        return Case(name, {field: draw(small)}, (Tensor(draw(shapes(2))),))
    rank = draw(ranks)
    fields = {"mode": draw(st.sampled_from(["nearest", "area", "bicubic", *LINEAR.values()]))}
    if draw(st.booleans()):
        fields["size"] = draw(each(st.integers(1, 20), rank))
    else:
        fields["scale_factor"] = draw(each(st.one_of(st.floats(0.05, 4), st.sampled_from([0.5, 2, 3.0])), rank))
    if draw(st.booleans()):
        fields["align_corners"] = True
    return Case(draw(st.sampled_from(["upsample", "interpolate"])), fields, (Tensor(draw(shapes(rank))),))


@st.composite
def paddings(draw):
    rank = draw(ranks)
    shape = draw(shapes(rank))
    if draw(st.booleans()):
        entries = draw(st.lists(st.integers(0, 3), max_size=2 * len(shape)))
        return Case("pad", {"padding": entries}, (Tensor(shape),))
    margins = st.one_of(st.integers(0, 4), st.tuples(*[st.integers(0, 4)] * (2 * rank)))
    return Case(f"zero_pad{rank}d", {"padding": draw(margins)}, (Tensor(shape),))


@st.composite
def normalisations(draw):
    rank, eps = draw(ranks), draw(st.sampled_from([1e-5, 1e-3]))
    name = draw(st.sampled_from(["batch_norm", "instance_norm", "layer_norm", "rms_norm", "group_norm", "lrn"]))
    shape = draw(shapes(rank))
    inputs = (Tensor(shape),)
    if name == "lrn":
        return Case("local_response_norm", {"size": draw(st.integers(1, 6))}, inputs)
    if name == "group_norm":
        fields = {"num_groups": draw(small), "affine": draw(st.booleans()), "eps": eps}
        return Case(name, fields, inputs, {"num_channels": shape[1]})
    if name in ("layer_norm", "rms_norm"):
        last = draw(st.one_of(st.sampled_from([shape[-k:] for k in range(1, len(shape) + 1)]), each(size, 2), size))
        fields = {"normalized_shape": last, "elementwise_affine": draw(st.booleans()), "eps": eps}
        if name == "layer_norm":
            fields["bias"] = draw(st.booleans())
        return Case(name, fields, inputs)
    fields = {"affine": draw(st.booleans()), "track_running_stats": draw(st.booleans()), "eps": eps}
    return Case(f"{name}{rank}d", fields, inputs, {"num_features": shape[1]})


@st.composite
def matrices(draw):
    name = draw(st.sampled_from(["linear", "rbf", "embedding", "matmul", "matmul"]))
    leading = draw(st.lists(small, min_size=1, max_size=3))
    if name == "embedding":
        fields = {"num_embeddings": draw(size), "embedding_dim": draw(size)}
        return Case(name, fields, (Tensor(tuple(leading), draw(st.sampled_from(["int64", "int32"]))),))
    shape = (*leading, draw(size))
    if name == "matmul":
        fields = {"transpose_b": draw(st.booleans())}
        columns, rows = draw(size), draw(st.one_of(st.just(shape[-1]), size))
        last = (columns, rows) if fields["transpose_b"] else (rows, columns)
        return Case(name, fields, (Tensor((*shape[:-1], 2, shape[-1])), Tensor((*draw(broadcastable(leading)), *last))))
    fields = {"out_features": draw(size)} | ({"bias": draw(st.booleans())} if name == "linear" else {})
    return Case(name, fields, (Tensor(shape),), {"in_features": shape[-1]})


def broadcastable(shape):
    """A shape that in most cases broadcasts to this one."""
    sides = [st.sampled_from([side, side, side, 1, 2]) for side in shape]
    return st.tuples(*sides).flatmap(lambda made: st.integers(0, len(made)).map(lambda cut: made[cut:]))


anywhere = st.integers(-5, 5)


@st.composite
def views(draw):
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    count, dim = st.integers(1, 6), st.integers(-len(shape) - 1, len(shape))
    sizes = st.lists(st.sampled_from([-1, 1, 2, 3, 4, 6]), min_size=1, max_size=3)
    fields = {
        "identity": {},
        "flatten": {"start_dim": dim, "end_dim": dim},
        "transpose": {"dim0": dim, "dim1": dim},
        "permute": {"dims": st.one_of(st.permutations(range(len(shape))), st.lists(dim, max_size=4))},
        "select": {"dim": dim, "index": anywhere},
        "narrow": {"dim": dim, "start": anywhere, "length": count},
        "chunk": {"chunks": count, "dim": dim},
        "split": {"sections": st.one_of(count, st.lists(count, min_size=1, max_size=4)), "dim": dim},
        "unflatten": {"dim": dim, "sizes": sizes},
        "reshape": {"shape": st.lists(st.sampled_from([-1, 0, 1, 2, 3, 4, 6]), min_size=1, max_size=4)},
        "roll": {"shifts": st.lists(anywhere, max_size=2), "dims": st.lists(dim, max_size=2)},
        "channel_shuffle": {"groups": count},
        "softmax": {"dim": dim},
        "maxout": {"pieces": count, "dim": dim},
        "mean": {"dim": st.one_of(dim, st.lists(dim, max_size=3)), "keepdim": st.booleans()},
        "sum": {"dim": st.one_of(dim, st.lists(dim, max_size=3)), "keepdim": st.booleans()},
    }
    name = draw(st.sampled_from(sorted(fields)))
    return Case(name, draw(st.fixed_dictionaries(fields[name])), (Tensor(shape, draw(dtypes)),))


@st.composite
def crops(draw):
    rank = draw(ranks)
    shape = draw(shapes(rank))
    fields = {} if draw(st.booleans()) else {"offset": draw(each(st.integers(0, 4), rank))}
    if draw(st.booleans()):
        return Case("crop", fields, (Tensor(shape), Tensor(draw(shapes(rank)))))
    return Case("crop", fields | {"size": draw(each(size, rank))}, (Tensor(shape),))


@st.composite
def combinations(draw):
    name = draw(st.sampled_from(["add", "sub", "mul", "div", "maximum", "concat"]))
    shape = tuple(draw(st.lists(small, min_size=1, max_size=4)))
    if name == "concat":
        dim = draw(anywhere)
        others = draw(st.lists(st.tuples(*[st.sampled_from([side, side, side, 5]) for side in shape]), max_size=2))
        return Case(name, {"dim": dim}, tuple(Tensor(each, draw(dtypes)) for each in (shape, *others)))
    kinds = st.sampled_from(["float32", "float32", "float16", "bfloat16", "float64", "int64", "int8", "uint8"])
    others = draw(st.lists(broadcastable(shape), min_size=1, max_size=3))
    fields = {} if name == "maximum" else {"inplace": draw(st.booleans())}
    return Case(name, fields, tuple(Tensor(tuple(each), draw(kinds)) for each in (shape, *others)))


@st.composite
def windows(draw):
    window, heads = draw(small), draw(small)
    image = Tensor((draw(small), draw(size), draw(size), draw(small)))
    count = prod((image.shape[0], *(-(-side // window) for side in image.shape[1:3])))
    logits = Tensor((count, heads, window**2, window**2))
    pieces = Tensor((count * draw(st.sampled_from([1, 1, 2])), window**2, 5))
    cases = [
        Case("window_partition", {"window_size": window}, (image,)),
        Case("window_reverse", {"window_size": window}, (pieces, image)),
        Case("relative_position_bias", {"window_size": window}, (logits,), {"num_heads": heads}),
        Case("window_mask", {"window_size": window, "shift": draw(st.integers(0, 4))}, (logits, image)),
        Case("patch_merge", {"factor": window}, (image,)),
        Case("causal_mask", {}, (logits,)),
    ]
    return draw(st.sampled_from(cases))


FAMILIES = {
    "convolutions": convolutions(),
    "connection tables": connected(),
    "poolings": poolings(),
    "other poolings": other_poolings(),
    "resamplings": resamplings(),
    "paddings": paddings(),
    "normalisations": normalisations(),
    "matrices": matrices(),
    "views": views(),
    "crops": crops(),
    "combinations": combinations(),
    "windows": windows(),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # PyTorch's, on its speed
def test_rules_and_pytorch_agree_or_both_refuse(family):
    seen = Counter()

    @settings(max_examples=CASES, deadline=None, derandomize=True, database=None, suppress_health_check=HealthCheck)
    @given(FAMILIES[family])
    def check(case):
        seen[compared(case)] += 1

    check()
    assert seen["agreed"] > CASES // 4, seen
    assert seen["refused"] > CASES // 50, seen
    assert seen["excused"] < CASES // 5, seen
