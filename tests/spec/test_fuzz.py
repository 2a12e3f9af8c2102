"""Whatever is read, either a network or one ConvcostError comes out; and expressions mean what Python means by them."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convcost import ConvcostError, OpError, analyze
from convcost.ops import REGISTRY, Op, make
from convcost.sources import shipped
from convcost.sources.load import graph_from_text
from convcost.spec.expressions import LIMIT, make_divisible, parse
from support.cases import cases

SHIPPED = [shipped.text_of(path) for path in shipped.files()]
QUIET = settings(deadline=None, derandomize=True, max_examples=cases(60), suppress_health_check=list(HealthCheck))


def works_or_says_why(text):
    """Load every variant; anything but a ConvcostError escapes and fails the test."""
    variants = shipped.names_in(text)[:2] if "\nvariants:" in text else (None,)
    for variant in variants or (None,):
        try:
            analyze(graph_from_text(text, "net.yaml", variant)).totals  # noqa: B018
        except ConvcostError as error:
            assert str(error)
            assert "Traceback" not in str(error)


@QUIET
@given(st.data())
def test_mutated_specs(data):
    lines = data.draw(st.sampled_from(SHIPPED)).splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        kind = data.draw(st.sampled_from(["delete", "repeat", "swap", "cut", "insert", "word"]))
        if kind == "delete" and len(lines) > 1:
            del lines[at]
        elif kind == "repeat":
            lines.insert(at, lines[at])
        elif kind == "swap":
            other = data.draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == "cut":
            lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
        elif kind == "insert":
            place = data.draw(st.integers(0, len(lines[at])))
            lines[at] = (
                lines[at][:place]
                + data.draw(st.text("[]{}:,-0123456789 abc_*&!#'\"\n", max_size=4))
                + lines[at][place:]
            )
        else:
            words = lines[at].split(" ")
            words[data.draw(st.integers(0, len(words) - 1))] = data.draw(
                st.sampled_from(["0", "-1", "x", "relu_", "[]", "{}", "null", "1e9", "previous"])
            )
            lines[at] = " ".join(words)
    works_or_says_why("\n".join(lines))


@QUIET
@given(st.lists(st.sampled_from(
    ["name: n\n", "input: [3, 8, 8]\n", "layers:\n", "  - ", "relu", "conv2d: ", "{out_channels: 4, kernel_size: 3}", "\n",
     "blocks:\n", "  b: ", "[", "]", "{", "}", ", ", "repeat: 2", "from: ", "previous", "a.b", "residual: ", "branches: ",
     "merge: concat", "name: a", "flatten", "linear: ", "10", "in_channels", "when: ", "true", "&x ", "*x", "? ", "|\n", "'"]),
    max_size=40))  # fmt: skip
def test_soups_of_words(tokens):
    works_or_says_why("".join(tokens))


@QUIET
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes(content):
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return
    works_or_says_why(text)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 70)
    | st.floats(allow_nan=True)
    | st.sampled_from(["same", "valid", "x", ""]),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=6,
)


@pytest.mark.parametrize("name", sorted(REGISTRY))
@settings(QUIET, max_examples=cases(25, least=5))
@given(data=st.data())
def test_random_fields(name, data):
    """No schema can be driven into anything but an op or an OpError (some unions of msgspec's crash the interpreter)."""
    fields = data.draw(
        st.dictionaries(st.sampled_from([*REGISTRY[name].__struct_fields__, "colour"]), VALUES, max_size=5)
    )
    try:
        assert isinstance(make(name, fields), Op)
    except OpError as error:
        assert name in str(error)


NUMBERS = st.integers(0, 99).map(str) | st.sampled_from(["0.5", "1.25", "width", "depth"])
SCOPE = {"width": 12, "depth": 1.4}


def grown(inner):
    pair = st.tuples(inner, inner)
    return (
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner).map(" ".join)
        | inner.map(lambda x: f"({x})")
        | inner.map(lambda x: f"-{x}" if x[0] != "-" else x)
        | st.tuples(pair, inner, inner).map(lambda t: f"({t[0][0]} if {t[1]} > {t[2]} else {t[0][1]})")
        | pair.map(lambda t: f"min({t[0]}, {t[1]})")
        | pair.map(lambda t: f"max({t[0]}, {t[1]})")
        | inner.map(lambda x: f"ceil({x})")
        | inner.map(lambda x: f"round({x})")
    )


@settings(QUIET, max_examples=cases(300))
@given(st.recursive(NUMBERS, grown, max_leaves=8))
def test_expressions_mean_what_python_means(text):
    names = {"min": min, "max": max, "ceil": math.ceil, "round": round, "__builtins__": {}}
    try:
        wanted = eval(text, names, dict(SCOPE))  # the oracle: Python itself
    except ZeroDivisionError:
        with pytest.raises(OpError, match="divides by zero"):
            parse(text).value(SCOPE)
        return
    try:
        assert parse(text).value(SCOPE) == wanted
    except OpError as error:
        assert len(text) > 200 or "nests more than" in str(error) or abs(wanted) >= LIMIT or "10^12" in str(error)


@pytest.mark.parametrize(
    ("value", "by", "wanted"),
    [(16, 8, 16), (11, 8, 16), (33, 8, 32), (32, 8, 32), (3, 8, 8), (35, 8, 32), (12.8, 8, 16), (10, 4, 12)],
)
def test_make_divisible(value, by, wanted):
    """torchvision.ops.misc._make_divisible, by hand: the nearest multiple, but not below 90 % of the value."""
    assert make_divisible(value, by) == wanted
