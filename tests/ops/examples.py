"""For every op at least one way to build it: the contract runs over this table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from convcost.ops import Composite, Op, make, ready
from convcost.tensor import Tensor


class Example(NamedTuple):
    op: str
    fields: Mapping[str, Any]
    inputs: tuple[Tensor, ...]

    def __str__(self) -> str:
        return "-".join([self.op, *(f"{name}={value}" for name, value in self.fields.items())]).replace(" ", "")


def _each(op: str, *shapes: tuple[int, ...], dtype: str = "float32", **fields: Any) -> Example:
    return Example(op, fields, tuple(Tensor(shape, dtype) for shape in shapes))


def _recorded(op: str, *shapes: tuple[int, ...], results: Sequence[tuple[int, ...]], **fields: Any) -> Example:
    dtype = "" if shapes else "float32"
    return _each(op, *shapes, results=[{"shape": shape, "dtype": dtype} for shape in results], **fields)


class Step(NamedTuple):
    """An op that is not a composite, with what enters and leaves it."""

    op: Op
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    name: str = ""


def expanded(op: Op, inputs: tuple[Tensor, ...]) -> list[Step]:
    """What ``op`` stands for: itself, or the parts of a composite."""
    if not isinstance(op, Composite):
        return [Step(op, inputs, op.outputs(inputs))]
    steps: dict[str, Step] = {}
    for part in op.parts(inputs):
        arriving = tuple(inputs[k] if name == "input" else steps[name].outputs[k] for name, k in part.inputs)
        bound = ready(part.op, arriving)
        assert part.name not in steps
        steps[part.name] = Step(bound, arriving, bound.outputs(arriving), part.name)
    return list(steps.values())


def run(name: str, *shapes: tuple[int, ...], dtype: str = "float32", **fields: Any) -> Step:
    """One op on inputs of these shapes."""
    inputs = tuple(Tensor(tuple(shape), dtype) for shape in shapes)
    op = ready(make(name, fields), inputs)
    return Step(op, inputs, op.outputs(inputs))


LINE, IMAGE, VOLUME = (2, 12, 10), (2, 12, 10, 9), (2, 12, 6, 7, 8)
TOKENS, HEADS = (2, 9, 12), (2, 3, 9, 4)
MAPS = {1: LINE, 2: IMAGE, 3: VOLUME}
LAST_IMAGE = (2, 9, 8, 12)  # (N, H, W, C)
LOGITS = (2 * 3 * 2, 3, 16, 16)  # 2 images of 3 x 2 windows of 4 x 4, the last row of windows padded

EXAMPLES: tuple[Example, ...] = (
    *(
        _each(f"{op}{rank}d", shape, **fields)
        for rank, shape in MAPS.items()
        for op, fields in (
            ("conv", {"out_channels": 8, "kernel_size": 3, "padding": 1, "stride": 2}),
            ("conv", {"out_channels": 24, "kernel_size": 3, "padding": "same", "groups": 12, "bias": False}),
            ("conv_transpose", {"out_channels": 8, "kernel_size": 2, "stride": 2}),
            ("max_pool", {"kernel_size": 2}),
            ("max_pool", {"kernel_size": 3, "stride": 2, "padding": 1, "return_indices": True}),
            ("avg_pool", {"kernel_size": 3, "stride": 2, "ceil_mode": True}),
            ("adaptive_avg_pool", {"output_size": 1}),
            ("adaptive_avg_pool", {"output_size": 4}),
            ("adaptive_max_pool", {"output_size": 4}),
            ("adaptive_max_pool", {"output_size": 4, "return_indices": True}),
            ("batch_norm", {}),
            ("batch_norm", {"affine": False, "track_running_stats": False}),
            ("batch_norm", {"bias": False}),
            ("instance_norm", {}),
            ("instance_norm", {"affine": True, "track_running_stats": True}),
            ("dropout", {}),
            ("dropout", {"p": 0.2, "inplace": True}),
            ("zero_pad", {"padding": 2}),
            ("zero_pad", {"padding": [0, 1] * rank}),
        )
    ),
    _each("conv2d", (2, 3, 8, 8), out_channels=2, kernel_size=3, connections=[[0, 1], [2]]),
    _each("pad", IMAGE, padding=[1, 2, 0, 3, 4, 5]),
    _each("linear", (2, 12), out_features=5),
    _each("linear", TOKENS, out_features=5, bias=False),
    _each("rbf", (2, 84), out_features=10),
    _each("bilinear", TOKENS, (2, 9, 5), out_features=4),
    _each("rnn", TOKENS, hidden_size=5, batch_first=True, nonlinearity="relu"),
    _each("gru", TOKENS, hidden_size=5, batch_first=True, num_layers=2, bidirectional=True),
    _each("lstm", TOKENS, hidden_size=5, batch_first=True, proj_size=3),
    _each("global_avg_pool", IMAGE),
    _each("global_max_pool", IMAGE, keepdim=False),
    _each("subsample2d", IMAGE, kernel_size=2),
    _each("local_response_norm", IMAGE, size=5),
    _each("layer_norm", TOKENS),
    _each("rms_norm", TOKENS),
    _each("group_norm", IMAGE, num_groups=3),
    _each("group_norm", IMAGE, num_groups=3, bias=False),
    *(
        _each(op, IMAGE, **fields)
        for op in (
            "relu", "relu6", "sigmoid", "tanh", "silu", "mish", "hardsigmoid", "hardswish", "selu", "leaky_relu", "elu",
            "hardtanh",
        )
        for fields in ({}, {"inplace": True})
    ),
    *(_each(op, IMAGE) for op in ("gelu", "softplus", "scaled_tanh", "log_softmax", "prelu", "identity")),
    _each("gelu", IMAGE, approximate="tanh"),
    _each("prelu", IMAGE, num_parameters=12),
    _each("softmax", IMAGE, dim=1),
    _each("attention_softmax", HEADS),
    _each("maxout", IMAGE, pieces=3),
    _each("stochastic_depth", IMAGE, p=0.1),
    _each("stochastic_depth", IMAGE, p=1.0, mode="batch"),
    _each("dropout", TOKENS),
    _each("dropout", TOKENS, p=0.2, inplace=True),
    _each("flatten", IMAGE),
    _each("unflatten", IMAGE, dim=1, sizes=[3, -1]),
    _each("reshape", IMAGE, shape=[0, 4, -1]),
    _each("permute", IMAGE, dims=[0, 2, 3, 1]),
    _each("transpose", TOKENS, dim0=1, dim1=-1),
    _each("channel_shuffle", IMAGE, groups=3),
    _each("chunk", IMAGE, chunks=5),
    _each("split", IMAGE, sections=[5, 7]),
    _each("select", TOKENS, dim=1, index=0),
    _each("narrow", IMAGE, dim=2, start=-4, length=3),
    _each("crop", IMAGE, size=5),
    _each("crop", IMAGE, (2, 3, 4, 4)),
    _each("roll", LAST_IMAGE, shifts=[-2, -2], dims=[1, 2]),
    *(_each(op, IMAGE, IMAGE) for op in ("add", "sub", "mul", "div", "maximum")),
    *(_each(op, IMAGE, (2, 12, 1, 1), IMAGE, inplace=True) for op in ("add", "sub", "mul", "div")),
    _each("concat", IMAGE, (2, 5, 10, 9)),
    _each("matmul", HEADS, HEADS, transpose_b=True),
    _each("scale", IMAGE, factor=0.5),
    _each("mean", IMAGE, dim=[2, 3]),
    _each("sum", IMAGE, dim=-1, keepdim=True),
    _each("causal_mask", (2, 3, 9, 9)),
    _each("scaled_dot_product_attention", HEADS, (2, 3, 7, 4), (2, 3, 7, 5), dropout_p=0.1, is_causal=True),
    _each("multihead_attention", TOKENS, num_heads=3),
    _each("multihead_attention", TOKENS, (2, 7, 12), (2, 7, 12), num_heads=4, bias=False),
    _each("embedding", (2, 9), dtype="int64", num_embeddings=100, embedding_dim=12),
    _each("parameter", shape=[1, 9, 12]),
    _each("class_token", TOKENS),
    _each("position_embedding", TOKENS),
    _each("layer_scale", IMAGE),
    _each("layer_scale", TOKENS, dim=-1),
    _each("upsample", IMAGE, scale_factor=2),
    _each("upsample", LINE, scale_factor=1.5, mode="linear"),
    _each("upsample", VOLUME, size=9, mode="trilinear", align_corners=True),
    _each("interpolate", IMAGE, size=[4, 20], mode="area"),
    _each("interpolate", IMAGE, scale_factor=[2, 0.5], mode="bilinear"),
    _each("interpolate", IMAGE, scale_factor=3, mode="bicubic"),
    _each("interpolate", IMAGE, size=[4, 20], mode="bilinear", antialias=True),
    _each("interpolate", IMAGE, scale_factor=0.3, mode="bicubic", antialias=True),
    _each("pixel_shuffle", IMAGE, upscale_factor=2),
    _each("pixel_unshuffle", (2, 3, 10, 8), downscale_factor=2),
    _each("window_partition", LAST_IMAGE, window_size=4),
    _each("window_reverse", (12, 16, 5), LAST_IMAGE, window_size=4),
    _each("relative_position_bias", LOGITS, window_size=4),
    _each("window_mask", LOGITS, LAST_IMAGE, window_size=4, shift=2),
    _each("patch_merge", LAST_IMAGE),
    _each("elementwise", IMAGE, function="aten.exp.default", arguments=["$0"]),
    _each(
        "elementwise", IMAGE, (2, 12, 1, 1),
        function="aten.add.Tensor", arguments=["$0", "$1"], keywords=[["alpha", 2]],
    ),
    _each("elementwise", IMAGE, function="aten.exp_.default", arguments=["$0"], inplace=True),
    _each("compare", IMAGE, function="aten.gt.Scalar", arguments=["$0", 0]),
    _each("contiguous", IMAGE),
    Example("cast", {"dtype": "float16"}, (Tensor(IMAGE),)),
    _recorded("reduce", IMAGE, results=[(2, 12, 9)], function="aten.amax.default", arguments=["$0", 2]),
    _recorded("reduce", IMAGE, results=[IMAGE], function="aten.cumsum.default", arguments=["$0", 1]),
    _recorded("view", TOKENS, results=[(2, 9)], function="aten.select.int", arguments=["$0", 2, 0]),
    _recorded("copy", TOKENS, results=[(4, 9, 12)], function="aten.repeat_interleave.self_int", arguments=["$0", 2, 0]),
    _recorded("index", IMAGE, results=[(2, 12, 10, 9)], function="aten.channel_shuffle.default", arguments=["$0", 3]),
    _recorded("sort", TOKENS, results=[TOKENS], row=12, function="aten.msort.default", arguments=["$0"]),
    _recorded("write", IMAGE, results=[IMAGE], function="aten.fill_.Scalar", arguments=["$0", 1.0]),
    _recorded("create", results=[(4, 4)], function="aten.eye.default", arguments=[4]),
    _recorded("create", results=[(5,)], function="aten.to.device"),  # sent from the host
    _recorded("operator", TOKENS, results=[TOKENS], mac_count=7, function="aten.sin.default", arguments=["$0"]),
    _recorded("unmodelled", TOKENS, results=[TOKENS], function="aten.cos.default", arguments=["$0"]),
    Example("constant", {"shape": [3, 4], "dtype": "int64"}, ()),
    _each("buffer", shape=[3, 4], feeds="norm"),
)  # fmt: skip

FIXED = ("parameter", "buffer", "constant", *{example.op for example in EXAMPLES if "results" in example.fields})
"""Ops whose outputs do not depend on their inputs: parameters, buffers, constants and recorded operators."""
