"""Every mistake gets one message with its place: a corpus of wrong specs, and files that are no specs at all."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from convcost import ConvcostError, SourceError, SpecError, analyze, load
from convcost.sources.load import graph_from_text

HEAD = "name: net\ninput: [3, 32, 32]\n"

# (what is wrong, spec after the head's two lines, line, phrases of the message)
CORPUS = [
    ("unknown op", "layers:\n  - convv2d: 3\n", 4, ["unknown op or block 'convv2d'", "'conv2d'"]),
    ("unknown key", "layer:\n  - relu\n", 3, ["a spec has no key 'layer'", "did you mean 'layers'"]),
    ("unknown field", "layers:\n  - conv2d: {out_channels: 3, kernal_size: 3}\n", 4, ["no field 'kernal_size'", "'kernel_size'"]),
    ("missing field", "layers:\n  - conv2d: {kernel_size: 3}\n", 4, ["conv2d needs out_channels"]),
    ("wrong type", "layers:\n  - conv2d: {out_channels: 3, kernel_size: 3, bias: 7}\n", 4, ["bias is 7", "true or false"]),
    ("zero size", "layers:\n  - conv2d: {out_channels: 3, kernel_size: 0}\n", 4, ["kernel_size is 0", ">= 1"]),
    ("negative size", "layers:\n  - conv2d: {out_channels: -3, kernel_size: 1}\n", 4, ["out_channels is -3"]),
    ("decimal count", "layers:\n  - linear: in_features / 3\n", 4, ["out_features must be a whole number", "10.6667"]),
    ("window too large", "layers:\n  - max_pool2d: 33\n", 4, ["the window is 33", "padded input only 32"]),
    ("dilated window", "layers:\n  - conv2d: {out_channels: 1, kernel_size: 3, dilation: 20}\n", 4, ["41 (dilated)", "32"]),
    ("groups", "layers:\n  - conv2d: {out_channels: 4, kernel_size: 1, groups: 2}\n", 4, ["groups 2", "3 input", "4"]),
    ("same with stride", "layers:\n  - conv2d: {out_channels: 4, kernel_size: 3, stride: 2, padding: same}\n", 4, ["stride 1"]),
    ("per-dimension length", "layers:\n  - conv2d: {out_channels: 4, kernel_size: [3, 3, 3]}\n", 4, ["3 entries for 2"]),
    ("rank", "layers:\n  - conv1d: {out_channels: 4, kernel_size: 3}\n", 4, ["(N, C, L)", "4 dimensions"]),
    ("no reference", "layers:\n  - relu\n  - {add: {}, from: [previous, stem]}\n", 5, ["unknown layer 'stem'"]),
    ("forward reference", "layers:\n  - {relu: {}, from: later}\n  - {relu: {}, name: later}\n", 4, ["later"]),
    ("one input for add", "layers:\n  - add\n", 4, ["add takes 2 or more inputs", "from: [a, b]"]),
    (
        "mismatched add",
        "layers:\n  - {conv2d: {out_channels: 3, kernel_size: 3}, name: a}\n  - {add: {}, from: [a, input]}\n",
        5,
        ["1x3x30x30", "1x3x32x32"],
    ),
    (
        "mismatched concat",
        "layers:\n  - {conv2d: {out_channels: 3, kernel_size: 3}, name: a}\n  - {concat: {}, from: [a, input]}\n",
        5,
        ["30", "32"],
    ),
    ("residual", "layers:\n  - residual: [conv2d: {out_channels: 8, kernel_size: 1}]\n", 4, ["3x32x32", "8x32x32", "projection"]),
    ("merge missing", "layers:\n  - branches: [[], [relu]]\n", 4, ["merge"]),
    ("two verbs", "layers:\n  - {relu: {}, flatten: {}}\n", 4, ["exactly one op", "relu, flatten"]),
    ("no verb", "layers:\n  - {name: a}\n", 4, ["no op, block or structure"]),
    ("empty value", "layers:\n  - relu:\n", 4, ["has no value", "'- relu'"]),
    ("value for an op without fields", "layers:\n  - relu: 3\n", 4, ["has no fields"]),
    ("in place of nothing", "layers:\n  - flatten_\n", 4, ["'flatten' has no in-place form"]),
    ("read after overwriting", "layers:\n  - {conv2d: {out_channels: 3, kernel_size: 1}, name: a}\n  - relu_\n"
     "  - {add: {}, from: [previous, a]}\n", 6, ["reads", "relu_1", "overwritten"]),
    ("reaches no output", "layers:\n  - {relu: {}, name: a}\n  - {relu: {}, from: input}\n", 4, ["reaches no output"]),
    ("duplicate key", "input: [1, 2]\nlayers: [relu]\n", 3, ["'input' stands here twice"]),
    ("duplicate layer name", "layers:\n  - {relu: {}, name: a}\n  - {relu: {}, name: a}\n", 5, ["two layers", "'a'"]),
    ("anchor", "layers: &x [relu]\n", 3, ["an anchor is not part"]),
    ("alias", "layers: *x\n", 3, ["alias"]),
    ("tag", "layers: !!python/object:os.system [relu]\n", 3, ["a tag is not part"]),
    ("merge key", "layers:\n  - {relu: {}, <<: {name: a}}\n", 4, ["merge keys"]),
    ("second document", "layers: [relu]\n---\nname: other\n", 4, ["second one starts"]),
    ("recursion", "blocks:\n  a: [b]\n  b: [a]\nlayers: [a]\n", 4, ["circle", "a -> b -> a"]),
    ("block named as an op", "blocks:\n  relu: [flatten]\nlayers: [relu]\n", 4, ["'relu' is an op"]),
    ("parameter named as a word", "parameters: [previous: 3]\nlayers: [relu]\n", 3, ["'previous' cannot be a name"]),
    ("argument missing", "blocks:\n  b: {parameters: [w], layers: [linear: w]}\nlayers: [b]\n", 5, ["needs 'w'"]),
    ("argument too many", "blocks:\n  b: {parameters: [w], layers: [linear: w]}\nlayers:\n  - b: [1, 2]\n", 6, ["2", "takes"]),
    ("unknown argument", "blocks:\n  b: {parameters: [w], layers: [linear: w]}\nlayers:\n  - b: {v: 1}\n", 6, ["'v'"]),
    ("unknown name", "layers:\n  - linear: widht\n", 4, ["unknown name 'widht'"]),
    ("negative repeat", "layers:\n  - {relu: {}, repeat: -1}\n", 4, ["repeat is -1"]),
    ("huge repeat", "layers:\n  - {relu: {}, repeat: 1000000000}\n", 4, ["1,000,000,000"]),
    ("first without repeat", "layers:\n  - {linear: 3, first: {bias: false}}\n", 4, ["no 'repeat'"]),
    ("long expression", f"layers:\n  - linear: {'1 + ' * 80}1\n", 4, ["the limit is 200"]),
    ("deep expression", f"layers:\n  - linear: {'(' * 60}1{')' * 60}+{'-' * 40}1\n", 4, ["terms"]),
    ("large number", "layers:\n  - linear: 1000000 * 1000000 * 10\n", 4, ["10^12"]),
    ("division by zero", "layers:\n  - linear: 3 // 0\n", 4, ["divides by zero"]),
    ("unknown function", "layers:\n  - linear: pow(2, 3)\n", 4, ["the functions are"]),
    ("attribute", "layers:\n  - linear: (1).__class__\n", 4, ["neither a number, a name nor an expression"]),
    ("unicode name", "layers:\n  - {relu: {}, name: schön}\n", 4, ["'schön'", "letters"]),
    ("billion-element kernel", "layers:\n  - conv2d: {out_channels: 1, kernel_size: 1000000000}\n", 4, ["1000000000"]),
    ("claim", "published:\n  - {quantity: parms, value: 3, source: here}\nlayers: [relu]\n", 4, ["'parms'", "'params'"]),
    ("layers no list", "layers: relu\n", 3, ["must be a list"]),
    ("input of no size", "layers: [relu]\nvariants: {a: {input: [3, 0]}}\n", 4, [">= 1"]),
]  # fmt: skip


@pytest.mark.parametrize(("what", "text", "line", "phrases"), CORPUS, ids=[row[0].replace(" ", "-") for row in CORPUS])
def test_message_has_place_and_reason(what, text, line, phrases):
    variant = "a" if "variants" in text else None
    with pytest.raises(SpecError) as caught:
        graph_from_text(HEAD + text, "net.yaml", variant)
    message = str(caught.value)
    assert any(each.startswith(f"net.yaml:{line}:") for each in message.splitlines()), message
    for phrase in phrases:
        assert phrase in message, message


def test_all_unknown_words_at_once_with_the_nearest_spelling():
    text = HEAD + textwrap.dedent("""
        layers:
          - convolution2d: {out_channels: 8, kernel_size: 3}
          - reluu
          - max_pool2d: {kernel_sise: 2}
          - {relu: {}, nam: x}
    """)
    with pytest.raises(SpecError) as caught:
        graph_from_text(text, "net.yaml")
    lines = str(caught.value).splitlines()
    assert [int(line.split(":")[1]) for line in lines] == [5, 6, 7, 8]
    for line, spelling in zip(lines, ("conv2d", "relu", "kernel_size", "name"), strict=True):
        assert spelling in line


def test_a_mistake_in_a_block_names_both_places():
    text = HEAD + "blocks:\n  wide: [max_pool2d: 20, max_pool2d: 20]\nlayers:\n  - relu\n  - {wide: {}, name: stem}\n"
    with pytest.raises(SpecError, match=r"net\.yaml:4:\d+: layer 'stem\.max_pool2d_2'.*used at net\.yaml:7:") as caught:
        graph_from_text(text, "net.yaml")
    assert len(caught.value.problems) == 1


def test_variants_are_named():
    text = (
        HEAD + "parameters: [n]\nvariants: {small: {with: [1]}, large: {with: [2]}}\nlayers: [{relu: {}, repeat: n}]\n"
    )
    with pytest.raises(SpecError, match="small, large"):
        graph_from_text(text, "net.yaml")
    with pytest.raises(SpecError, match="did you mean 'small'"):
        graph_from_text(text, "net.yaml", "smal")


# --- files that are no specs, and specs that would take for ever

FILES = {
    "empty": b"",
    "blank": b"\n\n   \n",
    "scalar": b"hello",
    "binary": bytes(range(256)) * 40,
    "not_utf8": b"name: caf\xe9\nlayers: [relu]\n",
    "broken": b"name: [a, b\nlayers: }",
    "tabs": b"name: x\n\tlayers: []\n",
    "deep_rows": b"name: x\nlayers: " + b"[" * 200_000,
    "deep_mappings": b"{a: " * 200_000,
    "deep_dashes": b"- " * 200_000,
    "deep_questions": b"? " * 200_000,
    "long_line": b"name: " + b"x" * 900_000,
    "many_scalars": b"name: x\nlayers: [" + b"relu, " * 150_000 + b"relu]",
    "too_large": b"#" + b"x" * (2 << 20),
    "alias_bomb": b"a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "long_name": b"name: x\ninput: [1]\nlayers: [" + b"y" * 10_000 + b"]",
    "nested_repeats": HEAD.encode()
    + b"blocks:\n  a: [{layers: [], repeat: 50000}]\n  b: [{a: {}, repeat: 50000}]\n  c: [{b: {}, repeat: 50000}]\n"
    + b"layers: [{c: {}, repeat: 50000}, relu]\n",
    "doubling": HEAD.encode()
    + b"blocks:\n  b0: [relu]\n"
    + b"".join(b"  b%d: [b%d, b%d]\n" % (k, k - 1, k - 1) for k in range(1, 60))
    + b"layers: [b59]\n",
    "chain_of_blocks": HEAD.encode()
    + b"blocks:\n  b0: [relu]\n"
    + b"".join(b"  b%d: [b%d]\n" % (k, k - 1) for k in range(1, 5_000))
    + b"layers: [b4999]\n",
}


@pytest.mark.parametrize("name", FILES)
def test_no_spec_at_all(name, tmp_path):
    path = tmp_path / f"{name}.yaml"
    path.write_bytes(FILES[name])
    with pytest.raises(ConvcostError) as caught:
        analyze(load(path))
    message = str(caught.value)
    assert name in message
    assert max(map(len, message.splitlines())) < 2_000


@pytest.mark.parametrize("name", ["deep_rows", "deep_mappings", "deep_dashes", "deep_questions", "binary", "doubling"])
def test_the_interpreter_survives(name, tmp_path):
    """In a process of its own: PyYAML's C composer would end the interpreter on some of these."""
    path = tmp_path / f"{name}.yaml"
    path.write_bytes(FILES[name])
    done = subprocess.run(
        [sys.executable, "-m", "convcost", "analyze", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("convcost: error:")


def test_missing_files_and_directories(tmp_path):
    (tmp_path / "network.yaml").write_text(HEAD + "layers: [relu]\n")
    with pytest.raises(SourceError, match=r"no file .*did you mean 'network\.yaml'"):
        load(tmp_path / "netwrok.yaml")
    with pytest.raises(SourceError, match="is a directory"):
        load(tmp_path)
    with pytest.raises(SourceError, match="did you mean 'resnet50'"):
        load("resnet5O")


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads every file")
def test_unreadable_file(tmp_path):
    path = tmp_path / "secret.yaml"
    path.write_text(HEAD)
    path.chmod(0)
    with pytest.raises(SourceError, match="Permission denied"):
        load(path)
