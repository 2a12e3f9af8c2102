"""SOURCE on the command line: torchvision, timm, and modules of one's own."""

from __future__ import annotations

import json
import sys

import pytest

pytest.importorskip("torch")

MINE = '''
import torch
from torch import nn

net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 6 * 6, 10))
number = 3


def small():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())


def raises():
    raise ValueError("no such dataset")


def needs(width):
    return net


def nothing():
    return None


def with_inputs():
    return nn.Bilinear(4, 5, 6), (torch.rand(2, 4), torch.rand(2, 5))


class Net(nn.Module):
    """Takes lines of 7 numbers."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(7, 3)

    def forward(self, x):
        return self.fc(x)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(1, 4, 1)

    def forward(self, image, depth):
        return self.a(image) + self.b(depth)


class Choosing(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Deep:
    inner = Net
'''


@pytest.fixture(autouse=True)
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    (tmp_path / "broken.py").write_text("1 / 0\n", encoding="utf-8")
    (tmp_path / "needy.py").write_text("import a_package_that_is_not_there\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    for name in ("mine", "broken", "needy"):
        sys.modules.pop(name, None)


def totals(run, *arguments):
    done = run("analyze", *arguments, "--format", "json")
    assert (done.status, done.err) == (0, "")
    return json.loads(done.out)["totals"]


def test_a_module_of_ones_own(run):
    found = totals(run, "mine:net", "--input", "3x6x6")
    assert found["params"] == 8 * 27 + 8 + 288 * 10 + 10
    assert found["macs"] == 36 * 8 * 27 + 2880


def test_a_factory_gets_an_image_unless_told(run):
    assert totals(run, "mine:small")["macs"] == 224 * 224 * 8 * 27
    assert totals(run, "mine:small", "--batch", "4")["macs"] == 4 * 224 * 224 * 8 * 27
    assert totals(run, "mine:small", "--input", "3x10x5")["macs"] == 50 * 8 * 27


def test_a_class_and_an_attribute_of_one(run):
    assert totals(run, "mine:Net", "--input", "7")["macs"] == 21
    assert totals(run, "mine:Deep.inner", "--input", "7", "--batch", "2")["macs"] == 42


def test_several_inputs_by_name(run):
    found = totals(run, "mine:Two", "--input", "image=3x6x6", "--input", "depth=1x6x6")
    assert found["macs"] == 36 * 4 * 3 + 36 * 4


def test_a_factory_with_its_own_inputs(run):
    done = run("analyze", "mine:with_inputs")
    assert done.status == 0
    assert "2x4" in done.out
    assert "2x5" in done.out


def test_training(run):
    assert json.loads(run("analyze", "mine:small", "--train", "--format", "json").out)["settings"]["mode"] == "train"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mine:raises"], "mine:raises: building the module failed: ValueError: no such dataset"),
        (["mine:needs"], "mine:needs: building the module failed: TypeError: .*missing 1 required positional argument"),
        (["mine:nothing"], "mine:nothing returned NoneType, not a torch.nn.Module"),
        (["mine:number"], "mine:number is int: neither a module nor callable"),
        (["mine:smal"], "mine has no 'smal'; did you mean 'small'?"),
        (["mine:Deep.iner"], "Deep has no 'iner'; did you mean 'inner'?"),
        (["mine:Net"], r"mine:Net: Net\.fc: .*given: 1x3x224x224; --input gives another size"),
        (["mine:Two"], "missing 1 required positional argument: 'depth'"),
        (["mine:Two", "--input", "image=3x6x6"], "missing 1 required positional argument: 'depth'"),
        (["mine:Two", "--input", "picture=3x6x6"], "unexpected keyword argument 'picture'"),
        (["mine:Choosing"], "Choosing: .*depends on data"),
        (["broken:net"], "broken:net: importing broken failed: ZeroDivisionError: division by zero"),
        (["needy:net"], "needy:net: cannot import needy: No module named 'a_package_that_is_not_there'"),
        (["nowhere:net"], "nowhere:net: cannot import nowhere: No module named 'nowhere'"),
    ],
)
@pytest.mark.parametrize("command", ["analyze", "export"])
def test_one_clear_message(run, command, arguments, message):
    done = run(command, *arguments)
    assert done.status == 2
    assert done.out == ""
    assert done.err.startswith("convcost: error: ")
    assert len(done.err.splitlines()) == 1
    assert pytest.importorskip("re").search(message, done.err)


def test_strict_is_about_operators_without_a_rule(run, monkeypatch):
    torch = pytest.importorskip("torch")
    library = torch.library.Library("convcost_strict", "DEF")
    library.define("odd(Tensor x) -> Tensor")
    library.impl("odd", lambda x: x.clone(), "CompositeExplicitAutograd")
    try:
        with open("odd.py", "w", encoding="utf-8") as file:
            file.write(
                "import torch\nclass Odd(torch.nn.Module):\n"
                "    def forward(self, x):\n        return torch.ops.convcost_strict.odd(x)\n"
            )
        done = run("analyze", "odd:Odd", "--strict")
        assert done.status == 1
        assert "convcost_strict.odd" in done.out + done.err
        assert run("analyze", "odd:Odd").status == 0
        assert run("analyze", "mine:small", "--strict").status == 0
    finally:
        library._destroy()
        sys.modules.pop("odd", None)


# --- torchvision and timm


@pytest.fixture
def torchvision():
    support = pytest.importorskip("support.torchvision_ops")
    try:
        return support.import_torchvision()
    except ImportError as error:
        pytest.skip(str(error))


def test_torchvision(run, torchvision):
    found = totals(run, "torchvision:convnext_tiny")
    assert found["params"] == 28_589_128  # its num_params
    done = run("analyze", "torchvision:convnext_tiny")
    assert "features" in done.out
    assert "Coverage: all" in done.out
    assert totals(run, "torchvision:fcn_resnet50.backbone", "--input", "3x64x64")["params"] == 23_508_032


def test_timm(run, torchvision):
    pytest.importorskip("timm")
    assert totals(run, "timm:efficientnet_b0")["params"] == 5_288_548


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("torchvision:resnet5", "torchvision has no model 'resnet5'; did you mean 'resnet50'"),
        ("torchvision:", "torchvision has no model ''"),
        (
            "torchvision:resnet50.layer9",
            "torchvision:resnet50.layer9: ResNet has no part 'layer9'; did you mean 'layer4'",
        ),
        ("timm:efficientnet_b00", "timm has no model 'efficientnet_b00'; did you mean 'efficientnet_b0'"),
        ("torchvison:resnet50", "torchvison:resnet50: cannot import torchvison"),
    ],
)
def test_wrong_names(run, torchvision, source, message):
    if source.startswith("timm"):
        pytest.importorskip("timm")
    done = run("analyze", source)
    assert done.status == 2
    assert message in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("missing", "source", "command"),
    [
        ("torch", "torchvision:resnet50", 'pip install "convcost[torch]"'),
        ("torch", "mine:net", 'pip install "convcost[torch]"'),
        ("torchvision", "torchvision:resnet50", "torchvision"),
        ("timm", "timm:efficientnet_b0", "timm"),
    ],
)
def test_what_to_install(shell, missing, source, command):
    """In a process of its own, in which the package cannot be found."""
    code = f"""
import importlib.abc, importlib.util, sys
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == "{missing}":
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "{missing}" else real(name, *rest)
from convcost.cli import main
sys.argv = ["convcost", "analyze", "{source}"]
main()
"""
    with open("run_without.py", "w", encoding="utf-8") as file:
        file.write(code)
    done = shell(f'"{sys.executable}" run_without.py')
    assert done.status == 2
    assert done.err.startswith("convcost: error: ")
    assert command in done.err
    assert len(done.err.splitlines()) == 1
