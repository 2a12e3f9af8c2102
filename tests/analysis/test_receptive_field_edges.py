"""Edge cases of receptive fields: holes, long periods after upsampling, and paths of different kinds that join."""

from __future__ import annotations

import convcost
from convcost.analysis.receptive_field import MAX_PHASES
from support.networks import chain, network


def last_field(graph):
    return convcost.analyze(graph).layers[-1].receptive_field


def test_start_is_that_of_position_0():
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


def test_longest_supported_period():
    """After upsampling by 4096, 4096 adjacent positions read one input position; a longer period is not supported."""
    assert MAX_PHASES == 4096
    field = last_field(chain((1, 2), "upsample: {scale_factor: 4096, mode: nearest}"))
    assert (field.start, field.size, field.stride) == ((0,), (1,), (1 / 4096,))
    assert last_field(chain((1, 2), "upsample: {scale_factor: 4097, mode: nearest}")) is None


def test_whole_input_joined_with_an_undefined_field():
    """The first branch reads every position, so the field is whole although that of the second is undefined."""
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
    assert convcost.analyze(graph).layers[-2].receptive_field is None, "the field of the flattened branch is undefined"
    field = last_field(graph)
    assert field.whole
    assert field.size == (8, 6)
