"""Every mistake is one message with its place: the corpus in bad/, and files made to break a reader.

The first lines of a file in bad/ state what is expected, one line for each mistake: ``# LINE:COLUMN: PHRASE``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from convcost import ConvcostError, SourceError, SpecError, analyze, load
from convcost.errors import MAX_MESSAGE, Where, as_written, nearest
from convcost.sources.load import graph_from_text
from convcost.yaml_reader import MAX_BYTES

BAD = sorted((Path(__file__).parent / "bad").glob("*.yaml"))
HEAD = "name: net\ninput: [3, 8, 8]\n"


# --- the corpus


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in BAD])
def test_bad_spec(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    lines = path.read_text(encoding="utf-8").splitlines()
    expected = [re.fullmatch(r"# (\d+:\d+): (.+)", line) for line in lines if re.match(r"# \d+:", line)]
    variant = next((f"@{line.split()[-1]}" for line in lines if line.startswith("# variant:")), "")
    with pytest.raises(SpecError) as caught:
        analyze(load(path.name + variant))
    messages = str(caught.value).splitlines()
    assert len(messages) == len(expected) == len(caught.value.problems), messages
    for message, wanted in zip(messages, expected, strict=True):
        assert wanted is not None
        assert message.startswith(f"{path.name}:{wanted[1]}: ")
        assert wanted[2] in message
        assert len(message) < MAX_MESSAGE + 100


def test_the_corpus_is_there():
    assert len(BAD) > 200
    assert all(path.read_text(encoding="utf-8").startswith("# ") for path in BAD)


# --- files that are no specs, and specs made to take for ever


def rows(*layers):
    return HEAD + "layers:\n" + "".join(f"  - {layer}\n" for layer in layers)


def blocks(count, body, first="relu", last="b{}"):
    """A chain of blocks, each written from its predecessor: ``body`` has {0} for its name."""
    chain = "".join(f"  b{k}: [{body.format(f'b{k - 1}')}]\n" for k in range(1, count))
    return f"{HEAD}blocks:\n  b0: [{first}]\n{chain}layers: [{last.format(count - 1)}, relu]\n"


GROWING = "{branches: [[], [conv2d: {out_channels: 4, kernel_size: 1}]], merge: concat}"

ATTACKS = {
    # what it is: (content, phrase of the message)
    "nothing": ("", "1:1: the file is empty"),
    "blank": ("\n \n\n", "1:1: the file is empty"),
    "comments": ("# nothing\n" * 50_000, "1:1: the file is empty"),
    "a_word": ("network", "1:1: a spec is a mapping"),
    "bytes": (bytes(range(256)) * 100, "is a binary file, not a spec"),
    "nul": (rows("relu") + "\0", "is a binary file, not a spec"),
    "utf_16": (rows("relu").encode("utf-16"), "is a binary file, not a spec"),
    "latin_1": (b"name: net\ntitle: caf\xe9\n", "2:11: the file is not UTF-8 text"),
    "cut_utf_8": ("name: é".encode()[:-1], "1:7: the file is not UTF-8 text"),
    "control_characters": (HEAD + "title: a\x07b\n", r"3:9: this is not YAML: the character '\x07' is not allowed"),
    "broken": ("name: [a, b\nlayers: }\n", "this is not YAML"),
    "two_mebibytes": ("#" * (2 << 20), "the file is larger than 1 MiB"),
    "one_byte_too_many": (" " * (MAX_BYTES + 1), "the file is larger than 1 MiB"),
    "one_long_scalar": (("name: " + "n" * MAX_BYTES)[:MAX_BYTES], "cannot be a name"),
    "many_scalars": ("layers: [" + "a," * 500_000 + "a]", "more than 100,000 values in one file"),
    "many_keys": ("{" + "".join(f"k{k}: 1," for k in range(60_000)) + "}", "more than 100,000 values in one file"),
    "many_unknown_keys": ("{" + "".join(f"k{k}: 1," for k in range(40_000)) + "}", "there may be more"),
    "many_unknown_ops": (rows(*[f"conv{k}x" for k in range(40_000)]), "there may be more"),
    "many_unknown_names": (HEAD + "let: {" + "".join(f"q{k}: z{k}, " for k in range(900)) + "}\n", "there may be more"),
    "many_names": (HEAD + "let: {" + "".join(f"q{k}: 1, " for k in range(20_000)) + "}\n", "more than 1,000 parameters"),
    "many_parameters": (HEAD + f"parameters: [{', '.join(f'p{k}' for k in range(50_000))}]\n", "more than 1,000 parameters"),
    "many_blocks": (HEAD + "blocks:\n" + "".join(f"  b{k}: []\n" for k in range(20_000)), "more than 1,000 parameters"),
    "many_variants": (rows("relu") + "variants:\n" + "".join(f"  v{k}: {{}}\n" for k in range(20_000)), "v48, v49, ..."),
    "a_long_line": (HEAD + "layers: [" + ", ".join([f"linear: {'1 + ' * 45}1"] * 4_000) + "]", "there may be more"),
    "a_long_name": ("name: " + "n" * 10_000 + "\ninput: [3]\nlayers: [relu]\n", "1:7: 'nnn"),
    "a_long_layer_name": (rows("{relu: {}, repeat: 50000, name: " + "n" * 10_000 + "}"), "at most 60 letters"),
    "a_long_op": (rows("n" * 10_000), "4:5: unknown op or block 'nnn"),
    "a_long_key": ("n" * 10_000 + ": 1\n", "this is not YAML"),
    "a_long_number": (rows("linear: " + "1" * 10_000), "4:13: an expression has 10,000 characters; the limit is 200"),
    "a_long_expression": (rows("linear: " + "1 + " * 100_000 + "1"), "the limit is 200"),
    "a_long_reference": (rows("{relu: {}, name: a}", "{relu: {}, from: a." + "1" * 5_000 + "}"), "contains no layer or output"),
    "a_long_year": (rows("relu: {year: 1") + f"reference: {{year: {'1' * 5_000}}}\n", "this is not YAML"),
    "nested_lists": ("[" * 200_000, "1:65: nested deeper than 64 levels"),
    "nested_mappings": ("{" * 200_000, "1:65: nested deeper than 64 levels"),
    "nested_keys": ("{a: " * 200_000, "nested deeper than 64 levels"),
    "nested_dashes": ("- " * 200_000, "nested deeper than 64 levels"),
    "nested_questions": ("? " * 200_000, "nested deeper than 64 levels"),
    "nested_indentation": ("".join(" " * k + "a:\n" for k in range(500)), "nested deeper than 64 levels"),
    "alias_bomb": ("a: &a [x, x]\n" + "".join(f"b{k}: &b{k} [*a, *a]\n" for k in range(50)), "1:4: an anchor is not part"),
    "repeat_a_billion": (rows("{relu: {}, repeat: 1000000000}"), "repeat 1,000,000,000 would create more than 50,000 layers"),
    "repeat_groups": (rows("{layers: [relu, relu], repeat: 50000}"), "more than 50,000 layers"),
    "repeat_nothing": (rows("{layers: [{layers: [{layers: [], repeat: 50000}], repeat: 50000}], repeat: 50000}"), "100,000 steps"),
    "repeat_what_is_left_out": (rows("{layers: [" + "{relu: {}, when: false}, " * 9_000 + "], repeat: 50000}"), "100,000 steps"),
    "repeat_empty_blocks": (blocks(16, "{{{0}: {{}}, repeat: 1000}}", ""), "100,000 steps"),
    "repeat_many_branches": (rows("{branches: [" + "[]," * 20_000 + "], merge: add, repeat: 1000}"), "100,000 steps"),
    "repeat_a_long_reference": (rows("{layers: [relu], name: x}", "{layers: [relu, {relu: {}, from: x.relu_1}], repeat: 30000}"), "steps"),
    "repeat_shared_weights": (rows("{linear: 8, name: x}", "{linear: 8, shares: x, repeat: 40000}"), "100,000 steps"),
    "repeat_a_long_list": (
        HEAD + "blocks: {b: {parameters: [n], layers: [{c: [n], repeat: 10}]}, c: {parameters: [n], layers: []}}\n"
        "layers: [{b: {n: [" + "1, " * 90_000 + "1]}, repeat: 1000}, relu]\n", "100,000 steps"),
    "doubling": (blocks(60, "{0}, {0}"), "more than 50,000 layers"),
    "doubling_nothing": (blocks(60, "{0}, {0}", ""), "100,000 steps"),
    "doubling_channels": (rows("{branches: [[], []], merge: concat, repeat: 2000}"), "more elements than a 64-bit number can count"),
    "growing_without_end": (rows("{upsample: 1000, repeat: 5000}"), "more elements than a 64-bit number can count"),
    "growing_and_nested": (blocks(40, "{0}", GROWING, "{{b{}: {{}}, repeat: 15000}}"), "100,000 steps"),
    "a_long_chain": (blocks(500, "{0}"), "more than 64 levels deep"),
    "a_long_chain_of_groups": (blocks(60, "layers: [layers: [layers: [layers: [layers: [{0}]]]]]"), "more than 64 levels deep"),
    "a_long_chain_of_branches": (blocks(60, "{{branches: [[], [{0}]], merge: add}}"), "more than 64 levels deep"),
    "a_long_circle": (blocks(900, "{0}", "b899"), "blocks call each other in a circle"),
    "a_huge_kernel": (rows("conv2d: {out_channels: 1, kernel_size: 1000000000}"), "the window is 1000000000"),
    "a_huge_input": ("name: n\ninput: [999999999999, 999999999999]\nlayers: [relu]\n", "a 64-bit number can count"),
    "an_input_of_many_sizes": (f"name: n\ninput: [{'2, ' * 60_000}]\nlayers: [relu]\n", "has 60,001 dimensions"),
    "a_parameter_of_many_sizes": (rows("{parameter: {shape: [" + "9, " * 500 + "]}, name: p}"), "has 500 dimensions"),
    "many_parts": ("name: n\ninput: [999999999]\nlayers: [chunk: {chunks: 999999999, dim: 1}]\n", "at most 1,000 allowed"),
    "many_pieces": ("name: n\ninput: [999999999]\nlayers: [split: {sections: 1, dim: 1}]\n", "at most 1,000 allowed"),
    "a_power": (rows("linear: 9 ** 9 ** 9 ** 9"), "allowed between numbers are"),
    "a_long_row_times": (HEAD + "parameters: [a: [1, 2]]\nlayers: [linear: a * 999999999999]\n", "a number is expected"),
    "a_word_times": (HEAD + "parameters: [a: relu]\nlayers: [linear: a * 999999999999]\n", "a number is expected"),
    "rounding_to_digits": (rows('linear: "round(5, -99999999999)"'), "round takes 1 number, got 2"),
    "digits_in_an_output": (HEAD + "outputs: [a.²]\nlayers: [{relu: {}, name: a}]\n", "contains no layer or output '²'"),
}  # fmt: skip


@pytest.fixture
def attack(tmp_path, monkeypatch):
    """Writes a file of ATTACKS into a folder of its own and makes that the current one."""

    def write(name):
        content = ATTACKS[name][0]
        monkeypatch.chdir(tmp_path)
        path = tmp_path / f"{name}.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path.name

    return write


@pytest.mark.parametrize("name", ATTACKS)
def test_attack(name, attack):
    file = attack(name)
    with pytest.raises(ConvcostError) as caught:
        analyze(load(file))
    assert type(caught.value) in (SpecError, SourceError)
    lines = str(caught.value).splitlines()
    assert any(ATTACKS[name][1] in line for line in lines), lines
    assert len(lines) <= 31
    assert max(map(len, lines)) < MAX_MESSAGE + 100
    for line in lines if isinstance(caught.value, SpecError) else []:
        assert re.match(rf"{name}\.yaml:\d+:\d+: |these are the first", line)


@pytest.mark.parametrize(
    "name",
    ["nested_lists", "nested_mappings", "nested_keys", "nested_dashes", "a_long_chain_of_groups", "doubling_nothing", "bytes", "latin_1"],
)  # fmt: skip
def test_the_interpreter_survives(name, attack):
    """In a process of its own, as a user runs it: exit status 2 and one line, whatever would have crashed."""
    file = attack(name)
    run = subprocess.run(
        [sys.executable, "-m", "convcost", "analyze", file],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert (run.returncode, run.stdout) == (2, "")
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"convcost: error: {file}")
    assert ATTACKS[name][1] in line


def test_lone_surrogates_in_a_text():
    with pytest.raises(SpecError, match=r"net.yaml:2:4: this is not YAML: the character '\\ud800' is not allowed"):
        graph_from_text("a: b\nc: \ud800\n", "net.yaml")


# --- files that are not there


def test_no_such_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("resnet.yaml").write_text(rows("relu"))
    for source, message in {
        "resent.yaml": "there is no file resent.yaml; did you mean 'resnet.yaml'?",
        "elsewhere/net.yaml": "there is no file elsewhere/net.yaml",
        "resnet.yml@small": "there is no file resnet.yml; did you mean 'resnet.yaml'?",
        "": "there is no file and no architecture called ''",
        "resnet5O": "did you mean 'resnet50'",
        "a\0b": "there is no file and no architecture called 'a\\x00b'",
        "a\0b.yaml": "there is no file",
        "n" * 10_000 + ".yaml": "there is no file nnn",
        ".": ". is a directory; name a spec file in it",
    }.items():
        with pytest.raises(SourceError) as caught:
            load(source)
        assert message in str(caught.value)


def test_a_folder_does_not_hide_a_shipped_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("lenet5").mkdir()
    assert load("lenet5").about.name == "lenet5"


def test_at_signs_in_paths(tmp_path):
    folder = tmp_path / "me@home"
    folder.mkdir()
    (folder / "net.yaml").write_text(rows("linear: n") + "parameters: [n: 1]\nvariants: {small: {}}\n")
    (folder / "a@b.yaml").write_text(rows("relu"))
    assert load(folder / "net.yaml@small").about.name == "small"
    assert load(f"{folder}/a@b.yaml").about.name == "net"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs devices")
def test_devices():
    with pytest.raises(SpecError, match="the file is empty"):
        load(os.devnull)
    with pytest.raises(SourceError, match="larger than 1 MiB"):
        load("/dev/zero")


# --- how errors are put


def test_where_counts_from_one():
    assert str(Where("net.yaml", 3, 7)) == "net.yaml:3:7"


def test_a_problem_without_place_or_layer():
    error = SpecError([(None, None, "one"), (Where("f", 1, 2), "conv1", "two"), (None, "conv2", "three")])
    assert str(error) == "one\nf:1:2: layer 'conv1': two\nlayer 'conv2': three"
    assert len(error.problems) == 3


def test_messages_are_printable_and_not_endless():
    message = str(SpecError([(None, None, "a\x1b[31m\u2028b" + "c" * 5_000)]))
    assert message.startswith(r"a\x1b[31m\u2028bccc")
    assert message.isprintable()
    assert message.endswith("...")
    assert len(message) == MAX_MESSAGE


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("conv2", ["conv2d", "relu"], "; did you mean 'conv2d'?"),
        ("RELU", ["conv2d", "relu"], "; did you mean 'relu'?"),
        ("stem1", ["stem2", "stem3", "stem4"], "; did you mean 'stem4' or 'stem3'?"),
        ("xyz", ["conv2d", "relu"], ""),
        ("", ["conv2d"], ""),
        ("conv2d", [], ""),
        ("n" * 100_000, ["conv2d"], ""),
    ],
)
def test_nearest(word, known, hint):
    assert nearest(word, known) == hint


def test_nearest_looks_at_the_first_few_hundred():
    assert nearest("last", (f"n{k}" for k in range(10**9))) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"), (1.5, "1.5"), (True, "true"), (False, "false"), (None, "null"), ("same", "'same'"), ((1, None), "[1, null]"),
        ([(1, 2), [True, "a"]], "[[1, 2], [true, 'a']]"), ((), "[]"), (tuple(range(100_000)), f"[{', '.join(map(str, range(18)))}..."[:60]),
    ],
)  # fmt: skip
def test_values_are_shown_as_a_spec_writes_them(value, text):
    assert as_written(value)[:57] == text[:57]
    assert len(as_written(value)) <= 60
