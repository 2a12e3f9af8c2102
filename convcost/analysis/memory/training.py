"""The memory of a training step: forward, backward, optimizer."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import msgspec

from ...graph import GIVEN, ITEM_BYTES, OWN, Reference
from ...ops.base import Kernels
from ..costs import AMP
from .gradients import passed_on
from .kept import Kept
from .lifetimes import by_position, deaths
from .optimizers import Optimizer, step_bytes
from .script import Script
from .storages import PERSISTENT, Storages, own_inputs
from .weights import Held

Segment = tuple[int, int]
"""First and last position of a checkpointed block."""


class Plan(msgspec.Struct, frozen=True):
    """How a step is made.

    ``accumulate``: the gradients of earlier micro-batches are there already. ``segments``: blocks that keep only their
    inputs and run again in the backward pass, in order. ``eager``: blocks hold their arguments until they return.
    """

    optimizer: Optimizer
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
        self.costs = storages.costs
        self.parameters: dict[int, list[Held]] = {}
        for weight in weights:
            if weight.kind == "parameter":
                self.parameters.setdefault(weight.node, []).append(weight)
        self.needs = storages.needs
        self.kept = held
        self.low = AMP.get(storages.report.settings.dtype)
        self.last = deaths(storages, plan.eager)
        self.born, self.dying = by_position(storages, self.last)
        self.segments = {segment[0]: segment for segment in plan.segments}
        self.numbers: dict[int, int] = {}  # storage -> its allocation
        self.holders: Counter[int] = Counter()  # storage -> how many hold it
        self.extras: dict[int, int] = {}  # node -> allocation of what only autograd sees
        self.casts: dict[int, int] = {}  # owner -> allocation of its biases in low precision
        self.gradients: dict[Reference, int] = {}
        self.sharers: Counter[int] = Counter()  # a gradient's allocation -> how many values have theirs there
        self.arrived: set[int] = set()  # owners whose weights have gradients

    def run(self) -> None:
        """All of it."""
        script, table = self.script, self.storages.table
        if self.plan.accumulate:
            for owner in self.parameters:
                self._keep_gradients(owner)
        for k in self.storages.inputs:
            self.numbers[k] = script.allocate(table[k].bytes, "inputs", table[k].label)
            self.holders[k] = 1
        spans = list(self._spans())
        for span in spans:
            checkpointed = span[0] in self.segments
            if checkpointed:
                self.holders.update(self._handed_to(span))
            for position in range(span[0], span[1] + 1):
                self._forward(position, saving=not checkpointed)
                for k in self.dying.get(position, ()):
                    self._drop(k)
        for number in self.casts.values():
            script.free(number)  # autocast forgets its copies
        for reference in set(self.storages.graph.outputs):
            source, output = reference
            if source >= 0 and self.needs[source][output]:
                self._deposit(reference, script.allocate(self._bytes(reference), "values", "gradient of the loss"))
        for span in reversed(spans):
            checkpointed = span[0] in self.segments
            if checkpointed:
                self._again(span)
            for position in range(span[1], span[0] - 1, -1):
                self._backward(position)
            if checkpointed:
                for k in self._handed_to(span):
                    self._drop(k)
        self._optimize()

    def _spans(self) -> list[Segment]:
        spans, position = [], 0
        while position < len(self.nodes):
            span = self.segments.get(position, (position, position))
            spans.append(span)
            position = span[1] + 1
        return spans

    def _handed_to(self, span: Segment) -> set[int]:
        """Storages that a block reads and did not make."""
        read = {k for position in range(span[0], span[1] + 1) for k in self.storages.read[position]}
        return {k for k in read if k != PERSISTENT and self.storages.table[k].born < span[0]}

    # --- forward

    def _forward(self, position: int, saving: bool, phase: Literal["forward", "backward"] = "forward") -> None:
        script, table = self.script, self.storages.table
        node, cost, held = self.nodes[position], self.costs[position], self.kept[position]
        if self.low and node.op.autocast == "low" and phase == "forward":
            self._cast(position)
        own = own_inputs(node.op, node.owner, cost)
        passing = node.op.transient(own, cost.outputs, True, self.plan.kernels) + self.storages.cast_bytes(position)
        extra = script.allocate(held.extra_bytes, "saved", node.name) if held.extra_bytes else None
        rest = passing - held.extra_bytes
        transient = script.allocate(rest, "transient", node.name) if rest > 0 else None
        for k in self.born.get(position, ()):
            self.numbers[k] = script.allocate(table[k].bytes, "values", table[k].label)
            self.holders[k] = 1
        script.mark(node.name, phase)
        if transient is not None:
            script.free(transient)
        if saving:
            for k in held.storages:
                self.holders[k] += 1
                script.parts[self.numbers[k]] = "saved" if k not in self.storages.inputs else "inputs"
        if extra is not None:
            if saving:
                self.extras[position] = extra
            else:
                script.free(extra)

    def _again(self, span: Segment) -> None:
        """Run a checkpointed block once more, and keep what its backward pass needs."""
        ends: dict[int, list[int]] = {}
        for position in range(span[0], span[1] + 1):
            for k in self.born.get(position, ()):
                ends.setdefault(min(self.last[k], span[1]), []).append(k)
        for position in range(span[0], span[1] + 1):
            self._forward(position, saving=True, phase="backward")
            for k in ends.get(position, ()):
                self._drop(k)

    def _cast(self, position: int) -> None:
        """Autocast's copies of a layer's biases, made at their first use; those of weights are kept for backward."""
        owner = self.nodes[position].owner
        owner = position if owner == OWN else owner
        if owner not in self.casts and self.low:
            biases = [weight for weight in self.parameters.get(owner, ()) if not weight.name.endswith(".weight")]
            elements = sum(weight.elements for weight in biases)
            if elements:
                size = elements * ITEM_BYTES[self.low]
                self.casts[owner] = self.script.allocate(size, "transient", f"{self.nodes[owner].name} in {self.low}")

    def _drop(self, k: int) -> None:
        self.holders[k] -= 1
        if not self.holders[k] and k not in self.storages.inputs:
            self.script.free(self.numbers[k])

    # --- backward

    def _bytes(self, reference: Reference) -> int:
        return self.storages.tensor(*reference).bytes

    def _backward(self, position: int) -> None:
        node, cost, script = self.nodes[position], self.costs[position], self.script
        arrived = [
            self.gradients.pop((position, output))
            for output in range(len(cost.outputs))
            if (position, output) in self.gradients
        ]
        if arrived:
            made: list[tuple[Reference, int]] = []
            for k, reference in enumerate(node.inputs):
                source, output = reference
                if source < 0 or not self.needs[source][output]:
                    continue
                if len(arrived) == 1 and passed_on(node.op, k, cost.inputs, cost.outputs):
                    made.append((reference, arrived[0]))
                else:
                    made.append(
                        (reference, script.allocate(self._bytes(reference), "values", f"gradient of {node.name}"))
                    )
            transient = self._weight_gradients(position)
            script.mark(node.name, "backward")
            for number in transient:
                script.free(number)
            for reference, number in made:
                self._deposit(reference, number)
            for number in arrived:
                self._lose(number)
        for k in self.kept[position].storages:
            self._drop(k)
        if position in self.extras:
            script.free(self.extras.pop(position))

    def _weight_gradients(self, position: int) -> list[int]:
        """Allocate the gradients of a layer's parameters; those to be freed when it is done."""
        node, script = self.nodes[position], self.script
        if node.owner == GIVEN:
            return []
        owner = position if node.owner == OWN else node.owner
        held = self.parameters.get(owner, [])
        transient = []
        if held and self.low and node.op.autocast == "low":
            size = sum(weight.elements for weight in held) * ITEM_BYTES[self.low]
            transient.append(script.allocate(size, "transient", node.name))
        if owner not in self.arrived:
            self._keep_gradients(owner)
        elif held:  # added to those of an earlier use, or of an earlier micro-batch
            transient.append(script.allocate(sum(weight.bytes for weight in held), "transient", node.name))
        return transient

    def _keep_gradients(self, owner: int) -> None:
        self.arrived.add(owner)
        for weight in self.parameters.get(owner, ()):
            self.script.allocate(weight.bytes, "gradients", weight.name)

    def _deposit(self, reference: Reference, number: int) -> None:
        """Let a value's gradient lie there, or add it to the one that has come before."""
        before = self.gradients.get(reference)
        self.sharers[number] += 1
        if before is None:
            self.gradients[reference] = number
            return
        if self.sharers[before] > 1:  # somebody else's gradient too: the sum is a new tensor
            self.gradients[reference] = total = self.script.allocate(
                self._bytes(reference), "values", "sum of gradients"
            )
            self.sharers[total] = 1
            self._lose(before)
        self._lose(number)

    def _lose(self, number: int) -> None:
        self.sharers[number] -= 1
        if not self.sharers[number]:
            self.script.free(number)

    def _optimize(self) -> None:
        sizes = [weight.bytes for held in self.parameters.values() for weight in held]
        size = step_bytes(self.plan.optimizer, sizes, self.plan.kernels)
        number = self.script.allocate(size, "transient", "optimizer step") if size else None
        self.script.mark("optimizer step", "optimizer")
        if number is not None:
            self.script.free(number)
