"""``assert_cost`` and the pytest plugin, as somebody else's tests use them."""

from __future__ import annotations

from pathlib import Path

import pytest

from convcost import analyze, assert_cost, load
from convcost.errors import SourceError, UsageError
from convcost.gate.toml import Toml

pytest_plugins = ["pytester"]
ROOT = Path(__file__).resolve().parent.parent


def test_what_holds():
    """torchvision's resnet50: 25,557,032 parameters, and 4.089 G multiply-accumulates in its own documentation."""
    report = assert_cost(
        "resnet50", params=25_557_032, macs="<= 4.1G", flops=">= 8G", activation_bytes="< 100MiB",
        weight_file_bytes="98MiB", depth=50,
    )  # fmt: skip
    assert report.totals.params == 25_557_032
    assert_cost("resnet50", params="25.6M", macs="4.089G", peak_memory="<= 120MiB", peak_training_memory=">= 200MiB")
    assert_cost(load("resnet50"), macs=2 * 4_089_184_256, batch=2)
    assert_cost(analyze(load("vgg16")), params=138_357_544)
    assert_cost("resnet50", macs="< 2G", input_size=(3, 128, 128))


@pytest.mark.parametrize(
    ("bounds", "messages"),
    [
        ({"params": 25_557_031}, ["params is 25,557,032 (25.56M), expected exactly 25,557,031"]),
        ({"params": "25.5M"}, ["expected about 25.5M"]),
        ({"macs": "<= 4G"}, ["macs is 4,089,184,256 (4.09G), expected at most 4G; largest layers: conv", "115.61M"]),
        ({"params": 1, "depth": 49}, ["expected exactly 1", "depth is 50, expected exactly 49"]),
        ({"peak_memory": "<= 100MiB"}, ["MiB), expected at most 100MiB"]),
        ({"activation_bytes": "<= 1MiB"}, ["activation_bytes is 89,726,880 (85.57 MiB), expected at most 1MiB"]),
    ],
)
def test_what_does_not(bounds, messages):
    with pytest.raises(AssertionError) as caught:
        assert_cost("resnet50", **bounds)
    text = str(caught.value)
    assert text.startswith("resnet50 violates its cost bounds:\n")
    for message in messages:
        assert message in text
    assert "165 more layers, included in the total" in text
    assert "25.56M" in text, "the table of layers ends with the totals"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: assert_cost("resnet50"), UsageError, "assert_cost needs a bound, such as params='25.6M'"),
        (lambda: assert_cost("resnet50", parms=1), UsageError, "unknown quantity 'parms'; did you mean 'params'?"),
        (lambda: assert_cost("resnet50", params="lots"), UsageError, "'lots' is not a figure"),
        (lambda: assert_cost("resnet5", params=1), SourceError, "did you mean 'resnet50'"),
        (lambda: assert_cost(3, params=1), UsageError, "takes a SOURCE, a torch.nn.Module, a graph or a report, not 3"),
    ],
)
def test_wrong_use(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_a_module():
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.LazyLinear(4))
    assert_cost(model, input_size=(3, 10, 10), params=224 + 4 * (8 * 64 + 1), macs=8 * 27 * 64 + 4 * 512)
    assert_cost(torch.nn.Conv2d(3, 8, 3), params=224, macs=8 * 27 * 222 * 222)
    assert_cost(torch.nn.Linear(5, 7), inputs=torch.empty(2, 5), macs=2 * 35)
    assert_cost(torch.nn.Bilinear(2, 3, 4), inputs=(torch.empty(1, 2), torch.empty(1, 3)), params=2 * 3 * 4 + 4)
    with pytest.raises(AssertionError, match="Conv2d violates its cost bounds:"):
        assert_cost(torch.nn.Conv2d(3, 8, 3), params=1)


def test_the_fixture(pytester, monkeypatch):
    # Where convcost is installed its plugin loads by itself, and a second time under its module's name is refused.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        """
        def test_holds(convcost):
            convcost.assert_cost("vgg16", params="138M")

        def test_fails(convcost):
            convcost.assert_cost("vgg16", macs="<= 15G")
        """
    )
    result = pytester.runpytest("-p", "convcost.pytest_plugin", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*test_fails*",
            "*AssertionError: vgg16 violates *",
            "*macs is 15,470,264,320 (15.47G), expected*",
        ]
    )
    assert "assertion.py" not in result.stdout.str(), "the failure is shown at the test's own line"


def test_it_is_registered():
    points = Toml(str(ROOT / "pyproject.toml")).values["project"]["entry-points"]
    assert points == {"pytest11": {"convcost": "convcost.pytest_plugin"}}
