"""Multiply-accumulates of a training step against PyTorch's own counter, which sees the backward pass too."""

from __future__ import annotations

import pytest

import convcost
from convcost.sources.load import graph_from_text

torch = pytest.importorskip("torch")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from support.memory_oracles import tensors_in  # noqa: E402

# None with grouped convolutions: torch 2.13 counts their backward pass as if they had one group.
NETWORKS = ("lenet5_d2l", "alexnet", "vgg11", "resnet18", "googlenet", "densenet121", "unet", "dcgan_generator",
            "r3d_18", "vit_b_16", "swin_t")  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_multiplies_what_pytorch_counts(name):
    graph = convcost.load(name)
    assert convcost.memory(graph, 2).macs.flops == counted(graph, 2)


def counted(graph, batch):
    module = convcost.build(graph, device="meta").train()
    inputs = [torch.empty(batch, *x.shape[1:], device="meta") for _, x in graph.inputs]
    counter = FlopCounterMode(display=False)
    with counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        torch.stack([x.sum() for x in tensors_in(module(*inputs))]).sum().backward()
    return counter.get_total_flops()


def test_a_grouped_convolution_multiplies_what_its_groups_do():
    head = "name: {}\ninput: [8, 16, 16]\nlayers:\n  - conv2d: {{out_channels: 8, kernel_size: 1}}\n"
    grouped = head.format("grouped") + "  - conv2d: {out_channels: 12, kernel_size: 3, groups: 4}\n"
    conv = "[conv2d: {out_channels: 3, kernel_size: 3}]"
    apart = (
        head.format("apart")
        + f"  - branches: [{conv}, {conv}, {conv}, {conv}]\n    split: {{chunk: 4}}\n    merge: concat\n"
    )
    ours = convcost.memory(graph_from_text(grouped, "grouped.yaml"), 2).macs.flops
    assert ours == counted(graph_from_text(apart, "apart.yaml"), 2)
