"""An optimizer is one row: a made-up one is known everywhere once it is registered."""

from __future__ import annotations

import json
from unittest.mock import patch

import pytest
from click.testing import CliRunner

import convcost
from convcost import UsageError
from convcost.analysis.memory.optimizers import OPTIMIZERS, Optimizer, register_optimizer
from convcost.cli.group import cli
from convcost.sources.load import graph_from_text

F = 4  # bytes of a float32
HALVES = Optimizer("halves", "two bytes for each scalar, and 100 for each tensor", state=lambda n: 2 * n + 100)
SPEC = "name: net\ninput: [64]\nlayers:\n  - linear: 256\n  - relu\n  - linear: 64\n"
PARAMETERS = (64 * 256, 256, 256 * 64, 64)
"""Scalars of the weights and biases."""


@pytest.fixture(autouse=True)
def registered():
    with patch.dict(OPTIMIZERS):
        # A running mean of squared gradients, and its root while it steps. torch.optim.RMSprop.
        register_optimizer(
            Optimizer(
                "rms", "one copy", copies=1, temporaries=1, temporaries_alone=1, torch_class="RMSprop",
                torch_arguments={"alpha": 0.9},
            )
        )  # fmt: skip
        register_optimizer(HALVES)
        yield


def run(*arguments):
    return CliRunner().invoke(cli, [*map(str, arguments)], prog_name="convcost", standalone_mode=True)


def net(batch=1, **how):
    return convcost.memory(graph_from_text(SPEC, "net.yaml"), batch, **how)


def test_its_state_is_in_the_memory_of_a_step():
    assert net(optimizer="rms").optimizer_bytes == F * sum(PARAMETERS)
    assert net(optimizer="halves").optimizer_bytes == 2 * sum(PARAMETERS) + 4 * 100
    assert net(optimizer="rms").bill["optimizer"] == F * sum(PARAMETERS)


@pytest.mark.parametrize(("kernels", "held"), [("cuda", sum(PARAMETERS)), ("cpu", max(PARAMETERS))])
def test_its_temporaries_are_there_while_it_steps(kernels, held):
    for optimizer, bytes_held in (("rms", F * held), ("halves", 0)):
        memory = net(optimizer=optimizer, kernels=kernels)
        step = memory.timeline[-1]
        assert step.phase == "optimizer"
        output, image = F * 64, F * 64
        # Parameters, gradients and the state; the input and the output, which the caller holds.
        assert step.bytes == 2 * F * sum(PARAMETERS) + memory.optimizer_bytes + image + output + bytes_held


def test_the_peak_is_the_trackers():
    torch = pytest.importorskip("torch")
    from support.memory_oracles import training_peak

    with torch.device("meta"):
        module = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 64))
    graph = convcost.capture(module.train(), torch.empty(8, 64, device="meta"))
    ours = convcost.memory(graph, optimizer="rms", kernels="meta").peak_bytes
    steps = F * len(PARAMETERS)  # torch.optim counts the steps of each parameter in a tensor of its own
    assert ours == pytest.approx(training_peak(module, [(8, 64)], "RMSprop") - steps, rel=0.01)


def test_it_takes_room_on_a_gpu():
    fits = {name: convcost.fit(convcost.load("vgg11"), "t4", optimizer=name) for name in ("sgd", "rms", "adamw")}
    assert fits["sgd"].batch > fits["rms"].batch > fits["adamw"].batch
    assert fits["rms"].memory.optimizer_bytes == F * 132_863_336


def test_the_command_line_knows_it():
    result = run("analyze", "lenet5", "--train", "--memory", "--optimizer", "rms", "--format", "json")
    memory = json.loads(result.output)["memory"]
    assert (result.exit_code, memory["settings"]["optimizer"]) == (0, "rms")
    assert memory["optimizer_bytes"] == memory["weight_bytes"]
    for command in ("analyze", "fit"):
        text = " ".join(run(command, "--help").output.split())
        assert "--optimizer [sgd|momentum|adam|adamw|adam8bit|none|rms|halves]" in text
    wrong = run("fit", "lenet5", "--gpu", "t4", "--train", "--optimizer", "rns")
    assert (wrong.exit_code, "'rns' is not one of" in wrong.output) == (2, True)


def test_a_profile_runs_it():
    pytest.importorskip("torch")
    arguments = ("profile", "lenet5", "--device", "cpu", "--train", "--seconds", "0.01", "--layers", "none")
    result = run(*arguments, "--optimizer", "rms", "--format", "json")
    assert result.exit_code == 0, result.output
    (measured,) = json.loads(result.stdout)["runs"]
    assert measured["setting"]["optimizer"] == "rms"
    assert set(measured["phases"]) == {"forward", "backward", "optimizer"}
    assert "[sgd|momentum|adam|adamw|none|rms]" in run("profile", "--help").output
    refused = run(*arguments, "--optimizer", "halves")
    assert "'halves' cannot be timed: it has no class in torch.optim" in str(refused.exception)


def test_pytorch_makes_it_of_the_class_and_the_arguments():
    torch = pytest.importorskip("torch")
    from convcost.measure.profiling.passes import Passes
    from convcost.profiles import Setting

    report = convcost.analyze(graph_from_text(SPEC, "net.yaml"), train=True)
    made = Passes(report, Setting(1, mode="train", optimizer="rms"), torch.device("cpu"))._optimizer
    assert isinstance(made, torch.optim.RMSprop)
    assert (made.defaults["alpha"], made.defaults["lr"]) == (0.9, 0.0)


def test_a_profile_refuses_what_pytorch_does_not_have():
    pytest.importorskip("torch")
    from convcost.measure.profiling.profile import profile

    with pytest.raises(UsageError, match=r"'halves' cannot be timed: it has no class in torch\.optim \(allowed: sgd"):
        profile("lenet5", "cpu", train=True, optimizer="halves")
    register_optimizer(Optimizer("newer", "nothing", torch_class="NotThere"))
    with pytest.raises(UsageError, match=r"'newer' cannot be timed: PyTorch has no torch\.optim\.NotThere"):
        profile("lenet5", "cpu", train=True, optimizer="newer")


def test_a_name_is_taken_once():
    with pytest.raises(TypeError, match="'halves' is registered already"):
        register_optimizer(HALVES)
