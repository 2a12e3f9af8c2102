"""Shifted windows: against the steps of torchvision's swin_transformer, repeated here, and against its modules."""

from __future__ import annotations

from math import prod

import pytest

from convcost.errors import OpError
from convcost.ops import make, ready
from convcost.tensor import Tensor
from ops.examples import run


def kernels(module, *shapes):
    """The number of dispatched operators that write memory; padding and masked_fill write twice."""
    torch = pytest.importorskip("torch")
    modes = pytest.importorskip("torch.utils._python_dispatch")

    class Calls(modes.TorchDispatchMode):
        written = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            homes = [x.untyped_storage().data_ptr() for x in args if isinstance(x, torch.Tensor)]
            fresh = result.untyped_storage().data_ptr() not in homes
            if (fresh or function._schema.is_mutable) and result.numel():
                name = function.overloadpacket.__name__
                padded = name == "constant_pad_nd" and result.shape != args[0].shape
                self.written += 1 + (padded or name == "masked_fill")
            return result

    tensors = [torch.zeros(shape) for shape in shapes]
    with torch.no_grad(), Calls() as calls:
        module(*tensors)
    return calls.written


@pytest.mark.parametrize(
    "shape", [(2, 56, 56, 96), (1, 14, 7, 8), (3, 15, 13, 4), (1, 3, 3, 2), (1, 9, 4, 3), (1, 1, 5, 2)]
)
@pytest.mark.parametrize("window", [1, 4, 7])
def test_window_partition_and_reverse(shape, window):
    torch = pytest.importorskip("torch")
    op, inputs, outputs, _ = run("window_partition", shape, window_size=window)
    assert op.work(inputs, outputs, True) == {}
    assert op.launches(inputs, False) == kernels(op.to_torch(), shape)
    back = run("window_reverse", outputs[0].shape, shape, window_size=window)
    assert back.outputs == inputs
    copied = kernels(back.op.to_torch(), outputs[0].shape, shape)
    assert back.op.launches(back.inputs, False) == copied
    assert back.op.reads(back.inputs, back.outputs) == (outputs[0].bytes if copied else 0)
    assert back.op.placement(back.inputs, False)[0].kind == ("fresh" if copied else "view")
    image = torch.randn(shape)
    windows = op.to_torch()(image)
    assert windows.shape == outputs[0].shape
    assert torch.equal(back.op.to_torch()(windows, image), image)


def test_window_reverse_takes_the_channels_of_the_windows():
    assert run("window_reverse", (4, 49, 32), (1, 14, 14, 96), window_size=7).outputs[0].shape == (
        1,
        14,
        14,
        32,
    )


def test_swin_tiny_windows_by_hand():
    op, inputs, outputs, _ = run("window_partition", (1, 56, 56, 96), window_size=7)
    assert outputs[0].shape == (8 * 8, 49, 96)
    (step,) = op.steps(inputs, outputs)
    assert (step.substitution, step.value) == ("ceil(56/7)*ceil(56/7)", 64)


@pytest.mark.parametrize(("window", "heads"), [(7, 3), (7, 24), (8, 4), (1, 1)])
def test_relative_position_bias_by_hand(window, heads):
    tokens = window**2
    op, inputs, outputs, _ = run("relative_position_bias", (6, heads, tokens, tokens), window_size=window)
    table, index = op.weights()
    assert (table.kind, table.shape) == ("parameter", ((2 * window - 1) * (2 * window - 1), heads))
    assert (index.kind, index.dtype, index.elements) == ("buffer", "int64", tokens * tokens)
    assert op.work(inputs, outputs, False) == {"elementwise": 6 * heads * tokens * tokens}
    assert outputs == inputs


def needs_torchvision():
    pytest.importorskip("PIL", reason="torchvision needs pillow")
    support = pytest.importorskip("support.torchvision_ops")
    try:
        support.import_torchvision()
    except ImportError as error:
        pytest.skip(str(error))


def test_parameters_are_those_of_torchvisions_module():
    torch = pytest.importorskip("torch")
    needs_torchvision()
    from torchvision.models.swin_transformer import PatchMerging, ShiftedWindowAttention

    module = ShiftedWindowAttention(96, [7, 7], [3, 3], 3)
    weights = run("relative_position_bias", (64, 3, 49, 49), window_size=7).op.weights()
    found = {name: value.numel() for name, value in module.state_dict().items() if name.startswith("relative")}
    assert {weight.name: weight.elements for weight in weights} == found
    merged = PatchMerging(4, norm_layer=torch.nn.Identity)
    merged.reduction = torch.nn.Identity()
    for shape in [(2, 8, 8, 4), (2, 7, 5, 4), (1, 1, 6, 4)]:
        x = torch.randn(shape)
        merge = run("patch_merge", shape)
        assert torch.equal(merge.op.to_torch()(x), merged(x))
        assert merge.outputs[0].shape == tuple(merged(x).shape)


@pytest.mark.parametrize(
    ("size", "shift"),
    [((8, 8), 0), ((8, 12), 2), ((9, 6), 0), ((4, 8), 3), ((8, 4), 1), ((4, 4), 2), ((3, 2), 2)],
)
def test_modules_together_are_torchvisions_attention(size, shift):
    """The shifted-window attention of the shipped Swin, from our ops' PyTorch modules, with torchvision's weights."""
    torch = pytest.importorskip("torch")
    needs_torchvision()
    from torchvision.models.swin_transformer import ShiftedWindowAttention

    torch.manual_seed(0)
    window, heads, width = 4, 2, 6
    module = ShiftedWindowAttention(width, [window] * 2, [shift] * 2, heads).eval()
    torch.nn.init.normal_(module.relative_position_bias_table)
    image = torch.randn(3, *size, width)
    moved = [0 if side <= window else shift for side in size]
    cut = run("window_partition", tuple(image.shape), window_size=window)
    logits = (cut.outputs[0].shape[0], heads, window**2, window**2)
    bias = run("relative_position_bias", logits, window_size=window).op.to_torch()
    bias.relative_position_bias_table = module.relative_position_bias_table
    assert torch.equal(bias.relative_position_index, module.relative_position_index)

    x = make("roll", {"shifts": [-step for step in moved], "dims": [1, 2]}).to_torch()(image)
    x = cut.op.to_torch()(x)
    q, k, v = module.qkv(x).reshape(*x.shape[:2], 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    x = bias(make("matmul", {"transpose_b": True}).to_torch()(q * (width // heads) ** -0.5, k))
    x = make("window_mask", {"window_size": window, "shift": shift}).to_torch()(x, image)
    x = module.proj((x.softmax(-1) @ v).transpose(1, 2).flatten(2))
    x = make("window_reverse", {"window_size": window}).to_torch()(x, image)
    x = make("roll", {"shifts": moved, "dims": [1, 2]}).to_torch()(x)
    torch.testing.assert_close(x, module(image))


def test_mask_is_added_if_a_dimension_is_shifted():
    logits = (64 * 2, 3, 49, 49)
    op, inputs, outputs, _ = run("window_mask", logits, (2, 56, 56, 96), window_size=7, shift=3)
    assert outputs[0].shape == logits
    assert op.work(inputs, outputs, False) == {"elementwise": prod(logits)}
    assert op.weights() == ()
    # The image is not read: only its shape says how many windows there are.
    assert op.reads(inputs, outputs) == 4 * prod(logits)


@pytest.mark.parametrize(("image", "shift"), [((2, 7, 7, 8), 3), ((2, 14, 14, 8), 0), ((2, 5, 6, 8), 3)])
def test_without_a_shift_nothing_is_added(image, shift):
    windows = 2 * -(-image[1] // 7) * -(-image[2] // 7)
    op, inputs, outputs, _ = run("window_mask", (windows, 3, 49, 49), image, window_size=7, shift=shift)
    assert op.work(inputs, outputs, False) == {}
    assert op.placement(inputs, False)[0].kind == "view"
    assert op.launches(inputs, False) == 0


@pytest.mark.parametrize("image", [(14, 14), (14, 7), (7, 14), (21, 35), (16, 20), (7, 7)])
def test_launches_of_the_mask_are_the_kernels_that_pytorch_dispatches(image):
    logits = (-(-image[0] // 7) * -(-image[1] // 7), 3, 49, 49)
    op, inputs, _, _ = run("window_mask", logits, (1, *image, 8), window_size=7, shift=3)
    assert op.launches(inputs, False) == kernels(op.to_torch(), logits, (1, *image, 8))


@pytest.mark.parametrize("shape", [(2, 56, 56, 96), (2, 7, 5, 4), (1, 1, 1, 3)])
def test_patch_merge_concatenates_four_pixels(shape):
    torch = pytest.importorskip("torch")
    x = torch.nn.functional.pad(torch.empty(shape), (0, 0, 0, shape[2] % 2, 0, shape[1] % 2))
    parts = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
    op, inputs, outputs, _ = run("patch_merge", shape)
    assert outputs[0].shape == tuple(torch.cat(parts, -1).shape)
    assert op.launches(inputs, False) == 2 + any(size % 2 for size in shape[1:3])


@pytest.mark.parametrize(
    ("name", "fields", "shapes", "message"),
    [
        ("window_partition", {"window_size": 7}, [(1, 96, 56)], r"needs \(N, H, W, C\), got 3 dimensions: 1x96x56"),
        ("window_reverse", {"window_size": 7}, [(63, 49, 96), (1, 56, 56, 96)], "are 64x49xC, got 63x49x96"),
        ("relative_position_bias", {"window_size": 7}, [(64, 3, 64, 64)],
         r"\(N\*windows, heads, 49, 49\) .* 64x3x64x64"),
        ("relative_position_bias", {"window_size": 7, "num_heads": 6}, [(64, 3, 49, 49)],
         "built for 6 heads, got 3"),
        ("window_mask", {"window_size": 7, "shift": 7}, [(64, 3, 49, 49), (1, 56, 56, 9)], "7 must be smaller than"),
        ("window_mask", {"window_size": 7, "shift": 3}, [(32, 3, 49, 49), (1, 56, 56, 9)],
         r"1\*64 windows of 7, got 32"),
        ("patch_merge", {}, [(1, 56, 56)], "3 dimensions"),
    ],
)  # fmt: skip
def test_refusals_name_the_numbers(name, fields, shapes, message):
    with pytest.raises(OpError, match=message):
        ready(make(name, fields), tuple(Tensor(shape) for shape in shapes))
