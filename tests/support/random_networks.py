"""Random networks in the spec language, layer by layer: each takes a value that is there and must be possible for it.

What is possible is asked of the rules; whether they are right about it, PyTorch says when the network runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

from hypothesis import strategies as st

from convcost import Graph, SpecError
from convcost.errors import OpError
from convcost.ops import make, ready
from convcost.sources.load import graph_from_text
from convcost.tensor import Tensor
from ops.examples import expanded

MOST_ELEMENTS = 20_000
RECURRENT = ("rnn", "gru", "lstm")

small, side, flag = st.integers(1, 3), st.integers(1, 9), st.booleans()


class Value(NamedTuple):
    """A value of the network: how a spec calls it, and its shape at batch 2."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


class Layer(NamedTuple):
    op: str
    fields: Mapping[str, Any]
    sources: Sequence[Value]


WORDS = Value("words", (2, 5), "int64")

Draw = Callable[..., Any]
Maker = Callable[[Draw, Value, Sequence[Value]], "Layer | None"]


def each(values: Any, rank: int) -> Any:
    """One for all dimensions, or one for each."""
    return st.one_of(values, st.lists(values, min_size=rank, max_size=rank))


def rank_of(x: Value) -> int:
    return len(x.shape) - 2


def like(x: Value, others: Sequence[Value], but: int | None = None) -> list[Value]:
    """Values of the same shape, except perhaps in one dimension."""

    def alike(other: Value) -> bool:
        pairs = enumerate(zip(other.shape, x.shape, strict=True))
        return all(a == b or at == but for at, (a, b) in pairs)

    return [other for other in others if len(other.shape) == len(x.shape) and alike(other) and other.dtype == x.dtype]


# --- layers of images: (N, C, *spatial)


def convolution(draw: Draw, x: Value, others: Sequence[Value]) -> Layer | None:
    rank, channels = rank_of(x), x.shape[1]
    transposed = draw(flag)
    groups = draw(st.sampled_from([1, 1, 2, 3, channels]))
    fields = {
        "out_channels": draw(small) * draw(st.sampled_from([1, groups])),
        "kernel_size": draw(each(st.integers(1, 5), rank)),
        "stride": draw(each(small, rank)),
        "padding": draw(each(st.integers(0, 3), rank)),
        "dilation": draw(each(st.integers(1, 2), rank)),
        "groups": groups,
        "bias": draw(flag),
    }
    if transposed:
        fields["output_padding"] = draw(each(st.integers(0, 1), rank))
    elif draw(st.integers(0, 3)) == 0:
        fields["padding"] = draw(st.sampled_from(["same", "valid"]))
    return Layer(f"{'conv_transpose' if transposed else 'conv'}{rank}d", fields, [x])


def connection_table(draw: Draw, x: Value, others: Sequence[Value]) -> Layer | None:
    row = st.lists(st.integers(0, x.shape[1] - 1), min_size=1, unique=True)
    table = draw(st.lists(row, min_size=1, max_size=4))
    fields = {"out_channels": len(table), "kernel_size": draw(small), "bias": draw(flag), "connections": table}
    return Layer(f"conv{rank_of(x)}d", fields, [x])


def pooling(draw: Draw, x: Value, others: Sequence[Value]) -> Layer | None:
    rank = rank_of(x)
    name = draw(st.sampled_from(["max_pool", "avg_pool"]))
    fields = {
        "kernel_size": draw(each(small, rank)),
        "stride": draw(st.one_of(st.none(), each(small, rank))),
        "padding": draw(each(st.integers(0, 1), rank)),
        "ceil_mode": draw(flag),
    }
    if name == "max_pool":
        fields |= {"dilation": draw(each(st.integers(1, 2), rank)), "return_indices": draw(flag)}
    return Layer(f"{name}{rank}d", fields, [x])


def adaptive_pooling(draw: Draw, x: Value, others: Sequence[Value]) -> Layer | None:
    rank = rank_of(x)
    name = draw(st.sampled_from(["adaptive_avg_pool", "adaptive_max_pool", "global_avg_pool", "global_max_pool"]))
    if name.startswith("global"):
        return Layer(name, {"keepdim": draw(flag)}, [x])
    fields = {"output_size": draw(each(side, rank))}
    if name == "adaptive_max_pool":
        fields["return_indices"] = draw(flag)
    return Layer(f"{name}{rank}d", fields, [x])


def channel_norm(draw: Draw, x: Value, others: Sequence[Value]) -> Layer | None:
    name = draw(st.sampled_from(["batch_norm", "instance_norm", "group_norm", "local_response_norm"]))
    if name == "local_response_norm":
        return Layer(name, {"size": draw(st.integers(1, 5))}, [x])
    fields = {"affine": draw(flag)}
    if name == "group_norm":
        return Layer(name, {**fields, "num_groups": draw(small)}, [x])
    return Layer(f"{name}{rank_of(x)}d", {**fields, "track_running_stats": draw(flag)}, [x])


def resizing(draw: Draw, x: Value, others: Sequence[Value]) -> Layer | None:
    rank = rank_of(x)
    modes = {1: ["linear"], 2: ["bilinear", "bicubic"], 3: ["trilinear"]}[rank]
    fields: dict[str, Any] = {"mode": draw(st.sampled_from(["nearest", "area", *modes]))}
    if draw(flag):
        fields["size"] = draw(each(side, rank))
    else:
        fields["scale_factor"] = draw(each(st.sampled_from([0.5, 0.7, 1.5, 2.0]), rank))
    return Layer(draw(st.sampled_from(["upsample", "interpolate"])), fields, [x])


def margins(draw: Draw, x: Value, others: Sequence[Value]) -> Layer | None:
    rank = rank_of(x)
    name = draw(st.sampled_from([f"zero_pad{rank}d", "crop", "crop", "pad"]))
    if name == "crop":
        larger = [o for o in others if len(o.shape) == len(x.shape) and all(map(int.__ge__, o.shape[2:], x.shape[2:]))]
        if larger and draw(flag):
            return Layer(name, {}, [draw(st.sampled_from(larger)), x])
        return Layer(name, {"size": draw(each(side, rank))}, [x])
    sides = rank if name == "pad" else 2 * rank
    entries = draw(st.lists(st.integers(0, 2), min_size=2 * (sides // 2), max_size=2 * (sides // 2)))
    return Layer(name, {"padding": entries}, [x])


def image_layer(draw: Draw, x: Value, others: Sequence[Value]) -> Layer | None:
    """What only images of two spatial dimensions have."""
    if rank_of(x) != 2:
        return None
    name = draw(
        st.sampled_from(["subsample2d", "pixel_shuffle", "pixel_unshuffle", "window_partition", "patch_merge"]),
    )
    field = {
        "subsample2d": "kernel_size", "pixel_shuffle": "upscale_factor", "pixel_unshuffle": "downscale_factor",
        "window_partition": "window_size", "patch_merge": "factor",
    }[name]  # fmt: skip
    return Layer(name, {field: draw(small)}, [x])


def channel_drop(draw: Draw, x: Value, others: Sequence[Value]) -> Layer | None:
    return Layer(f"dropout{rank_of(x)}d", {"p": draw(st.sampled_from([0.0, 0.3])), "inplace": draw(flag)}, [x])


# --- layers of any shape


IN_PLACE = (
    "relu", "relu6", "leaky_relu", "elu", "selu", "sigmoid", "tanh", "silu", "mish", "hardtanh", "hardsigmoid",
    "hardswish", "dropout",
)  # fmt: skip
PLAIN = ("gelu", "softplus", "scaled_tanh", "identity", "contiguous")


def pointwise(draw: Draw, x: Value, others: Sequence[Value]) -> Layer | None:
    name = draw(st.sampled_from([*IN_PLACE, *PLAIN, "prelu", "scale", "stochastic_depth", "layer_scale", "maxout"]))
    channels, dims = x.shape[1], st.integers(1, len(x.shape) - 1)
    fields: dict[str, Any] = {"inplace": draw(flag)} if name in IN_PLACE else {}
    if name == "prelu":
        fields = {"num_parameters": draw(st.sampled_from([1, channels]))}
    elif name == "scale":
        fields = {"factor": 0.5}
    elif name == "stochastic_depth":
        fields = {"p": draw(st.sampled_from([0.0, 0.2])), "mode": draw(st.sampled_from(["row", "batch"]))}
    elif name == "layer_scale":
        fields = {"dim": draw(dims)}
    elif name == "maxout":
        fields = {"pieces": draw(small), "dim": draw(dims)}
    return Layer(name, fields, [x])


def along(draw: Draw, x: Value, others: Sequence[Value]) -> Layer | None:
    """What works along a dimension."""
    dims = st.integers(1, len(x.shape) - 1)
    name = draw(
        st.sampled_from(["softmax", "attention_softmax", "log_softmax", "mean", "sum", "layer_norm", "rms_norm"]),
    )
    if name in ("mean", "sum"):
        return Layer(name, {"dim": draw(st.lists(dims, min_size=1, unique=True)), "keepdim": draw(flag)}, [x])
    if name.endswith("norm"):
        count = draw(st.integers(1, len(x.shape) - 1))
        fields = {"normalized_shape": list(x.shape[-count:]), "elementwise_affine": draw(flag)}
        return Layer(name, fields, [x])
    return Layer(name, {"dim": draw(dims)}, [x])


def rearranged(draw: Draw, x: Value, others: Sequence[Value]) -> Layer | None:
    dims = st.integers(1, len(x.shape) - 1)
    dim = draw(dims)
    size = x.shape[dim]
    kinds: dict[str, Mapping[str, Any]] = {
        "flatten": {"start_dim": draw(dims)},
        "reshape": {"shape": [0, -1, draw(st.sampled_from([1, 2, 3, x.shape[-1]]))]},
        "unflatten": {"dim": dim, "sizes": [draw(small), -1]},
        "permute": {"dims": [0, *draw(st.permutations(range(1, len(x.shape))))]},
        "transpose": {"dim0": dim, "dim1": draw(dims)},
        "channel_shuffle": {"groups": draw(small)},
        "chunk": {"chunks": draw(small), "dim": dim},
        "split": {"sections": [1, size - 1] if draw(flag) else draw(small), "dim": dim},
        "select": {"dim": dim, "index": draw(st.integers(-size, size - 1))},
        "narrow": {"dim": dim, "start": draw(st.integers(0, size - 1)), "length": draw(small)},
        "roll": {"shifts": [draw(st.integers(-3, 3))], "dims": [dim]},
    }
    name = draw(st.sampled_from(sorted(kinds)))
    return Layer(name, kinds[name], [x])


def matrix(draw: Draw, x: Value, others: Sequence[Value]) -> Layer | None:
    name = draw(st.sampled_from(["linear", "linear", "rbf", "bilinear", "matmul"]))
    if name == "matmul":
        if len(x.shape) < 3:
            return None
        return Layer(name, {"transpose_b": True}, [x, draw(st.sampled_from(like(x, others, len(x.shape) - 2)))])
    fields: dict[str, Any] = {"out_features": draw(side)}
    if name != "rbf":
        fields["bias"] = draw(flag)
    sources = [x] if name != "bilinear" else [x, draw(st.sampled_from(like(x, others, len(x.shape) - 1)))]
    return Layer(name, fields, sources)


def combination(draw: Draw, x: Value, others: Sequence[Value]) -> Layer | None:
    name = draw(st.sampled_from(["add", "sub", "mul", "div", "maximum", "concat", "concat"]))
    if name == "concat":
        dim = draw(st.integers(1, len(x.shape) - 1))
        more = draw(st.lists(st.sampled_from(like(x, others, dim)), min_size=1, max_size=2))
        return Layer(name, {"dim": dim}, [x, *more])
    fits = [o for o in others if o.dtype == x.dtype and len(o.shape) == len(x.shape)]
    fits = [o for o in fits if all(b in (a, 1) for a, b in zip(x.shape, o.shape, strict=True))]
    fields = {} if name == "maximum" else {"inplace": draw(flag)}
    return Layer(name, fields, [x, draw(st.sampled_from(fits))])


def learned(draw: Draw, x: Value, others: Sequence[Value]) -> Layer | None:
    """A parameter that can be added to x."""
    return Layer("parameter", {"shape": [1, *(draw(st.sampled_from([size, 1])) for size in x.shape[1:])]}, [])


# --- layers of tokens: (N, L, C)


def looked_up(draw: Draw, x: Value, others: Sequence[Value]) -> Layer | None:
    return Layer("embedding", {"num_embeddings": draw(side), "embedding_dim": draw(side)}, [WORDS])


def tokens(draw: Draw, x: Value, others: Sequence[Value]) -> Layer | None:
    if len(x.shape) != 3:
        return None
    name = draw(
        st.sampled_from(
            [
                "class_token",
                "position_embedding",
                "multihead_attention",
                "scaled_dot_product_attention",
                "causal_mask",
                *RECURRENT,
            ]
        )
    )
    fields: dict[str, Any] = {}
    sources = [x]
    if name == "multihead_attention":
        fields = {"num_heads": draw(small), "bias": draw(flag)}
        sources = [x] if draw(flag) else [x, *[draw(st.sampled_from(like(x, others, 1)))] * 2]
    elif name == "scaled_dot_product_attention":
        fields = {"is_causal": draw(flag)}
        sources = [x, *[draw(st.sampled_from(like(x, others, 1)))] * 2]
    elif name in RECURRENT:
        fields = {
            "hidden_size": draw(small), "num_layers": draw(small), "bias": draw(flag), "batch_first": True,
            "bidirectional": draw(flag),
        }  # fmt: skip
    return Layer(name, fields, sources)


IMAGE: tuple[Maker, ...] = (
    convolution, convolution, convolution, connection_table, pooling, adaptive_pooling, channel_norm, channel_norm,
    resizing, margins, image_layer, channel_drop,
)  # fmt: skip
ANY: tuple[Maker, ...] = (
    pointwise, pointwise, along, rearranged, matrix, combination, combination, tokens, tokens, learned, looked_up,
)  # fmt: skip


class Random:
    """A network that grows by layers which the language accepts."""

    def __init__(self, inputs: Mapping[str, tuple[Sequence[int], str]]) -> None:
        self.inputs = inputs
        self.values = [Value(name, (2, *size), dtype) for name, (size, dtype) in inputs.items()]
        self.lines: list[str] = []
        self.read: set[str] = set(inputs)
        self.graph: Graph | None = None
        self.spec = ""

    def __repr__(self) -> str:
        return self.spec

    def text(self, lines: Sequence[str], unread: Sequence[str]) -> str:
        shapes = {name: {"shape": list(size), "dtype": dtype} for name, (size, dtype) in self.inputs.items()}
        head = ["name: random", f"inputs: {json.dumps(shapes)}", f"outputs: {json.dumps(list(unread))}", "layers:"]
        return "\n".join([*head, *(f"  - {line}" for line in lines)])

    def add(self, layer: Layer) -> bool:
        """True if the layer was possible and is now part of the network."""
        inputs = tuple(Tensor(source.shape, source.dtype) for source in layer.sources)
        fields = {name: value for name, value in layer.fields.items() if value is not None}
        try:
            op = ready(make(layer.op, fields), inputs)
            made = expanded(op, inputs)[-1].outputs
        except OpError:
            return False
        if any(prod(y.shape) > MOST_ELEMENTS for y in made) or not all(made):
            return False
        name = f"n{len(self.lines)}"
        sources = [source.name for source in layer.sources]
        line = json.dumps({layer.op: fields, "name": name, **({"from": sources} if sources else {})})
        outputs = [Value(f"{name}.{k}" if len(made) > 1 else name, y.shape, y.dtype) for k, y in enumerate(made)]
        if layer.op in RECURRENT:
            del outputs[1:]  # last states, whose first dimension is not the batch
        read = self.read | set(sources)
        unread = [value.name for value in (*self.values, *outputs) if value.name not in read]
        text = self.text([*self.lines, line], unread)
        try:
            self.graph = graph_from_text(text, "random.yaml")
        except SpecError as error:
            # An in-place layer whose input others read too; everything else was asked of the rules above.
            assert "in place" in str(error), (str(error), text)
            return False
        self.spec = text
        self.lines.append(line)
        self.values += outputs
        self.read = read
        return True


def shifted_windows(draw: Draw, network: Random) -> None:
    """Attention within windows of the image, taken for (N, H, W, C), as far as the sizes allow."""
    image, window, heads = network.values[0], draw(st.integers(1, 4)), draw(small)
    steps: list[tuple[str, dict[str, Any]]] = [
        ("window_partition", {"window_size": window}),
        ("unflatten", {"dim": 2, "sizes": [heads, -1]}),
        ("transpose", {"dim0": 1, "dim1": 2}),
        ("matmul", {"transpose_b": True}),
        ("relative_position_bias", {"window_size": window}),
        ("window_mask", {"window_size": window, "shift": draw(st.integers(0, window - 1))}),
        ("attention_softmax", {}),
        ("linear", {"out_features": draw(side)}),
        ("transpose", {"dim0": 1, "dim1": 2}),
        ("contiguous", {}),
        ("flatten", {"start_dim": 2}),
        ("window_reverse", {"window_size": window}),
    ]
    x = image
    for op, fields in steps:
        more = {"matmul": [x], "window_mask": [image], "window_reverse": [image]}.get(op, [])
        if network.add(Layer(op, fields, [x, *more])):
            x = network.values[-1]


@st.composite
def networks(draw: Draw) -> Random:
    """A network with an image and, unread perhaps, five words as its inputs."""
    sizes = [draw(st.sampled_from([1, 2, 3, 4, 6])), *(draw(side) for _ in range(draw(st.integers(1, 3))))]
    network = Random({"image": (sizes, "float32"), WORDS.name: (WORDS.shape[1:], WORDS.dtype)})
    if len(sizes) == 3 and draw(st.integers(0, 3)) == 0:
        shifted_windows(draw, network)
    for _ in range(draw(st.integers(1, 12))):
        usable = [value for value in network.values if value.dtype == "float32" and len(value.shape) > 1]
        x = draw(st.sampled_from([*usable[-1:] * 3, *usable[-4:]]))
        makers = (*IMAGE, *ANY) if 1 <= rank_of(x) <= 3 else ANY
        layer = draw(st.sampled_from(makers))(draw, x, usable)
        if layer is not None:
            network.add(layer)
    return network
