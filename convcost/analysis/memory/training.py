"""The memory of a training step: forward pass, backward pass, optimizer step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from ...graph import OWN, Reference
from ...ops.base import Kernels
from .checkpoint_blocks import NodeRange
from .events import Schedule
from .lifetimes import lifetime_ends, made_and_freed
from .saved_tensors import SavedTensors
from .storages import PERSISTENT, Storages
from .weight_tensors import WeightTensor


class Plan(msgspec.Struct, frozen=True):
    """How a training step runs.

    ``step_bytes``: what the optimizer allocates while it steps. ``accumulate``: the gradients of earlier micro-batches
    exist already. ``checkpointed``: blocks that save only their inputs and run again in the backward pass, in order.
    ``eager``: blocks hold their arguments until they return.
    """

    step_bytes: int
    kernels: Kernels
    accumulate: bool = False
    checkpointed: tuple[NodeRange, ...] = ()
    eager: bool = True


class TrainingStep:
    """Appends a training step to a schedule, as it is from the second one on: the optimizer's state exists already.

    The loss is the sum of the outputs, so that one gradient arrives at each output. A storage is held by the forward
    pass until its last reader has run (or the block that was given it has returned), and by each node that saves it for
    the backward pass. It is freed when nothing holds it.
    """

    def __init__(
        self, storages: Storages, weights: Sequence[WeightTensor], saved: Sequence[SavedTensors], plan: Plan,
        schedule: Schedule,
    ) -> None:  # fmt: skip
        self.storages = storages
        self.plan = plan
        self.schedule = schedule
        self.nodes = storages.graph.nodes
        self.parameters: dict[int, list[WeightTensor]] = {}
        for weight in weights:
            if weight.kind == "parameter":
                self.parameters.setdefault(weight.node, []).append(weight)
        self.saved = saved
        self.precision = storages.report.settings.precision
        self.transient = storages.transient(True, plan.kernels)
        self.ends = lifetime_ends(storages, plan.eager)
        self.made, self.freed = made_and_freed(storages, self.ends)
        self.numbers = [0] * len(storages.table)  # storage -> its allocation
        self.holders = [0] * len(storages.table)  # storage -> how many hold it
        self.extras: dict[int, int] = {}  # node -> allocation of the saved tensors that are its own
        self.casts: dict[int, int] = {}  # owner -> allocation of autocast's copies of its biases
        self.gradients: dict[Reference, int] = {}
        self.sharers: dict[int, int] = {}  # a gradient's allocation -> how many values have their gradient there
        self.with_gradients: set[int] = set()  # owners whose parameters have gradients

    def run(self) -> None:
        """Append the whole step."""
        schedule, table = self.schedule, self.storages.table
        if self.plan.accumulate:
            for owner in self.parameters:
                self._allocate_gradients(owner)
        for k in self.storages.inputs:
            self.numbers[k] = schedule.allocate(table[k].bytes, "inputs", table[k].label)
            self.holders[k] = 1  # the caller
        ranges = list(self._ranges())
        for first, last, checkpointed in ranges:
            if checkpointed:
                for k in self._given_to(first, last):
                    self.holders[k] += 1
            self._forward(first, last, self.freed, saving=not checkpointed)
        for number in self.casts.values():
            schedule.free(number)  # autocast clears its cache
        for reference in dict.fromkeys(self.storages.graph.outputs):
            source, output = reference
            if source >= 0 and self.storages.needs[source][output]:
                size = self.storages.kinds[source].sizes[output]
                self.gradients[reference] = number = schedule.allocate(size, "values", "gradient of the loss")
                self.sharers[number] = 1
        for first, last, checkpointed in reversed(ranges):
            if checkpointed:
                self._recompute(first, last)
            self._backward(first, last)
            if checkpointed:
                self._release(self._given_to(first, last))
        self._optimize()

    def _ranges(self) -> Iterator[tuple[int, int, bool]]:
        """First and last position of the nodes that run without a break, and whether they are checkpointed."""
        position = 0
        for first, last in self.plan.checkpointed:
            if position < first:
                yield position, first - 1, False
            yield first, last, True
            position = last + 1
        if position < len(self.nodes):
            yield position, len(self.nodes) - 1, False

    def _given_to(self, first: int, last: int) -> list[int]:
        """Storages that a block reads and did not make."""
        read = {k for each in self.storages.read[first : last + 1] for k in each}
        return sorted(k for k in read if k != PERSISTENT and self.storages.table[k].made_by < first)

    # --- forward

    def _forward(
        self, first: int, last: int, freed: Mapping[int, list[int]], saving: bool,
        phase: Literal["forward", "backward"] = "forward",
    ) -> None:  # fmt: skip
        """Run nodes in a row; ``freed`` has the storages that the forward pass releases after each of them."""
        schedule, table, made = self.schedule, self.storages.table, self.made
        holders, numbers, parts = self.holders, self.numbers, self.schedule.parts
        for position in range(first, last + 1):
            node, saved = self.nodes[position], self.saved[position]
            if phase == "forward" and self.precision.mixed:
                self._cast_biases(position)
            extra = schedule.allocate(saved.extra_bytes, "saved", node.name) if saved.extra_bytes else None
            rest = self.transient[position] - saved.extra_bytes
            transient = schedule.allocate(rest, "transient", node.name) if rest > 0 else None
            for k in made.get(position, ()):
                numbers[k] = schedule.allocate(table[k].bytes, "values", node.name)
                holders[k] = 1
            schedule.mark(node.name, phase)
            if transient is not None:
                schedule.free(transient)
            if saving:
                for k in saved.storages:
                    holders[k] += 1
                    if table[k].made_by >= 0:
                        parts[numbers[k]] = "saved"
            if extra is not None:
                if saving:
                    self.extras[position] = extra
                else:
                    schedule.free(extra)
            if position in freed:
                self._release(freed[position])

    def _recompute(self, first: int, last: int) -> None:
        """Run a checkpointed block once more, and save what its backward pass needs."""
        freed: dict[int, list[int]] = {}
        for position in range(first, last + 1):
            for k in self.made.get(position, ()):
                freed.setdefault(min(self.ends[k], last), []).append(k)
        self._forward(first, last, freed, saving=True, phase="backward")

    def _cast_biases(self, position: int) -> None:
        """Allocate autocast's copies of a layer's biases at their first use. Those of weights are saved tensors."""
        node = self.nodes[position]
        owner = position if node.owner == OWN else node.owner
        if owner in self.casts:
            return
        biases = [weight for weight in self.parameters.get(owner, ()) if not weight.name.endswith(".weight")]
        size = self.precision.weight_copy_bytes(node.op.autocast, sum([weight.elements for weight in biases]))
        if size:
            label = f"{self.nodes[owner].name} in {self.precision.compute}"
            self.casts[owner] = self.schedule.allocate(size, "transient", label)

    def _release(self, storages: Iterable[int]) -> None:
        """Count one holder less for each storage, and free those that nothing holds."""
        holders, numbers, free = self.holders, self.numbers, self.schedule.events.append
        for k in storages:
            holders[k] -= 1
            if not holders[k]:
                free(~numbers[k])

    # --- backward

    def _backward(self, first: int, last: int) -> None:
        schedule, gradients, sharers = self.schedule, self.gradients, self.sharers
        needs, kinds = self.storages.needs, self.storages.kinds
        for position in range(last, first - 1, -1):
            node, kind = self.nodes[position], kinds[position]
            arrived = []
            for output in range(len(kind.sizes)):
                gradient = gradients.pop((position, output), None)
                if gradient is not None:
                    arrived.append(gradient)
            if arrived:
                made: list[tuple[Reference, int]] = []
                for k, reference in enumerate(node.inputs):
                    source, output = reference
                    if source < 0 or not needs[source][output]:
                        continue
                    if len(arrived) == 1 and kind.passed_on[k]:
                        gradient = arrived[0]
                    else:
                        size = kinds[source].sizes[output]
                        gradient = schedule.allocate(size, "values", f"gradient of {node.name}")
                    made.append((reference, gradient))
                transient = self._weight_gradients(position) if kind.parameters else ()
                schedule.mark(node.name, "backward")
                for number in transient:
                    schedule.free(number)
                for reference, number in made:
                    sharers[number] = sharers.get(number, 0) + 1
                    if reference in gradients:
                        self._add(reference, number)
                    else:
                        gradients[reference] = number
                for number in arrived:
                    self._release_gradient(number)
            self._release(self.saved[position].storages)
            if position in self.extras:
                schedule.free(self.extras.pop(position))

    def _weight_gradients(self, position: int) -> list[int]:
        """Allocate the gradients of a layer's parameters. Returns the temporaries that are freed after the layer."""
        node, schedule = self.nodes[position], self.schedule
        owner = position if node.owner == OWN else node.owner
        parameters = self.parameters[owner]
        transient = []
        size = self.precision.weight_copy_bytes(node.op.autocast, sum([weight.elements for weight in parameters]))
        if size:
            transient.append(schedule.allocate(size, "transient", node.name))
        if owner not in self.with_gradients:
            self._allocate_gradients(owner)
        else:  # added to those of an earlier use, or of an earlier micro-batch
            size = sum([weight.bytes for weight in parameters])
            transient.append(schedule.allocate(size, "transient", node.name))
        return transient

    def _allocate_gradients(self, owner: int) -> None:
        self.with_gradients.add(owner)
        for weight in self.parameters[owner]:
            self.schedule.allocate(weight.bytes, "gradients", weight.name)

    def _add(self, reference: Reference, number: int) -> None:
        """Add a gradient to the one that a value has already."""
        before = self.gradients[reference]
        if self.sharers[before] > 1:  # it is the gradient of another value too: the sum is a new tensor
            source, output = reference
            size = self.storages.kinds[source].sizes[output]
            self.gradients[reference] = total = self.schedule.allocate(size, "values", "sum of gradients")
            self.sharers[total] = 1
            self._release_gradient(before)
        self._release_gradient(number)

    def _release_gradient(self, number: int) -> None:
        """Count one value less whose gradient lies in an allocation, and free it if there is none left."""
        self.sharers[number] -= 1
        if not self.sharers[number]:
            self.schedule.free(number)

    def _optimize(self) -> None:
        size = self.plan.step_bytes
        number = self.schedule.allocate(size, "transient", "optimizer step") if size else None
        self.schedule.mark("optimizer step", "optimizer")
        if number is not None:
            self.schedule.free(number)
