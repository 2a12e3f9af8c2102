"""Verdicts on published figures: the exact numbers that a printed figure stands for, and the rules of claims."""

from __future__ import annotations

import msgspec
import pytest

import convcost
from convcost import Graph, Node, Tensor, analyze
from convcost.analysis.claims import RULES, verdict_on
from convcost.analysis.layers import SUMMED
from convcost.analysis.quantities import QUANTITIES
from convcost.graph import CLAIM_QUANTITIES, About, Claim
from convcost.ops import make
from support.networks import network


@pytest.mark.parametrize(
    ("printed", "exact"),
    [
        ("138M", 138_357_544),  # half a unit of the last digit on either side
        ("138M", 137_500_000),
        ("138M", 138_499_999),
        ("60M", 60_965_224),  # a trailing zero is not significant: tens of millions
        ("60M", 55_000_000),
        ("60M", 64_999_999),
        ("3.8G", 3_750_000_000),
        ("3.8G", 3_849_999_999),
        ("3.80G", 3_804_999_999),
        ("0.7G", 716_767_232),
        ("2.5K", 2_549),
        ("25.6M", 25_557_032),
        ("1G", 1_135_256_096),
        ("784KiB", 802_816),
        ("784KiB", 784 * 1024 - 512),
        ("48.6MiB", int(48.6 * 2**20)),
        ("93MB", 92_500_000),
        ("802.8 kB", 802_816),
        ("4096", 4096),  # without a suffix every digit is significant
        ("60,000", 60_000),
        ("62,378,344", 62_378_344),
        ("600", 600),
        ("0", 0),
        ("0K", 499),
        ("1B", 1_000_000_000),
        (" 1 T ", 10**12),
    ],
)
def test_agrees(printed, exact):
    assert verdict_on(printed, exact) == "agrees"


@pytest.mark.parametrize(
    ("printed", "exact"),
    [
        ("72M", 72_855_552),  # 72.86 was cut off, not rounded
        ("138M", 138_500_000),
        ("138M", 138_999_999),
        ("3.8G", 3_850_000_000),
        ("3.8G", 3_899_999_999),
        ("60M", 65_000_000),
        ("784KiB", 784 * 1024 + 1000),
    ],
)
def test_truncated(printed, exact):
    assert verdict_on(printed, exact) == "truncated"


@pytest.mark.parametrize(
    ("printed", "exact"),
    [
        ("138M", 137_499_999),
        ("138M", 139_000_000),
        ("60M", 54_999_999),
        ("60M", 70_000_000),
        ("3.8G", 3_749_999_999),
        ("3.8G", 3_900_000_000),
        ("60,000", 60_001),
        ("60,000", 59_999),
        ("24M", 15_237_608),
        ("93MB", 60_950_432),
        ("93MB", 93 * 2**20),
        ("784KiB", 784 * 1000),
        ("72M", 71_499_999),
        ("0", 1),
    ],
)
def test_differs(printed, exact):
    assert verdict_on(printed, exact) == "differs"


@pytest.mark.parametrize(
    "printed", ["", "M", "about 60M", "60 million", "-3", "1e6", "1.5.2", "3,8G", "60X", "60Mb", "٣"]
)
def test_not_a_figure(printed):
    verdict = verdict_on(printed, 60_000_000)
    assert verdict is None or printed == "3,8G", "a comma only separates thousands"


def test_large_numbers_stay_exact():
    """The limits of rounding are exact for 18 digits, which a float cannot represent."""
    assert verdict_on("123,456,789,012.3M", 123_456_789_012_250_000) == "agrees"
    assert verdict_on("123,456,789,012.3M", 123_456_789_012_249_999) == "differs"
    assert verdict_on("123,456,789,012.3M", 123_456_789_012_349_999) == "agrees"
    assert verdict_on("123,456,789,012.3M", 123_456_789_012_350_000) == "truncated"
    assert verdict_on(f"{10**21}", 10**21 + 1) == "differs"


CLAIMED = """
    name: claimed
    input: [3, 8, 8]
    layers:
      - {conv2d: {out_channels: 4, kernel_size: 3}, name: conv}
      - relu
      - flatten
      - {linear: 10, name: fc}
    published:
"""


def verdicts(*claims, **options):
    text = CLAIMED + "".join(f"      - {{{claim}, source: here}}\n" for claim in claims)
    return analyze(network(text), **options).published


CONV, FC = 4 * 27 + 4, 4 * 36 * 10 + 10
MACS = 36 * 4 * 27 + 4 * 36 * 10


@pytest.mark.parametrize(
    ("claim", "computed"),
    [
        ("quantity: params, value: 1562", CONV + FC),
        ("quantity: params, layer: conv, value: 112", CONV),
        ("quantity: params, convention: fc, value: 1450", FC),
        ("quantity: weights, value: 1548", CONV - 4 + FC - 10),
        ("quantity: weights, layer: fc, value: 1440", 1440),
        ("quantity: macs, value: 5328", MACS),
        ("quantity: macs, convention: conv, value: 3888", 36 * 4 * 27),
        ("quantity: flops, value: 10954", 2 * MACS + 144 + 144 + 10),  # biases and rectifications
        ("quantity: flops, layer: conv, value: 7920", 2 * 36 * 4 * 27 + 144),
        ("quantity: elements, value: 298", 144 + 144 + 10),
        ("quantity: elements, convention: with_input, value: 490", 298 + 192),
        ("quantity: elements, convention: conv_and_fc, value: 154", 144 + 10),
        ("quantity: activation_bytes, value: 1192", 4 * 298),
        ("quantity: activation_bytes, layer: conv, value: 576", 4 * 144),
        ("quantity: activation_bytes, convention: conv, value: 576", 4 * 144),
        ("quantity: depth, value: 2", 2),
        ("quantity: connections, layer: conv, value: 4032", 36 * 4 * 27 + 144),
        ("quantity: output_shape, layer: conv, value: [4, 6, 6]", (4, 6, 6)),
        ("quantity: output_shape, value: [10]", (10,)),
    ],
)
def test_quantities(claim, computed):
    (verdict,) = verdicts(claim)
    assert verdict.computed == computed
    assert type(verdict.computed) is type(computed)
    assert verdict.verdict == "agrees"


def test_every_claimed_quantity_has_a_rule():
    assert set(RULES) <= set(CLAIM_QUANTITIES) <= {*RULES, *SUMMED}


def test_claims_equal_quantities():
    """A word of claims that is also a quantity has the value of the quantity."""
    words = [word for word in CLAIM_QUANTITIES if word in QUANTITIES]
    assert words == ["params", "macs", "flops", "activation_bytes", "depth"]
    report = analyze(convcost.load("googlenet"))
    about = msgspec.structs.replace(report.about, published=tuple(Claim(word, "1", "here") for word in words))
    graph = convcost.load("googlenet")
    again = analyze(Graph(graph.nodes, graph.inputs, graph.outputs, about))
    assert [claim.computed for claim in again.published] == [QUANTITIES[word].of(report) for word in words]


def test_verdict_has_the_fields_of_its_claim():
    (verdict,) = verdicts('quantity: params, layer: conv, value: "113", note: off by one')
    assert (verdict.quantity, verdict.claimed, verdict.computed) == ("params", "113", 112)
    assert (verdict.verdict, verdict.source, verdict.layer) == ("differs", "here", "conv")
    assert verdict.note == "off by one"
    (shape,) = verdicts("quantity: output_shape, value: [11]")
    assert (shape.claimed, shape.computed, shape.verdict) == ((11,), (10,), "differs")


@pytest.mark.parametrize("options", [{"batch": 2}, {"dtype": "float16"}])
def test_claims_are_checked_at_the_declared_input_only(options):
    macs, params, weights, depth = verdicts(
        f"quantity: macs, value: {MACS}",
        "quantity: params, value: 1562",
        "quantity: weights, value: 1548",
        "quantity: depth, value: 2",
        **options,
    )
    assert macs.verdict == "unchecked"
    assert macs.computed is None
    assert macs.note == "the claim is for batch 1 at the declared input size in float32"
    assert [found.verdict for found in (params, weights, depth)] == ["agrees"] * 3, "independent of the settings"


def test_another_input_size_is_unchecked():
    graph = convcost.load("resnet18")
    other, same = analyze(graph, input_size=(3, 256, 256)), analyze(graph, input_size=(3, 224, 224))
    assert {found.verdict for found in other.published if found.quantity == "macs"} == {"unchecked"}
    assert "unchecked" not in {found.verdict for found in same.published}


def test_reason_of_an_unchecked_claim():
    about = About(
        name="odd",
        published=(
            Claim("params", "a lot", "a poster"),
            Claim("params", "0", "a poster", layer="conv9"),
        ),
    )
    graph = Graph([Node("relu", make("relu", {}), ((-1, 0),))], [("x", Tensor((1, 4)))], about=about)
    figure, layer = analyze(graph).published
    assert (figure.verdict, figure.note) == ("unchecked", "'a lot' is not a figure")
    assert (layer.verdict, layer.note) == ("unchecked", "odd has no layer 'conv9'")


def test_sum_over_blocks():
    """The three blocks of the first stage of ResNet-50."""
    report = analyze(convcost.load("resnet50"))
    found = report.graph.find("conv2")
    assert [report.layers[at].path[0] for at in (found[0], found[-1])] == ["conv2_1", "conv2_3"]
    first = 64 * 64 + 64 * 64 * 9 + 64 * 256 + 64 * 256 + 2 * (64 + 64 + 256 + 256)
    later = 256 * 64 + 64 * 64 * 9 + 64 * 256 + 2 * (64 + 64 + 256)
    assert sum(report.layers[at].params for at in found) == first + 2 * later
