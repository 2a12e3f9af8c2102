"""YAML to mappings, rows and words with their places; what YAML has and specs do not."""

from __future__ import annotations

import pytest
import yaml

from convcost import SpecError, yaml_reader
from convcost.sources import shipped
from convcost.yaml_reader import MAX_BYTES, MAX_NESTING, MAX_VALUES, Mapping, Row, at, read


def place(text, key):
    root = read(text, "f")
    return str(at("f", root.marks[key]))


def refusal(text):
    with pytest.raises(SpecError) as caught:
        read(text, "f")
    (problem,) = caught.value.problems
    assert problem[0] is None or str(caught.value) == f"f:{problem[0].line}:{problem[0].column}: {problem[2]}"
    return str(caught.value)


# --- values


def test_scalars_stay_the_words_that_were_written():
    text = "{a: 1409.1550, b: 3.8G, c: 007, d: yes, e: ~, f: 'x y', g: \"t\\tb\", h: , i: 0x1F, j: 2001-01-01}"
    assert read(text, "f") == {
        "a": "1409.1550", "b": "3.8G", "c": "007", "d": "yes", "e": "~", "f": "x y", "g": "t\tb", "h": "", "i": "0x1F",
        "j": "2001-01-01",
    }  # fmt: skip


def test_blocks_of_text():
    assert read("a: >\n  one\n  two\nb: |\n  one\n  two\nc: one\n  two\n", "f") == {
        "a": "one two\n",
        "b": "one\ntwo\n",
        "c": "one two",
    }


def test_mappings_and_rows_nest():
    root = read("a: [1, {b: [2]}]\nc:\n  - d: 3\n    e: {}\n  - []\n", "f")
    assert root == {"a": ["1", {"b": ["2"]}], "c": [{"d": "3", "e": {}}, []]}
    assert isinstance(root, Mapping)
    assert isinstance(root["a"], Row)
    assert isinstance(root["a"][1], Mapping)


def test_everything_has_a_place():
    root = read("a: [x, {b: y}]\n\nlonger:\n  - one\n  -   two\n", "f")
    assert str(at("f", root.mark)) == "f:1:1"
    assert [str(at("f", mark)) for mark in root.key_marks.values()] == ["f:1:1", "f:3:1"]
    assert [str(at("f", mark)) for mark in root["a"].marks] == ["f:1:5", "f:1:8"]
    inner = root["a"][1]
    assert (str(at("f", inner.key_marks["b"])), str(at("f", inner.marks["b"]))) == ("f:1:9", "f:1:12")
    assert [str(at("f", mark)) for mark in root["longer"].marks] == ["f:4:5", "f:5:7"]


def test_columns_count_characters():
    assert place("a: {ü: é, b: c}", "a") == "f:1:4"
    root = read("a: {ü: é, b: c}", "f")
    assert str(at("f", root["a"].marks["b"])) == "f:1:14"


def test_comments_and_line_ends():
    expected = {"a": "b", "c": ["d"]}
    for text in ("# x\na: b # y\nc:\n- d\n", "a: b\r\nc:\r\n- d\r\n", "---\na: b\nc: [d]\n...\n", "\ufeffa: b\nc: [d]"):
        assert read(text, "f") == expected


@pytest.mark.parametrize("path", shipped.files())
def test_both_parsers_of_pyyaml_agree(path, monkeypatch):
    """libyaml's and the one in Python, which stands in where PyYAML was built without it."""

    def marks(value):
        if isinstance(value, Mapping):
            places = [*value.key_marks.values(), *value.marks.values()]
            inner = list(value.values())
        elif isinstance(value, Row):
            places, inner = value.marks, list(value)
        else:
            return []
        return [(mark.line, mark.column) for mark in places] + [marks(item) for item in inner]

    text = shipped.text_of(path)
    fast = read(text, "f")
    monkeypatch.setattr(yaml_reader, "_Parser", yaml.Loader)
    slow = read(text, "f")
    assert fast == slow
    assert marks(fast) == marks(slow)


# --- refusals


@pytest.mark.parametrize(
    ("text", "where", "phrase"),
    [
        ("a: &x 3", "1:4", "an anchor"),
        ("a: &x [3]", "1:4", "an anchor"),
        ("a: &x {b: c}", "1:4", "an anchor"),
        ("&x a: b", "1:1", "an anchor"),
        ("a: *x", "1:4", "an alias"),
        ("*x : b", "1:1", "an alias"),
        ("a: !!int 3", "1:4", "a tag"),
        ("a: !own 3", "1:4", "a tag"),
        ("a: ! 3", "1:4", "a tag"),
        ("a: !!map {b: c}", "1:4", "a tag"),
        ("a: !!python/object/apply:os.system [ls]", "1:4", "a tag"),
        ("<<: {a: b}", "1:1", "merge keys"),
        ("a: b\n'a': c", "2:1", "the key 'a' stands here twice"),
        ("a: {b: 1, b: 2}", "1:11", "the key 'b' stands here twice"),
        ("? [a]\n: b", "1:3", "a key must be a word"),
        ("{{a: b}: c}", "1:2", "a key must be a word"),
        ("a: b\n---\nc: d", "2:1", "a second one starts here"),
        ("---\n---\n", "2:1", "a second one starts here"),
        ("", "1:1", "the file is empty"),
        ("# nothing\n\n", "1:1", "the file is empty"),
        ("''", "1:1", "the file is empty"),
        ("[a, b]", "1:1", "a spec is a mapping"),
        ("a", "1:1", "a spec is a mapping"),
        ("a:b", "1:1", "a spec is a mapping"),
        ("a:\n\tb: c", "2:1", "a tab; indent with spaces"),
        ("a: @b", "1:4", "a value cannot start with '@'"),
        ("a: `b", "1:4", "a value cannot start with '`'"),
        ("a: b: c", "1:5", "a second ':' on one line"),
        ("a: [b, {c: d]", "1:13", "a ',' or a closing bracket is missing before here"),
        ("a: [b,, c]", "1:7", "a value is missing before here"),
        ("a:\n  b: c\n d: e", "3:2", "look for a wrong indentation"),
        ("a: - b", "1:4", "a list with dashes begins on a line of its own"),
        ("a: 'b", "1:6", "a quote is not closed"),
        ('a: "\\q"', "1:", "a backslash in double quotes"),
        ("[a]\nb: c", "2:1", "look for an extra bracket"),
        ("a: * b", "1:", "begin aliases and anchors"),
        ("a: {b: max(1, 2)}", "1:15", "inside {} an expression or a text with a comma is quoted"),
        ("a: b\n\nc: \x07", "3:4", r"the character '\x07' is not allowed"),
        ("a: \ud800", "1:4", r"the character '\ud800' is not allowed"),
        ("a: b\0c", "1:5", r"the character '\x00' is not allowed"),
    ],
)
@pytest.mark.parametrize("parser", ["C", "Python"])
def test_refused(text, where, phrase, parser, monkeypatch):
    if parser == "Python":
        monkeypatch.setattr(yaml_reader, "_Parser", yaml.Loader)
    message = refusal(text)
    assert message.startswith(f"f:{where}")
    assert phrase in message


def test_limits():
    assert "the limit is 1,048,576" in refusal(" " * (MAX_BYTES + 1))
    nested = "a: " + "[" * (MAX_NESTING - 1) + "]" * (MAX_NESTING - 1)
    assert read(nested, "f")
    assert refusal(nested.replace("[]", "[[]]")).startswith(f"f:1:{3 + MAX_NESTING}: nested deeper than 64 levels")
    assert len(read("a: [" + "b," * (MAX_VALUES - 10) + "]", "f")["a"]) == MAX_VALUES - 10
    assert "more than 100,000 values" in refusal("a: [" + "b," * (MAX_VALUES + 1) + "]")
