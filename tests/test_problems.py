"""Mistakes collected with their places."""

from __future__ import annotations

import pytest

from convcost import SpecError
from convcost.errors import Where, alternatives
from convcost.problems import Problems, YamlProblems
from convcost.yaml_reader import read


def test_problems_are_told_in_the_order_of_their_places():
    problems: Problems[Where] = Problems("f")
    for line in (3, 1, 2):
        problems.fail(Where("f", line, 1), f"number {line}")
    assert str(problems.error("and that is all")).splitlines() == [
        "f:1:1: number 1", "f:2:1: number 2", "f:3:1: number 3", "and that is all",
    ]  # fmt: skip


def test_the_limit_stops_the_reading():
    problems: Problems[Where] = Problems("f")
    for line in range(1, 30):
        problems.fail(Where("f", line, 1), "wrong")
    with pytest.raises(SpecError, match="these are the first 30 mistakes in f; there may be more") as caught:
        problems.fail(Where("f", 30, 1), "wrong")
    assert len(caught.value.problems) == 31


def test_no_limit():
    class Unlimited(Problems[Where]):
        limit = None

    problems = Unlimited("f")
    for line in range(1, 100):
        problems.fail(Where("f", line, 1), "wrong")
    assert len(problems.problems) == 99


def test_a_word_among_others():
    problems: Problems[Where] = Problems("f")
    assert problems.one_of(Where("f", 1, 1), "key", "macs", ["params", "macs"])
    assert not problems.one_of(Where("f", 1, 1), "key", "mac", ["params", "macs"])
    assert not problems.one_of(Where("f", 2, 1), "key", ["macs"], {"macs": 1})
    assert [message for _, _, message in problems.problems] == [
        "unknown key 'mac'; did you mean 'macs'? (allowed: params, macs)",
        "unknown key ['macs']; did you mean 'macs'? (allowed: macs)",
    ]


def test_a_long_list_of_words_is_shown_only_where_none_is_near():
    words = [f"word{number}" for number in range(17)]
    assert "allowed" not in alternatives("word99", words)
    assert alternatives("zzz", words) == f" (allowed: {', '.join(words)})"
    assert alternatives("word99", words[:16]).endswith(f"(allowed: {', '.join(words[:16])})")


def test_values_of_yaml():
    root = read("a: [1]\nb: x\nc: {d: e}\n", "f")
    problems = YamlProblems("f")
    problems.keys(root, ("a", "b"), "a test")
    assert problems.text(root, "b") == "x"
    assert problems.text(root, "z") is None
    assert problems.text(root, "a") is None
    assert problems.mapping(root, "c") == {"d": "e"}
    assert problems.mapping(root, "z") == {}
    assert problems.mapping(root, "b") == {}
    assert problems.row(root["a"], root.marks["a"], "a") == ["1"]
    assert problems.row(root["b"], root.marks["b"], "b") == []
    assert [(where.line, where.column, message) for where, _, message in problems.problems] == [
        (3, 1, "a test has no key 'c' (allowed: a, b)"),
        (1, 4, "a must be a string"),
        (2, 4, "b must be a mapping, 'key: value'"),
        (2, 4, "b must be a list, in brackets or with dashes"),
    ]
