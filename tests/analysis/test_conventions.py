"""Totals under the conventions of other counters, compared with these counters on the same small networks."""

from __future__ import annotations

import warnings

import pytest

import convcost
from convcost import analyze
from convcost.analysis.conventions import CONVENTIONS
from convcost.errors import UsageError
from support.networks import chain, network

CNN = (
    (3, 32, 32),
    [
        "conv2d: {out_channels: 16, kernel_size: 3, stride: 2, padding: 1, bias: false}",
        "batch_norm2d",
        "relu",
        "residual: [conv2d: {out_channels: 16, kernel_size: 3, padding: 1, groups: 16}]",
        "conv2d: {out_channels: 32, kernel_size: [1, 3], padding: [0, 1]}",
        "max_pool2d: 2",
        "adaptive_avg_pool2d: 2",
        "flatten",
        "dropout",
        "linear: 10",
    ],
)
DECODER = (
    (8, 6, 6),
    [
        "conv_transpose2d: {out_channels: 6, kernel_size: 4, stride: 2, padding: 1}",
        "instance_norm2d: {affine: true}",
        "upsample: {scale_factor: 2, mode: nearest}",
        "group_norm: {num_groups: 2}",
        "conv2d: {out_channels: 4, kernel_size: 3}",
        "upsample: {scale_factor: 2, mode: bilinear}",
        "batch_norm2d: {affine: false}",
        "tanh",
        "interpolate: {scale_factor: 0.5, mode: area}",
    ],
)
LINES = (
    (4, 50),
    [
        "conv1d: {out_channels: 8, kernel_size: 5}",
        "batch_norm1d",
        "relu",
        "upsample: 2",
        "flatten",
        "linear: 6",
        "batch_norm1d",
    ],
)
VOLUMES = (
    (2, 6, 8, 8),
    ["conv3d: {out_channels: 4, kernel_size: 3, padding: 1}", "batch_norm3d", "relu", "avg_pool3d: 2"],
)
TOKENS = (
    (16, 9),
    ["permute: [0, 2, 1]", "layer_norm", "linear: 32", "gelu", "linear: {out_features: 16, bias: false}"],
)
SAME = ((3, 8, 8), ["conv2d: {out_channels: 6, kernel_size: 3, padding: same}", "batch_norm2d"])
NETWORKS = {"cnn": CNN, "same": SAME, "decoder": DECODER, "lines": LINES, "volumes": VOLUMES, "tokens": TOKENS}

ATTENTION = """
    name: attention
    input: [9, 16]
    layers:
      - {identity: {}, name: tokens}
      - {matmul: {transpose_b: true}, from: [tokens, tokens]}
      - softmax
      - {matmul: {}, from: [previous, tokens]}
"""


def module(name):
    """The same networks in PyTorch."""
    nn = pytest.importorskip("torch").nn

    class Call(nn.Module):
        def __init__(self, function, *inner):
            super().__init__()
            self.function = function
            self.inner = nn.Sequential(*inner)

        def forward(self, x):
            return self.function(self.inner(x), x)

    if name == "cnn":
        return nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            Call(lambda y, x: y + x, nn.Conv2d(16, 16, 3, padding=1, groups=16)),
            nn.Conv2d(16, 32, (1, 3), padding=(0, 1)),
            nn.MaxPool2d(2),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(),
            nn.Linear(128, 10),
        )
    if name == "same":
        return nn.Sequential(nn.Conv2d(3, 6, 3, padding="same"), nn.BatchNorm2d(6))
    if name == "decoder":
        return nn.Sequential(
            nn.ConvTranspose2d(8, 6, 4, 2, 1),
            nn.InstanceNorm2d(6, affine=True),
            nn.Upsample(scale_factor=2),
            nn.GroupNorm(2, 6),
            nn.Conv2d(6, 4, 3),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.BatchNorm2d(4, affine=False),
            nn.Tanh(),
            Call(lambda y, x: nn.functional.interpolate(y, scale_factor=0.5, mode="area")),
        )
    if name == "lines":
        return nn.Sequential(
            nn.Conv1d(4, 8, 5),
            nn.BatchNorm1d(8),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Flatten(),
            nn.Linear(8 * 92, 6),
            nn.BatchNorm1d(6),
        )
    if name == "volumes":
        return nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU(), nn.AvgPool3d(2))
    if name == "tokens":
        layers = (nn.LayerNorm(16), nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16, bias=False))
        return nn.Sequential(Call(lambda y, x: y.permute(0, 2, 1)), *layers)
    assert name == "attention"
    return Call(lambda y, x: (x @ x.transpose(1, 2)).softmax(-1) @ x)


def torch_total(name, *size):
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        module(name).eval()(torch.zeros(*size))
    return counter.get_total_flops()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("batch", [1, 3])
def test_torch(name, batch):
    size, layers = NETWORKS[name]
    found = analyze(chain(size, *layers), batch=batch).convention("torch")
    assert found.name == "torch"
    assert found.total == torch_total(name, batch, *size)


def test_torch_counts_matrix_products():
    found = analyze(network(ATTENTION), batch=2).convention("torch")
    assert found.total == 2 * 2 * (9 * 9 * 16 + 9 * 9 * 16)
    assert found.total == torch_total("attention", 2, 9, 16)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("train", [False, True])
def test_fvcore(name, train):
    torch = pytest.importorskip("torch")
    size, layers = NETWORKS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fvcore uses torch.jit, which newer torch deprecates
        fvcore = pytest.importorskip("fvcore.nn")
        counter = fvcore.FlopCountAnalysis(module(name).train(train), torch.zeros(2, *size))
        counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        expected = counter.total()
    assert analyze(chain(size, *layers), batch=2, train=train).convention("fvcore").total == expected


def test_fvcore_by_hand():
    """The counts of the handlers of fvcore, computed by hand, so that the test does not need fvcore."""
    size, layers = CNN
    macs = 16 * 16 * 16 * 27 + 16 * 16 * 16 * 9 + 16 * 16 * 32 * 48 + 128 * 10
    norm, pool = 16 * 16 * 16, 32 * 8 * 8
    report = analyze(chain(size, *layers))
    assert report.convention("fvcore").total == macs + 2 * norm + pool
    trained = analyze(chain(size, *layers), train=True)
    assert trained.convention("fvcore").total == macs + 5 * norm + pool
    untracked = chain((4, 8, 8), "batch_norm2d: {affine: false, track_running_stats: false}")
    assert analyze(untracked).convention("fvcore").total == 4 * 4 * 8 * 8


def test_paper():
    """One per multiply-accumulate of convolutions and linear layers."""
    for name in ("vgg16", "resnet50"):
        report = analyze(convcost.load(name))
        assert report.convention("paper").total == report.totals.macs
    assert analyze(network(ATTENTION)).convention("paper").total == 0


def test_torch_is_twice_the_macs_of_a_network_without_attention():
    for name in ("resnet18", "mobilenet_v2", "unet"):
        report = analyze(convcost.load(name))
        assert report.convention("torch").total == 2 * report.totals.macs


def test_torch_does_not_count_the_rbf_layer_of_lenet5():
    """The radial basis functions have 840 multiply-accumulates."""
    report = analyze(convcost.load("lenet5"))
    assert report.convention("torch").total == 2 * (report.totals.macs - 84 * 10)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_convention_changes_no_other_figure(name):
    report = analyze(convcost.load("resnet18"))
    plain, asked = report.to_dict(), report.to_dict(name)
    total = asked.pop("convention")
    assert plain.pop("convention") is None
    assert plain == asked
    assert (total["name"], type(total["total"])) == (name, int)
    assert total["meaning"]


def test_unknown_convention():
    with pytest.raises(UsageError, match=r"unknown convention 'torsh'; did you mean 'torch'\?.*allowed: torch, fvcore"):
        analyze(chain((3, 8, 8), "relu")).convention("torsh")
