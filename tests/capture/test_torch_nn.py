"""Parameters, buffers, output shapes and multiply-accumulates of every captured layer class of torch.nn.

The expected multiply-accumulates are calculated by hand from each layer's definition.
"""

from __future__ import annotations

import inspect

import pytest

from convcost import analyze

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from convcost import capture  # noqa: E402 - needs torch

LINE, IMAGE, VOLUME = (2, 6, 12), (2, 6, 12, 10), (2, 6, 8, 6, 10)
MAPS = {1: LINE, 2: IMAGE, 3: VOLUME}
TOKENS = (2, 7, 16)
SEQUENCE = (7, 2, 16)  # (L, N, features)

# Not layers: base classes, containers and NLLLoss2d. Losses are excluded by their name.
NOT_LAYERS = {
    "Module", "Container", "RNNBase", "RNNCellBase", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList",
    "NLLLoss2d",
}  # fmt: skip


def floats(*shapes):
    return tuple(torch.rand(shape) for shape in shapes)


def attention(tokens, keys, width, key_width=None):
    """MACs of four projections and of two products of every token with every key."""
    projections = 2 * tokens * width * width + 2 * keys * width * (key_width or width)
    return projections + 2 * tokens * keys * width


ENCODER = 2 * (attention(7, 7, 16) + 2 * 7 * 16 * 32)
DECODER = 2 * (attention(7, 7, 16) + attention(7, 7, 16) + 2 * 7 * 16 * 32)
SPATIAL = {1: 12, 2: 12 * 10, 3: 8 * 6 * 10}

# (class, arguments, inputs, multiply-accumulates)
CASES = [
    # Convolutions: output positions (transposed: input positions) * in_channels/groups * out_channels * kernel.
    *[
        (f"Conv{r}d", ((6, 8, 3), {"padding": 1, "groups": 2}), floats(MAPS[r]), 2 * SPATIAL[r] * 8 * 3 * 3**r)
        for r in MAPS
    ],
    ("Conv2d", ((6, 8, (3, 5)), {"stride": 2, "dilation": (2, 1), "bias": False}), floats(IMAGE), 2 * 4 * 3 * 8 * 6 * 15),
    *[
        (f"ConvTranspose{r}d", ((6, 8, 3), {"stride": 2}), floats(MAPS[r]), 2 * SPATIAL[r] * 6 * 8 * 3**r)
        for r in MAPS
    ],
    ("ConvTranspose2d", ((6, 6, 2), {"groups": 6}), floats(IMAGE), 2 * 120 * 6 * 4),
    *[(f"LazyConv{r}d", ((8, 3), {"padding": 1}), floats(MAPS[r]), 2 * SPATIAL[r] * 8 * 6 * 3**r) for r in MAPS],
    *[(f"LazyConvTranspose{r}d", ((8, 3), {}), floats(MAPS[r]), 2 * SPATIAL[r] * 8 * 6 * 3**r) for r in MAPS],
    # Matrices.
    ("Linear", ((16, 5), {}), floats(TOKENS), 2 * 7 * 16 * 5),
    ("LazyLinear", ((5,), {}), floats(TOKENS), 2 * 7 * 16 * 5),
    ("Bilinear", ((4, 5, 3), {}), floats((2, 7, 4), (2, 7, 5)), 2 * 7 * 3 * (4 * 5 + 5)),
    ("Embedding", ((50, 16), {}), (torch.randint(50, (2, 7)),), 0),
    ("EmbeddingBag", ((50, 16), {}), (torch.randint(50, (2, 7)),), 0),
    ("EmbeddingBag", ((50, 16), {"mode": "sum"}), (torch.randint(50, (9,)), torch.tensor([0, 4])), 0),
    ("EmbeddingBag", ((50, 16), {"mode": "max"}), (torch.randint(50, (2, 7)),), 0),
    # Sequences: gates * hidden * (input + state) for each step, layer and direction.
    ("RNN", ((16, 5), {}), floats(SEQUENCE), 14 * 5 * (16 + 5)),
    ("RNN", ((16, 5), {"nonlinearity": "relu", "bias": False}), floats(SEQUENCE), 14 * 5 * (16 + 5)),
    ("GRU", ((16, 5), {"batch_first": True}), floats(TOKENS), 14 * 3 * 5 * (16 + 5)),
    ("GRU", ((16, 5, 2), {"bidirectional": True}), floats(SEQUENCE), 14 * 2 * 3 * 5 * (16 + 5 + 10 + 5)),
    ("LSTM", ((16, 5), {}), floats(SEQUENCE), 14 * 4 * 5 * (16 + 5)),
    ("LSTM", ((16, 5), {}), floats((7, 16)), 7 * 4 * 5 * (16 + 5)),
    ("LSTM", ((16, 5, 2), {"dropout": 0.5}), floats(SEQUENCE), 14 * 4 * 5 * (16 + 5 + 5 + 5)),
    ("LSTM", ((16, 5), {"proj_size": 3}), floats(SEQUENCE), 14 * (4 * 5 * (16 + 3) + 5 * 3)),
    ("RNNCell", ((16, 5), {}), floats((2, 16)), 2 * 5 * (16 + 5)),
    ("GRUCell", ((16, 5), {}), floats((2, 16)), 2 * 3 * 5 * (16 + 5)),
    ("LSTMCell", ((16, 5), {"bias": False}), floats((2, 16)), 2 * 4 * 5 * (16 + 5)),
    # Attention.
    ("MultiheadAttention", ((16, 4), {"batch_first": True}), floats(TOKENS, TOKENS, TOKENS), 2 * attention(7, 7, 16)),
    (
        "MultiheadAttention",
        ((16, 4), {"batch_first": True, "kdim": 8, "vdim": 8}),
        floats(TOKENS, (2, 5, 8), (2, 5, 8)),
        2 * attention(7, 5, 16, 8),
    ),
    ("TransformerEncoderLayer", ((16, 4, 32), {"batch_first": True}), floats(TOKENS), ENCODER),
    ("TransformerEncoderLayer", ((16, 4, 32), {"norm_first": True, "activation": "gelu"}), floats(SEQUENCE), ENCODER),
    ("TransformerDecoderLayer", ((16, 4, 32), {"batch_first": True}), floats(TOKENS, TOKENS), DECODER),
    ("TransformerEncoder", ((nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 3), {}), floats(TOKENS), 3 * ENCODER),
    (
        "TransformerDecoder",
        ((nn.TransformerDecoderLayer(16, 4, 32, batch_first=True), 2), {}),
        floats(TOKENS, TOKENS),
        2 * DECODER,
    ),
    ("Transformer", ((16, 4, 2, 2, 32), {"batch_first": True}), floats(TOKENS, TOKENS), 2 * ENCODER + 2 * DECODER),
    # Normalisation.
    *[(f"BatchNorm{r}d", ((6,), {}), floats(MAPS[r]), 0) for r in MAPS],
    ("BatchNorm1d", ((6,), {}), floats((2, 6)), 0),
    ("BatchNorm2d", ((6,), {"affine": False, "momentum": None}), floats(IMAGE), 0),
    ("BatchNorm2d", ((6,), {"track_running_stats": False}), floats(IMAGE), 0),
    ("SyncBatchNorm", ((6,), {}), floats(IMAGE), 0),
    *[(f"LazyBatchNorm{r}d", ((), {}), floats(MAPS[r]), 0) for r in MAPS],
    *[(f"InstanceNorm{r}d", ((6,), {"affine": True}), floats(MAPS[r]), 0) for r in MAPS],
    ("InstanceNorm2d", ((6,), {"track_running_stats": True}), floats(IMAGE), 0),
    *[(f"LazyInstanceNorm{r}d", ((), {}), floats(MAPS[r]), 0) for r in MAPS],
    ("LayerNorm", ((16,), {}), floats(TOKENS), 0),
    ("LayerNorm", (((7, 16),), {"bias": False}), floats(TOKENS), 0),
    ("GroupNorm", ((3, 6), {}), floats(IMAGE), 0),
    ("RMSNorm", ((16,), {}), floats(TOKENS), 0),
    ("LocalResponseNorm", ((3,), {}), floats(IMAGE), 0),
    ("CrossMapLRN2d", ((3,), {}), floats(IMAGE), 0),
    # Activations.
    *[
        (name, ((), {}), floats(IMAGE), 0)
        for name in (
            "CELU", "ELU", "GELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid",
            "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softplus", "Softshrink", "Softsign",
            "Tanh", "Tanhshrink", "Softmax2d", "Identity", "Flatten",
        )
    ],
    *[
        (name, ((), {"inplace": True}), floats(IMAGE), 0)
        for name in (
            "CELU", "ELU", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "Mish", "RReLU", "ReLU", "ReLU6",
            "SELU", "SiLU",
        )
    ],
    ("GELU", ((), {"approximate": "tanh"}), floats(IMAGE), 0),
    ("PReLU", ((6,), {}), floats(IMAGE), 0),
    ("Threshold", ((0.5, 0.0), {}), floats(IMAGE), 0),
    ("Threshold", ((0.5, 0.0, True), {}), floats(IMAGE), 0),
    ("GLU", ((1,), {}), floats(IMAGE), 0),
    *[(name, ((1,), {}), floats(IMAGE), 0) for name in ("Softmax", "Softmin", "LogSoftmax")],
    # Pooling.
    *[
        (f"{kind}Pool{r}d", ((3,), {"stride": 2, "ceil_mode": True}), floats(MAPS[r]), 0)
        for r in MAPS
        for kind in ("Max", "Avg")
    ],
    ("MaxPool2d", ((3, 2), {"padding": 1, "dilation": 2, "return_indices": True}), floats(IMAGE), 0),
    ("AvgPool2d", ((3,), {"padding": 1, "count_include_pad": False}), floats(IMAGE), 0),
    *[(f"Adaptive{kind}Pool{r}d", ((4,), {}), floats(MAPS[r]), 0) for r in MAPS for kind in ("Avg", "Max")],
    ("AdaptiveMaxPool2d", ((4, True), {}), floats(IMAGE), 0),
    *[(f"LPPool{r}d", ((2, 3), {"stride": 2}), floats(MAPS[r]), 0) for r in MAPS],
    ("FractionalMaxPool2d", ((2,), {"output_size": (5, 4)}), floats(IMAGE), 0),
    ("FractionalMaxPool3d", ((2,), {"output_ratio": 0.5}), floats(VOLUME), 0),
    *[
        (f"MaxUnpool{r}d", ((2,), {}), (*floats(MAPS[r]), torch.zeros(MAPS[r], dtype=torch.int64)), 0)
        for r in MAPS
    ],
    # Padding, resizing and reshaping.
    *[
        (f"{kind}Pad{r}d", ((1, 0.5) if kind == "Constant" else (1,), {}), floats(MAPS[r]), 0)
        for r in MAPS
        for kind in ("Circular", "Constant", "Reflection", "Replication", "Zero")
    ],
    ("Upsample", ((), {"scale_factor": 2}), floats(IMAGE), 0),
    ("Upsample", ((), {"scale_factor": 1.5, "mode": "bicubic"}), floats(IMAGE), 0),
    ("UpsamplingBilinear2d", ((), {"scale_factor": 2}), floats(IMAGE), 0),
    ("UpsamplingNearest2d", ((), {"size": (7, 30)}), floats(IMAGE), 0),
    ("PixelShuffle", ((2,), {}), floats((2, 8, 3, 5)), 0),
    ("PixelUnshuffle", ((2,), {}), floats(IMAGE), 0),
    ("ChannelShuffle", ((3,), {}), floats(IMAGE), 0),
    ("Unflatten", ((1, (2, 3)), {}), floats(IMAGE), 0),
    ("Unfold", ((3,), {}), floats(IMAGE), 0),
    ("Fold", (((5, 6), 2), {}), floats((2, 12, 20)), 0),
    # Dropout.
    *[
        (name, ((), {}), floats(shape), 0)
        for name, shape in (
            ("Dropout", IMAGE), ("Dropout1d", LINE), ("Dropout2d", IMAGE), ("Dropout3d", VOLUME),
            ("AlphaDropout", IMAGE), ("FeatureAlphaDropout", IMAGE),
        )
    ],
    # Others.
    ("CosineSimilarity", ((), {}), floats(TOKENS, TOKENS), 0),
    ("PairwiseDistance", ((), {}), floats(TOKENS, TOKENS), 0),
    ("Sequential", ((nn.Linear(16, 3), nn.ReLU()), {}), floats(TOKENS), 2 * 7 * 16 * 3),
    ("DataParallel", ((nn.Linear(16, 3),), {}), floats(TOKENS), 2 * 7 * 16 * 3),
]  # fmt: skip


def layers():
    """The public layer classes of torch.nn."""
    modules = {
        name for name in dir(nn) if inspect.isclass(getattr(nn, name)) and issubclass(getattr(nn, name), nn.Module)
    }
    return {name for name in modules if not name.endswith("Loss")} - NOT_LAYERS


def named(case):
    name, (args, keys), *_ = case
    words = [repr(arg) if not isinstance(arg, nn.Module) else type(arg).__name__ for arg in args]
    return "-".join([name, *words, *(f"{key}={value}" for key, value in keys.items())]).replace(" ", "")


each_case = pytest.mark.parametrize("case", CASES, ids=named)
each_mode = pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])


def tensors(value):
    if isinstance(value, torch.Tensor):
        return [value]
    return [] if value is None else [x for each in value for x in tensors(each)]


def test_every_layer_has_a_case():
    assert {name for name, *_ in CASES} == layers()


@each_mode
@each_case
def test_layer(case, train):
    name, (args, keys), inputs, macs = case
    module = getattr(nn, name)(*args, **keys).train(train)
    graph = capture(module, *inputs)
    report = analyze(graph)
    if "Lazy" in name:
        module(*inputs)
    if name == "SyncBatchNorm":
        module = nn.BatchNorm2d(6).train(train)  # SyncBatchNorm does not run on a CPU
    outputs = tensors(module(*inputs))
    assert report.coverage.unmodelled == ()
    assert report.totals.params == sum(x.numel() for x in module.parameters())
    assert report.totals.buffers == sum(x.numel() for x in module.buffers())
    assert report.totals.macs == macs
    shapes = [
        report.layers[node].cost.outputs[port].shape if node >= 0 else inputs[-1 - node].shape
        for node, port in graph.outputs
    ]
    assert shapes == [tuple(x.shape) for x in outputs]
