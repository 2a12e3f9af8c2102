"""The static roofline: times computed by hand from the datasheet of the H200, and the rate of each kind of work."""

from __future__ import annotations

import msgspec
import pytest

import convcost
from convcost import Ceilings, Graph, Node, Tensor, UsageError, analyze
from convcost.analysis.roofline import ASSUMPTIONS, ceilings_of, roofline
from convcost.hardware import Figure, load_gpu, shipped_gpus
from convcost.ops import make
from convcost.precision import PRECISIONS
from support.networks import chain, single

# NVIDIA's datasheet; dense rates are half of the rates with sparsity.
TF32, FP32, HALF, BANDWIDTH = 989e12 / 2, 67e12, 1979e12 / 2, 4.8e12
CONV = "conv2d: {out_channels: 32, kernel_size: 3, padding: 1}"


def bound(report, gpu="h200", **how):
    (layer,) = convcost.roofline(report, gpu, **how).layers
    return layer


def of_gpu(**changes):
    """An H200 with other figures or another compute capability; figures that are None are removed."""
    gpu = load_gpu("h200")
    capability = changes.pop("compute_capability", gpu.compute_capability)
    figures = {**gpu.figures, **{key: Figure(value) for key, value in changes.items() if value is not None}}
    figures = {key: figure for key, figure in figures.items() if changes.get(key, 1) is not None}
    return msgspec.structs.replace(gpu, figures=figures, compute_capability=capability)


# --- one layer, by hand


def test_memory_limited_convolution():
    """16 -> 32 channels, 3x3 on 56x56, two samples: 16 x 9 MACs and a bias for each of 2 x 32 x 56 x 56 outputs."""
    outputs, weights = 2 * 32 * 56 * 56, 32 * 16 * 9 + 32
    macs = outputs * 16 * 9
    moved = 4 * (2 * 16 * 56 * 56 + weights + outputs)
    found = bound(analyze(chain((16, 56, 56), CONV), batch=2))
    assert (found.macs, found.flops, found.bytes_moved) == (macs, 2 * macs + outputs, moved)
    assert found.intensity == (2 * macs + outputs) / moved
    assert found.compute_ns == pytest.approx(1e9 * 2 * macs / TF32, rel=1e-12)
    assert found.memory_ns == pytest.approx(1e9 * moved / BANDWIDTH, rel=1e-12)
    assert (found.bound_ns, found.limit, found.roof) == (found.memory_ns, "memory", "conv")


def test_compute_limited_convolution():
    """512 -> 512 channels, 3x3 on 28x28: 2 x 1.85G FLOPs take 7.5 us, 12.7 MB no more than 2.6 us."""
    macs = 512 * 28 * 28 * 512 * 9
    moved = 4 * (2 * 512 * 28 * 28 + 512 * 512 * 9 + 512)
    found = bound(single("conv2d", (512, 28, 28), out_channels=512, kernel_size=3, padding=1))
    assert found.bound_ns == found.compute_ns == pytest.approx(1e9 * 2 * macs / TF32, rel=1e-12)
    assert found.memory_ns == pytest.approx(1e9 * moved / BANDWIDTH, rel=1e-12)
    assert found.limit == "compute"


def test_linear_layer_does_not_use_tf32():
    """fc6 of VGG-16 reads 4 x 102.8M bytes for two FLOPs each: memory takes 85.7 us, float32 3 us."""
    moved = 4 * (25088 + 4096 * 25088 + 4096 + 4096)
    found = bound(single("linear", (25088,), out_features=4096))
    assert found.compute_ns == pytest.approx(1e9 * 2 * 4096 * 25088 / FP32, rel=1e-12)
    assert found.bound_ns == found.memory_ns == pytest.approx(1e9 * moved / BANDWIDTH, rel=1e-12)
    assert found.roof == "matmul"


def test_operations_other_than_multiply_accumulates():
    """ReLU compares, reads and writes each value once."""
    found = bound(single("relu", (64, 10, 10)))
    assert (found.macs, found.flops, found.bytes_moved, found.roof) == (0, 6400, 2 * 4 * 6400, "vector")
    assert found.intensity == 1 / 8
    assert found.compute_ns == pytest.approx(1e9 * 6400 / FP32, rel=1e-12)
    assert found.limit == "memory"


def test_arithmetic_overlaps():
    """One input channel, 1x1: as many MACs as biases. Adding the biases takes longer than the MACs on tensor cores."""
    found = bound(single("conv2d", (1, 8, 8), out_channels=8, kernel_size=1))
    assert (found.macs, found.flops) == (512, 3 * 512)
    assert found.compute_ns == pytest.approx(1e9 * 512 / FP32, rel=1e-12)
    assert found.compute_ns > 1e9 * 2 * 512 / TF32


def test_view_takes_no_time():
    found = bound(single("flatten", (3, 8, 8)))
    assert (found.flops, found.bytes_moved, found.intensity) == (0, 0, None)
    assert (found.compute_ns, found.memory_ns, found.bound_ns, found.limit, found.roof) == (0, 0, 0, "", "")


def test_copy_is_memory_limited():
    """A border of zeros around 8 maps of 4x4: 16 values are read for each, 36 written."""
    found = bound(single("zero_pad2d", (8, 4, 4), padding=1))
    assert (found.flops, found.intensity, found.compute_ns, found.limit) == (0, 0, 0, "memory")
    assert found.bound_ns == pytest.approx(1e9 * 4 * 8 * (16 + 36) / BANDWIDTH, rel=1e-12)


# --- rates


def rates(gpu, dtype, tf32=None):
    found = ceilings_of(load_gpu(gpu) if isinstance(gpu, str) else gpu, dtype, tf32)
    return found.conv_flops_per_s, found.matmul_flops_per_s, found.vector_flops_per_s, found.bytes_per_s


def test_float32_uses_tf32_in_cudnn():
    assert rates("h200", "float32") == (TF32, FP32, FP32, BANDWIDTH)
    assert rates("h200", "float32", tf32=True) == (TF32, TF32, FP32, BANDWIDTH)
    assert rates("h200", "float32", tf32=False) == (FP32, FP32, FP32, BANDWIDTH)
    assert bound(single("lstm", (5, 3), hidden_size=4)).roof == "conv"
    assert bound(single("conv_transpose2d", (3, 8, 8), out_channels=4, kernel_size=2)).roof == "conv"


def test_defaults_of_pytorch():
    backends = pytest.importorskip("torch").backends
    assert backends.cudnn.allow_tf32
    assert not backends.cuda.matmul.allow_tf32
    if hasattr(backends.cudnn, "rnn"):  # newer than the switches above
        assert backends.cudnn.rnn.fp32_precision == backends.cudnn.conv.fp32_precision == "tf32"


def test_half_precision_accumulates_in_float32():
    """A GeForce is twice as fast with accumulation in float16, which PyTorch does not use."""
    assert rates("rtx4090", "float16") == (165.2e12, 165.2e12, 82.6e12, 1008e9)
    assert rates("h200", "bfloat16") == (HALF, HALF, FP32, BANDWIDTH)


def test_gpu_without_tf32_uses_float32():
    for tf32 in (None, True, False):
        assert rates("t4", "float32", tf32) == (8.1e12, 8.1e12, 8.1e12, 320e9)
    assert rates("t4", "amp-fp16")[0] == 65e12
    assert rates(of_gpu(tf32_tensor_flops_per_s=None, compute_capability=""), "float32")[0] == FP32


def test_unknown_tf32_rate_is_refused():
    gpu = of_gpu(tf32_tensor_flops_per_s=None)
    for tf32 in (None, True):
        with pytest.raises(
            UsageError, match=r"compute capability 9\.0\) supports TF32, but its file has no tf32_tensor"
        ):
            ceilings_of(gpu, "float32", tf32)
    assert rates(gpu, "float32", tf32=False)[0] == FP32
    assert rates(gpu, "amp-bf16")[0] == HALF


def test_faster_of_float32_and_tf32():
    assert rates(of_gpu(tf32_tensor_flops_per_s=10**13), "float32")[0] == FP32


def test_missing_rate():
    with pytest.raises(
        UsageError,
        match=r"Tesla T4 has no rate of bfloat16, bf16_tensor_fp32_accumulate_flops_per_s; the file of Tesla T4 "
        r"has rates for float32, float16, amp-fp16$",
    ):
        ceilings_of(load_gpu("t4"), "amp-bf16")
    with pytest.raises(UsageError, match="no rate of float64; the file of H200 SXM has rates for float32, float16, bf"):
        ceilings_of(load_gpu("h200"), "float64")
    with pytest.raises(UsageError, match="TF32 is a mode of float32 and has no effect with bfloat16"):
        ceilings_of(load_gpu("h200"), "bfloat16", tf32=True)


@pytest.mark.parametrize("gpu", shipped_gpus(), ids=lambda gpu: gpu.id)
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_every_gpu_has_rates_or_a_message(gpu, dtype):
    try:
        found = ceilings_of(gpu, dtype)
    except UsageError as error:
        assert "has rates for float32" in str(error) or "supports TF32" in str(error)
        return
    assert found.conv_flops_per_s >= found.matmul_flops_per_s > found.bytes_per_s
    assert found.vector_flops_per_s == gpu.figures["fp32_flops_per_s"].value
    for key, word in found.words.items():
        figure = gpu.figures[word.split()[0]]
        assert figure.value == getattr(found, key)
        assert found.sources[key] == figure.source != ""
        assert ("(an estimate)" in word) is figure.estimate


def test_autocast_keeps_some_ops_in_float32():
    """A linear layer runs in bfloat16; the RBF layer of LeNet-5 is not cast by autocast and runs in float32."""
    net = chain((84,), "rbf: {out_features: 10}", "linear: {out_features: 10}")
    rbf, linear = convcost.roofline(net, "h200", 1000, "amp-bf16").layers
    assert (rbf.macs, linear.macs) == (840_000, 100_000)
    assert rbf.compute_ns == pytest.approx(1e9 * 2 * 840_000 / FP32, rel=1e-12)
    assert linear.compute_ns == pytest.approx(1e9 * max(2 * 100_000 / HALF, 10_000 / FP32), rel=1e-12)


def test_rate_of_the_layers_dtype():
    """A convolution after a cast to float32 in a half-precision network."""
    conv = make("conv2d", {"out_channels": 64, "kernel_size": 3, "in_channels": 64, "bias": False})
    nodes = [Node("half", conv, ((-1, 0),)), Node("cast", make("cast", {"dtype": "float32"}), ((-1, 0),))]
    nodes.append(Node("full", conv, ((1, 0),)))
    report = analyze(Graph(nodes, [("x", Tensor((1, 64, 34, 34)))]), dtype="float16")
    half, _, full = convcost.roofline(report, "h200").layers
    flops = 2 * 64 * 32 * 32 * 64 * 9
    assert half.compute_ns == pytest.approx(1e9 * flops / HALF, rel=1e-12)
    assert full.compute_ns == pytest.approx(1e9 * flops / TF32, rel=1e-12)


def test_inputs_of_two_dtypes_have_the_rate_of_the_wider_dtype():
    """A product of float16 and float32 values is computed in float32."""
    nodes = [Node("cast", make("cast", {"dtype": "float32"}), ((-1, 0),))]
    nodes += [
        Node(f"product{k}", make("matmul", {}), inputs)
        for k, inputs in enumerate((((-1, 0), (0, 0)), ((-1, 0), (-1, 0))))
    ]
    report = analyze(Graph(nodes, [("x", Tensor((1, 64, 64)))], ((1, 0), (2, 0))), dtype="float16")
    _, mixed, half = convcost.roofline(report, "h200").layers
    assert mixed.macs == half.macs == 64**3
    assert mixed.compute_ns == pytest.approx(1e9 * 2 * 64**3 / FP32, rel=1e-12)
    assert half.compute_ns == pytest.approx(1e9 * 2 * 64**3 / HALF, rel=1e-12)


# --- the network


def test_totals_are_sums():
    found = convcost.roofline(convcost.load("vgg16"), "h200", batch=4)
    totals, layers = found.totals, found.layers
    assert found.bound_ns == totals.bound_ns == pytest.approx(sum(layer.bound_ns for layer in layers))
    assert found.compute_ns == pytest.approx(sum(layer.compute_ns for layer in layers))
    assert found.memory_ns == pytest.approx(sum(layer.memory_ns for layer in layers))
    assert max(found.compute_ns, found.memory_ns) <= found.bound_ns <= found.compute_ns + found.memory_ns
    assert found.samples_per_s == 4e9 / found.bound_ns
    assert found.compute_limited_ns == pytest.approx(sum(x.bound_ns for x in layers if x.limit == "compute"))
    for key in ("params", "macs", "flops", "launches"):
        assert getattr(totals, key) == getattr(analyze(convcost.load("vgg16"), batch=4).totals, key)
    assert found.intensity == totals.flops / totals.bytes_moved
    groups = found.by_group.values()
    assert sum(group.layers for group in groups) == len(layers)
    assert sum(group.bound_ns for group in groups) == pytest.approx(found.bound_ns)
    assert totals.limit == "mixed"
    assert found.by_group["pool"].limit == "memory"
    assert found.by_group["norm"].limit == ""
    assert found.by_group["norm"].intensity is None


def test_groups_of_vgg16():
    """At batch 1 the three linear layers read 494.6 MB: 103 us at 4.8 TB/s. Arithmetic in convolutions: 30.7 GFLOPs."""
    found = convcost.roofline(convcost.load("vgg16"), "h200").by_group
    read = 4 * (25088 * 4096 + 4096 * 4096 + 4096 * 1000)
    assert found["fc"].memory_ns == pytest.approx(1e9 * read / BANDWIDTH, rel=1e-3)
    assert found["conv"].compute_ns == pytest.approx(1e9 * 30.69e9 / TF32, rel=1e-3)


def test_share_of_linear_layers_decreases_with_the_batch():
    shares = []
    for batch in (1, 16, 256):
        found = convcost.roofline(convcost.load("vgg16"), "h200", batch)
        shares.append(found.by_group["fc"].bound_ns / found.bound_ns)
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.5
    assert shares[-1] < 0.05


def test_network_without_work():
    found = convcost.roofline(chain((3, 8, 8), "flatten"), "h200")
    assert (found.bound_ns, found.samples_per_s, found.intensity, found.totals.limit) == (0, None, None, "")


def test_given_ceilings():
    report = analyze(chain((16, 56, 56), CONV))
    given = Ceilings("my card", 4e12, 3e12, 2e12, 1e12)
    (layer,) = roofline(report, given).layers
    assert layer.compute_ns == pytest.approx(1e9 * 2 * layer.macs / 4e12)
    assert layer.memory_ns == pytest.approx(1e9 * layer.bytes_moved / 1e12)
    assert given.ridge("matmul") == 3
    with pytest.raises(UsageError, match="tf32 has no effect with Ceilings"):
        roofline(report, given, tf32=True)


def test_report_as_network():
    report = analyze(convcost.load("lenet5"), batch=3)
    assert convcost.roofline(report, "h200").settings.batch == 3
    with pytest.raises(UsageError, match="pass the graph to change them"):
        convcost.roofline(report, "h200", 4)
    with pytest.raises(UsageError, match="unknown GPU 'h20O'; did you mean 'h200'"):
        convcost.roofline(report, "h20O")


def test_dict():
    found = convcost.roofline(convcost.load("lenet5"), "h200", 2, "amp-bf16")
    plain = found.to_dict()
    assert plain["assumptions"] == ASSUMPTIONS
    assert plain["totals"]["bound_ns"] == found.bound_ns
    assert plain["totals"]["samples_per_s"] == found.samples_per_s
    assert [layer["bound_ns"] for layer in plain["layers"]] == [layer.bound_ns for layer in found.layers]
    assert plain["by_group"]["conv"]["intensity"] == found.by_group["conv"].intensity
    assert plain["ceilings"]["words"]["bytes_per_s"] == "memory_bandwidth_bytes_per_s"
    assert plain["settings"]["dtype"] == "amp-bf16"
    assert repr(found).startswith("<Roofline 'LeNet-5 (1998)' on H200 SXM: ")
