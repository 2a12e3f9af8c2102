"""PyTorch modules that are captured, written as specs and read again have the same layers with the same costs."""

from __future__ import annotations

import pytest

from convcost import analyze, export
from convcost.sources.load import graph_from_text

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from convcost import capture  # noqa: E402 - needs torch


def figures(report):
    return report.totals, [layer.cost for layer in report.layers]


def text_of(module, *args, **kwargs):
    """The spec of a captured module, after checking that it reads back as the same layers."""
    graph = capture(module, *args, **kwargs)
    text = export(graph)
    again = graph_from_text(text, "written.yaml")
    batch = graph.inputs[0][1].shape[0]
    how = {"batch": batch, "dtype": graph.dtype, "train": graph.mode == "train"}
    assert figures(analyze(again, **how)) == figures(analyze(graph))
    return text


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("resnet50", 45), ("googlenet", 80), ("densenet121", 235), ("mobilenet_v3_large", 105), ("convnext_tiny", 70),
        ("swin_t", 348), ("vit_b_16", 65), ("vgg16", 30), ("mobilenet_v2", 60), ("inception_v3", 130),
    ],
)  # fmt: skip
def test_torchvision(models, name, most):
    keys = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        module = models.get_model(name, weights=None, **keys).eval()
        size = 299 if name == "inception_v3" else 224
        text = text_of(module, torch.empty(1, 3, size, size))
    assert len(text.splitlines()) <= most


def test_stages_of_a_residual_network(models):
    with torch.device("meta"):
        text = text_of(models.resnet50(weights=None).eval(), torch.empty(1, 3, 224, 224))
    for line in (
        "  - {bottleneck: 64, name: layer1, repeat: 3}",
        "  - {bottleneck: 128, name: layer2, repeat: 4, first: {stride: 2}}",
        "        projection: [{downsample: [4 * out_channels, stride], name: downsample}]",
    ):
        assert line in text


class Shared(nn.Module):
    """A head that is used twice, a computed weight, a value that is overwritten, and an unused result."""

    def __init__(self):
        super().__init__()
        self.stem = nn.ModuleList([nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()), nn.Conv2d(8, 8, 1)])
        self.head = nn.Sequential(nn.Conv2d(8, 4, 1), nn.BatchNorm2d(4))
        self.scale = nn.Parameter(torch.ones(8, 1, 1, 1))
        self.unused = nn.Linear(3, 3)

    def forward(self, image, tokens=None):
        x = self.stem[0](image)
        x.mean()
        y = F.conv2d(x, self.stem[1].weight * self.scale)
        y += tokens.float().mean()
        first = self.head(y)
        y = F.relu_(y) + first.sum(1, keepdim=True)
        return {"first": first, "second": self.head(y.masked_fill(y > 1, float("-inf")))}


def test_a_module_with_features_that_specs_seldom_have():
    text = text_of(Shared().eval(), torch.ones(1, 3, 8, 8), tokens=torch.ones(1, 5, dtype=torch.int64))
    assert "recorded: true" in text
    assert "weights: " in text
    assert "shares: " in text
    assert "tokens: {shape: [5], dtype: int64}" in text
    assert "outputs: [" in text


def test_training_and_half_precision_are_in_the_comment():
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout(0.5)).to(torch.bfloat16)
    text = text_of(module.train(), torch.ones(2, 3, 8, 8, dtype=torch.bfloat16))
    assert "analyze it with --dtype bfloat16 --train --batch 2." in text
