"""Recurrent layers: nn.RNN, nn.LSTM, nn.GRU.

At each step, every gate multiplies the input by one matrix and the previous state by another, and adds two biases.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from ..errors import OpError
from ..tensor import Tensor, Weight
from ..units import shape as times
from .base import (
    FRESH,
    UNKNOWN,
    Counts,
    ExplanationStep,
    Kernels,
    NonNegative,
    Op,
    Placement,
    Positive,
    Probability,
    Reach,
    Tensors,
    register,
)
from .combine import counted
from .flop_counts import PER_ELEMENT


class _Recurrent(Op, frozen=True):
    """A layer that reads (L, N, input_size), or (N, L, input_size) with ``batch_first``, and optional initial states.

    Outputs: the states of the last layer at every step, (L, N, directions*hidden_size); the final state of each layer,
    (directions*num_layers, N, hidden_size).
    """

    group = "fc"
    arity = (1, 2)
    autocast = "low"
    cudnn = True
    inferred_fields = ("input_size",)

    gates: ClassVar[int]

    hidden_size: Positive
    num_layers: Positive = 1
    bias: bool = True
    batch_first: bool = False
    dropout: Probability = 0.0
    bidirectional: bool = False
    input_size: Positive | None = None

    @property
    def directions(self) -> int:
        """2 if the sequence is also read backwards, otherwise 1."""
        return 1 + self.bidirectional

    @property
    def _state_size(self) -> int:
        """Size of the hidden state of a layer in one direction."""
        return self.hidden_size

    def bind(self, inputs: Tensors) -> Op:
        self.check(inputs)
        return msgspec.structs.replace(self, input_size=inputs[0].shape[-1])

    def check(self, inputs: Tensors) -> None:
        x = inputs[0]
        if len(x.shape) != 3:
            order = "(N, L, features)" if self.batch_first else "(L, N, features)"
            raise OpError(f"{self.op} needs {order}, got {times(x.shape)}")
        if self.input_size not in (None, x.shape[-1]):
            raise OpError(f"{self.op} was built for {self.input_size} input features, got {x.shape[-1]}")
        for state, expected in zip(inputs[1:], self._states(x), strict=False):
            if state.shape != expected.shape:
                shapes = f"{times(state.shape)}, expected {times(expected.shape)}"
                raise OpError(f"{self.op}: an initial state has the shape {shapes}")

    def _states(self, x: Tensor) -> Tensors:
        """The final state of each layer."""
        batch = x.shape[0 if self.batch_first else 1]
        return (Tensor((self.directions * self.num_layers, batch, self._state_size), x.dtype),)

    def outputs(self, inputs: Tensors) -> Tensors:
        x = inputs[0]
        states = Tensor((*x.shape[:2], self.directions * self._state_size), x.dtype)
        return (states, *self._states(x))

    def _widths(self) -> list[int]:
        """The number of input features of each layer."""
        return [self.input_size or 0] + [self.directions * self._state_size] * (self.num_layers - 1)

    def weights(self) -> tuple[Weight, ...]:
        rows = self.gates * self.hidden_size
        weights: list[Weight] = []
        for layer, width in enumerate(self._widths()):
            for suffix in ("", "_reverse")[: self.directions]:
                end = f"l{layer}{suffix}"
                weights += [
                    Weight(f"weight_ih_{end}", (rows, width)),
                    Weight(f"weight_hh_{end}", (rows, self._state_size)),
                ]
                if self.bias:
                    weights += [Weight(f"bias_ih_{end}", (rows,)), Weight(f"bias_hh_{end}", (rows,))]
                weights += self._projection(end)
        return tuple(weights)

    def _projection(self, end: str) -> list[Weight]:
        return []

    def macs(self, inputs: Tensors, outputs: Tensors) -> int:
        steps = inputs[0].shape[0] * inputs[0].shape[1]
        return steps * sum(weight.elements for weight in self.weights() if len(weight.shape) == 2)

    def fvcore_flops(self, inputs: Tensors, outputs: Tensors, train: bool) -> int:
        return 0  # fvcore has no formula; PyTorch's counter counts the matrix products inside

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        steps = inputs[0].shape[0] * inputs[0].shape[1]
        cells = steps * self.directions * self.num_layers * self.hidden_size
        activations, elementwise = self._cell()
        between = steps * self.directions * self._state_size * (self.num_layers - 1) if train and self.dropout else 0
        dropped = sum(counted("dropout", between).values())
        counts = {"activation": cells * activations, "elementwise": cells * elementwise + dropped}
        return {**counts, "bias": cells * 2 * self.gates} if self.bias else counts

    def _cell(self) -> tuple[int, int]:
        """Operations per element of the state: those of its activations, and all others."""
        raise NotImplementedError

    def placement(self, inputs: Tensors, train: bool) -> tuple[Placement, ...]:
        return (FRESH,) * (1 + len(self._states(inputs[0])))

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> None:
        return None  # cuDNN saves a reserve space of unknown size, PyTorch's loops the tensors of every step

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return UNKNOWN

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        weights = self.weights()
        params = sum(weight.elements for weight in weights)
        matrices = [weight for weight in weights if len(weight.shape) == 2]
        length, batch = inputs[0].shape[:2]
        substitution = " + ".join("*".join(map(str, weight.shape)) for weight in matrices)
        total = sum(weight.elements for weight in matrices)
        steps = [ExplanationStep("weights", "sum of the matrices", substitution, total)]
        if self.bias:
            rows = f"2*{self.gates}*{self.hidden_size}*{self.num_layers}*{self.directions}"
            steps.append(ExplanationStep("biases", "2*gates*hidden_size*num_layers*directions", rows, params - total))
            steps.append(ExplanationStep("params", "weights + biases", f"{total:,} + {params - total:,}", params))
        macs = self.macs(inputs, outputs)
        return (*steps, ExplanationStep("MACs", "N*L*weights", f"{length}*{batch}*{total:,}", macs))

    def to_torch(self) -> Any:
        from .torch_modules.recurrent import recurrent

        return recurrent(self.nn_class, msgspec.structs.asdict(self))


@register
class Rnn(_Recurrent, frozen=True):
    """Recurrent layer, h' = tanh(W x + b + U h + c) at each step: a sequence -> all states and the final states.

    Per element of the state: 2 biases, an addition, an activation. Source: nn.RNN.
    """

    op = "rnn"
    nn_class = "RNN"
    gates = 1

    nonlinearity: Literal["tanh", "relu"] = "tanh"

    def _cell(self) -> tuple[int, int]:
        return PER_ELEMENT[self.nonlinearity].total, 1


@register
class Gru(_Recurrent, frozen=True):
    """Gated recurrent unit: reset and update gates and a candidate for the new state. arXiv 1406.1078, nn.GRU.

    Per element of the state: 6 biases; two sigmoids and a tanh; two sums of gates; r*u, its sum, n + z*(h - n).
    """

    op = "gru"
    nn_class = "GRU"
    gates = 3

    def _cell(self) -> tuple[int, int]:
        return 2 * PER_ELEMENT["sigmoid"].total + PER_ELEMENT["tanh"].total, 2 + 2 + 3


@register
class Lstm(_Recurrent, frozen=True):
    """Long short-term memory: input, forget and output gates, a candidate, and a cell state.

    Per element of the state: 8 biases; three sigmoids and two tanh; four sums of gates; f*c + i*g; o*tanh(c). With
    ``proj_size`` a matrix projects the hidden state. Third output: the final cell states. arXiv 1402.1128, nn.LSTM.
    """

    op = "lstm"
    nn_class = "LSTM"
    arity = (1, 3)
    gates = 4

    proj_size: NonNegative = 0

    @property
    def _state_size(self) -> int:
        return self.proj_size or self.hidden_size

    def check(self, inputs: Tensors) -> None:
        super().check(inputs)
        if self.proj_size >= self.hidden_size:
            raise OpError(f"{self.op}: proj_size {self.proj_size} must be below hidden_size {self.hidden_size}")
        if len(inputs) == 2:
            raise OpError(f"{self.op} takes no initial states or two (hidden, cell), got one")

    def _states(self, x: Tensor) -> Tensors:
        (hidden,) = super()._states(x)
        return hidden, Tensor((*hidden.shape[:2], self.hidden_size), x.dtype)

    def _projection(self, end: str) -> list[Weight]:
        return [Weight(f"weight_hr_{end}", (self.proj_size, self.hidden_size))] if self.proj_size else []

    def _cell(self) -> tuple[int, int]:
        return 3 * PER_ELEMENT["sigmoid"].total + 2 * PER_ELEMENT["tanh"].total, 4 + 3 + 1
