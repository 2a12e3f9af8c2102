"""What a name is worth when two lists of layers are aligned."""

from __future__ import annotations

from convcost.analysis.comparison.alignment import align
from convcost.analysis.comparison.layer_keys import Placed


def conv(name, in_channels):
    fields = {"out_channels": "8", "kernel_size": "3", "in_channels": str(in_channels)}
    return Placed(name, "conv2d", fields, in_channels * 8 * 9, 0)


def relu(name):
    return Placed(name, "relu", {}, 0, 0)


def test_a_place_in_a_sequential_is_worth_less_than_structure():
    """``features.1`` only says "the second one": the convolution is still the one of 3 channels, not the new one."""
    before = [relu("features.0"), conv("features.1", 3)]
    after = [conv("features.0", 3), conv("features.1", 8)]
    assert align(before, after) == [(0, None), (1, 0), (None, 1)]


def test_a_counted_name_inside_a_block_with_a_name_is_worth_more():
    """``stem.conv2d_1`` in both: the convolution there is meant, whatever arrives."""
    before = [relu("stem.relu_1"), conv("stem.conv2d_1", 3)]
    after = [conv("entry.conv2d_1", 3), conv("stem.conv2d_1", 8)]
    assert align(before, after) == [(0, None), (None, 0), (1, 1)]


def test_a_name_that_somebody_gave_makes_a_pair_of_unlike_layers():
    assert align([conv("neck", 3)], [relu("neck")]) == [(0, 0)]
    assert align([conv("conv2d_1", 3)], [relu("conv2d_1")]) == [(0, None), (None, 0)]
