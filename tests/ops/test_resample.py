"""Interpolation and pixel shuffle: sizes and dependencies against PyTorch, work by hand."""

from __future__ import annotations

import pytest

from convcost.errors import OpError
from convcost.ops.base import UNKNOWN, Reach
from ops.examples import run


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("mode", ["nearest", "linear", "area", "bicubic"])
def test_reach_agrees_with_the_gradient(mode, factor):
    """Output o reads the inputs i with 0 <= o + before - up*i < extent: the taps of a transposed convolution."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    size = 9
    name = {"bicubic": "bicubic", "linear": "bilinear"}.get(mode, mode)
    x = torch.randn(1, 1, size, size, dtype=torch.float64)
    op, inputs, outputs, _ = run("upsample", tuple(x.shape), scale_factor=factor, mode=name)
    reach = op.reach(inputs, outputs)
    assert reach.kind == "window"
    assert reach.stride == (1, 1)
    extent, before, up = reach.extent[0], reach.before[0], reach.up[0]
    assert reach.extent == (extent, extent)
    assert up == factor
    sample = torch.nn.functional.interpolate
    slopes = torch.autograd.functional.jacobian(lambda z: sample(z, scale_factor=factor, mode=name)[0, 0, :, 0], x)
    rows = slopes[:, 0, 0].abs().sum(-1)  # output row by input row
    margin = 2 * factor  # beyond the edges PyTorch reads the edge itself
    for output in range(margin, size * factor - margin):
        read = {i for i in range(size) if rows[output, i] > 1e-12}
        predicted = {i for i in range(size) if 0 <= output + before - up * i < extent}
        if mode == "bicubic" and output % factor == (factor - 1) / 2:
            assert read < predicted  # exactly on an input position the three other weights are 0
        else:
            assert read == predicted


@pytest.mark.parametrize("fields", [{"scale_factor": 1.5}, {"scale_factor": 2.1}, {"size": 5}])
def test_reach_of_uneven_factors_is_unknown(fields):
    op, inputs, outputs, _ = run("upsample", (1, 3, 4, 4), **fields)
    assert op.reach(inputs, outputs) == UNKNOWN
    op, inputs, outputs, _ = run("upsample", (1, 3, 4, 4), scale_factor=2, mode="bilinear", align_corners=True)
    assert op.reach(inputs, outputs) == UNKNOWN


@pytest.mark.parametrize(
    ("mode", "shape", "each"),
    [
        ("nearest", (2, 3, 4, 5), 0),
        ("linear", (2, 3, 4), 2 + 1),
        ("bilinear", (2, 3, 4, 5), 4 + 3),
        ("trilinear", (2, 3, 4, 5, 6), 8 + 7),
        ("bicubic", (2, 3, 4, 5), 16 + 15),
    ],
)
def test_weighted_neighbours_are_multiplied_and_added(mode, shape, each):
    op, inputs, outputs, _ = run("upsample", shape, scale_factor=2, mode=mode)
    elements = outputs[0].elements
    assert elements == inputs[0].elements * 2 ** (len(shape) - 2)
    assert op.work(inputs, outputs, False) == ({"elementwise": each * elements} if each else {})


def test_area_averages_its_windows():
    op, inputs, outputs, _ = run("interpolate", (1, 1, 7), size=3, mode="area")
    # Windows [0, 3), [2, 5), [4, 7): two additions and a division each.
    assert op.work(inputs, outputs, False) == {"elementwise": 3 * (2 + 1)}


def test_steps_show_the_factor():
    op, inputs, outputs, _ = run("upsample", (1, 3, 7, 5), scale_factor=1.5)
    assert [(step.substitution, step.value) for step in op.steps(inputs, outputs)] == [
        ("floor(7*1.5)", 10),
        ("floor(5*1.5)", 7),
    ]


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_pixel_shuffles_move_whole_windows(factor):
    op, inputs, outputs, _ = run("pixel_shuffle", (2, 36, 6, 12), upscale_factor=factor)
    assert outputs[0].shape == (2, 36 // factor**2, 6 * factor, 12 * factor)
    assert op.reach(inputs, outputs) == Reach("window", (factor,) * 2, (1, 1), (0, 0), (factor,) * 2)
    op, inputs, outputs, _ = run("pixel_unshuffle", (2, 36, 6, 12), downscale_factor=factor)
    assert outputs[0].shape == (2, 36 * factor**2, 6 // factor, 12 // factor)
    assert op.reach(inputs, outputs) == Reach("window", (factor,) * 2, (factor,) * 2, (0, 0))


@pytest.mark.parametrize(
    ("name", "fields", "shape", "message"),
    [
        ("upsample", {}, (1, 3, 4, 4), "either scale_factor or size, got neither"),
        ("upsample", {"scale_factor": 2, "size": 8}, (1, 3, 4, 4), "got both"),
        (
            "upsample",
            {"scale_factor": 2, "mode": "bilinear"},
            (1, 3, 4),
            "bilinear needs 2 spatial dimensions",
        ),
        ("upsample", {"scale_factor": 2}, (1, 3), "needs 1, 2 or 3 spatial"),
        ("upsample", {"scale_factor": [2, 2, 2]}, (1, 3, 4, 4), "one or 2 numbers"),
        ("upsample", {"scale_factor": -1}, (1, 3, 4, 4), "numbers above 0"),
        ("upsample", {"scale_factor": float("inf")}, (1, 3, 4, 4), "numbers above 0"),
        ("upsample", {"scale_factor": 2, "align_corners": True}, (1, 3, 4, 4), "not for mode nearest"),
        ("upsample", {"size": [8, 8, 8]}, (1, 3, 4, 4), "size has 3 entries for 2"),
        ("upsample", {"scale_factor": 0.1}, (1, 3, 4, 4), "makes the output of 1x3x4x4 empty"),
        ("upsample", {"scale_factor": 2, "mode": "cubic"}, (1, 3, 4, 4), "mode is 'cubic'"),
        ("pixel_shuffle", {"upscale_factor": 2}, (1, 6, 4, 4), r"6 channels are not a multiple of 2\^2 = 4"),
        ("pixel_unshuffle", {"downscale_factor": 2}, (1, 6, 4, 5), "the width 5 is not a multiple of 2"),
    ],
)
def test_refusals_name_the_numbers(name, fields, shape, message):
    with pytest.raises(OpError, match=message):
        run(name, shape, **fields)


@pytest.mark.parametrize(("width", "result", "taps"), [(4, 2, 3 + 3), (8, 2, 6 + 6), (2, 4, 1 + 2 + 2 + 1)])
def test_antialiased_windows_grow_with_the_factor(width, result, taps):
    """Output o reads |i + 0.5 - (o + 0.5)*step| < step for a step of 2: 0..2 and 1..3 of 4 positions."""
    torch = pytest.importorskip("torch")
    op, inputs, outputs, _ = run("interpolate", (1, 1, 1, width), size=[1, result], mode="bilinear", antialias=True)
    # An image of one row: the windows along the width, then a window of one row for each result.
    assert op.work(inputs, outputs, False) == {"elementwise": (2 * taps - result) + (2 * result - result)}
    sample = torch.nn.functional.interpolate
    slopes = torch.autograd.functional.jacobian(
        lambda z: sample(z, size=(1, result), mode="bilinear", antialias=True), torch.rand(1, 1, 1, width)
    )
    assert int(slopes.count_nonzero()) == taps


def test_antialias_needs_a_mode_with_weights():
    with pytest.raises(OpError, match="antialias is for bilinear and bicubic, not for mode nearest"):
        run("interpolate", (1, 3, 4, 4), size=2, antialias=True)
