"""The memory of a training step: forward, backward, optimizer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from ...graph import OWN, Reference
from ...ops.base import Kernels
from ...tensor import ITEM_BYTES
from .events import Script
from .lifetimes import by_position, deaths
from .saved_tensors import Kept
from .storages import PERSISTENT, Storages
from .weight_tensors import Held

Segment = tuple[int, int]
"""First and last position of a checkpointed block."""


class Plan(msgspec.Struct, frozen=True):
    """How a step is made.

    ``step_bytes``: what the optimizer takes while it steps. ``accumulate``: the gradients of earlier micro-batches are
    there already. ``segments``: blocks that keep only their inputs and run again in the backward pass, in order.
    ``eager``: blocks hold their arguments until they return.
    """

    step_bytes: int
    kernels: Kernels
    accumulate: bool = False
    segments: tuple[Segment, ...] = ()
    eager: bool = True


class Step:
    """Writes a training step into a script, as it is from the second one on: the optimizer's state is there already.

    The loss is a sum of the outputs' gradients: one tensor for each output. A storage is held by the forward pass until
    its last reader has run (or the block that it was handed to has returned) and by each node that keeps it for its
    backward pass; it is freed when nobody holds it.
    """

    def __init__(self, storages: Storages, weights: list[Held], held: list[Kept], plan: Plan, script: Script) -> None:
        self.storages = storages
        self.plan = plan
        self.script = script
        self.nodes = storages.graph.nodes
        self.parameters: dict[int, list[Held]] = {}
        for weight in weights:
            if weight.kind == "parameter":
                self.parameters.setdefault(weight.node, []).append(weight)
        self.kept = held
        self.low = storages.report.settings.precision.low
        self.transient = storages.transient(True, plan.kernels)
        self.last = deaths(storages, plan.eager)
        self.born, self.dying = by_position(storages, self.last)
        self.numbers = [0] * len(storages.table)  # storage -> its allocation
        self.holders = [0] * len(storages.table)  # storage -> how many hold it
        self.extras: dict[int, int] = {}  # node -> allocation of what only autograd sees
        self.casts: dict[int, int] = {}  # owner -> allocation of its biases in low precision
        self.gradients: dict[Reference, int] = {}
        self.sharers: dict[int, int] = {}  # a gradient's allocation -> how many values have theirs there
        self.arrived: set[int] = set()  # owners whose weights have gradients

    def run(self) -> None:
        """All of it."""
        script, table = self.script, self.storages.table
        if self.plan.accumulate:
            for owner in self.parameters:
                self._keep_gradients(owner)
        for k in self.storages.inputs:
            self.numbers[k] = script.allocate(table[k].bytes, "inputs", table[k].label)
            self.holders[k] = 1  # the caller
        spans = list(self._spans())
        for first, last, checkpointed in spans:
            if checkpointed:
                for k in self._handed_to(first, last):
                    self.holders[k] += 1
            self._forward(first, last, self.dying, saving=not checkpointed)
        for number in self.casts.values():
            script.free(number)  # autocast forgets its copies
        for reference in dict.fromkeys(self.storages.graph.outputs):
            source, output = reference
            if source >= 0 and self.storages.needs[source][output]:
                size = self.storages.kinds[source].sizes[output]
                self.gradients[reference] = number = script.allocate(size, "values", "gradient of the loss")
                self.sharers[number] = 1
        for first, last, checkpointed in reversed(spans):
            if checkpointed:
                self._again(first, last)
            self._backward(first, last)
            if checkpointed:
                self._drop(self._handed_to(first, last))
        self._optimize()

    def _spans(self) -> Iterator[tuple[int, int, bool]]:
        """First and last position of all that runs in one go, and whether it is checkpointed."""
        position = 0
        for first, last in self.plan.segments:
            if position < first:
                yield position, first - 1, False
            yield first, last, True
            position = last + 1
        if position < len(self.nodes):
            yield position, len(self.nodes) - 1, False

    def _handed_to(self, first: int, last: int) -> list[int]:
        """Storages that a block reads and did not make."""
        read = {k for each in self.storages.read[first : last + 1] for k in each}
        return sorted(k for k in read if k != PERSISTENT and self.storages.table[k].born < first)

    # --- forward

    def _forward(
        self, first: int, last: int, dying: Mapping[int, list[int]], saving: bool,
        phase: Literal["forward", "backward"] = "forward",
    ) -> None:  # fmt: skip
        """Run nodes in a row; ``dying`` has the storages that are let go after each of them."""
        script, table, born, holders, numbers = self.script, self.storages.table, self.born, self.holders, self.numbers
        parts = script.parts
        for position in range(first, last + 1):
            node, held = self.nodes[position], self.kept[position]
            if self.low and phase == "forward":
                self._cast(position)
            extra = script.allocate(held.extra_bytes, "saved", node.name) if held.extra_bytes else None
            rest = self.transient[position] - held.extra_bytes
            transient = script.allocate(rest, "transient", node.name) if rest > 0 else None
            for k in born.get(position, ()):
                numbers[k] = script.allocate(table[k].bytes, "values", node.name)
                holders[k] = 1
            script.mark(node.name, phase)
            if transient is not None:
                script.free(transient)
            if saving:
                for k in held.storages:
                    holders[k] += 1
                    if table[k].born >= 0:
                        parts[numbers[k]] = "saved"
            if extra is not None:
                if saving:
                    self.extras[position] = extra
                else:
                    script.free(extra)
            if position in dying:
                self._drop(dying[position])

    def _again(self, first: int, last: int) -> None:
        """Run a checkpointed block once more, and keep what its backward pass needs."""
        ends: dict[int, list[int]] = {}
        for position in range(first, last + 1):
            for k in self.born.get(position, ()):
                ends.setdefault(min(self.last[k], last), []).append(k)
        self._forward(first, last, ends, saving=True, phase="backward")

    def _cast(self, position: int) -> None:
        """Autocast's copies of a layer's biases, made at their first use; those of weights are kept for backward."""
        node = self.nodes[position]
        owner = position if node.owner == OWN else node.owner
        if self.low and node.op.autocast == "low" and owner not in self.casts:
            biases = [weight for weight in self.parameters.get(owner, ()) if not weight.name.endswith(".weight")]
            elements = sum(weight.elements for weight in biases)
            if elements:
                size = elements * ITEM_BYTES[self.low]
                self.casts[owner] = self.script.allocate(size, "transient", f"{self.nodes[owner].name} in {self.low}")

    def _drop(self, storages: Iterable[int]) -> None:
        """One holder less for each; what nobody holds is freed."""
        holders, numbers, free = self.holders, self.numbers, self.script.events.append
        for k in storages:
            holders[k] -= 1
            if not holders[k]:
                free(~numbers[k])

    # --- backward

    def _backward(self, first: int, last: int) -> None:
        script, gradients, sharers = self.script, self.gradients, self.sharers
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
                        gradient = script.allocate(size, "values", f"gradient of {node.name}")
                    made.append((reference, gradient))
                transient = self._weight_gradients(position) if kind.learned else ()
                script.mark(node.name, "backward")
                for number in transient:
                    script.free(number)
                for reference, number in made:
                    sharers[number] = sharers.get(number, 0) + 1
                    if reference in gradients:
                        self._add(reference, number)
                    else:
                        gradients[reference] = number
                for number in arrived:
                    self._lose(number)
            self._drop(self.kept[position].storages)
            if position in self.extras:
                script.free(self.extras.pop(position))

    def _weight_gradients(self, position: int) -> list[int]:
        """Allocate the gradients of a layer's parameters; those to be freed when it is done."""
        node, script = self.nodes[position], self.script
        owner = position if node.owner == OWN else node.owner
        transient = []
        if self.low and node.op.autocast == "low":
            size = sum([weight.elements for weight in self.parameters[owner]]) * ITEM_BYTES[self.low]
            transient.append(script.allocate(size, "transient", node.name))
        if owner not in self.arrived:
            self._keep_gradients(owner)
        else:  # added to those of an earlier use, or of an earlier micro-batch
            size = sum([weight.bytes for weight in self.parameters[owner]])
            transient.append(script.allocate(size, "transient", node.name))
        return transient

    def _keep_gradients(self, owner: int) -> None:
        self.arrived.add(owner)
        for weight in self.parameters[owner]:
            self.script.allocate(weight.bytes, "gradients", weight.name)

    def _add(self, reference: Reference, number: int) -> None:
        """Add a gradient to the one that a value has already."""
        before = self.gradients[reference]
        if self.sharers[before] > 1:  # somebody else's gradient too: the sum is a new tensor
            source, output = reference
            size = self.storages.kinds[source].sizes[output]
            self.gradients[reference] = total = self.script.allocate(size, "values", "sum of gradients")
            self.sharers[total] = 1
            self._lose(before)
        self._lose(number)

    def _lose(self, number: int) -> None:
        """One value less whose gradient lies there; nobody's is freed."""
        self.sharers[number] -= 1
        if not self.sharers[number]:
            self.script.free(number)

    def _optimize(self) -> None:
        size = self.plan.step_bytes
        number = self.script.allocate(size, "transient", "optimizer step") if size else None
        self.script.mark("optimizer step", "optimizer")
        if number is not None:
            self.script.free(number)
