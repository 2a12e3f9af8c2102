"""The table of elementary operations per element: every count that is not a multiply-accumulate.

An addition, subtraction, multiplication, division, comparison, exp, log, sqrt, erf or power of one element is one
FLOP. Sign changes, copies and moves count as 0. A reduction of n values is n - 1 operations.
An op that computes has its row here and refers to it in its rule ``work``.
"""

from __future__ import annotations

import msgspec

KINDS: tuple[str, ...] = ("bias", "normalisation", "activation", "pooling", "elementwise")
"""The purposes of operations; the keys of an op's ``work``."""

Operations = tuple[tuple[str, int], ...]


class PerElement(msgspec.Struct, frozen=True, gc=False):
    """The cost of an op per element, and ``once`` per group of elements (a row, a window, a channel).

    An entry of -1 in ``once`` makes a reduction of n values n - 1 operations.
    """

    kind: str
    formula: str
    operations: Operations
    once: Operations = ()

    @property
    def total(self) -> int:
        """Operations per element."""
        return sum(number for _, number in self.operations)

    def count(self, elements: int, groups: int = 0) -> int:
        """Operations on ``elements`` values in ``groups`` groups."""
        return self.total * elements + sum(number for _, number in self.once) * groups


def _activation(formula: str, *operations: tuple[str, int], once: Operations = ()) -> PerElement:
    return PerElement("activation", formula, operations, once)


def _binary(formula: str, operation: str) -> PerElement:
    return PerElement("elementwise", formula, ((operation, 1),))


def _interpolation(values: int) -> PerElement:
    operations = (("multiply", values), ("add", values - 1))
    return PerElement("elementwise", f"sum of {values} weighted neighbours", operations)


def _norm(formula: str, *operations: tuple[str, int], once: Operations = ()) -> PerElement:
    return PerElement("normalisation", formula, operations, once)


PER_ELEMENT: dict[str, PerElement] = {
    # Activations, per element.
    "relu": _activation("max(x, 0)", ("compare", 1)),
    "relu6": _activation("min(max(x, 0), 6)", ("compare", 2)),
    "hardtanh": _activation("min(max(x, low), high)", ("compare", 2)),
    "leaky_relu": _activation("x if x > 0 else a*x", ("compare", 1), ("multiply", 1)),
    "prelu": _activation("x if x > 0 else w*x", ("compare", 1), ("multiply", 1)),
    "elu": _activation("x if x > 0 else a*(exp(x) - 1)", ("compare", 1), ("exp", 1), ("subtract", 1), ("multiply", 1)),
    "selu": _activation("s*elu(x)", ("compare", 1), ("exp", 1), ("subtract", 1), ("multiply", 2)),
    "sigmoid": _activation("1/(1 + exp(-x))", ("exp", 1), ("add", 1), ("divide", 1)),
    "tanh": _activation(
        "(exp(2x) - 1)/(exp(2x) + 1)", ("multiply", 1), ("exp", 1), ("subtract", 1), ("add", 1), ("divide", 1)
    ),
    "scaled_tanh": _activation(
        "A*tanh(S*x)", ("multiply", 3), ("exp", 1), ("subtract", 1), ("add", 1), ("divide", 1)
    ),
    "gelu": _activation("0.5x*(1 + erf(x/sqrt(2)))", ("divide", 1), ("erf", 1), ("add", 1), ("multiply", 2)),
    "gelu_tanh": _activation(
        "0.5x*(1 + tanh(sqrt(2/pi)*(x + 0.044715x*x*x)))",
        ("multiply", 7), ("add", 3), ("exp", 1), ("subtract", 1), ("divide", 1),
    ),
    "silu": _activation("x*sigmoid(x)", ("exp", 1), ("add", 1), ("divide", 1), ("multiply", 1)),
    "mish": _activation(
        "x*tanh(log(1 + exp(x)))",
        ("exp", 2), ("add", 2), ("log", 1), ("multiply", 2), ("subtract", 1), ("divide", 1),
    ),
    "softplus": _activation(
        "log(1 + exp(b*x))/b", ("multiply", 1), ("exp", 1), ("add", 1), ("log", 1), ("divide", 1)
    ),
    "hardsigmoid": _activation("min(max(x + 3, 0), 6)/6", ("add", 1), ("compare", 2), ("divide", 1)),
    "hardswish": _activation("x*hardsigmoid(x)", ("add", 1), ("compare", 2), ("divide", 1), ("multiply", 1)),
    # Activations on groups: softmax once per row, maxout once per output.
    "softmax": _activation(
        "exp(x - max)/sum(exp(x - max))",
        ("compare", 1), ("subtract", 1), ("exp", 1), ("add", 1), ("divide", 1),
        once=(("compare", -1), ("add", -1)),
    ),
    "log_softmax": _activation(
        "(x - max) - log(sum(exp(x - max)))",
        ("compare", 1), ("subtract", 2), ("exp", 1), ("add", 1),
        once=(("compare", -1), ("add", -1), ("log", 1)),
    ),
    "maxout": _activation("max of the pieces", ("compare", 1), once=(("compare", -1),)),
    # Pooling, per value in a window and once per window. Padding is counted as values.
    "max_pool": PerElement("pooling", "max of the window", (("compare", 1),), (("compare", -1),)),
    "avg_pool": PerElement("pooling", "sum of the window / its size", (("add", 1),), (("add", -1), ("divide", 1))),
    "subsample2d": PerElement("pooling", "w*sum of the window", (("add", 1),), (("add", -1), ("multiply", 1))),
    "bias": PerElement("bias", "y + b", (("add", 1),)),
    # Normalisation, per element and once per group of elements with common statistics (batch norm: per channel).
    "statistics": _norm(
        "mean = sum(x)/m; var = sum((x - mean)*(x - mean))/m",
        ("add", 2), ("subtract", 1), ("multiply", 1),
        once=(("add", -2), ("divide", 2)),
    ),
    "normalise": _norm(
        "(x - mean)*(1/sqrt(var + eps))", ("subtract", 1), ("multiply", 1),
        once=(("add", 1), ("sqrt", 1), ("divide", 1)),
    ),
    "norm_weight": _norm("y*gamma", ("multiply", 1)),
    "norm_bias": _norm("y + beta", ("add", 1)),
    "running_statistics": _norm(
        "(1 - momentum)*running + momentum*new, mean and var", once=(("multiply", 4), ("add", 2))
    ),
    "rms_norm": _norm(
        "x*(1/sqrt(sum(x*x)/m + eps))", ("multiply", 2), ("add", 1),
        once=(("add", -1), ("divide", 1), ("add", 1), ("sqrt", 1), ("divide", 1)),
    ),
    # Per value in a window over channels, and once per element.
    "local_response_norm": _norm(
        "x/(k + alpha*(sum(x*x)/size))^beta", ("add", 1),
        once=(("multiply", 1), ("add", -1), ("divide", 1), ("multiply", 1), ("add", 1), ("power", 1), ("divide", 1)),
    ),
    # Elementwise, for each input after the first; sums and means once per output, dropout once per mask value.
    "add": _binary("a + b", "add"),
    "sub": _binary("a - b", "subtract"),
    "mul": _binary("a*b", "multiply"),
    "div": _binary("a/b", "divide"),
    "maximum": _binary("max(a, b)", "compare"),
    "scale": _binary("x*factor", "multiply"),
    "layer_scale": _binary("x*gamma", "multiply"),
    "position_embedding": _binary("x + e", "add"),
    "relative_position_bias": _binary("x + b", "add"),
    "window_mask": _binary("x + mask", "add"),
    "causal_mask": _binary("x + mask", "add"),
    "rbf": _binary("x - w (squared and summed: one multiply-accumulate)", "subtract"),
    "sum": PerElement("elementwise", "sum(x)", (("add", 1),), (("add", -1),)),
    "mean": PerElement("elementwise", "sum(x)/n", (("add", 1),), (("add", -1), ("divide", 1))),
    "dropout": PerElement("elementwise", "x*(r > p)*(1/(1 - p)), training", (("compare", 1), ("multiply", 1))),
    "feature_dropout": PerElement(
        "elementwise", "x*mask, one mask value per channel, training", (("multiply", 1),), (("compare", 1),)
    ),
    "stochastic_depth": PerElement(
        "elementwise", "x*mask, one mask value per row or batch, training", (("multiply", 1),), (("compare", 1),)
    ),
    "embedding": PerElement("elementwise", "row of a table (a copy)", ()),
    "upsample_nearest": PerElement("elementwise", "nearest value (a copy)", ()),
    "upsample_linear": _interpolation(2),
    "upsample_bilinear": _interpolation(4),
    "upsample_trilinear": _interpolation(8),
    "upsample_bicubic": _interpolation(16),
    "upsample_antialias": PerElement(
        "elementwise", "sum of w*x over the window, one axis after the other",
        (("multiply", 1), ("add", 1)), (("add", -1),),
    ),
    "upsample_area": PerElement("elementwise", "mean of the window", (("add", 1),), (("add", -1), ("divide", 1))),
}  # fmt: skip

POINTWISE: dict[str, int] = {
    **dict.fromkeys(
        ("neg", "where", "masked_fill", "masked_scatter", "clone", "copy", "conj", "real", "imag", "positive", "lift",
         "bitwise_not", "logical_not", "detach", "alias", "view_as_real", "view_as_complex", "fill"),
        0,
    ),
    **dict.fromkeys(
        ("clamp", "hardtanh", "rsqrt", "addcmul", "addcdiv", "log1p", "expm1", "rsub", "hypot", "rrelu_with_noise"), 2
    ),
    **dict.fromkeys(("lerp", "logaddexp", "sigmoid", "softsign", "celu"), 3),
    **dict.fromkeys(("silu", "hardswish", "hardsigmoid"), 4),
    **dict.fromkeys(("tanh", "gelu"), 5),
}  # fmt: skip
"""Operations per element of PyTorch's pointwise operators that have no class here; operators not listed count 1."""

REDUCING: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("sum", "amax", "amin", "max", "min", "argmax", "argmin", "prod", "all", "any", "nansum"), (1, -1)),
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "count_nonzero"), (1, 0)),
    "aminmax": (2, -2),
    "mean": (1, 0),
    "var": (4, -1),
    "var_mean": (4, -1),
    "std": (4, 0),
    "std_mean": (4, 0),
    "logsumexp": (4, -1),
    "norm": (2, 0),
    "linalg_vector_norm": (2, 0),
    "logcumsumexp": (3, 0),
}
"""Operations of PyTorch's reductions, per input value and per result: var takes 2 additions, a subtraction and a
multiplication for each of n values; a mean takes n - 1 additions and a division."""
