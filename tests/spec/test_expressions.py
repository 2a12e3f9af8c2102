"""The language of numbers: what it computes, held against Python, and what it refuses."""

from __future__ import annotations

import math
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convcost import OpError, yaml_reader
from convcost.spec.expressions import FUNCTIONS, LIMIT, MAX_LENGTH, MAX_TERMS, literal, make_divisible, parse
from convcost.spec.values import Constant, Dotted, Items, NameTerm, Word, term
from support.cases import cases

SCOPE = {"n": 7, "width": 1.5, "deep": True, "none_": None, "row": (1, 2), "act": Word("relu")}


def compiled(text):
    problems = []
    found = term(text, problems.append)
    assert problems == []
    return found


def refused(value):
    """The one message about a value."""
    problems = []
    found = term(value, problems.append)
    if not problems:
        with pytest.raises(OpError) as caught:
            found.value(SCOPE)
        problems = [str(caught.value)]
    (message,) = problems
    return message


# --- what it computes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", 3), ("-3", -3), ("007", 7), ("1e3", 1000), ("2.50", 2.5), (".5", 0.5), ("5.", 5), ("1e-4", 1e-4),
        ("true", True), ("false", False), ("999999999999", 10**12 - 1),
        ("2 + 3 * 4", 14), ("(2 + 3) * 4", 20), ("7 // 2", 3), ("-7 // 2", -4), ("7 % 4", 3), ("7 / 2", 3.5), ("8 / 2", 4),
        ("n // 2 * 2", 6), ("-n", -7), ("- - n", 7), ("width * 2", 3), ("width * n", 10.5),
        ("n > 3", True), ("1 < n < 5", False), ("n == 7 != 3", True), ("not deep", False), ("not 0", True),
        ("deep and n > 9", False), ("deep or n > 9", True), ("4 if deep else 2", 4), ("4 if n < 3 else 2 if deep else 1", 2),
        ("min(n, 3, 5)", 3), ("max(n, width)", 7), ("ceil(1.2)", 2), ("floor(-1.2)", -2), ("round(2.5)", 2), ("round(3.5)", 4),
        ("make_divisible(30)", 32), ("make_divisible(30, 4)", 32), ("make_divisible(30, by=10)", 30), ("64 * deep", 64),
        ("ceil(3 * 1.1) + n", 11), ("0.1 + 0.2", 0.1 + 0.2),
    ],
)  # fmt: skip
def test_values(text, expected):
    found = compiled(text).value(SCOPE)
    assert found == expected
    assert type(found) is type(expected)


def test_only_the_branch_that_is_taken_is_worked_out():
    assert compiled("n // zero if zero else 3").value({"n": 7, "zero": 0}) == 3
    assert compiled("zero and n // zero > 1").value({"n": 7, "zero": 0}) is False


def test_literals_are_folded():
    assert isinstance(compiled("2 * 3 + 1"), Constant)
    assert compiled("2 * 3 + 1").fixed == 7
    assert compiled("null").value({}) is compiled("none").value({}) is compiled("~").value({}) is None
    assert (literal("12"), literal("true"), literal("1.5"), literal("x")) == (12, True, None, None)


def test_words_paths_and_rows():
    assert isinstance(compiled("n"), NameTerm)
    assert compiled("n").value(SCOPE) == 7
    assert compiled("elsewhere").value(SCOPE) == "elsewhere"
    assert isinstance(compiled("elsewhere").value(SCOPE), Word)
    assert isinstance(compiled("down1.skip"), Dotted)
    row = yaml_reader.read("a: [1, n, [2 * n, same], down1.skip]", "f")["a"]
    found = term(row, pytest.fail)
    assert isinstance(found, Items)
    assert found.value(SCOPE) == (1, 7, (14, "same"), "down1.skip")
    assert set(found.names) == {"n", "same"}
    assert isinstance(term(yaml_reader.read("a: [1, [2, 3]]", "f")["a"], pytest.fail), Constant)


def test_names_are_known_before_anything_is_worked_out():
    assert sorted(parse("min(a, b + 2) if c else a").names) == ["a", "b", "c"]
    with pytest.raises(OpError, match="unknown name 'widht'; did you mean 'width'"):
        parse("2 * widht").value(SCOPE)


# --- what it refuses


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("", "the value is missing"),
        ("1 +", "is neither a number, a name nor an expression"),
        ("a b", "is neither a number, a name nor an expression"),
        ("3x3", "is neither a number, a name nor an expression"),
        ("1if n else 2", "is neither a number, a name nor an expression"),
        ("0x10", "is neither a number, a name nor an expression"),
        ("1_000", "is neither a number, a name nor an expression"),
        ("1j", "is neither a number, a name nor an expression"),
        ("'a'", "is neither a number, a name nor an expression"),
        ('"\\d" + 1', "is neither a number, a name nor an expression"),
        ("f'{n}'", "is neither a number, a name nor an expression"),
        ("n[0]", "is neither a number, a name nor an expression"),
        ("n.real + 1", "is neither a number, a name nor an expression"),
        ("(n := 3)", "is neither a number, a name nor an expression"),
        ("lambda: n", "is neither a number, a name nor an expression"),
        ("__import__('os')", "is neither a number, a name nor an expression"),
        ("(1).__class__", "is neither a number, a name nor an expression"),
        ("max(1", "inside {} and [] an expression with a comma is quoted"),
        ("n, 3", "uses tuple"),
        ("await n", "uses await"),
        ("2 ** 3", "allowed between numbers are + - * / // %"),
        ("2 << 3", "allowed between numbers are + - * / // %"),
        ("+n", "the only signs are - and not"),
        ("n in row", "the comparisons are == != < <= > >="),
        ("n is n", "the comparisons are == != < <= > >="),
        ("größe + 1", "names are made of the letters a-z, A-Z, digits and _"),
        ("2 × n", "names are made of the letters a-z, A-Z, digits and _"),
        ("True + 1", "True is written true"),
        ("n == None", "None is written null"),
        ("abs(n)", "the functions are min, max, ceil, floor, round, make_divisible"),
        ("maxx(n, 1)", "did you mean 'max'"),
        ("max", "max is a function; call it as max(...)"),
        ("max(n)", "max takes 2 or more numbers, got 1"),
        ("max(*row)", "max takes 2 or more numbers, got 1"),
        ("ceil(1, 2)", "ceil takes 1 number, got 2"),
        ("round(5, -99999999999)", "round takes 1 number, got 2"),
        ("make_divisible(9, 3, 3)", "make_divisible takes 1 or 2 numbers, got 3"),
        ("max(1, 2, by=3)", "max has no such argument"),
        ("max(1, **n)", "max has no such argument"),
        ("make_divisible(9, by=0)", "not 0"),
        ("make_divisible(n, by=-8)", "not -8"),
        ("make_divisible(n, by=1.5)", "not 1.5"),
        ("make_divisible(by=8)", "cannot be calculated"),
        ("n / 0", "'n / 0' divides by zero"),
        ("n // (n - 7)", "divides by zero"),
        ("n % 0.0", "divides by zero"),
        ("1000000000000", "is outside the range of numbers in a spec (below 10^12)"),
        ("-999999999999 - 1", "outside the range"),
        ("1e999", "outside the range"),
        ("1e300 * 1e300", "outside the range"),
        ("n * 999999999999", "outside the range"),
        ("row * 999999999999", "a number is expected, not a list or a layer"),
        ("act * 999999999999", "a number is expected, not the word 'relu'"),
        ("none_ + 1", "a number is expected, not null"),
        ("-row", "a number is expected, not a list or a layer"),
        ("max(row, row)", "a number is expected, not a list or a layer"),
        ("n < row", "cannot be calculated with n = 7, row = [1, 2]"),
        ("1 + " * 50 + "1", "201 characters; the limit is 200"),
        ("1+" * 40 + "1", "nests more than 30 terms"),
        ("-" * 150 + "1", "nests more than 30 terms"),
        ("(" * 99 + "1" + ")" * 98, "is neither a number, a name nor an expression"),
        ("not " * 40 + "n", "nests more than 30 terms"),
    ],
)  # fmt: skip
def test_refused(text, phrase):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Python warns of much that it parses
        assert phrase in refused(text)


def test_a_mapping_is_no_value():
    row = yaml_reader.read("a: {b: 3, c: [1]}", "f")["a"]
    assert refused(row) == "expected a number, a word or a list, not the mapping {b: 3, c}"


def test_limits_are_the_ones_that_are_documented():
    assert (MAX_LENGTH, MAX_TERMS, LIMIT) == (200, 30, 10**12)
    assert compiled("+".join("1" * 30)).fixed == 30


# --- Python as the oracle

NUMBERS = st.integers(0, 999).map(str) | st.sampled_from(["0.5", "1.25", "3e2", "n", "width"])


def numeric(inner):
    two = st.tuples(inner, inner)
    return st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner).map(" ".join),
        inner.map("({})".format),
        inner.map("-({})".format),
        two.map(lambda pair: f"min({pair[0]}, {pair[1]})"),
        two.map(lambda pair: f"max({pair[0]}, {pair[1]})"),
        inner.map("ceil({})".format),
        inner.map("floor({})".format),
        inner.map("round({})".format),
        st.tuples(inner, inner).map(lambda pair: f"make_divisible({pair[0]}, by=1 + floor(max({pair[1]}, 0)))"),
        st.tuples(inner, truths(inner), inner).map(lambda three: f"({three[0]} if {three[1]} else {three[2]})"),
    )


def truths(inner):
    compared = st.tuples(inner, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), inner).map(" ".join)
    return st.one_of(
        st.sampled_from(["deep", "true", "false"]),
        compared.map("({})".format),
        st.tuples(compared, st.sampled_from(["and", "or"]), compared).map(" ".join),
        compared.map("not {}".format),
        st.tuples(inner, inner, inner).map(lambda three: f"{three[0]} < {three[1]} <= {three[2]}"),
    )


EXPRESSIONS = st.recursive(NUMBERS, numeric, max_leaves=6)


@settings(deadline=None, derandomize=True, max_examples=cases(400))
@given(EXPRESSIONS | truths(EXPRESSIONS))
def test_expressions_mean_what_python_means(text):
    names = {
        "ceil": math.ceil,
        "floor": math.floor,
        "make_divisible": make_divisible,
        "true": True,
        "false": False,
        **SCOPE,
    }
    try:
        expected = eval(text, {"__builtins__": {"min": min, "max": max, "round": round}}, names)  # the oracle
    except ZeroDivisionError:
        assert "zero" in refused(text) or "too long" in refused(text) or len(text) > MAX_LENGTH
        return
    try:
        found = parse(text).value(SCOPE)
    except OpError as error:
        # Beyond the limits, somewhere on the way: nothing else may be refused.
        assert any(reason in str(error) for reason in ("characters", "nests more than", "outside the range"))
        return
    assert found == expected
    assert isinstance(found, bool) == isinstance(expected, bool)


@settings(deadline=None, derandomize=True, max_examples=cases(300))
@given(st.text(st.sampled_from(list("01289.,eE+-*/%()<>=! nmaxi_'\"\\[]{}:ü\n")), max_size=30))
def test_any_text_is_a_value_or_an_error(text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        problems = []
        found = term(text, problems.append)
        try:
            found.value(SCOPE)
        except OpError as error:
            problems.append(str(error))
    assert all(problems)


@pytest.mark.parametrize("value", [1, 3, 7.9, 8, 11, 12, 30, 36, 100.5, 1000, 4321])
@pytest.mark.parametrize("by", [1, 4, 8, 16])
def test_make_divisible_keeps_nine_tenths(value, by):
    found = make_divisible(value, by)
    assert found % by == 0
    assert found >= by
    assert found >= 0.9 * value
    assert found - value <= by
    assert FUNCTIONS["make_divisible"][0] is make_divisible
