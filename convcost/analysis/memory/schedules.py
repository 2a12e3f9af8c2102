"""The walks through a network that its account is read off."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import msgspec

from ...ops.base import Kernels
from ..report import Report
from .checkpoint_blocks import blocks
from .events import Script, of_allocations
from .inference import forward
from .optimizers import Optimizer, optimizer, step_bytes
from .repetitions import Folded, runs
from .saved_tensors import NONE, Kept, kept
from .storages import Storages
from .training import Plan, Step
from .weight_tensors import Held, weights
from .written_out import written_out

Mode = Literal["inference", "train"]


class Setup(msgspec.Struct, frozen=True):
    """How a network runs.

    ``kernels``: whose rules say what is kept ("cuda", "cpu" or "meta"). ``checkpoint``: blocks keep only their inputs
    and run again in the backward pass. ``accumulate``: micro-batches whose gradients are summed up before a step.
    """

    mode: Mode = "train"
    optimizer: str = "adamw"
    kernels: Kernels = "cuda"
    checkpoint: bool = False
    accumulate: int = 1


class Walks:
    """What a network allocates and frees, as scripts, and what is found on the way.

    ``storages`` and ``kept`` are those of the ``folded`` network, in which many equal repetitions are a few: what is
    asked of nodes alone is asked of those.
    """

    def __init__(self, report: Report, setup: Setup) -> None:
        self.report = report
        self.setup = setup
        self.train = setup.mode == "train"
        self.segments = blocks(report.graph) if setup.checkpoint and self.train else ()
        self.optimizer: Optimizer = optimizer(setup.optimizer)

    @cached_property
    def weights(self) -> list[Held]:
        """Every distinct parameter and buffer, in the order of the layers."""
        return weights(self.report)

    @cached_property
    def parameters(self) -> list[Held]:
        """The parameters among them."""
        return [weight for weight in self.weights if weight.kind == "parameter"]

    @cached_property
    def state_bytes(self) -> list[int]:
        """What the optimizer keeps for each parameter; nothing for inference."""
        if not self.train:
            return []
        alike = [(weight.elements, weight.dtype) for weight in self.parameters]
        known = {each: self.optimizer.state_bytes(*each) for each in set(alike)}
        return [known[each] for each in alike]

    @cached_property
    def folded(self) -> Folded:
        """The network with a few of many equal repetitions; whole where blocks are checkpointed or steps divided."""
        plain = not self.segments and self.setup.accumulate == 1
        return Folded(self.report, runs(self.report) if plain else ())

    @cached_property
    def storages(self) -> Storages:
        """Where the values of the folded network live."""
        return Storages(self.folded.report)

    @cached_property
    def kept(self) -> list[Kept]:
        """What autograd holds for each node of the folded network."""
        return self._kept(self.storages)

    def _kept(self, storages: Storages) -> list[Kept]:
        return kept(storages, self.setup.kernels) if self.train else [NONE] * len(storages.kinds)

    def script(self, eager: bool) -> Script:
        """What is allocated and freed, in order.

        Args:
            eager: as PyTorch runs it; a captured module's forward pass as it was observed. Otherwise every value dies
                after its last reader.
        """
        script = self._before()
        observed = self.report.graph.observed if eager and not self.train else None
        if observed is not None:
            of_allocations(observed, script)
            return script
        walked = self._walk(self.folded.report, eager, Script() if self.folded.runs else script)
        if self.folded.runs and not written_out(walked, self.folded, script):
            self._walk(self.report, eager, script)
        return script

    def _before(self) -> Script:
        """What is there before the network runs."""
        script, held = Script(), self.weights
        script.allocate_all(
            [weight.bytes for weight in held],
            ["weights" if weight.kind == "parameter" else "buffers" for weight in held],
            [weight.name for weight in held],
        )
        sizes = self.state_bytes
        if any(sizes):  # an optimizer keeps something for each parameter or for none
            script.allocate_all(sizes, ["optimizer"] * len(sizes), [weight.name for weight in self.parameters])
        script.before = len(script.events)
        return script

    def _walk(self, report: Report, eager: bool, script: Script) -> Script:
        """Append what a network allocates and frees while it runs, node by node."""
        known = report is self.folded.report
        storages = self.storages if known else Storages(report)
        if not self.train:
            forward(storages, self.setup.kernels, eager, script)
            return script
        step = step_bytes(self.optimizer, [weight.bytes for weight in self.parameters], self.setup.kernels)
        plan = Plan(step, self.setup.kernels, self.setup.accumulate > 1, self.segments, eager)
        held = self.weights if report is self.report else weights(report)
        Step(storages, held, self.kept if known else self._kept(storages), plan, script).run()
        return script
