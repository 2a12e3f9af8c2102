"""``convcost.diff``: layers are aligned by structure and name, and the figures of the changes add up."""

from __future__ import annotations

import itertools
import json
import time

import pytest

import convcost
from convcost import analyze, diff, load
from convcost.analysis.comparison.alignment import align
from convcost.analysis.comparison.layer_keys import placed
from convcost.errors import UsageError
from support.networks import chain, network

CONV = "conv2d: {out_channels: 8, kernel_size: 3, padding: 1}"


def kinds(found):
    return [(change.kind, change.before, change.after) for change in found.changes]


def between(one, other):
    """The diff of two shipped networks, after checking that its figures add up."""
    found = diff(load(one), load(other))
    for quantity in ("params", "macs", "activation_bytes"):
        pairs = [getattr(change, quantity) for change in found.changes]
        step = getattr(found.after.totals, quantity) - getattr(found.before.totals, quantity)
        assert sum(after - before for before, after in pairs) == step
    return found


def test_vgg16_to_vgg19():
    """Simonyan and Zisserman, table 1: E has one more 3x3 convolution in each of the last three stages."""
    found = between("vgg16", "vgg19")
    assert [(change.kind, change.after, change.block, change.op) for change in found.changes] == [
        (kind, f"conv{stage}_4.{op}_1", f"conv{stage}_4", op)
        for stage in (3, 4, 5)
        for kind, op in (("inserted", "conv2d"), ("inserted", "relu"))
    ]
    weights = [change.params[1] for change in found.changes if change.op == "conv2d"]
    assert weights == [256 * 256 * 9 + 256, 512 * 512 * 9 + 512, 512 * 512 * 9 + 512]
    assert found.same == found.before.totals.layers


def test_resnet50_to_resnet101():
    """He et al., table 1: conv4 has 23 blocks instead of 6."""
    found = between("resnet50", "resnet101")
    assert {change.kind for change in found.changes} == {"inserted"}
    assert list(dict.fromkeys(change.block for change in found.changes)) == [f"conv4_{k}" for k in range(7, 24)]
    each = 1024 * 256 + 9 * 256 * 256 + 256 * 1024 + 2 * (256 + 256 + 1024)
    assert sum(change.params[1] for change in found.changes) == 17 * each


def test_alexnet_to_zfnet():
    """Zeiler and Fergus: 7x7 at stride 2 instead of 11x11 at stride 4. The wide version has 512, 1024 and 512 maps."""
    found = {change.after: change for change in between("alexnet_cs231n", "zfnet_1024").changes}
    fields = {
        name: {field.field: (field.before, field.after) for field in change.fields} for name, change in found.items()
    }
    assert fields["conv1"] == {"kernel_size": ("11", "7"), "stride": ("4", "2"), "padding": ("0", "1")}
    assert found["conv1"].params == (34_848 + 96, 14_112 + 96)
    assert fields["conv2"]["stride"] == ("1", "2")
    for name, old, new in (("conv3", 384, 512), ("conv4", 384, 1024), ("conv5", 256, 512)):
        assert fields[name]["out_channels"] == (str(old), str(new))
        assert found[name].kind == "changed"
    assert fields["fc6"] == {"in_features": (str(6 * 6 * 256), str(6 * 6 * 512))}
    assert found["fc6"].kind == "resized"
    assert (found["pool5"].before, found["pool5"].kind) == ("pool3", "changed")
    assert not {change.kind for change in found.values()} - {"changed", "resized"}


@pytest.mark.parametrize(
    ("one", "other"),
    [("alexnet_2012", "alexnet_cs231n"), ("resnet34", "resnet50"), ("densenet121", "densenet169"),
     ("googlenet", "googlenet_bn"), ("efficientnet_b0", "mobilenet_v2"), ("vit_b_16", "swin_t"),
     ("unet", "fcn32s_vgg16"), ("resnet110_cifar", "resnet1202_cifar")],
)  # fmt: skip
def test_figures_add_up_in_both_directions(one, other):
    found, back = between(one, other), between(other, one)
    assert found.same + sum(c.kind != "inserted" for c in found.changes) == found.before.totals.layers
    assert found.same + sum(c.kind != "removed" for c in found.changes) == found.after.totals.layers
    assert (back.before, back.after) == (found.after, found.before)


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "densenet121", "googlenet", "unet", "lenet5", "swin_t"])
def test_a_network_does_not_differ_from_itself(name):
    found = between(name, name)
    assert (found.changes, found.renamed) == ((), ())
    assert found.same == found.after.totals.layers


def test_another_name_is_not_a_change():
    before = chain((3, 8, 8), f"{{{CONV}, name: first}}", "relu", f"{{{CONV}, name: second}}")
    after = chain((3, 8, 8), f"{{{CONV}, name: one}}", "relu", f"{{{CONV}, name: two}}")
    found = diff(before, after)
    assert found.changes == ()
    assert found.renamed == (("first", "one"), ("second", "two"))


def test_moved():
    """Normalisation before pooling, as in Krizhevsky's network, and after it."""
    pool, norm = "{max_pool2d: 2, name: pool}", "{batch_norm2d: {}, name: norm}"
    found = diff(chain((3, 8, 8), CONV, norm, pool, CONV), chain((3, 8, 8), CONV, pool, norm, CONV))
    assert [(kind, before) for kind, before, _ in kinds(found)].count(("moved", "norm")) + [
        (kind, before) for kind, before, _ in kinds(found)
    ].count(("moved", "pool")) == 1
    assert {kind for kind, _, _ in kinds(found)} <= {"moved", "resized"}


def test_a_moved_layer_without_a_name():
    wide = "conv2d: {out_channels: 3, kernel_size: 5, padding: 2}"
    narrow = "conv2d: {out_channels: 3, kernel_size: 1}"
    rest = ["sigmoid", "max_pool2d: 2", "tanh", "avg_pool2d: 2"]
    found = diff(chain((3, 8, 8), wide, *rest, narrow), chain((3, 8, 8), *rest, narrow, wide))
    assert [change.kind for change in found.changes if change.params[0] or change.params[1]] == ["moved"]


def test_another_op_at_the_same_place():
    found = diff(chain((3, 8, 8), CONV, "relu", CONV), chain((3, 8, 8), CONV, "gelu", CONV))
    (change,) = found.changes
    assert (change.kind, change.fields[0].field, change.fields[0].before, change.fields[0].after) == (
        "changed", "op", "relu", "gelu",
    )  # fmt: skip


def test_generated_names_do_not_mislead():
    """Inserting two layers changes the numbers in the names of the layers after them; only the two are reported."""
    names = [f"{{conv2d: {{out_channels: 8, kernel_size: 3, padding: 1}}, name: c{k}}}" for k in "abcd"]
    before = [layer for name in names for layer in (name, "relu")]
    extra = ["{conv2d: {out_channels: 8, kernel_size: 3, padding: 1}, name: extra}", "relu"]
    found = diff(chain((8, 8, 8), *before), chain((8, 8, 8), *before[:4], *extra, *before[4:]))
    assert kinds(found) == [("inserted", None, "extra"), ("inserted", None, "relu_3")]
    assert found.renamed == (("relu_3", "relu_4"), ("relu_4", "relu_5"))


def test_rewiring():
    """The same layers, but the sum reads another shortcut."""
    text = """
        name: net
        input: [4, 8, 8]
        layers:
          - {conv2d: {out_channels: 4, kernel_size: 1}, name: a}
          - {conv2d: {out_channels: 4, kernel_size: 1}, name: b}
          - {conv2d: {out_channels: 4, kernel_size: 1}, name: c}
          - {add: {}, from: [SHORTCUT, previous], name: sum}
          - {conv2d: {out_channels: 4, kernel_size: 1}, name: d}
    """
    found = diff(network(text.replace("SHORTCUT", "a")), network(text.replace("SHORTCUT", "b")))
    (change,) = found.changes
    assert (change.kind, change.after) == ("changed", "sum")
    assert (change.fields[0].field, change.fields[0].before, change.fields[0].after) == ("from", "a + c", "b + c")


def test_insertions_are_not_rewiring():
    found = diff(load("densenet121"), load("densenet169"))
    assert not [change for change in found.changes if any(field.field == "from" for field in change.fields)]


def test_another_input_changes_sizes_only():
    found = diff(analyze(load("resnet50")), analyze(load("resnet50"), input_size=(3, 256, 256)))
    assert {change.kind for change in found.changes} == {"resized"}
    assert not any(change.fields for change in found.changes)


def test_alignment_is_optimal():
    """Compared with an exhaustive search for the highest score, on short lists of a few kinds of layers."""
    import random

    from convcost.analysis.comparison import alignment as module

    kinds = [CONV, "relu", "max_pool2d: 2", "conv2d: {out_channels: 8, kernel_size: 1}"]
    draw = random.Random(6)
    for _ in range(60):
        one, other = (
            placed(analyze(chain((8, 64, 64), *draw.choices(kinds, k=draw.randint(1, 5)))).layers) for _ in range(2)
        )
        ids: dict = {}
        a = [ids.setdefault(layer.structure, len(ids)) for layer in one]
        b = [ids.setdefault(layer.structure, len(ids)) for layer in other]
        alignment = module._Alignment(one, other, a, b)

        def pair_score(i, j, one=one, other=other, a=a, b=b, alignment=alignment):
            score = alignment.score(a[i], b[j])
            same = one[i].name == other[j].name
            return score + (alignment.name_score(i, j, score) if same else 0)

        best = max(
            sum(pair_score(i, j) for i, j in zip(left, right, strict=True))
            for size in range(min(len(a), len(b)) + 1)
            for left in itertools.combinations(range(len(a)), size)
            for right in itertools.combinations(range(len(b)), size)
        )
        pairs = [(i, j) for i, j in align(one, other) if i is not None and j is not None]
        assert sum(pair_score(i, j) for i, j in pairs) == best


def long_chain(length, first, kernel):
    layers = []
    for k in range(length // 2):
        layers += [
            f"conv2d: {{out_channels: 16, kernel_size: {kernel if k % 7 == first else 1}, padding: same}}",
            "relu",
        ]
    return chain((16, 64, 64), *layers)


def test_large_networks_are_split_at_equal_layers(monkeypatch):
    """Beyond the size limit, layers with equal name and structure split the lists; the result is the same here."""
    before = analyze(load("resnet50"))
    after = analyze(load("resnet101"))
    whole = diff(before, after)
    monkeypatch.setattr("convcost.analysis.comparison.alignment.CELLS", 100)
    assert kinds(diff(before, after)) == kinds(whole)
    monkeypatch.setattr("convcost.analysis.comparison.alignment.MOST_CELLS", 0)
    found = diff(analyze(load("vgg16")), analyze(load("lenet5")))
    assert {change.kind for change in found.changes} == {"inserted", "removed"}


def test_a_thousand_layers_are_fast():
    """Two networks of 1,000 layers with differences throughout. The limit is generous, for busy machines."""
    before, after = analyze(long_chain(1000, 1, 1)), analyze(long_chain(1000, 3, 3))
    start = time.perf_counter()
    found = diff(before, after)
    assert time.perf_counter() - start < 3
    assert found.changes


def test_json():
    found = json.loads(diff(load("vgg16"), load("vgg19")).to_json())
    assert (found["schema"], found["convcost"]) == (1, convcost.__version__)
    assert found["after"]["totals"]["params"] == 143_667_240
    assert found["changes"][0] == {
        "kind": "inserted", "before": None, "after": "conv3_4.conv2d_1", "op": "conv2d", "fields": [],
        "params": [0, 590_080], "macs": [0, 1_849_688_064], "activation_bytes": [0, 4 * 256 * 56 * 56],
        "block": "conv3_4", "where": found["changes"][0]["where"],
        "own": "out_channels=256, kernel_size=3, padding=1",
    }  # fmt: skip
    assert found["changes"][0]["where"].startswith("vgg.yaml:")


@pytest.mark.parametrize("wrong", ["vgg16", 3, None])
def test_only_graphs_and_reports(wrong):
    with pytest.raises(UsageError, match=r"diff takes graphs or reports, not .*convcost.load"):
        diff(load("vgg16"), wrong)
