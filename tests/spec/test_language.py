"""The words of the spec language, each against layers written out by hand."""

from __future__ import annotations

import textwrap

import pytest

from convcost import SpecError, analyze
from convcost.sources.load import graph_from_text


def network(text, head="name: net\ninput: [3, 16, 16]\n", variant=None):
    return graph_from_text(head + textwrap.dedent(text), "net.yaml", variant)


def names(graph):
    return [node.name for node in graph]


def outputs(graph):
    return [layer.output_shapes[0][1:] for layer in analyze(graph).layers]


def test_names_are_paths():
    graph = network("""
        blocks:
          conv_bn:
            parameters: [c]
            layers: [conv2d: {out_channels: c, kernel_size: 3, padding: 1, bias: false}, batch_norm2d]
          pair: [conv_bn: 4, relu_, conv_bn: 4]
        layers:
          - {pair: {}, name: stem}
          - {pair: {}, repeat: 2, name: conv3}
          - pair
          - layers: [relu, relu]
          - {layers: [relu], name: tail}
    """)
    inside = [
        "conv_bn_1.conv2d_1",
        "conv_bn_1.batch_norm2d_1",
        "relu_1",
        "conv_bn_2.conv2d_1",
        "conv_bn_2.batch_norm2d_1",
    ]
    assert names(graph) == [
        *(f"{block}.{name}" for block in ("stem", "conv3_1", "conv3_2", "pair_1") for name in inside),
        "relu_1",
        "relu_2",
        "tail.relu_1",
    ]


def test_first_and_last_repetition():
    graph = network("""
        blocks:
          unit: {parameters: [c, s: 1, k: 1], layers: [conv2d: {out_channels: c, kernel_size: k, stride: s}]}
        layers:
          - {unit: 4, repeat: 3, first: {s: 2}, last: {c: 5}}
          - {unit: 6, repeat: 1, first: {s: 2}, last: {c: 7, s: 4}}
          - {unit: 9, repeat: 0}
    """)
    assert outputs(graph) == [(4, 8, 8), (4, 8, 8), (5, 8, 8), (7, 2, 2)]


def test_residual_identity_projection_and_none():
    graph = network("""
        layers:
          - residual: [conv2d: {out_channels: 3, kernel_size: 1}]
          - residual: [conv2d: {out_channels: 8, kernel_size: 1, stride: 2}]
            projection: [conv2d: {out_channels: 8, kernel_size: 2, stride: 2}]
          - residual: [conv2d: {out_channels: 5, kernel_size: 1}]
            projection: none
          - residual: [conv2d: {out_channels: 5, kernel_size: 1}]
            merge: add_
          - residual: [sigmoid]
            merge: mul
    """)
    assert names(graph) == [
        "conv2d_1", "add_1", "conv2d_2", "conv2d_3", "add_2", "conv2d_4", "conv2d_5", "add_3", "sigmoid_1", "mul_1",
    ]  # fmt: skip
    by_name = {layer.name: layer for layer in analyze(graph).layers}
    assert by_name["add_1"].inputs == ("conv2d_1", "input")
    assert by_name["add_2"].inputs == ("conv2d_2", "conv2d_3")
    assert by_name["add_1"].activation_bytes == 4 * 3 * 16 * 16
    assert by_name["add_3"].activation_bytes == 0


def test_branches_rows_names_split_and_merge():
    graph = network("""
        layers:
          - conv2d: {out_channels: 8, kernel_size: 1}
          - branches: [[], [conv2d: {out_channels: 4, kernel_size: 1}], [max_pool2d: {kernel_size: 3, stride: 1, padding: 1}]]
            merge: concat
          - branches: {left: [relu], right: [sigmoid]}
            split: {chunk: 2}
            merge: mul
          - branches: [[relu], [relu]]
            split: {split: [3, 7]}
            merge: {concat: 1}
    """)
    assert outputs(graph)[-1] == (10, 16, 16)
    assert names(graph)[4:] == [
        "chunk_1", "left.relu_1", "right.sigmoid_1", "mul_1", "split_1", "relu_1", "relu_2", "concat_2",
    ]  # fmt: skip
    assert names(graph)[3] == "concat_1"


@pytest.mark.parametrize(
    ("path", "channels"),
    [
        ("stem", 4),
        ("conv", 7),
        ("conv_1", 6),
        ("conv_2", 7),
        ("deep.skip", 5),
        ("parts.1", 2),
        ("input", 3),
        ("deep", 4),
    ],
)
def test_every_form_of_a_reference(path, channels):
    graph = network(f"""
        blocks:
          deep:
            - {{conv2d: {{out_channels: 5, kernel_size: 1}}, name: skip}}
            - conv2d: {{out_channels: 4, kernel_size: 1}}
        layers:
          - {{conv2d: {{out_channels: 4, kernel_size: 1}}, name: stem}}
          - {{conv2d: {{out_channels: 6, kernel_size: 1}}, repeat: 2, last: {{out_channels: 7}}, name: conv}}
          - {{deep: {{}}, name: deep}}
          - {{chunk: 2, name: parts}}
          - {{conv2d: {{out_channels: 1, kernel_size: 1}}, from: parts.0}}
          - {{concat: {{}}, from: [{path}, previous, parts]}}
    """)
    assert outputs(graph)[-1] == (channels + 1 + 4, 16, 16)


def test_a_layer_handed_to_a_block():
    graph = network("""
        blocks:
          up:
            parameters: [channels, skip]
            layers:
              - conv2d: {out_channels: channels, kernel_size: 1}
              - {concat: {}, from: [skip, previous]}
        layers:
          - {conv2d: {out_channels: 4, kernel_size: 1}, name: enc}
          - relu
          - up: [6, enc]
          - up: {channels: 1, skip: enc}
    """)
    assert outputs(graph)[-1] == (5, 16, 16)
    assert outputs(graph)[3] == (10, 16, 16)


def test_when_let_and_the_shape_that_arrives():
    graph = network("""
        parameters: [deep: true, width: 2]
        let: {double: 2 * width, quadruple: 2 * double}
        blocks:
          squeeze_excite:
            parameters: [ratio: 4]
            let: {channels: in_channels, small: "max(1, channels // ratio)"}
            layers:
              - conv2d: {out_channels: small, kernel_size: 1}
              - conv2d: {out_channels: channels, kernel_size: 1}
        layers:
          - conv2d: {out_channels: quadruple, kernel_size: 1}
          - squeeze_excite
          - {relu: {}, when: not deep}
          - {sigmoid: {}, when: deep and in_channels == 8}
          - flatten
          - linear: in_features // 512 if deep else 1
          - linear: make_divisible(10.5, by=4) + ceil(0.2) + round(2.4) + floor(1.9)
    """)
    assert outputs(graph) == [
        (8, 16, 16), (2, 16, 16), (8, 16, 16), (8, 16, 16), (8 * 16 * 16,), (8 * 16 * 16 // 512,), (12 + 1 + 2 + 1,),
    ]  # fmt: skip


def test_a_parameter_names_an_op_or_a_block():
    graph = network("""
        blocks:
          thin: {parameters: [c], layers: [conv2d: {out_channels: c, kernel_size: 1}]}
          unit: {parameters: [act, body], layers: [body: 4, act]}
        layers:
          - unit: [relu_, thin]
          - unit: [hardswish_, linear]
    """)
    assert [node.op.op for node in graph] == ["conv2d", "relu", "linear", "hardswish"]
    assert graph.nodes[1].op.inplace
    assert graph.nodes[3].op.inplace


def test_texts_pass_through_blocks():
    graph = network("""
        blocks:
          conv: {parameters: [margin], layers: [conv2d: {out_channels: 4, kernel_size: 3, padding: margin}]}
          up: {parameters: [mode], layers: [upsample: {scale_factor: 2, mode: mode}]}
        layers: [conv: same, conv: valid, conv: 0, up: bilinear]
    """)
    assert outputs(graph) == [(4, 16, 16), (4, 14, 14), (4, 12, 12), (4, 24, 24)]


def test_variants_replace_keys_and_parameters():
    text = """
        title: A family
        parameters: [n, width: 4]
        variants:
          small: {with: [1]}
          wide: {with: {n: 2, width: 9}, title: The wide one, input: [5, 8, 8], outputs: [first]}
        layers:
          - {conv2d: {out_channels: width, kernel_size: 1}, repeat: n, name: conv}
          - {relu: {}, from: conv_1, name: first, when: width > 4}
          - {relu: {}, from: conv, when: width == 4}
    """
    assert outputs(network(text, variant="small")) == [(4, 16, 16), (4, 16, 16)]
    text = text.replace("- {relu: {}, from: conv, when: width == 4}", "").replace("from: conv_1", "from: conv")
    wide = network(text, variant="wide")
    assert wide.about.title == "The wide one"
    assert wide.inputs[0][1].shape == (1, 5, 8, 8)
    assert outputs(wide) == [(9, 8, 8)] * 3


def test_several_inputs_and_outputs():
    graph = network(
        """
        inputs: {image: [3, 8, 8], tokens: {shape: [7], dtype: int64}}
        outputs: [words, picture]
        layers:
          - {conv2d: {out_channels: 4, kernel_size: 1}, name: picture}
          - {embedding: [100, 16], from: tokens, name: words}
        """.replace("[100, 16]", "{num_embeddings: 100, embedding_dim: 16}"),
        head="name: net\n",
    )
    assert graph.outputs == ((1, 0), (0, 0))
    report = analyze(graph, batch=2)
    assert report.layers[1].output_shapes == ((2, 7, 16),)
    assert report.totals.params == 4 * 3 + 4 + 100 * 16


def test_shared_weights_stand_once_and_work_each_time():
    graph = network("""
        layers:
          - {conv2d: {out_channels: 3, kernel_size: 3, padding: 1}, name: first}
          - {conv2d: {out_channels: 3, kernel_size: 3, padding: 1}, shares: first}
    """)
    report = analyze(graph)
    assert report.totals.params == 3 * 3 * 9 + 3
    assert report.totals.macs == 2 * 16 * 16 * 3 * 3 * 9
    assert report.layers[1].shares == "first"
    with pytest.raises(SpecError, match="its weights are"):
        network("""
            layers:
              - {conv2d: {out_channels: 3, kernel_size: 3, padding: 1}, name: first}
              - {conv2d: {out_channels: 3, kernel_size: 1}, shares: first}
        """)


def test_a_block_called_again_is_the_same_as_the_first_time():
    """Second calls are copied from the first: other shapes, arguments and places must not leak in."""
    body = """
        blocks:
          inner: {parameters: [c], layers: [{residual: [conv2d: {out_channels: c, kernel_size: 3, padding: 1}], projection: none}]}
          outer:
            parameters: [c, s: 1]
            layers:
              - {inner: c, name: a}
              - branches: [[], [inner: c]]
                merge: concat
              - max_pool2d: {kernel_size: 1, stride: s}
        layers:"""
    calls = ["outer: [4]", "outer: [4]", "outer: [4, 2]", "outer: [4]", "outer: [4]", "outer: [8]"]
    together = network(body + "".join(f"\n          - {call}" for call in calls))
    alone, alone_names, shape = [], [], (3, 16, 16)
    for number, call in enumerate(calls, 1):
        single = network(body + f"\n          - {call}", head=f"name: net\ninput: {list(shape)}\n")
        alone += outputs(single)
        alone_names += [name.replace("outer_1", f"outer_{number}") for name in names(single)]
        shape = outputs(single)[-1]
    assert outputs(together) == alone
    assert names(together) == alone_names


def test_numbers_keep_their_digits():
    graph = network("""
        reference: {title: A paper, year: 2014, arxiv: 1409.1550}
        published: [{quantity: params, value: 0.80K, source: here}]
        layers: [relu]
    """)
    assert graph.about.reference["arxiv"] == "1409.1550"
    assert graph.about.reference["year"] == 2014
    assert graph.about.published[0].value == "0.80K"
