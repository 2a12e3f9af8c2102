"""Captured torchvision networks, compared with PyTorch's FLOP counter and with the shipped specs."""

from __future__ import annotations

import pytest

from convcost import analyze, load
from convcost.sources import shipped
from support.cases import NETWORKS, few

torch = pytest.importorskip("torch")
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from convcost import capture  # noqa: E402 - needs torch
from convcost.sources.pytorch_module import without_weights  # noqa: E402
from support.torchvision_ops import import_torchvision  # noqa: E402

# Ops of a spec, and the ops that a capture has in their place.
SAME_STEP = {
    "layer_scale": "mul",
    "class_token": "concat",
    "position_embedding": "add",
    "channel_shuffle": "contiguous",
    "softmax": "attention_softmax",
}
# In Swin's spec windows are cut by one op and the bias is an op, so only layers with arithmetic are compared.
ONLY_COMPUTING = ("swin_t",)
TORCHVISION = {"googlenet_bn": "googlenet"}
BUILT_WITH = {"googlenet": {"aux_logits": False, "init_weights": False}, "inception_v3": {"init_weights": False}}
# The shipped GoogLeNet is the paper's, without batch norm; torchvision's has batch norm.
WITHOUT = ("googlenet",)


try:
    models = import_torchvision().models
except ImportError as error:
    pytest.skip(str(error), allow_module_level=True)

BOTH = sorted(
    name
    for name in {name for name, *_ in shipped.shipped()} - {*WITHOUT}
    if TORCHVISION.get(name, name) in models.list_models()
)


def built(name, **keys):
    with without_weights():
        return models.get_model(name, weights=None, **keys).to("meta")


def has_no_effect(layer):
    """True for steps of torchvision that change nothing: concatenating one tensor, and pooling to the same size."""
    (output,), inputs = layer.cost.outputs, layer.cost.inputs
    return (layer.op == "concat" and len(inputs) == 1) or (
        layer.op == "adaptive_avg_pool2d" and output.shape == inputs[0].shape
    )


def steps(report, only_computing):
    """(op, elements, parameters, buffers, MACs, FLOPs, bytes) of every layer that runs a kernel.

    A weight that is read as a value is counted with the next step.
    """
    found = []
    params = buffers = 0
    for layer in report.layers:
        if layer.op in ("parameter", "buffer"):
            params, buffers = params + layer.params, buffers + layer.buffers
        elif layer.cost.launches and not has_no_effect(layer):
            figures = (layer.params + params, layer.buffers + buffers, layer.macs, layer.flops)
            if not only_computing:
                name = SAME_STEP.get(layer.op, layer.op)
                found.append((name, layer.cost.outputs[0].elements, *figures, layer.activation_bytes))
            elif layer.op in ("linear", "matmul", "conv2d", "layer_norm", "gelu") or layer.op.endswith("softmax"):
                found.append((layer.cost.outputs[0].elements, layer.macs, layer.flops))
            params = buffers = 0
    return found


def test_most_shipped_networks_are_in_torchvision():
    assert len(BOTH) >= 40


@pytest.mark.parametrize("name", few(BOTH, NETWORKS))
def test_a_captured_network_has_the_steps_of_the_shipped_spec(name):
    """In the same order of execution."""
    theirs = TORCHVISION.get(name, name)
    train = name == "inception_v3"  # its auxiliary head runs only in training
    batch = 2 if train else 1
    graph = load(name)
    spec = analyze(graph, batch=batch, train=train)
    module = built(theirs, **BUILT_WITH.get(theirs, {})).train(train)
    image = torch.empty(batch, *graph.inputs[0][1].shape[1:], device="meta")
    captured = analyze(capture(module, image))
    computing = name in ONLY_COMPUTING
    assert steps(captured, computing) == steps(spec, computing)
    if name != "swin_t":
        assert captured.totals.buffers == spec.totals.buffers
    assert captured.totals.params == spec.totals.params
    assert captured.totals.macs == spec.totals.macs
    assert captured.coverage.unmodelled == ()


def counted(name, size, **keys):
    """The totals of a captured network, after comparing them with PyTorch's FLOP counter."""
    module = built(name, **keys).eval()
    image = torch.empty(1, *size, device="meta")
    report = analyze(capture(module, image))
    counter = FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH):
        module(image)
    assert report.coverage.unmodelled == ()
    assert report.totals.params == sum(x.numel() for x in module.parameters())
    assert report.totals.buffers == sum(x.numel() for x in module.buffers())
    assert 2 * report.totals.macs == counter.get_total_flops()
    return report.totals


IMAGE, CLIP = (3, 224, 224), (3, 16, 112, 112)


PUBLISHED = {
    "alexnet": (IMAGE, {}),
    "googlenet": (IMAGE, BUILT_WITH["googlenet"]),
    "inception_v3": ((3, 299, 299), BUILT_WITH["inception_v3"]),
    "efficientnet_v2_s": ((3, 384, 384), {}),
    "maxvit_t": (IMAGE, {}),
    "mnasnet0_5": (IMAGE, {}),
    "regnet_y_400mf": (IMAGE, {}),
    "swin_v2_t": ((3, 256, 256), {}),
    "vit_b_32": (IMAGE, {}),
    "fcn_resnet50": ((3, 520, 520), {"weights_backbone": None, "aux_loss": True}),
    "deeplabv3_mobilenet_v3_large": ((3, 520, 520), {"weights_backbone": None, "aux_loss": True}),
    "lraspp_mobilenet_v3_large": ((3, 520, 520), {"weights_backbone": None}),
    "r2plus1d_18": (CLIP, {}),
    "s3d": ((3, 16, 224, 224), {}),
    "mvit_v1_b": ((3, 16, 224, 224), {}),
    "swin3d_t": ((3, 16, 224, 224), {}),
}
SAMPLE = ("inception_v3", "maxvit_t", "swin_v2_t", "lraspp_mobilenet_v3_large", "r2plus1d_18")


@pytest.mark.parametrize("name", few(PUBLISHED, SAMPLE))
def test_totals_agree_with_torchvisions_published_figures(name):
    """A sample; benchmarks/zoo.py checks all networks. torchvision publishes 10^9 multiply-accumulates as ``_ops``."""
    size, keys = PUBLISHED[name]
    weights = models.get_model_weights(name)
    meta = getattr(weights, "IMAGENET1K_V1", next(iter(weights))).meta
    totals = counted(name, size, **keys)
    assert totals.params == meta["num_params"]
    assert f"{totals.macs / 1e9:.3f}" == f"{meta['_ops']:.3f}"


@pytest.mark.parametrize("name", ["fasterrcnn_mobilenet_v3_large_320_fpn", "retinanet_resnet50_fpn_v2", "ssd300_vgg16"])
def test_backbones_of_detectors(name):
    module = built(name, weights_backbone=None).backbone.eval()
    image = torch.empty(1, 3, 320, 320, device="meta")
    report = analyze(capture(module, image))
    with FlopCounterMode(display=False) as counter:
        module(image)
    assert 2 * report.totals.macs == counter.get_total_flops()
    assert report.totals.params == sum(x.numel() for x in module.parameters())
    assert len(report.graph.outputs) == len(module(image))
