"""Attention: its parts, run with real numbers, return the results of PyTorch's modules."""

from __future__ import annotations

import pytest

from convcost.errors import OpError
from convcost.ops import make, ready
from convcost.tensor import Tensor
from ops.examples import expanded


def steps_of(name, *shapes, **fields):
    inputs = tuple(Tensor(shape) for shape in shapes)
    return expanded(ready(make(name, fields), inputs), inputs)


def parameters(steps):
    return sum(weight.elements for step in steps for weight in step.op.weights())


def macs(steps):
    return sum(step.op.macs(step.inputs, step.outputs) for step in steps)


def computed(op, tensors, weights):
    """The last part's value. ``weights`` maps the name of a part to its weights."""
    inputs = tuple(Tensor(tuple(x.shape)) for x in tensors)
    bound = ready(op, inputs)
    values = {}
    for part, step in zip(bound.parts(inputs), expanded(bound, inputs), strict=True):
        arriving = [tensors[k] if name == "input" else values[name] for name, k in part.inputs]
        module = step.op.to_torch().eval()
        module.load_state_dict(weights.get(part.name, {}))
        values[part.name] = module(*arriving)
        assert tuple(values[part.name].shape) == step.outputs[0].shape
    return values[part.name]


@pytest.mark.parametrize("is_causal", [False, True])
def test_scaled_dot_product_attention_agrees_with_pytorch(is_causal):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 3, 6, 8), torch.randn(2, 3, 7, 8), torch.randn(2, 3, 7, 5)
    op = make("scaled_dot_product_attention", {"is_causal": is_causal, "dropout_p": 0.1})
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=is_causal)
    torch.testing.assert_close(computed(op, (q, k, v), {}), expected)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("separate", [False, True])
def test_multihead_attention_agrees_with_pytorch(bias, separate):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.MultiheadAttention(12, 3, bias=bias, batch_first=True)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, 6, 12)
    other = torch.randn(2, 7, 12)
    weights = {"out_proj": dict(module.out_proj.named_parameters())}
    packed = {"weight": module.in_proj_weight, **({"bias": module.in_proj_bias} if bias else {})}
    for index, name in enumerate("qkv"):
        weights[f"{name}_proj"] = {key: value.chunk(3)[index] for key, value in packed.items()}
    weights["in_proj"] = packed
    tensors = (x, other, other + 1) if separate else (x,)
    op = make("multihead_attention", {"num_heads": 3, "bias": bias})
    with torch.no_grad():
        expected, _ = module(*(tensors if separate else (x, x, x)), need_weights=False)
        torch.testing.assert_close(computed(op, tensors, weights), expected)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("inputs", [1, 3])
@pytest.mark.parametrize(("width", "heads"), [(768, 12), (96, 3), (64, 64), (5, 1), (512, 8)])
def test_parameters_are_those_of_pytorch(width, heads, inputs, bias):
    torch = pytest.importorskip("torch")
    module = torch.nn.MultiheadAttention(width, heads, bias=bias, batch_first=True, device="meta")
    steps = steps_of("multihead_attention", *[(1, 7, width)] * inputs, num_heads=heads, bias=bias)
    assert parameters(steps) == sum(parameter.numel() for parameter in module.parameters())
    assert steps[-1].outputs[0].shape == (1, 7, width)


@pytest.mark.parametrize("is_causal", [False, True])
def test_macs_are_those_of_pytorchs_flop_counter(is_causal):
    torch = pytest.importorskip("torch")
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    shapes = (2, 3, 6, 8), (2, 3, 7, 8), (2, 3, 7, 5)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        torch.nn.functional.scaled_dot_product_attention(*map(torch.randn, shapes), is_causal=is_causal)
    steps = steps_of("scaled_dot_product_attention", *shapes, is_causal=is_causal)
    assert 2 * macs(steps) == counter.get_total_flops()


def test_vit_base_by_hand():
    """Self-attention over 197 tokens of width 768 in 12 heads of 64."""
    steps = steps_of("multihead_attention", (1, 197, 768), num_heads=12)
    assert parameters(steps) == 4 * (768 * 768 + 768)
    assert macs(steps) == 4 * 197 * 768 * 768 + 2 * 12 * 197 * 197 * 64
    # One projection and a copy that sets queries, keys and values apart, two scalings, two products, a softmax, a
    # copy that sets the heads side by side, and the projection out; all else are views.
    assert [step.op.op for step in steps if step.op.launches(step.inputs, False)] == [
        "linear", "contiguous", "scale", "scale", "matmul", "attention_softmax", "matmul", "contiguous", "linear",
    ]  # fmt: skip
    work = sum(sum(step.op.work(step.inputs, step.outputs, False).values()) for step in steps)
    biases, scalings = 4 * 197 * 768, 2 * 197 * 768
    softmax = 12 * 197 * (5 * 197 - 2)  # compares, subtractions, exps, additions, divisions of 197 values
    assert work == biases + scalings + softmax


def test_a_mask_is_one_addition_per_logit_in_place():
    causal, free = (
        steps_of("scaled_dot_product_attention", *[(1, 2, 9, 4)] * 3, is_causal=flag) for flag in (True, False)
    )
    (mask,) = [step for step in causal if step.op.op == "causal_mask"]
    assert len(causal) == len(free) + 1
    assert mask.op.work(mask.inputs, mask.outputs, False) == {"elementwise": 2 * 9 * 9}
    assert [placement.kind for placement in mask.op.placement(mask.inputs, False)] == ["in_place"]


def test_parts_do_not_depend_on_the_batch():
    op = ready(make("multihead_attention", {"num_heads": 3}), (Tensor((1, 6, 12)),))
    assert op.parts((Tensor((1, 6, 12)),)) == op.parts((Tensor((64, 6, 12)),))
    assert op.parts((Tensor((1, 6, 12)),)) == op.parts((Tensor((1, 50, 12)),))


@pytest.mark.parametrize(
    ("name", "fields", "shapes", "message"),
    [
        ("multihead_attention", {"num_heads": 5}, [(1, 7, 768)], "768 must be divisible by num_heads 5"),
        (
            "multihead_attention",
            {"num_heads": 4, "embed_dim": 96},
            [(1, 7, 64)],
            "built for width 96, got 64",
        ),
        ("multihead_attention", {"num_heads": 4}, [(1, 7, 8), (1, 7, 12), (1, 7, 8)], "width 8, got 12"),
        ("multihead_attention", {"num_heads": 4}, [(1, 7, 8), (1, 7, 8), (1, 6, 8)], "7 keys and 6 values"),
        ("multihead_attention", {"num_heads": 4}, [(1, 7, 8), (2, 7, 8), (2, 7, 8)], "batch"),
        ("multihead_attention", {"num_heads": 4}, [(1, 7, 8)] * 2, "one input or three"),
        ("multihead_attention", {"num_heads": 4}, [(1, 8, 7, 7)], r"needs \(N, tokens, width\), got 1x8x7x7"),
        (
            "scaled_dot_product_attention",
            {},
            [(1, 7, 8), (1, 7, 9), (1, 7, 8)],
            "queries have width 8, keys 9",
        ),
        ("scaled_dot_product_attention", {}, [(1, 7, 8), (1, 6, 8), (1, 7, 8)], "6 keys and 7 values"),
        ("scaled_dot_product_attention", {}, [(2, 7, 8), (1, 7, 8), (1, 7, 8)], "before tokens and width"),
        ("scaled_dot_product_attention", {}, [(7, 8)] * 3, "needs"),
    ],
)
def test_refusals_name_the_numbers(name, fields, shapes, message):
    with pytest.raises(OpError, match=message):
        steps_of(name, *shapes, **fields)
