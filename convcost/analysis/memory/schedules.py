"""Allocation schedules: the order in which a run of a network allocates and frees tensors, and how it is set up."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import msgspec

from ...ops.base import Kernels
from ..report import Report
from .checkpoint_blocks import checkpointed_blocks
from .events import Schedule, add_recorded
from .inference import add_forward_pass
from .optimizers import optimizer_of
from .saved_tensors import NONE, SavedTensors, saved_tensors
from .storages import Storages
from .training import Plan, TrainingStep
from .weight_tensors import WeightTensor, weight_tensors

Mode = Literal["inference", "train"]


class Setup(msgspec.Struct, frozen=True):
    """How a network runs.

    ``kernels``: whose rules say what is saved for backward ("cuda", "cpu" or "meta"). ``checkpoint``: blocks save only
    their inputs and run again in the backward pass. ``accumulate``: micro-batches whose gradients are summed up before
    an optimizer step.
    """

    mode: Mode = "train"
    optimizer: str = "adamw"
    kernels: Kernels = "cuda"
    checkpoint: bool = False
    accumulate: int = 1


class Schedules:
    """The allocation schedules of a network in one setup, and what they are made from."""

    def __init__(self, report: Report, setup: Setup) -> None:
        self.report = report
        self.setup = setup
        self.train = setup.mode == "train"
        self.checkpointed = checkpointed_blocks(report.graph) if setup.checkpoint and self.train else ()
        self.optimizer = optimizer_of(setup.optimizer)

    @cached_property
    def weights(self) -> Sequence[WeightTensor]:
        """Every distinct parameter and buffer, in the order of the layers."""
        return weight_tensors(self.report)

    @cached_property
    def parameters(self) -> Sequence[WeightTensor]:
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
    def storages(self) -> Storages:
        """Where the values of the network live."""
        return Storages(self.report)

    @cached_property
    def saved(self) -> list[SavedTensors]:
        """What autograd saves for each node."""
        return saved_tensors(self.storages, self.setup.kernels) if self.train else [NONE] * len(self.storages.kinds)

    def schedule(self, eager: bool) -> Schedule:
        """What a run allocates and frees, in order.

        Args:
            eager: as PyTorch runs it; the forward pass of a captured module as it was observed. Otherwise every value
                is freed after its last reader.
        """
        schedule, kernels = self._initial(), self.setup.kernels
        if self.train:
            step = self.optimizer.step_bytes([weight.bytes for weight in self.parameters], kernels)
            plan = Plan(step, kernels, self.setup.accumulate > 1, self.checkpointed, eager)
            TrainingStep(self.storages, self.weights, self.saved, plan, schedule).run()
        elif eager and (observed := self.report.graph.observed) is not None:
            add_recorded(observed, schedule)
        else:
            add_forward_pass(self.storages, kernels, eager, schedule)
        return schedule

    def _initial(self) -> Schedule:
        """What exists before the network runs: parameters, buffers, and the optimizer's state."""
        schedule, weights = Schedule(), self.weights
        schedule.allocate_all(
            [weight.bytes for weight in weights],
            ["weights" if weight.kind == "parameter" else "buffers" for weight in weights],
            [weight.name for weight in weights],
        )
        sizes = self.state_bytes
        if any(sizes):  # an optimizer keeps something for each parameter or for none
            schedule.allocate_all(sizes, ["optimizer"] * len(sizes), [weight.name for weight in self.parameters])
        schedule.begin_run()
        return schedule
