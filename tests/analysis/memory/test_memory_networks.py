"""Memory of whole networks against PyTorch's own: hooks on saved tensors, its memory tracker, runs of Python frames."""

from __future__ import annotations

import pytest

import convcost
from convcost.sources.load import load_shipped
from support.cases import NETWORKS, few

torch = pytest.importorskip("torch")

from convcost.analysis.memory.storages import Storages  # noqa: E402
from convcost.capture.lifetimes import Lifetimes  # noqa: E402
from convcost.sources.pytorch_module import without_weights  # noqa: E402
from support.framed import function_of  # noqa: E402
from support.memory_oracles import (  # noqa: E402
    inference_peak,
    peak,
    saved_storages,
    training_peak,
)
from support.torchvision_ops import import_torchvision  # noqa: E402

SHIPPED = load_shipped()
NESTED_SAMPLE = ("vgg11", "convnext_tiny", "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "shufflenet_v2_x1_0")
SIZES = {"inception_v3": 299, "vit_h_14": 224}
# A step's peak takes seconds each; these have every kind of block.
STEPPED = ("alexnet", "vgg11", "googlenet", "resnet18", "resnet50", "densenet121", "mobilenet_v2", "mobilenet_v3_small",
           "efficientnet_b0", "shufflenet_v2_x1_0", "squeezenet1_1", "convnext_tiny", "regnet_y_400mf")  # fmt: skip
# One of each kind that torchvision has.
KINDS = (*STEPPED, "inception_v3", "mnasnet0_5", "efficientnet_v2_s", "maxvit_t", "resnext50_32x4d", "swin_t",
         "swin_v2_t", "vit_b_16", "wide_resnet50_2")  # fmt: skip
# Specs whose blocks nest as torchvision's modules do. DenseNet's forward keeps lists alive, attention's its locals.
NESTED_ALIKE = (
    "alexnet", "vgg11", "vgg13", "vgg16", "vgg19", "convnext_tiny", "convnext_small", "convnext_base", "convnext_large",
    "efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4", "efficientnet_b5",
    "efficientnet_b6", "efficientnet_b7", "inception_v3", "mnasnet1_0", "mobilenet_v2", "mobilenet_v3_small",
    "mobilenet_v3_large", "regnet_y_400mf", "regnet_x_3_2gf", "resnet18", "resnet34", "resnet50", "resnet101",
    "resnet152", "resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2",
    "shufflenet_v2_x1_0", "squeezenet1_0", "squeezenet1_1",
)  # fmt: skip


def torchvision_names():
    return import_torchvision().models.list_models(module=import_torchvision().models)


def built(name):
    make = import_torchvision().models.get_model
    keys = {"weights": None} | ({"init_weights": False} if name in ("googlenet", "inception_v3") else {})
    try:
        with without_weights():
            return make(name, **keys).to("meta")
    except RuntimeError:  # some constructors compute with values
        return make(name, **keys).to("meta")


def shape_of(name, module, batch):
    side = SIZES.get(name) or getattr(module, "image_size", None) or 224
    return (batch, 3, side, side)


@pytest.mark.slow
@pytest.mark.parametrize("name", few(torchvision_names(), KINDS))
def test_torchvision_keeps_for_backward_what_the_hooks_see(name):
    module = built(name).train()
    shape = shape_of(name, module, 2)
    memory = convcost.memory(convcost.capture(module, torch.empty(*shape, device="meta")), kernels="meta")
    assert memory.unknown == ()
    assert memory.saved_for_backward_bytes == sum(saved_storages(module, [torch.empty(*shape, device="meta")]).values())


@pytest.mark.slow
@pytest.mark.parametrize("batch", few([1, 8], [8]))
@pytest.mark.parametrize("name", few(torchvision_names(), KINDS))
def test_inference_peaks_of_torchvision_are_those_of_the_tracker(name, batch):
    module = built(name).eval()
    shape = shape_of(name, module, batch)
    graph = convcost.capture(module, torch.empty(*shape, device="meta"))
    memory = convcost.memory(graph, mode="inference", kernels="meta")
    assert memory.observed
    assert memory.activation_peak_bytes == inference_peak(module, [shape])
    assert memory.peak_ideal_bytes <= memory.peak_bytes


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", few(["sgd", "momentum", "adamw"], ["adamw"]))
@pytest.mark.parametrize("name", STEPPED)
def test_peaks_of_a_training_step_are_within_2_percent_of_the_tracker(name, optimizer):
    module = built(name).train()
    shape = shape_of(name, module, 2)
    graph = convcost.capture(module, torch.empty(*shape, device="meta"))
    ours = convcost.memory(graph, optimizer=optimizer, kernels="meta").peak_bytes
    assert ours == pytest.approx(training_peak(module, [shape], optimizer), rel=0.02)


@pytest.mark.parametrize("name", NETWORKS)
def test_shipped_networks_keep_for_backward_what_the_hooks_see(name):
    memory = convcost.memory(SHIPPED[name], 2, kernels="meta")
    network = convcost.build(SHIPPED[name], device="meta").train()
    assert memory.unknown == ()
    assert memory.saved_for_backward_bytes == sum(saved_storages(network, inputs_of(memory)).values())


def inputs_of(memory):
    return [torch.empty(x.shape, dtype=getattr(torch, x.dtype), device="meta") for x in Storages(memory.report).given]


@pytest.mark.parametrize("name", NETWORKS)
def test_inference_peaks_of_specs_are_those_of_python_frames(name):
    memory = convcost.memory(SHIPPED[name], 2, mode="inference", kernels="meta")
    network = convcost.build(SHIPPED[name], device="meta").eval()
    run = function_of(SHIPPED[name], [call.module for call in network.calls])
    inputs = inputs_of(memory)
    named = [(str(k), x) for k, x in enumerate(inputs)]
    watch = Lifetimes((*network.parameters(), *network.buffers()), named)
    with torch.no_grad(), torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), watch:
        result = run(*inputs)
    assert memory.activation_peak_bytes == peak(watch.allocations())
    assert memory.peak_ideal_bytes <= memory.peak_bytes
    del result


@pytest.mark.parametrize("name", few(NESTED_ALIKE, NESTED_SAMPLE))
def test_inference_peaks_of_specs_are_those_of_torchvision(name):
    module = built(name).eval()
    shape = shape_of(name, module, 2)
    memory = convcost.memory(SHIPPED[name], 2, mode="inference", kernels="meta", input_size=shape[1:])
    observed = convcost.capture(module, torch.empty(*shape, device="meta")).observed
    assert memory.activation_peak_bytes == peak(observed)


@pytest.mark.parametrize(
    "name", few(["vgg11", "resnet18", "mobilenet_v2", "googlenet", "densenet121"], ["resnet18", "mobilenet_v2"])
)
def test_mixed_precision_keeps_what_the_hooks_see_under_autocast(name):
    keys = {"init_weights": False} if name == "googlenet" else {}
    module = import_torchvision().models.get_model(name, weights=None, **keys).train()
    x = torch.zeros(2, 3, 64, 64)
    memory = convcost.memory(convcost.capture(module, x), dtype="amp-bf16", kernels="cpu")
    inside = torch.autocast("cpu", torch.bfloat16)
    assert memory.saved_for_backward_bytes == sum(saved_storages(module, [x], inside).values())


@pytest.mark.parametrize("name", few(
    ["lenet5", "alexnet_cs231n", "resnet20_cifar", "nin", "mobilenet_v1", "resnet18_d2l", "squeezenet1_1",
     "shufflenet_v2_x1_0", "mobilenet_v3_small", "convnetjs_cifar10"],
    ["lenet5", "resnet20_cifar", "shufflenet_v2_x1_0", "mobilenet_v3_small"],
))  # fmt: skip
def test_small_networks_keep_for_backward_on_a_cpu_what_the_hooks_see(name):
    if name not in SHIPPED:
        pytest.fail(f"{name} does not ship")
    memory = convcost.memory(SHIPPED[name], 2, kernels="cpu")
    network = convcost.build(SHIPPED[name], device="cpu").train()
    inputs = [torch.zeros(x.shape, dtype=getattr(torch, x.dtype)) for x in Storages(memory.report).given]
    assert memory.saved_for_backward_bytes == sum(saved_storages(network, inputs).values())
