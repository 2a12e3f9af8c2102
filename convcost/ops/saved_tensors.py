"""The tensors that autograd saves for PyTorch's operators that have no class here. Source: derivatives.yaml.

What autograd saves for an op with a class stands on the class (``Op.saved``, ``Op.keeps``).
An operator whose saved tensors depend on nothing but its name is added to ``_RULES``.
"""

from __future__ import annotations

from ..tensor import FLOATING
from .base import INPUT, NOTHING, OUTPUT, Saved, Tensors

BOTH = Saved(inputs=(0,), outputs=(0,))

_RULES: dict[str, Saved] = {
    **dict.fromkeys(
        ("add", "sub", "rsub", "neg", "positive", "fill", "zero", "copy", "clone", "detach", "alias", "conj", "real",
         "imag", "round", "floor", "ceil", "trunc", "frac", "sign", "fmod", "remainder", "sum", "mean", "cumsum",
         "zeros_like", "ones_like", "empty_like", "full_like", "lift_fresh", "lift_fresh_copy",
         "view_as_real", "view_as_complex"),
        NOTHING,
    ),
    **dict.fromkeys(
        ("abs", "log", "log1p", "log2", "log10", "sin", "cos", "sinh", "cosh", "asin", "acos", "atan", "erf", "erfc",
         "clamp", "clamp_min", "clamp_max", "pow", "square", "hardtanh", "hardswish", "hardsigmoid", "silu", "gelu",
         "mish", "softplus", "softshrink", "hardshrink", "threshold", "nan_to_num", "logit", "lgamma", "digamma", "var",
         "var_mean", "nansum"),
        INPUT,
    ),
    **dict.fromkeys(
        ("exp", "exp2", "expm1", "sqrt", "rsqrt", "reciprocal", "sigmoid", "tanh", "tan", "relu"),
        OUTPUT,
    ),
    **dict.fromkeys(
        ("amax", "amin", "norm", "linalg_vector_norm", "std", "std_mean", "logsumexp", "logcumsumexp", "prod",
         "cumprod"),
        BOTH,
    ),
    **dict.fromkeys(("reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d",
                     "replication_pad2d", "replication_pad3d"), INPUT),
}  # fmt: skip
_INPUT_OR_OUTPUT = ("leaky_relu", "elu", "selu", "celu")
_BOTH_INPUTS = (
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "atan2",
    "hypot",
    "grid_sampler_2d",
    "grid_sampler_3d",
    "grid_sampler",
)
_WITH_INDICES = ("max", "min", "sort", "topk", "median", "nanmedian", "kthvalue", "mode", "cummax", "cummin")


def by_function(name: str, inplace: bool, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...]) -> Saved | None:
    """The tensors saved in a call of ``name``, ``exp`` for ``aten.exp_``; None if they are unknown."""
    if name in ("mul", "div") and len(inputs) == 2:
        return product(inputs, needs, inplace, quotient=name == "div")
    if name in ("mul", "div"):  # the other operand is a number
        return NOTHING
    if name in ("addcmul", "addcdiv") and len(inputs) == 3:
        second = needs[1] or (name == "addcdiv" and needs[2])
        return Saved(inputs=(1,) * needs[2] + (2,) * second)
    if name == "lerp":
        return NOTHING if len(inputs) == 2 else None
    if name in ("where", "masked_fill"):
        return Saved(inputs=tuple(k for k, x in enumerate(inputs) if x.dtype == "bool"))
    if name in _BOTH_INPUTS and len(inputs) == 2:
        return Saved(inputs=(0, 1))
    if name in _WITH_INDICES:
        return Saved(outputs=(1,)) if len(outputs) > 1 else BOTH
    if name in _INPUT_OR_OUTPUT:
        return OUTPUT if inplace else INPUT
    saved = _RULES.get(name)
    if saved is not None and inplace and 0 in saved.inputs:
        return Saved(extra=(inputs[0],))  # autograd copies the input before it is overwritten
    return saved


def product(inputs: Tensors, needs: tuple[bool, ...], inplace: bool, quotient: bool = False) -> Saved:
    """Tensors saved by a product: each factor if the other needs a gradient. A quotient always saves its divisor."""
    first = needs[1] and not inplace
    copied = (inputs[0],) if needs[1] and inplace else ()
    second = needs[0] or (quotient and needs[1])
    return Saved(inputs=(0,) * first + (1,) * second, extra=copied)


def indices(inputs: Tensors) -> Saved:
    """The integer and bool tensors after the first input, which select values of it."""
    return Saved(inputs=tuple(k for k, x in enumerate(inputs) if k and x.dtype not in FLOATING))
