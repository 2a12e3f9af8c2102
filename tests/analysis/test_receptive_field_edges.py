"""Receptive fields where a rule has an edge: holes, fields that repeat after many positions, unlike paths that join."""

from __future__ import annotations

import convcost
from convcost.analysis.receptive_field import MAX_PHASES
from support.networks import chain, network


def last_field(graph):
    return convcost.analyze(graph).layers[-1].receptive_field


def test_the_start_is_that_of_the_first_position():
    """A stride of 2 with a kernel of 1 leaves holes. Even positions read the first branch, odd ones the second.

    First branch: position 2k reads k. Second branch: position 2k - 1 reads padded position k, which is k - 4 of the
    input. The joined field starts at 0 (position 0), although position 1 starts at -3.
    """
    graph = network(
        """
        name: holes
        input: [1, 32]
        layers:
          - branches:
              - [zero_pad1d: [0, 7], conv_transpose1d: {out_channels: 1, kernel_size: 1, stride: 2}]
              - [zero_pad1d: [4, 4], conv_transpose1d: {out_channels: 1, kernel_size: 1, stride: 2, padding: 1}]
            merge: concat
        """
    )
    field = last_field(graph)
    assert (field.start, field.size, field.stride) == ((0,), (1,), (0.5,))


def test_the_longest_repetition_that_is_followed():
    """Enlarged 4096 times, 4096 neighbours read one position; one more than that is not followed."""
    assert MAX_PHASES == 4096
    field = last_field(chain((1, 2), "upsample: {scale_factor: 4096, mode: nearest}"))
    assert (field.start, field.size, field.stride) == ((0,), (1,), (1 / 4096,))
    assert last_field(chain((1, 2), "upsample: {scale_factor: 4097, mode: nearest}")) is None


def test_all_of_the_input_joined_with_positions_that_were_merged_is_all_of_it():
    """The first branch has read every position already, so it does not matter which ones the second has read."""
    graph = network(
        """
        name: whole
        input: [3, 8, 6]
        layers:
          - branches:
              - [adaptive_avg_pool2d: 1, flatten]
              - [flatten]
            merge: concat
        """
    )
    assert convcost.analyze(graph).layers[-2].receptive_field is None, "the flattened branch alone is not followed"
    field = last_field(graph)
    assert field.whole
    assert field.size == (8, 6)
