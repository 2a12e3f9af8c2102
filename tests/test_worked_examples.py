"""The exercises and tables of the course notes that convcost answers, number by number, each written as arithmetic.

Sources: notes and slides of Stanford's CS231n, the MADMO lecture slides, lecture 8 of Michigan's EECS 498, the study
group and the code of Dive into Deep Learning, and the papers. An element is one value of a layer's output; a
rectification works in place and adds none; float32 takes 4 bytes; kB is 1000 bytes and KiB 1024.
"""

from __future__ import annotations

import pytest

import convcost
from convcost import units
from convcost.analysis.explain import explain
from convcost.errors import OpError
from convcost.ops.windows import fitting_paddings, positions
from convcost.sources import shipped
from support.networks import chain, network, record, single


def weights(layer):
    return sum(weight.elements for weight in layer.node.op.weights() if weight.name == "weight")


def biases(layer):
    return sum(weight.elements for weight in layer.node.op.weights() if weight.name == "bias")


def elements(layer):
    """Values of a layer's output that need memory of their own."""
    return layer.activation_bytes // 4


def side(op, size, /, **fields):
    """Height of the output; the tests use square inputs."""
    return record(op, size, **fields).output_shapes[0][2]


def steps(report, layer=None):
    """The arithmetic of a single layer by its labels."""
    (found,) = explain(report, layer)
    return {step.label: step for step in found.steps}


def analysed(name, **options):
    return convcost.analyze(convcost.load(name), **options)


def table(report):
    return {layer.name: layer for layer in report.layers}


def claim(report, quantity, value, layer=None):
    (found,) = [v for v in report.published if (v.quantity, v.claimed, v.layer) == (quantity, value, layer)]
    return found


# --- Convolution and pooling arithmetic (CS231n notes, MADMO slides)


def test_one_filter():
    layer = record("conv2d", (3, 32, 32), out_channels=1, kernel_size=5)
    assert layer.output_shapes == ((1, 1, 28, 28),)
    assert weights(layer) == 5 * 5 * 3 == 75
    assert biases(layer) == 1
    assert layer.params == 75 + 1


def test_six_filters():
    layer = record("conv2d", (3, 32, 32), out_channels=6, kernel_size=5)
    assert layer.output_shapes == ((1, 6, 28, 28),)
    assert weights(layer) == 6 * 75 == 450
    assert layer.params == 450 + 6 == 456
    assert layer.macs == 28 * 28 * 6 * 75 == 352_800


def test_ten_filters_with_padding():
    layer = record("conv2d", (3, 32, 32), out_channels=10, kernel_size=5, padding=2)
    assert layer.output_shapes == ((1, 10, 32, 32),)
    assert elements(layer) == 32 * 32 * 10 == 10_240
    assert weights(layer) == 10 * 75 == 750
    assert layer.params == 750 + 10 == 760
    assert layer.macs == 32 * 32 * 10 * 75 == 768_000


@pytest.mark.parametrize(
    ("stride", "padding", "expected"),
    [(1, 0, (7 - 3) // 1 + 1), (2, 0, (7 - 3) // 2 + 1), (1, 1, (7 + 2 * 1 - 3) // 1 + 1)],
)
def test_seven_and_three_fit(stride, padding, expected):
    report = single("conv2d", (1, 7, 7), out_channels=1, kernel_size=3, stride=stride, padding=padding)
    assert report.layers[0].output_shapes[0][2:] == (expected, expected)
    assert report.warnings == ()
    assert "floor" not in steps(report)["output height and width"].formula
    assert expected == {(1, 0): 5, (2, 0): 3, (1, 1): 7}[stride, padding]


def test_seven_with_stride_three_does_not_fit():
    """(7 - 3) / 3 + 1 = 2.33: rounded down to 2, the last row and column go unread; rounded up to 3 when pooling."""
    report = single("conv2d", (1, 7, 7), out_channels=1, kernel_size=3, stride=3)
    assert (7 - 3) % 3 == 1
    assert report.layers[0].output_shapes == ((1, 1, 2, 2),)
    size = steps(report)["output height and width"]
    assert size.substitution == "floor((7 + 2*0 - 3) / 3) + 1 = floor(1.333) + 1"
    assert size.value == 2
    (warning,) = report.warnings
    assert "the last row and the last column of the input are never read" in warning
    assert "(7 + 0 - 3) / 3 is not an integer" in warning
    assert steps(report)["never read at the end"].value == 7 - (1 * 3 + 3) == 1
    # (7 + 2P - 3) / 3 is whole for P = 1: 6 / 3.
    assert steps(report)["paddings that fit"].value == "1"
    assert side("max_pool2d", (1, 7, 7), kernel_size=3, stride=3) == 2
    assert side("max_pool2d", (1, 7, 7), kernel_size=3, stride=3, ceil_mode=True) == 3


@pytest.mark.parametrize(("kernel", "padding"), [(1, 0), (3, 1), (5, 2), (7, 3)])
@pytest.mark.parametrize("size", [7, 8, 224])
def test_padding_that_keeps_the_size(kernel, padding, size):
    assert padding == (kernel - 1) // 2
    assert side("conv2d", (1, size, size), out_channels=1, kernel_size=kernel, padding=padding) == size
    assert side("conv2d", (1, size, size), out_channels=1, kernel_size=kernel, padding="same") == size


@pytest.mark.parametrize("kernel", [2, 4, 6])
def test_even_windows_need_unequal_padding_to_keep_the_size(kernel):
    for padding in range(kernel):
        assert positions(32, kernel, 1, 2 * padding) != 32
    same = record("conv2d", (1, 32, 32), out_channels=1, kernel_size=kernel, padding="same")
    assert same.output_shapes[0][2:] == (32, 32)


@pytest.mark.parametrize("size", range(5, 33))
def test_five_with_stride_two_fits_odd_sizes_only(size):
    """N + 2P - 5 is even where N is odd, whatever P; where N is even no symmetric padding fits."""
    by_hand = tuple(padding for padding in range(5) if (size + 2 * padding - 5) % 2 == 0)
    assert by_hand == ((0, 1, 2, 3, 4) if size % 2 else ())
    assert fitting_paddings(size, 5, 2) == by_hand
    for padding in (0, 1, 2):
        report = single("conv2d", (1, size, size), out_channels=1, kernel_size=5, stride=2, padding=padding)
        fits = "paddings that fit" not in steps(report)
        assert fits == (size % 2 == 1)
        if not fits:
            assert steps(report)["paddings that fit"].value == "none"


def test_one_by_one():
    layer = record("conv2d", (64, 56, 56), out_channels=32, kernel_size=1)
    assert layer.output_shapes == ((1, 32, 56, 56),)
    assert weights(layer) == 64 * 32 == 2_048
    assert layer.params == 2_048 + 32
    assert layer.macs == 56 * 56 * 64 * 32 == 6_422_528


def test_max_pool():
    layer = record("max_pool2d", (1, 4, 4), kernel_size=2, stride=2)
    assert layer.output_shapes == ((1, 1, 2, 2),)
    assert (layer.params, layer.buffers, layer.macs) == (0, 0, 0)
    assert layer.flops == 2 * 2 * (2 * 2 - 1)  # three comparisons find the largest of four


@pytest.mark.parametrize(("size", "kernel", "stride"), [(55, 3, 2), (27, 3, 2), (13, 3, 2), (32, 2, 2)])
def test_pool_without_padding(size, kernel, stride):
    assert (size - kernel) % stride == 0
    by_hand = (size - kernel) // stride + 1
    assert side("max_pool2d", (1, size, size), kernel_size=kernel, stride=stride) == by_hand


def test_rounding_of_pools_differs_between_frameworks():
    """112 with 3x3, stride 2: (112 - 3) / 2 = 54.5; PyTorch rounds down to 55, Caffe and Netscope up to 56."""
    assert side("max_pool2d", (1, 112, 112), kernel_size=3, stride=2) == 54 + 1
    assert side("max_pool2d", (1, 112, 112), kernel_size=3, stride=2, ceil_mode=True) == 55 + 1


def test_pooling_need_not_make_smaller():
    assert side("max_pool2d", (1, 28, 28), kernel_size=3, stride=1, padding=1) == 28


def test_one_dimension():
    layer = record("conv1d", (1, 3), out_channels=1, kernel_size=2, bias=False)
    assert layer.output_shapes == ((1, 1, 3 - 2 + 1),)
    assert layer.macs == 2 * 2


def test_hundred_with_padding_and_stride():
    """(100 + 2 - 3) / 2 + 1 = 50.5: 50 rounded down, where only the padding at the end goes unread; 51 rounded up."""
    report = single("conv2d", (1, 100, 100), out_channels=1, kernel_size=3, stride=2, padding=1)
    assert report.layers[0].output_shapes[0][2:] == (50, 50)
    size = steps(report)["output height and width"]
    assert size.substitution == "floor((100 + 2*1 - 3) / 2) + 1 = floor(49.5) + 1"
    assert report.warnings == ()
    assert steps(report)["never read at the end"].value == 0
    assert steps(report)["paddings that fit"].value == "none"
    assert side("max_pool2d", (1, 100, 100), kernel_size=3, stride=2, padding=1, ceil_mode=True) == 51


# --- AlexNet's first layer in five readings

FIRST_LAYERS = {
    "227, as in the CS231n notes": (
        (3, 227, 227), 96, 0, 55, None, 55 * 55 * 96, 11 * 11 * 3 * 96 + 96, 55 * 55 * 96 * 363,
    ),
    "224, as the paper prints": (
        (3, 224, 224), 96, 0, 54, "53.25", 54 * 54 * 96, 34_848 + 96, 54 * 54 * 96 * 363,
    ),
    "224, as in torchvision": (
        (3, 224, 224), 64, 2, 55, "54.25", 55 * 55 * 64, 11 * 11 * 3 * 64 + 64, 55 * 55 * 64 * 363,
    ),
    "227, as in EECS 498": (
        (3, 227, 227), 64, 2, 56, None, 56 * 56 * 64, 23_232 + 64, 56 * 56 * 64 * 363,
    ),
    "224 grey, as in Dive into Deep Learning": (
        (1, 224, 224), 96, 1, 54, "53.75", 54 * 54 * 96, 11 * 11 * 96 + 96, 54 * 54 * 96 * 121,
    ),
}  # fmt: skip
PRINTED = {
    "227, as in the CS231n notes": (290_400, 1_161_600, 34_944, 105_415_200),
    "224, as the paper prints": (279_936, 1_119_744, 34_944, 101_616_768),
    "224, as in torchvision": (193_600, 774_400, 23_296, 70_276_800),
    "227, as in EECS 498": (200_704, 802_816, 23_296, 72_855_552),
    "224 grey, as in Dive into Deep Learning": (279_936, 1_119_744, 11_712, 33_872_256),
}


@pytest.mark.parametrize("reading", FIRST_LAYERS)
def test_first_layer(reading):
    size, channels, padding, expected, uneven, values, params, macs = FIRST_LAYERS[reading]
    assert (values, 4 * values, params, macs) == PRINTED[reading]
    report = single("conv2d", size, out_channels=channels, kernel_size=11, stride=4, padding=padding)
    (layer,) = report.layers
    assert layer.output_shapes == ((1, channels, expected, expected),)
    assert elements(layer) == values
    assert layer.activation_bytes == 4 * values
    assert weights(layer) == 11 * 11 * size[0] * channels
    assert layer.params == params
    assert layer.macs == macs
    room = size[1] + 2 * padding - 11
    assert (room % 4 == 0) == (uneven is None)
    if uneven is None:
        assert room // 4 + 1 == expected
        assert "floor" not in steps(report)["output height and width"].substitution
    else:
        assert f"{room / 4:g}" == uneven
        assert steps(report)["output height and width"].substitution.endswith(f"= floor({uneven}) + 1")


def test_224_without_padding_does_not_fit():
    """(224 - 11) / 4 + 1 = 54.25. The 55 that the paper prints needs 227, or a padding."""
    report = single("conv2d", (3, 224, 224), out_channels=96, kernel_size=11, stride=4)
    (warning,) = report.warnings
    assert "(224 + 0 - 11) / 4 is not an integer" in warning
    assert steps(report)["never read at the end"].value == 224 - (53 * 4 + 11) == 1
    # 224 + 2P - 11 is odd for every P, and so never a multiple of 4.
    assert steps(report)["paddings that fit"].value == "none"
    assert positions(224, 11, 4, 0, ceil_mode=True) == 55
    # A slip in the study group: the filter count in place of the input, (64 + 4 - 11) / 4. It is (227 + 4 - 11) / 4.
    assert (64 + 4 - 11) % 4 != 0
    assert positions(227, 11, 4, 2 * 2) == (227 + 4 - 11) // 4 + 1 == 56


def test_byte_units():
    """802,816 bytes are 802.8 kB or 784 KiB; a KiB is 2^10 bytes."""
    size = 200_704 * 4
    assert size == 802_816 == 784 * 2**10
    assert units.size(size) == "784.00 KiB"
    assert units.size(size, "si") == "802.82 kB"
    assert units.size(size, "raw") == "802,816"
    step = steps(analysed("alexnet_227_64"), "conv1")["output memory"]
    assert step.value == 802_816
    assert step.substitution == "1*64*56*56*4"


def test_72_million_operations():
    """A count that was cut off, of multiply-accumulates: 72.86 million. As FLOPs it is twice that, and the biases."""
    (layer,) = single("conv2d", (3, 227, 227), out_channels=64, kernel_size=11, stride=4, padding=2).layers
    assert layer.macs == 72_855_552
    assert layer.flops_by_kind == {"mac": 2 * 72_855_552, "bias": 200_704}
    assert layer.flops_by_kind["mac"] == 145_711_104
    assert layer.macs + layer.flops_by_kind["bias"] == (363 + 1) * 200_704 == 73_056_256
    verdict = claim(analysed("alexnet_227_64"), "macs", "72M", "conv1")
    assert (verdict.computed, verdict.verdict) == (72_855_552, "truncated")


# --- AlexNet in one tower (CS231n 2016, MADMO slides)

ALEXNET = {
    # layer: output, elements, weights, biases, multiply-accumulates
    "conv1": ((96, 55, 55), 290_400, 34_848, 96, 55 * 55 * 96 * 11 * 11 * 3),
    "pool1": ((96, 27, 27), 69_984, 0, 0, 0),
    "norm1": ((96, 27, 27), 69_984, 0, 0, 0),
    "conv2": ((256, 27, 27), 186_624, 614_400, 256, 27 * 27 * 256 * 5 * 5 * 96),
    "pool2": ((256, 13, 13), 43_264, 0, 0, 0),
    "norm2": ((256, 13, 13), 43_264, 0, 0, 0),
    "conv3": ((384, 13, 13), 64_896, 884_736, 384, 13 * 13 * 384 * 3 * 3 * 256),
    "conv4": ((384, 13, 13), 64_896, 1_327_104, 384, 13 * 13 * 384 * 3 * 3 * 384),
    "conv5": ((256, 13, 13), 43_264, 884_736, 256, 13 * 13 * 256 * 3 * 3 * 384),
    "pool3": ((256, 6, 6), 9_216, 0, 0, 0),
    "fc6": ((4096,), 4_096, 37_748_736, 4_096, 9_216 * 4_096),
    "fc7": ((4096,), 4_096, 16_777_216, 4_096, 4_096 * 4_096),
    "fc8": ((1000,), 1_000, 4_096_000, 1_000, 4_096 * 1_000),
}
ALEXNET_MACS = {
    "conv1": 105_415_200, "conv2": 447_897_600, "conv3": 149_520_384, "conv4": 224_280_576, "conv5": 149_520_384,
    "fc6": 37_748_736, "fc7": 16_777_216, "fc8": 4_096_000,
}  # fmt: skip


@pytest.mark.parametrize("name", ALEXNET)
def test_alexnet_layer(name):
    shape, values, weight, bias, macs = ALEXNET[name]
    layer = table(analysed("alexnet_cs231n"))[name]
    assert layer.output_shapes == ((1, *shape),)
    assert elements(layer) == values
    assert (weights(layer), biases(layer)) == (weight, bias)
    assert layer.params == weight + bias
    assert layer.macs == macs == ALEXNET_MACS.get(name, 0)


def test_alexnet_totals():
    report = analysed("alexnet_cs231n")
    assert report.totals.input_bytes // 4 == 227 * 227 * 3 == 154_587
    everything = 154_587 + sum(values for _, values, *_ in ALEXNET.values())
    assert (report.totals.input_bytes + report.totals.activation_bytes) // 4 == everything == 1_049_571
    assert sum(weights(layer) for layer in report.layers) == 62_367_776
    assert sum(biases(layer) for layer in report.layers) == 96 + 256 + 384 + 384 + 256 + 4096 + 4096 + 1000
    assert 96 + 256 + 384 + 384 + 256 + 4096 + 4096 + 1000 == 10_568
    assert report.totals.params == 62_367_776 + 10_568 == 62_378_344
    assert report.totals.macs == sum(ALEXNET_MACS.values()) == 1_135_256_096
    assert report.totals.depth == 8


def test_alexnet_fits_everywhere():
    report = analysed("alexnet_cs231n")
    assert report.warnings == ()
    assert [e.name for e in explain(report) for step in e.steps if "floor" in step.substitution] == []


def test_alexnet_flattens_to_9216():
    """6 * 6 * 256 is the flattened size; 4096 is what the first fully connected layer makes of it."""
    layers = table(analysed("alexnet_cs231n"))
    assert layers["flatten_1"].output_shapes == ((1, 6 * 6 * 256),)
    assert layers["fc6"].input_shapes == ((1, 9_216),)
    assert layers["fc6"].output_shapes == ((1, 4_096),)


def test_alexnet_pools_overlap():
    """Windows of 3 with stride 2, not of 2 with stride 2."""
    for name in ("pool1", "pool2", "pool3"):
        op = table(analysed("alexnet_cs231n"))[name].node.op
        assert (op.kernel_size, op.stride) == (3, 2)


def test_alexnet_keeps_its_parameters_in_fully_connected_layers():
    groups = analysed("alexnet_cs231n").breakdown
    fc = 37_748_736 + 4_096 + 16_777_216 + 4_096 + 4_096_000 + 1_000
    assert groups["fc"].params == fc == 58_631_144
    assert groups["conv"].params == 62_378_344 - fc == 3_747_200
    assert groups["conv"].macs == 1_135_256_096 - (37_748_736 + 16_777_216 + 4_096_000)


# --- Other readings of AlexNet


def test_alexnet_in_two_towers():
    """Groups of two in conv2, conv4 and conv5: each half sees half of the channels."""
    totals = analysed("alexnet_2012").totals
    halved = 614_400 // 2 + 1_327_104 // 2 + 884_736 // 2
    assert totals.params == 62_378_344 - halved == 60_965_224
    assert totals.macs == 1_135_256_096 - (27 * 27 * 307_200 + 13 * 13 * (663_552 + 442_368)) == 724_406_816


def test_alexnet_in_two_towers_written_out():
    """The same network with its two towers as branches."""
    pool = "max_pool2d: {kernel_size: 3, stride: 2}"
    tower = (
        f"- [conv2d: {{out_channels: 48, kernel_size: 11, stride: 4}}, relu, {pool}, "
        f"conv2d: {{out_channels: 128, kernel_size: 5, padding: 2}}, relu, {pool}]"
    )
    last = (
        "- [conv2d: {out_channels: 192, kernel_size: 3, padding: 1}, relu, "
        "conv2d: {out_channels: 128, kernel_size: 3, padding: 1}, relu]"
    )
    graph = chain(
        (3, 227, 227),
        f"branches:\n      {tower}\n      {tower}\n    merge: concat",
        "conv2d: {out_channels: 384, kernel_size: 3, padding: 1}",
        "relu",
        f"branches:\n      {last}\n      {last}\n    merge: concat\n    split: {{chunk: 2}}",
        pool,
        "flatten",
        "linear: 4096",
        "linear: 4096",
        "linear: 1000",
    )
    totals = convcost.analyze(graph).totals
    assert totals.params == 60_965_224
    assert totals.macs == 724_406_816


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("alexnet_227_64", 61_100_840, 716_767_232),
        ("alexnet", 61_100_840, 714_188_480),
        ("alexnet_d2l", 46_764_746, 938_146_176),
    ],
)
def test_other_alexnets(name, params, macs):
    totals = analysed(name).totals
    assert (totals.params, totals.macs) == (params, macs)


def test_alexnet_with_64_filters_by_hand():
    """conv1 at 56 x 56 or 55 x 55; the rest is the same, since the pool brings both to 27."""
    rest = 27 * 27 * 192 * 1_600 + 13 * 13 * 9 * (384 * 192 + 256 * 384 + 256 * 256)
    rest += 9_216 * 4_096 + 4_096 * 4_096 + 4_096 * 1_000
    assert 56 * 56 * 64 * 363 + rest == 716_767_232
    assert 55 * 55 * 64 * 363 + rest == 714_188_480


def test_alexnet_of_dive_into_deep_learning():
    layers = [layer for layer in analysed("alexnet_d2l").layers if layer.group in ("conv", "pool")]
    assert [layer.output_shapes[0][2] for layer in layers] == [54, 26, 26, 12, 12, 12, 12, 5]
    assert table(analysed("alexnet_d2l"))["flatten_1"].output_shapes == ((1, 5 * 5 * 256),)
    assert 5 * 5 * 256 == 6_400
    by_hand = 11_712 + 614_656 + 885_120 + 1_327_488 + 884_992
    by_hand += 6_400 * 4_096 + 4_096 + 4_096 * 4_096 + 4_096 + 4_096 * 10 + 10
    assert by_hand == 46_764_746
    macs = 33_872_256 + 26 * 26 * 614_400 + 12 * 12 * (884_736 + 1_327_104 + 884_736)
    assert macs + 6_400 * 4_096 + 4_096 * 4_096 + 4_096 * 10 == 938_146_176


def test_sixty_and_sixty_two_million():
    """60 million is the paper's network in two towers, 62 million and a billion operations the one in one tower."""
    assert claim(analysed("alexnet_2012"), "params", "60M").verdict == "agrees"
    assert claim(analysed("alexnet_cs231n"), "params", "62M").verdict == "agrees"
    assert claim(analysed("alexnet_cs231n"), "macs", "1G").verdict == "agrees"
    # The network with 64 filters, which the study group had just computed, has neither.
    assert claim(analysed("alexnet_227_64"), "params", "62M").verdict == "differs"


# --- Layers without parameters, and those with few


def test_local_response_normalization():
    """k = 2, n = 5, alpha = 1e-4, beta = 0.75: no parameters, the shape stays. n need not be odd: n / 2 is rounded."""
    for size in (5, 4):
        layer = record("local_response_norm", (96, 27, 27), size=size, alpha=1e-4, beta=0.75, k=2)
        assert layer.output_shapes == layer.input_shapes == ((1, 96, 27, 27),)
        assert (layer.params, layer.buffers, layer.macs) == (0, 0, 0)
        assert elements(layer) == 96 * 27 * 27 == 69_984


def test_normalization_before_or_after_the_pool():
    """The paper normalizes before it pools, the lecture's listing after: the work is that of the elements."""
    paper, listing = table(analysed("alexnet_2012")), table(analysed("alexnet_cs231n"))
    assert (elements(paper["norm1"]), elements(listing["norm1"])) == (290_400, 69_984)
    assert (elements(paper["norm2"]), elements(listing["norm2"])) == (186_624, 43_264)
    for name, before, after in (("norm1", 290_400, 69_984), ("norm2", 186_624, 43_264)):
        assert paper[name].flops * after == listing[name].flops * before


def test_dropout():
    for train in (False, True):
        report = analysed("alexnet_cs231n", train=train)
        for layer in report.layers:
            if layer.op == "dropout":
                assert layer.output_shapes == layer.input_shapes == ((1, 4_096),)
                assert (layer.params, layer.buffers, layer.macs) == (0, 0, 0)
                # Inverted dropout scales while training, and is nothing afterwards.
                assert bool(layer.flops) == train


def test_batch_norm():
    """Two trainable numbers per channel, and two running ones; PyTorch's count of batches is one more buffer."""
    layer = record("batch_norm2d", (64, 112, 112))
    assert layer.params == 2 * 64
    assert layer.buffers == 2 * 64 + 1
    sizes = {weight.name: (weight.kind, weight.elements) for weight in layer.node.op.weights()}
    assert sizes["weight"] == sizes["bias"] == ("parameter", 64)
    assert sizes["running_mean"] == sizes["running_var"] == ("buffer", 64)


# --- ZFNet


def test_zfnet_first_layer():
    old = record("conv2d", (3, 227, 227), out_channels=96, kernel_size=11, stride=4)
    new = record("conv2d", (3, 224, 224), out_channels=96, kernel_size=7, stride=2, padding=1)
    assert weights(old) == 11 * 11 * 3 * 96 == 34_848
    assert weights(new) == 7 * 7 * 3 * 96 == 14_112
    # (224 - 7) / 2 + 1 = 109.5; the figure's 110 needs a padding of 1: (224 + 2 - 7) / 2 + 1 = 110.5.
    assert side("conv2d", (3, 224, 224), out_channels=96, kernel_size=7, stride=2) == 109
    assert new.output_shapes == ((1, 96, 110, 110),)


def test_zfnet():
    conv5 = {"zfnet": (384, 384, 256), "zfnet_1024": (512, 1024, 512)}
    expected = {"zfnet": 62_357_608, "zfnet_1024": 107_627_624}
    for name, (c3, c4, c5) in conv5.items():
        report = analysed(name)
        layers = table(report)
        sides = [layers[at].output_shapes[0][2] for at in ("conv1", "pool1", "conv2", "pool2", "pool5")]
        assert sides == [110, 55, 26, 13, 6]
        params = 14_112 + 96 + 614_400 + 256 + 9 * (256 * c3 + c3 * c4 + c4 * c5) + c3 + c4 + c5
        params += 6 * 6 * c5 * 4_096 + 4_096 + 4_096 * 4_096 + 4_096 + 4_096 * 1_000 + 1_000
        assert report.totals.params == params == expected[name]
    assert table(analysed("zfnet_1024"))["fc6"].input_shapes == ((1, 6 * 6 * 512),)
    assert 6 * 6 * 512 == 18_432


def test_zfnet_needs_stride_two_in_conv2():
    """With AlexNet's conv2 (stride 1, padding 2) the third layer would see 27 x 27, not 13 x 13."""
    trunk = (
        "conv2d: {out_channels: 96, kernel_size: 7, stride: 2, padding: 1}",
        "max_pool2d: {kernel_size: 3, stride: 2, ceil_mode: true}",
    )
    pool = "max_pool2d: {kernel_size: 3, stride: 2, ceil_mode: true}"
    alexnet = chain((3, 224, 224), *trunk, "conv2d: {out_channels: 256, kernel_size: 5, padding: 2}", pool)
    zeiler = chain((3, 224, 224), *trunk, "conv2d: {out_channels: 256, kernel_size: 5, stride: 2}", pool)
    assert convcost.analyze(alexnet).layers[-1].output_shapes[0][2:] == (27, 27)
    assert convcost.analyze(zeiler).layers[-1].output_shapes[0][2:] == (13, 13)


# --- VGG-16: the listing of the lecture, row by row

VGG16 = {
    # row: channels, side, weights
    "conv1_1": (64, 224, 3 * 3 * 3 * 64),
    "conv1_2": (64, 224, 3 * 3 * 64 * 64),
    "pool1": (64, 112, 0),
    "conv2_1": (128, 112, 3 * 3 * 64 * 128),
    "conv2_2": (128, 112, 3 * 3 * 128 * 128),
    "pool2": (128, 56, 0),
    "conv3_1": (256, 56, 3 * 3 * 128 * 256),
    "conv3_2": (256, 56, 3 * 3 * 256 * 256),
    "conv3_3": (256, 56, 3 * 3 * 256 * 256),
    "pool3": (256, 28, 0),
    "conv4_1": (512, 28, 3 * 3 * 256 * 512),
    "conv4_2": (512, 28, 3 * 3 * 512 * 512),
    "conv4_3": (512, 28, 3 * 3 * 512 * 512),
    "pool4": (512, 14, 0),
    "conv5_1": (512, 14, 3 * 3 * 512 * 512),
    "conv5_2": (512, 14, 3 * 3 * 512 * 512),
    "conv5_3": (512, 14, 3 * 3 * 512 * 512),
    "pool5": (512, 7, 0),
    "fc6": (4096, 1, 7 * 7 * 512 * 4096),
    "fc7": (4096, 1, 4096 * 4096),
    "fc8": (1000, 1, 4096 * 1000),
}
LISTED = {  # as printed: elements, weights
    "conv1_1": ("3.2M", 1_728), "conv1_2": ("3.2M", 36_864), "pool1": ("800K", 0),
    "conv2_1": ("1.6M", 73_728), "conv2_2": ("1.6M", 147_456), "pool2": ("400K", 0),
    "conv3_1": ("800K", 294_912), "conv3_2": ("800K", 589_824), "conv3_3": ("800K", 589_824), "pool3": ("200K", 0),
    "conv4_1": ("400K", 1_179_648), "conv4_2": ("400K", 2_359_296), "conv4_3": ("400K", 2_359_296),
    "pool4": ("100K", 0), "conv5_1": ("100K", 2_359_296), "conv5_2": ("100K", 2_359_296),
    "conv5_3": ("100K", 2_359_296), "pool5": ("25K", 0),
    "fc6": ("4096", 102_760_448), "fc7": ("4096", 16_777_216), "fc8": ("1000", 4_096_000),
}  # fmt: skip


def vgg_rows(report):
    """A row of the listing is a convolution with its rectification; the block's name is the row's."""
    rows = {}
    for layer in report.layers:
        rows.setdefault(layer.path[0], []).append(layer)
    return {name: rows[name] for name in VGG16}


@pytest.mark.parametrize("name", VGG16)
def test_vgg16_row(name):
    channels, length, weight = VGG16[name]
    row = vgg_rows(analysed("vgg16"))[name]
    assert sum(map(elements, row)) == channels * length * length
    assert sum(map(weights, row)) == weight == LISTED[name][1]
    assert sum(layer.macs for layer in row) == (0 if name.startswith("pool") else length * length * weight)
    # The listing's "memory" is these element counts, rounded; its unit is missing.
    printed = LISTED[name][0]
    number = float(printed.rstrip("KM")) * {"K": 1e3, "M": 1e6}.get(printed[-1], 1)
    assert abs(channels * length * length - number) < 0.02 * number


def test_vgg16_elements():
    report = analysed("vgg16")
    image = 224 * 224 * 3
    conv = sum(c * s * s for name, (c, s, _) in VGG16.items() if name.startswith("conv"))
    pool = sum(c * s * s for name, (c, s, _) in VGG16.items() if name.startswith("pool"))
    assert (image, conv, pool) == (150_528, 13_547_520, 1_530_368)
    assert 4096 + 4096 + 1000 == 9_192
    assert image + conv + pool + 9_192 == 15_237_608
    groups = report.breakdown
    assert groups["conv"].activation_bytes == 4 * conv
    assert groups["pool"].activation_bytes == 4 * pool
    assert groups["fc"].activation_bytes == 4 * 9_192
    assert report.totals.input_bytes == 4 * image
    assert report.totals.activation_bytes == 4 * 15_087_080 == 4 * (15_237_608 - image)


def test_vgg16_bytes():
    totals = analysed("vgg16").totals
    whole = totals.activation_bytes + totals.input_bytes
    assert whole == 15_237_608 * 4 == 60_950_432
    assert units.size(whole, "si") == "60.95 MB"
    assert units.size(whole) == "58.13 MiB"
    assert units.size(totals.activation_bytes, "si") == "60.35 MB"
    assert units.size(totals.activation_bytes) == "57.55 MiB"
    # "x 2 for the backward pass" by the corrected figure.
    assert 2 * whole == 121_900_864
    assert units.size(2 * whole, "si") == "121.90 MB"


def test_vgg16_memory_claims_differ():
    """24M elements and 93 MB stand in the notes; they overstate by 57 percent and do not follow from each other."""
    report = analysed("vgg16")
    elements_claim = claim(report, "elements", "24M")
    assert (elements_claim.computed, elements_claim.verdict) == (15_237_608, "differs")
    bytes_claim = claim(report, "activation_bytes", "93MB")
    assert (bytes_claim.computed, bytes_claim.verdict) == (60_950_432, "differs")
    assert 1.57 < 24e6 / 15_237_608 < 1.58
    assert 24_000_000 * 4 == 96_000_000
    assert units.size(96_000_000) == "91.55 MiB"
    assert 93_000_000 / 4 == 23.25e6
    assert units.count(93 * 1024**2 // 4) == "24.38M"


def test_vgg16_by_other_conventions():
    """None gives 24M: separate rectifications 28.65M, no pools 13.7M; VGG-11 and VGG-16 together 24.35M."""
    text = next(shipped.text_of(path) for path in shipped.files() if path.endswith("/vgg.yaml"))
    separate = convcost.analyze(network(text.replace("relu_", "relu"), "vgg16"), train=True)
    # 13 rectifications after convolutions, 2 after fully connected layers, and 2 dropouts.
    assert separate.totals.activation_bytes == 4 * (15_087_080 + 13_547_520 + 2 * 4_096 + 2 * 4_096)
    assert units.count(separate.totals.activation_bytes // 4) == "28.65M"
    assert units.size(2 * separate.totals.activation_bytes) == "218.59 MiB"  # what torchsummary prints
    assert units.count(15_237_608 - 1_530_368) == "13.71M"
    smaller = analysed("vgg11").totals
    assert (smaller.activation_bytes + smaller.input_bytes) // 4 == 9_116_136
    assert units.count(15_237_608 + 9_116_136) == "24.35M"


def test_vgg16_parameters():
    report = analysed("vgg16")
    assert sum(map(weights, report.layers)) == sum(w for _, _, w in VGG16.values()) == 138_344_128
    bias = sum(c for name, (c, _, _) in VGG16.items() if not name.startswith("pool"))
    assert sum(map(biases, report.layers)) == bias == 13_416
    assert report.totals.params == 138_344_128 + 13_416 == 138_357_544
    assert claim(report, "params", "138M").verdict == "agrees"
    assert claim(report, "weights", "138M").verdict == "agrees"


def test_vgg16_macs():
    report = analysed("vgg16")
    conv = sum(s * s * w for name, (_, s, w) in VGG16.items() if name.startswith("conv"))
    assert report.breakdown["conv"].macs == conv == 15_346_630_656
    assert report.totals.macs == conv + 102_760_448 + 16_777_216 + 4_096_000 == 15_470_264_320


def test_vgg16_without_one_layer():
    """Lecture 8's 48.6 MiB and 13.6 G are VGG-16 with one of the three layers at 56 x 56 x 256 left out."""
    report = analysed("vgg16")
    assert claim(report, "macs", "13.6G").verdict == "differs"
    assert claim(report, "activation_bytes", "48.6MiB").verdict == "differs"
    assert units.size(report.breakdown["conv"].activation_bytes) == "51.68 MiB"
    text = next(shipped.text_of(path) for path in shipped.files() if path.endswith("/vgg.yaml"))
    short = convcost.analyze(network(text.replace("with: [2, 2, 3, 3, 3]", "with: [2, 2, 2, 3, 3]"), "vgg16"))
    assert short.breakdown["conv"].activation_bytes == 4 * (13_547_520 - 56 * 56 * 256)
    assert units.size(short.breakdown["conv"].activation_bytes) == "48.62 MiB"
    assert short.totals.macs == 15_470_264_320 - 56 * 56 * 589_824
    assert units.count(short.totals.macs) == "13.62G"


def test_conv4_of_lecture_8():
    """145 million for 256 filters of 3x3x384 at 13 x 13; exactly 149.5 million."""
    verdict = claim(analysed("alexnet_227_64"), "macs", "145M", "conv4")
    assert verdict.computed == 256 * 384 * 9 * 13 * 13 == 149_520_384
    assert verdict.verdict == "differs"


def test_vgg_configurations():
    """C has 1x1 convolutions where D has its third 3x3; the depths count layers with weights."""
    thirds = 8 * (256 * 256 + 512 * 512 + 512 * 512)
    assert analysed("vgg16_1x1").totals.params == 138_357_544 - thirds == 133_638_952
    assert [analysed(name).totals.depth for name in ("vgg11", "vgg13", "vgg16", "vgg19")] == [11, 13, 16, 19]


# --- VGG-11 of Dive into Deep Learning

VGG11 = ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512))


def vgg11_by_hand(channels, ratio, classes):
    """Parameters, multiply-accumulates, and those of the convolutions without biases."""
    conv_weights = conv_macs = conv_biases = 0
    size = 224
    for repeats, width in VGG11:
        for _ in range(repeats):
            weight = 9 * channels * (width // ratio)
            conv_weights, conv_macs = conv_weights + weight, conv_macs + size * size * weight
            channels = width // ratio
            conv_biases += channels
        size //= 2
    fc = size * size * channels * 4_096 + 4_096 * 4_096 + 4_096 * classes
    params = conv_weights + conv_biases + fc + 4_096 + 4_096 + classes
    return params, conv_macs + fc, conv_weights, conv_macs


@pytest.mark.parametrize(
    ("name", "by_hand", "params", "macs"),
    [
        ("vgg11_d2l", vgg11_by_hand(1, 1, 10), 128_806_154, 7_547_232_256),
        ("vgg11", vgg11_by_hand(3, 1, 1000), 132_863_336, 7_609_090_048),
        ("vgg11_d2l_small", vgg11_by_hand(1, 4, 10), 43_093_322, 512_155_648),
    ],
)
def test_vgg11(name, by_hand, params, macs):
    totals = analysed(name).totals
    assert (totals.params, totals.macs) == by_hand[:2] == (params, macs)
    assert totals.depth == sum(repeats for repeats, _ in VGG11) + 3 == 11


def test_vgg11_shapes():
    layers = [layer for layer in analysed("vgg11_d2l").layers if layer.group in ("conv", "pool")]
    sides = [layer.output_shapes[0][2] for layer in layers]
    assert sides == [224, 112, 112, 56, 56, 56, 28, 28, 28, 14, 14, 14, 7]
    assert table(analysed("vgg11_d2l"))["flatten_1"].output_shapes == ((1, 7 * 7 * 512),)
    assert table(analysed("vgg11_d2l_small"))["flatten_1"].output_shapes == ((1, 7 * 7 * 128),)
    assert (7 * 7 * 512, 7 * 7 * 128) == (25_088, 6_272)


def test_a_quarter_of_the_channels():
    """Convolutions shrink 16 times, except the first one; all parameters only 3 times: fc6 and fc7 stay wide."""
    whole, small = analysed("vgg11_d2l"), analysed("vgg11_d2l_small")

    def conv(report):
        layers = [layer for layer in report.layers if layer.group == "conv"]
        return sum(map(weights, layers)), sum(layer.macs for layer in layers)

    assert conv(whole) == vgg11_by_hand(1, 1, 10)[2:] == (9_216_576, 7_427_653_632)
    assert conv(small) == vgg11_by_hand(1, 4, 10)[2:] == (576_144, 469_647_360)
    assert round(9_216_576 / 576_144, 1) == 16.0
    assert round(7_427_653_632 / 469_647_360, 1) == 15.8
    assert round(128_806_154 / 43_093_322) == 3


# --- Parameter counts and depths as told


@pytest.mark.parametrize(
    ("name", "value", "exact"),
    [
        ("alexnet_2012", "60M", 60_965_224),
        ("vgg16", "138M", 138_357_544),
        ("resnet50", "25.6M", 25_557_032),
    ],
)
def test_parameter_claims(name, value, exact):
    verdict = claim(analysed(name), "params", value)
    assert (verdict.computed, verdict.verdict) == (exact, "agrees")


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("alexnet_2012", 8), ("vgg16", 16), ("vgg19", 19),
        ("resnet50", 50), ("resnet101", 101), ("resnet152", 152),
    ],
)  # fmt: skip
def test_depth_counts_layers_with_weights(name, depth):
    assert analysed(name).totals.depth == depth


def test_resnet50_parts():
    """Convolutions without biases, two numbers per channel for each batch norm, one bias: in the last layer."""
    report = analysed("resnet50")
    convolutions = [layer for layer in report.layers if layer.group == "conv"]
    channels = sum(layer.output_shapes[0][1] for layer in convolutions)
    assert sum(map(biases, convolutions)) == 0
    assert report.breakdown["norm"].params == 2 * channels
    assert report.breakdown["fc"].params == 2048 * 1000 + 1000
    assert report.totals.params == sum(map(weights, convolutions)) + 2 * channels + 2_049_000 == 25_557_032


# --- Networks that the notes go on to


def test_network_in_network():
    """As in Dive into Deep Learning, 224 x 224 in grey, ten classes: 54-26-26-12-12-5-5, then 10 maps of 5 x 5."""

    def block(channels, kernel, stride, padding):
        yield f"conv2d: {{out_channels: {channels}, kernel_size: {kernel}, stride: {stride}, padding: {padding}}}"
        for _ in range(2):
            yield "relu"
            yield f"conv2d: {{out_channels: {channels}, kernel_size: 1}}"
        yield "relu"

    pool = "max_pool2d: {kernel_size: 3, stride: 2}"
    graph = chain(
        (1, 224, 224),
        *block(96, 11, 4, 0), pool, *block(256, 5, 1, 2), pool, *block(384, 3, 1, 1), pool, "dropout",
        *block(10, 3, 1, 1), "adaptive_avg_pool2d: 1", "flatten",
    )  # fmt: skip
    layers = convcost.analyze(graph).layers
    sides = [
        layer.output_shapes[0][2]
        for layer in layers
        if layer.op == "max_pool2d" or (layer.op == "conv2d" and layer.node.op.kernel_size > 1)
    ]
    assert sides == [54, 26, 26, 12, 12, 5, 5]
    assert layers[-3].output_shapes == ((1, 10, 5, 5),)
    assert layers[-2].output_shapes == ((1, 10, 1, 1),)
    assert layers[-1].output_shapes == ((1, 10),)


def test_dense_block():
    """Two layers that add ten channels each to three: 23."""
    graph = network(
        """
        name: dense
        input: [3, 8, 8]
        blocks:
          dense_layer:
            - branches:
                - []
                - [batch_norm2d, relu, conv2d: {out_channels: 10, kernel_size: 3, padding: 1}]
              merge: concat
        layers:
          - {dense_layer: {}, repeat: 2}
        """
    )
    report = convcost.analyze(graph)
    assert report.layers[-1].output_shapes == ((1, 3 + 2 * 10, 8, 8),)
    assert report.totals.params == (2 * 3 + 9 * 3 * 10 + 10) + (2 * 13 + 9 * 13 * 10 + 10)


def test_stem_of_googlenet_and_resnet():
    """7x7 with stride 2 and padding 3 takes 224 to 112, 3x3 with stride 2 and padding 1 that to 56, both rounded."""
    conv = {"out_channels": 64, "kernel_size": 7, "stride": 2, "padding": 3}
    pool = {"kernel_size": 3, "stride": 2, "padding": 1}
    first, second = single("conv2d", (3, 224, 224), **conv), single("max_pool2d", (64, 112, 112), **pool)
    # (224 + 6 - 7) / 2 + 1 = 112.5 and (112 + 2 - 3) / 2 + 1 = 56.5
    assert steps(first)["output height and width"].substitution.endswith("= floor(111.5) + 1")
    assert steps(second)["output height and width"].substitution.endswith("= floor(55.5) + 1")
    assert first.layers[0].output_shapes[0][2:] == (112, 112)
    assert second.layers[0].output_shapes[0][2:] == (56, 56)
    layers = table(analysed("resnet50"))
    assert layers["pool1"].output_shapes == ((1, 64, 56, 56),)


# --- What the notes get wrong is shown as such


@pytest.mark.parametrize(
    ("name", "quantity", "value", "layer"),
    [
        ("vgg16", "elements", "24M", None),
        ("vgg16", "activation_bytes", "93MB", None),
        ("vgg16", "activation_bytes", "48.6MiB", None),
        ("vgg16", "macs", "13.6G", None),
        ("alexnet_227_64", "macs", "145M", "conv4"),
        ("alexnet_227_64", "params", "62M", None),
        ("alexnet_2012", "elements", "253,440", "conv1"),
    ],
)
def test_wrong_claims_differ(name, quantity, value, layer):
    verdict = claim(analysed(name), quantity, value, layer)
    assert verdict.verdict == "differs"
    assert verdict.note, "a claim that differs says why"


def test_a_window_larger_than_its_input_is_refused():
    with pytest.raises(OpError, match=r"window is 3 and the padded input only 2 in height.*padding of 1"):
        single("max_pool2d", (1, 2, 2), kernel_size=3)


def test_one_step_of_padding_changes_alexnet():
    """3x3 without padding on 13 x 13 would leave 11: the trunk keeps its size only by padding 1."""
    assert side("conv2d", (256, 13, 13), out_channels=384, kernel_size=3) == 11
    assert side("conv2d", (256, 13, 13), out_channels=384, kernel_size=3, padding=1) == 13
