"""What the words of a spec mean where several of them meet: names, references, choices, places. See test_language.py."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convcost import SpecError, analyze
from convcost.sources.load import graph_from_text
from convcost.spec import graph_builder
from convcost.spec.expand import MAX_DEPTH
from support.cases import cases
from support.networks import chain, network

CONV = "conv2d: {out_channels: 3, kernel_size: 1}"


def names(graph):
    return [node.name for node in graph.nodes]


def inputs(graph, name):
    """Names of what a layer reads; "input" and the like for the inputs of the network."""
    known = [*names(graph), *(name for name, _ in reversed(graph.inputs))]
    return [known[source] for source, _ in graph.nodes[graph.index[name]].inputs]


def channels(graph):
    return [layer.output_shapes[0][1] for layer in analyze(graph).layers]


def refused(text, variant=None):
    with pytest.raises(SpecError) as caught:
        graph_from_text(text, "net.yaml", variant)
    return str(caught.value)


# --- names


def test_a_named_layer_is_called_so_and_the_others_are_counted():
    graph = chain((3, 8, 8), "relu", "relu_", "{relu: {}, name: stem}", "relu", "{relu: {}, repeat: 2}", "relu6")
    assert names(graph) == ["relu_1", "relu_2", "stem", "relu_3", "relu_4", "relu_5", "relu6_1"]


def test_names_count_within_their_block_and_group():
    graph = network("""
        name: net
        input: [3, 8, 8]
        blocks: {b: [relu, {layers: [relu, tanh], name: g}, relu]}
        layers: [relu, b, relu, {b: {}, name: c}, {layers: [b, relu], name: d, repeat: 2}]
    """)
    inside = ["relu_1", "g.relu_1", "g.tanh_1", "relu_2"]
    assert names(graph) == [
        "relu_1", *(f"b_1.{name}" for name in inside), "relu_2", *(f"c.{name}" for name in inside),
        *(f"d_1.b_1.{name}" for name in inside), "d_1.relu_1", *(f"d_2.b_1.{name}" for name in inside), "d_2.relu_1",
    ]  # fmt: skip


def test_unnamed_structures_add_no_segment_and_named_branches_do():
    graph = network("""
        name: net
        input: [4, 8, 8]
        layers:
          - layers: [layers: [relu]]
          - residual: [relu, {residual: [relu], name: inner}]
          - {residual: [relu], name: outer}
          - {branches: {left: [relu], right: [tanh, relu]}, merge: {concat: {}, name: joined}}
          - {branches: [[relu], []], split: {chunk: 2}, merge: concat, name: wide}
    """)
    assert names(graph) == [
        "relu_1", "relu_2", "inner.relu_1", "inner.add_1", "add_1", "outer.relu_1", "outer.add_1", "left.relu_1",
        "right.tanh_1", "right.relu_1", "joined", "wide.chunk_1", "wide.relu_1", "wide.concat_1",
    ]  # fmt: skip


def test_the_segment_of_a_choice_is_the_word_it_stands_for():
    graph = network("""
        name: net
        input: [3, 8, 8]
        parameters: [act: hardswish, unit: b]
        blocks: {b: [act]}
        layers: [act, unit, {unit: {}, repeat: 2}, {add: {}, from: [hardswish_1, b_2, b_3.hardswish_1]}]
    """)
    assert names(graph) == ["hardswish_1", "b_1.hardswish_1", "b_2.hardswish_1", "b_3.hardswish_1", "add_1"]
    assert inputs(graph, "add_1") == ["hardswish_1", "b_2.hardswish_1", "b_3.hardswish_1"]


def test_a_composite_is_a_group_of_its_parts():
    graph = network("""
        name: net
        input: [5, 8]
        layers:
          - {multihead_attention: 2, name: attention}
          - {add: {}, from: [attention, attention.out_proj]}
    """)
    parts = names(graph)[:-1]
    assert len(parts) > 3
    assert all(name.startswith("attention.") for name in parts)
    assert inputs(graph, "add_1") == [parts[-1], "attention.out_proj"]


# --- references


@pytest.mark.parametrize(
    ("path", "source", "output"),
    [
        ("image", -1, 0), ("other", -2, 0), ("stem", 0, 0), ("conv3", 2, 0), ("conv3_1", 1, 0), ("relu_1", 3, 0), ("down", 5, 0),
        ("down.skip", 4, 0), ("down.skip.0", 4, 0), ("down.tanh_1", 5, 0), ("parts.0", 6, 0), ("parts.2", 6, 2), ("left", 7, 0),
        ("left.relu_1", 7, 0), ("right", 6, 0), ("joined", 8, 0), ("empty", 8, 0), ("twice_2.relu_1", 10, 0), ("twice_1", 9, 0),
        ("twice", 10, 0), ("previous", 10, 0), ("b_1", 10, 0),
    ],
)  # fmt: skip
def test_every_form_of_a_reference(path, source, output):
    graph = network(f"""
        name: net
        inputs: {{image: [6, 8, 8], other: [6, 8, 8]}}
        outputs: [last, twice]
        blocks:
          b:
            - {{relu: {{}}, name: skip}}
            - tanh
          nothing: []
        layers:
          - {{relu: {{}}, name: stem}}
          - {{sigmoid: {{}}, repeat: 2, name: conv3}}
          - relu
          - {{b: {{}}, name: down}}
          - {{chunk: 3, name: parts}}
          - {{branches: {{left: [relu], right: []}}, merge: {{add: {{}}, name: joined}}, from: parts.0}}
          - {{nothing: {{}}, name: empty}}
          - {{layers: [relu], repeat: 2, name: twice}}
          - nothing
          - {{identity: {{}}, from: {path if path != "b_1" else "twice"}, name: last}}
          - {{concat: {{}}, from: [last, other, parts], name: all, when: false}}
    """)
    assert graph.nodes[graph.index["last"]].inputs == ((source, output),)


def test_a_value_of_several_outputs_is_all_of_them():
    graph = chain((6, 4, 4), "{chunk: 3, name: parts}", "{concat: {}, from: [parts, parts.1, input]}")
    assert graph.nodes[1].inputs == ((0, 0), (0, 1), (0, 2), (0, 1), (-1, 0))
    assert chain((6, 4, 4), "{chunk: 3, name: parts}").outputs == ((0, 0), (0, 1), (0, 2))


def test_inner_names_hide_outer_ones():
    graph = chain(
        (3, 4, 4), "{relu: {}, name: a}", "{layers: [{tanh: {}, name: a}, {add: {}, from: [a, input]}], name: g}"
    )
    assert inputs(graph, "g.add_1") == ["g.a", "input"]


def test_layers_are_handed_down_through_blocks():
    graph = network("""
        name: net
        input: [4, 8, 8]
        blocks:
          inner: {parameters: [x, y: 1], layers: [{concat: {}, from: [x, previous]}]}
          outer: {parameters: [skip], layers: [inner: skip, inner: [skip, 2], inner: {x: skip}, {concat: {}, from: [skip.1, previous]}]}
        layers:
          - {chunk: 2, name: parts}
          - {relu: {}, from: parts.0}
          - outer: parts
    """)
    assert channels(graph)[-4:] == [4 + 2, 4 + 6, 4 + 10, 2 + 14]


def test_a_name_in_a_group_that_is_left_out_is_unknown():
    text = "name: n\ninput: [3]\nlayers: [{relu: {}, name: a, when: false}, {tanh: {}, from: a}]\n"
    assert "no earlier layer is called 'a'" in refused(text)


# --- repetition and conditions


def test_first_and_last_override_named_listed_and_single_arguments():
    graph = network("""
        name: net
        input: [3, 8, 8]
        blocks: {b: {parameters: [c, k: 1], layers: [conv2d: {out_channels: c, kernel_size: k, padding: k // 2}]}}
        layers:
          - {b: 4, repeat: 3, last: {c: 5}}
          - {b: [6, 3], repeat: 2, first: {c: 7}}
          - {b: {c: 8}, repeat: 1, first: {c: 9}, last: {c: 10}}
          - {b: {k: 3}, repeat: 2, first: {c: 11}, last: {c: 12}}
          - {conv2d: {out_channels: 13, kernel_size: 1}, repeat: 2, last: {out_channels: 14}}
    """)
    assert channels(graph) == [4, 4, 5, 7, 6, 10, 11, 12, 13, 14]


def test_arguments_are_worked_out_once_per_repetition():
    graph = network("""
        name: net
        input: [2, 8, 8]
        blocks: {b: {parameters: [c: in_channels + 1], layers: [conv2d: {out_channels: c, kernel_size: 1}]}}
        layers:
          - {b: 2 * in_channels, repeat: 3}
          - {b: {}, repeat: 2}
          - {conv2d: {out_channels: in_channels // 2, kernel_size: 1}, repeat: 2}
          - {layers: [conv2d: {out_channels: in_channels + 3, kernel_size: 1}], repeat: 2}
    """)
    assert channels(graph) == [4, 8, 16, 17, 18, 9, 4, 7, 10]


def test_nothing_repeated_is_what_arrived():
    graph = chain((3, 4, 4), "{relu: {}, repeat: 0, name: none_at_all}", "{add: {}, from: [none_at_all, input]}")
    assert names(graph) == ["add_1"]
    assert graph.nodes[0].inputs == ((-1, 0), (-1, 0))


@pytest.mark.parametrize(
    ("condition", "there"),
    [
        ("true", True),
        ("false", False),
        ("0", False),
        ("2", True),
        ("in_channels == 3", True),
        ("not in_features > 4", True),
    ],
)
def test_when(condition, there):
    assert len(chain((3, 4, 4), "relu", f"{{tanh: {{}}, when: {condition}}}")) == 1 + there


def test_when_decides_before_from_is_looked_up():
    assert names(chain((3, 4, 4), "relu", "{tanh: {}, from: nowhere_1, when: false, name: nowhere}")) == ["relu_1"]


# --- parameters, let, choices, texts


def test_bodies_see_the_file_and_their_own_names_only():
    graph = network("""
        name: net
        input: [2, 4, 4]
        parameters: [width: 3, wider: 2 * width]
        let: {widest: wider + width}
        blocks:
          b:
            parameters: [own: wider]
            let: {half: own // 2, whole: 2 * half + in_channels}
            layers: [conv2d: {out_channels: whole, kernel_size: 1}, conv2d: {out_channels: widest, kernel_size: 1}]
        layers: [b, b: 2 * widest]
    """)
    assert channels(graph) == [2 * 3 + 2, 9, 2 * 9 + 9, 9]
    assert "unknown name 'own'" in refused(
        "name: n\ninput: [3]\nblocks: {b: {parameters: [own: 1], layers: []}}\nlayers: [linear: own]\n"
    )


def test_lists_are_values_too():
    graph = network("""
        name: net
        input: [2, 9, 9]
        blocks:
          row: {parameters: [c, k], layers: [conv2d: {out_channels: c, kernel_size: k}]}
          from_table: {parameters: [entry], layers: [row: entry]}
        layers: [row: [4, [1, 3]], from_table: {entry: [5, 2]}, {from_table: {entry: [6, [2, 1]]}}]
    """)
    assert [layer.output_shapes[0][1:] for layer in analyze(graph).layers] == [(4, 9, 7), (5, 8, 6), (6, 7, 6)]


def test_choices_in_every_place_of_a_verb():
    graph = network("""
        name: net
        input: [4, 8, 8]
        parameters: [join: add, norm: batch_norm2d, body: thin, divide: chunk]
        blocks:
          thin: {parameters: [c: 4], layers: [conv2d: {out_channels: c, kernel_size: 1}, norm]}
          wrap: {parameters: [unit, act: relu], layers: [unit, act]}
        layers:
          - {residual: [body], merge: join}
          - {branches: [[], [body: 2]], split: {divide: 2}, merge: {join: {}, name: joined}}
          - {body: {c: 6}, repeat: 2, last: {c: 8}}
          - {norm: {eps: 0.1}, name: normed}
          - wrap: thin
          - wrap: [norm, tanh]
    """)
    assert [node.op.op for node in graph.nodes] == [
        "conv2d", "batch_norm2d", "add", "chunk", "conv2d", "batch_norm2d", "add", *("conv2d", "batch_norm2d") * 2,
        "batch_norm2d", "conv2d", "batch_norm2d", "relu", "batch_norm2d", "tanh",
    ]  # fmt: skip


def test_texts_reach_a_field_by_way_of_parameters_lets_and_lists():
    graph = network("""
        name: net
        input: [2, 8, 8]
        parameters: [how: same]
        let: {mode: bilinear}
        blocks: {b: {parameters: [margin: how, factor: 1], layers: [conv2d: {out_channels: 2, kernel_size: 3, padding: margin}]}}
        layers: [b, b: valid, b: [1, 3], b: {margin: how}, upsample: {scale_factor: 2, mode: mode}]
    """)
    assert [layer.output_shapes[0][2] for layer in analyze(graph).layers] == [8, 6, 6, 6, 12]


# --- inputs, outputs, variants


def test_a_variant_replaces_the_inputs_of_either_kind():
    text = """
        name: net
        {file}
        variants: {{one: {{input: [5]}}, two: {{inputs: {{a: [6], b: [6]}}}}}}
        layers: [relu]
    """
    for head in ("input: [4]", "inputs: {a: [4]}"):
        assert [name for name, _ in network(text.format(file=head), "one").inputs] == ["input"]
        assert [tensor.shape for _, tensor in network(text.format(file=head), "two").inputs] == [(1, 6), (1, 6)]


def test_outputs_by_name_part_and_count():
    graph = network("""
        name: net
        input: [6, 4, 4]
        outputs: [parts.1, b_1.relu_1, tanh_1, parts.1]
        blocks: {b: [relu, relu]}
        layers: [b, {chunk: 3, name: parts}, {tanh: {}, from: parts.0}]
    """)
    assert graph.outputs == ((2, 1), (0, 0), (3, 0), (2, 1))
    single = chain((3,), "{relu: {}, name: a}", outputs="a")
    assert single.outputs == ((0, 0),)


def test_names_of_variants_and_files_in_about():
    text = (
        "name: net\ninput: [3]\nparameters: [n: 1]\nvariants: {small: {title: Small, with: [2]}}\nlayers: [linear: n]\n"
    )
    about = graph_from_text(text, "dir/net.yaml", "small").about
    assert (about.name, about.title, about.family, about.source) == ("small", "Small", "net", "dir/net.yaml")


# --- shared weights


def test_shares_of_layers_blocks_groups_and_inner_layers():
    graph = network(f"""
        name: net
        input: [3, 4, 4]
        blocks: {{b: [{CONV}, relu, {CONV}]}}
        layers:
          - {{b: {{}}, name: first}}
          - {{b: {{}}, shares: first}}
          - {{layers: [b], shares: first}}
          - {{{CONV}, shares: first.conv2d_2}}
          - {{layers: [{{{CONV}, shares: conv2d_1}}], name: inner}}
          - {{{CONV}, shares: inner}}
          - {{b: {{}}, shares: b_1, repeat: 2}}
          - {{{CONV}, repeat: 2, name: twice}}
          - {{{CONV}, shares: twice}}
          - {{{CONV}, shares: twice_1}}
    """)
    owners = [node.owner for node in graph.nodes]
    assert owners == [-1, -1, -1, 0, 1, 2, 0, 1, 2, 2, 2, 2, 0, 1, 2, 0, 1, 2, -1, -1, 19, 18]
    assert analyze(graph).totals.params == 4 * (3 * 3 + 3)


def test_shares_within_a_block_that_is_called_again():
    graph = network(f"""
        name: net
        input: [3, 4, 4]
        blocks: {{b: [{{{CONV}, name: a}}, {{{CONV}, shares: a}}]}}
        layers: [b, b]
    """)
    assert [node.owner for node in graph.nodes] == [-1, 0, -1, 2]


# --- places of mistakes


def test_all_mistakes_of_words_are_told_in_order_and_none_twice():
    text = "name: n\ninput: [3]\nlayers: [linearr: 3, relu_: , {relu: {}, form: x}, linear: {out: 3}]\n"
    lines = refused(text).splitlines()
    assert [line[: line.index(" ")] for line in lines] == [
        "net.yaml:3:10:", "net.yaml:3:22:", "net.yaml:3:42:", "net.yaml:3:61:",
    ]  # fmt: skip


def test_thirty_mistakes_are_enough():
    lines = refused("name: n\ninput: [3]\nlayers:\n" + "  - wrong\n" * 1000).splitlines()
    assert len(lines) == 31
    assert lines[-1] == "these are the first 30 mistakes in net.yaml; there may be more"


def test_a_mistake_in_a_block_is_no_mistake_of_its_callers():
    text = "name: n\ninput: [3]\nblocks: {b: {parameters: [9x, y], layers: [linear: y]}}\nlayers: [b: [1, 2, 3], b: {z: 1}]\n"
    (line,) = refused(text).splitlines()
    assert line.startswith("net.yaml:3:27: '9x' cannot be a name")


def test_what_cannot_be_printed_is_escaped():
    message = refused('name: n\ninput: [3]\nlayers: [{"\\u2028\\e[31m": {}, relu: {}}]\n')
    assert message.isprintable()
    assert "u2028" in message


def test_long_words_do_not_make_long_messages():
    for text in (
        "name: {0}",
        "name: n\ninput: [3]\nlayers: [{0}]",
        "{0}: 1",
        "name: n\ninput: [3]\nlayers: [{{relu: {{}}, from: {0}}}]",
    ):
        assert all(len(line) < 1_100 for line in refused(text.format("x" * 900)).splitlines())


def test_nesting_up_to_the_limit():
    text = "name: n\ninput: [3]\nblocks:\n  b0: [relu]\n" + "".join(
        f"  b{k}: [b{k - 1}]\n" for k in range(1, MAX_DEPTH)
    )
    # The file's own layers are the first level.
    assert len(graph_from_text(f"{text}layers: [b{MAX_DEPTH - 2}]\n", "net.yaml")) == 1
    assert "more than 64 levels deep" in refused(f"{text}layers: [b{MAX_DEPTH - 1}]\n")


# --- random networks, against an interpreter of ten lines

NAMES = st.sampled_from([None, None, "a", "b", "c"])


def layers(depth, blocks):
    """Lists of layers that keep height and width: any of them fits any other."""
    conv = st.tuples(
        st.just("conv"),
        st.sampled_from([1, 2, 3, 4, "width"] if blocks is None else [1, 2, 3, 4]),
        st.sampled_from([1, 3]),
    )
    plain = st.one_of(conv, st.just(("relu",)), st.just(("norm",)))
    if blocks:
        plain |= st.tuples(st.just("call"), st.sampled_from(blocks), st.integers(1, 4), st.integers(0, 3))
    if depth:
        inner = layers(depth - 1, blocks)
        plain |= st.one_of(
            st.tuples(st.just("group"), inner, st.integers(0, 3)),
            st.tuples(st.just("residual"), inner),
            st.tuples(st.just("branches"), st.lists(inner, min_size=1, max_size=3)),
        )
    return st.lists(plain, max_size=4)


@st.composite
def networks(draw):
    blocks = {
        f"block{k}": draw(layers(1, [f"block{j}" for j in range(k)] or None)) for k in range(draw(st.integers(0, 3)))
    }
    body = draw(layers(2, list(blocks)))
    return blocks, [*body, ("relu",)]


def written(layer, label=None):
    """A layer in the spec language."""
    kind, *rest = layer
    if kind == "conv":
        return {"conv2d": {"out_channels": rest[0], "kernel_size": rest[1], "padding": "same"}}
    if kind == "call":
        return {rest[0]: {"width": rest[1]}, "repeat": rest[2]}
    if kind == "group":
        return {"layers": [written(each) for each in rest[0]], "repeat": rest[1]}
    if kind == "residual":
        return {"residual": [written(each) for each in rest[0]], "projection": "none"}
    if kind == "branches":
        return {"branches": [[written(each) for each in branch] for branch in rest[0]], "merge": "concat"}
    return {"relu": "relu", "norm": "batch_norm2d"}[kind]


def worked_out(body, width, channels, blocks):
    """(channels, layers, parameters) after a list of layers."""
    count = params = 0
    for kind, *rest in body:
        if kind == "conv":
            out = width if rest[0] == "width" else rest[0]
            count, params, channels = count + 1, params + out * (channels * rest[1] ** 2 + 1), out
        elif kind in ("relu", "norm"):
            count, params = count + 1, params + (2 * channels if kind == "norm" else 0)
        elif kind == "residual":
            after, more, weights = worked_out(rest[0], width, channels, blocks)
            count, params = count + more + (after == channels), params + weights
            channels = after
        elif kind == "branches":
            ends = [worked_out(branch, width, channels, blocks) for branch in rest[0]]
            channels = sum(end[0] for end in ends)
            count, params = count + sum(end[1] for end in ends) + 1, params + sum(end[2] for end in ends)
        else:
            inner, wide = (blocks[rest[0]], rest[1]) if kind == "call" else (rest[0], width)
            for _ in range(rest[-1]):
                channels, more, weights = worked_out(inner, wide, channels, blocks)
                count, params = count + more, params + weights
    return channels, count, params


def spec(blocks, body, extra=()):
    defined = {
        name: {"parameters": ["width"], "layers": [written(each) for each in inner]} for name, inner in blocks.items()
    }
    layers = [written(each) for each in body]
    return json.dumps({"name": "net", "input": [3, 5, 5], "blocks": defined, "layers": [*layers, *extra]})


@settings(deadline=None, derandomize=True, max_examples=cases(150))
@given(networks(), st.data())
def test_random_networks(drawn, data):
    blocks, body = drawn
    end, count, params = worked_out(body, 0, 3, blocks)
    graph = graph_from_text(spec(blocks, body), "net.yaml")
    report = analyze(graph)
    assert report.layers[-1].output_shapes == ((1, end, 5, 5),)
    assert (len(graph), report.totals.params) == (count, params)
    assert len(set(names(graph))) == count
    # Whatever the table shows can be read by its name.
    path = data.draw(st.sampled_from(names(graph)))
    longer = graph_from_text(spec(blocks, body, [{"concat": {}, "from": ["previous", path]}]), "net.yaml")
    assert longer.nodes[-1].inputs == ((count - 1, 0), (graph.index[path], 0))


@settings(deadline=None, derandomize=True, max_examples=cases(100))
@given(networks())
def test_copies_of_blocks_are_what_expanding_them_again_gives(drawn):
    text = spec(*drawn)
    copied = graph_from_text(text, "net.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph_builder.Draft, "template", lambda *arguments: None)
        expanded = graph_from_text(text, "net.yaml")
    assert copied.nodes == expanded.nodes
