"""The JSON of a report: its keys, integer figures, and round trips."""

from __future__ import annotations

import json
from functools import cache

import pytest

import convcost
from convcost import analyze
from convcost.analysis.layers import SUMMED
from convcost.ops.base import GROUPS
from convcost.ops.flop_counts import KINDS
from convcost.sources.load import load_shipped
from support.cases import NETWORKS
from support.networks import chain, network

TOP = ["schema", "convcost", "architecture", "settings", "convention", "totals", "breakdown", "layers", "published",
       "coverage", "warnings"]  # fmt: skip
KEYS = {
    "architecture": {"name", "title", "family", "source", "reference", "accuracy"},
    "settings": {"batch", "input_shapes", "dtype", "mode"},
    "totals": {*SUMMED, "flops_by_kind", "input_bytes", "layers", "depth"},
    "coverage": {"nodes", "modelled", "unmodelled"},
}
LAYER = {
    "name", "path", "op", "group", "fields", "inputs", "input_shapes", "output_shapes", "output_dtypes",
    "params", "buffers", "macs", "flops", "flops_by_kind", "activation_bytes", "weight_bytes", "buffer_bytes",
    "bytes_read", "bytes_written", "launches", "shares", "receptive_field", "where",
}  # fmt: skip
CLAIM = {"quantity", "claimed", "computed", "verdict", "source", "layer", "convention", "note"}


@cache
def graphs():
    return load_shipped()


def parsed(report, convention=None):
    return json.loads(report.to_json(convention))


@pytest.mark.parametrize("name", NETWORKS)
def test_keys(name):
    """Within a version of the schema keys may be added but not removed, so this list only grows."""
    report = analyze(graphs()[name])
    found = parsed(report)
    assert list(found) == TOP
    assert found["schema"] == 1
    assert found["convcost"] == convcost.__version__
    assert found["convention"] is None
    for part, keys in KEYS.items():
        assert set(found[part]) == keys
    assert list(found["breakdown"]) == list(GROUPS)
    for group in found["breakdown"].values():
        assert set(group) == {"params", "macs", "flops", "activation_bytes", "layers"}
    assert len(found["layers"]) == len(report.layers)
    for layer in found["layers"]:
        assert set(layer) == LAYER
        assert set(layer["flops_by_kind"]) <= {"mac", *KINDS}
    assert all(set(claim) == CLAIM for claim in found["published"])
    assert len(found["published"]) == len(report.about.published)


def numbers(value, path=""):
    """Every number of a JSON value with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from numbers(inner, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path, value


@pytest.mark.parametrize("name", NETWORKS)
def test_numbers_are_integers(name):
    """Except published accuracies, decimal fields of ops (p, eps) and mean strides after upsampling."""
    allowed = (".architecture.accuracy", ".layers.fields", ".layers.receptive_field.stride")
    odd = [
        (path, value)
        for path, value in numbers(parsed(analyze(graphs()[name])))
        if type(value) is not int and not path.startswith(allowed)
    ]
    assert odd == []


def test_values():
    graph = network(
        """
        name: small
        title: A small network
        reference: {title: A paper, year: 2020}
        input: [3, 8, 8]
        layers:
          - {conv2d: {out_channels: 4, kernel_size: 3}, name: conv}
          - relu_
        published:
          - {quantity: output_shape, value: [4, 6, 6], source: figure 1}
        """
    )
    found = parsed(analyze(graph, batch=2), "torch")
    macs = 2 * 36 * 4 * 27
    assert found["architecture"] == {
        "name": "small", "title": "A small network", "family": "small", "source": "net.yaml",
        "reference": {"title": "A paper", "year": 2020}, "accuracy": {},
    }  # fmt: skip
    assert found["settings"] == {
        "batch": 2, "input_shapes": {"input": [2, 3, 8, 8]}, "dtype": "float32", "mode": "eval",
    }  # fmt: skip
    assert (found["convention"]["name"], found["convention"]["total"]) == ("torch", 2 * macs)
    conv, relu = found["layers"]
    assert conv["path"] == ["conv"]
    assert conv["fields"]["kernel_size"] == 3
    assert conv["fields"]["in_channels"] == 3
    assert (conv["inputs"], relu["inputs"]) == (["input"], ["conv"])
    assert conv["input_shapes"] == [[2, 3, 8, 8]]
    assert conv["output_shapes"] == [[2, 4, 6, 6]]
    assert conv["output_dtypes"] == ["float32"]
    assert conv["flops_by_kind"] == {"mac": 2 * macs, "bias": 2 * 4 * 36}
    assert conv["receptive_field"] == {"size": [3, 3], "stride": [1, 1], "start": [0, 0], "whole": False}
    assert conv["where"] == "net.yaml:7:6", "line and column, counted from 1"
    assert relu["fields"] == {"inplace": True}
    assert (relu["activation_bytes"], relu["shares"]) == (0, None)
    assert found["published"][0]["claimed"] == [4, 6, 6]
    assert found["published"][0]["verdict"] == "unchecked"
    assert found["coverage"] == {"nodes": 2, "modelled": 2, "unmodelled": []}
    assert found["warnings"] == []


@pytest.mark.parametrize("name", ["vgg16", "vit_b_16", "unet", "lenet5", "shufflenet_v2_x1_0"])
def test_round_trip(name):
    """The standard library writes the dict as JSON and reads it back equal to the parsed text."""
    report = analyze(graphs()[name], batch=3, train=True)
    plain = report.to_dict("fvcore")
    assert json.loads(json.dumps(plain)) == parsed(report, "fvcore")
    assert plain["totals"]["params"] == report.totals.params
    assert plain["settings"]["mode"] == "train"
    assert plain["layers"][0]["receptive_field"]["size"] == report.layers[0].receptive_field.size
    assert plain["layers"][0] == json.loads(json.dumps(plain["layers"][0]), object_hook=tuples)
    assert report.layers[0].to_dict() == plain["layers"][0]


def tuples(found):
    return {key: as_tuple(value) for key, value in found.items()}


def as_tuple(value):
    return tuple(map(as_tuple, value)) if isinstance(value, list) else value


def test_indentation_changes_nothing():
    report = analyze(chain((3, 8, 8), "relu"))
    assert "\n" not in report.to_json(indent=0)
    assert json.loads(report.to_json(indent=0)) == json.loads(report.to_json(indent=4))


def test_names_are_escaped():
    graph = network('name: odd\ninput: [3]\ntitle: "<b>\\"é\\n\\u0007"\nlayers: [relu]\n')
    assert parsed(analyze(graph))["architecture"]["title"] == '<b>"é\n\u0007'
