"""A graph as a PyTorch module: each node's op as it is in PyTorch, called in the graph's order.

Shapes, weights and counts of ops are not used here: what the network does is PyTorch's doing alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from ..errors import ConvcostError, SpecError, UsageError
from ..graph import GIVEN, Graph, Node, Reference
from .devices import device_of, dtype_of

Values = dict[Reference, torch.Tensor]
Refs = tuple[Reference, ...]


class Container(nn.Module):
    """Layers whose paths begin alike. It only gives them their names; the network calls the layers."""


class LayerCall:
    """The call of one node's module in a run of the network.

    ``inputs`` are the values that the module is called with; ``given`` are its weights that are values, by name.
    ``stored`` are its outputs that are read later, and ``released`` the values that nothing reads after it.
    """

    def __init__(self, node: Node, module: nn.Module, given: Sequence[str], stored: Refs, released: Refs) -> None:
        self.name = node.name
        self.module = module
        # Now, since later a layer may get others below its path.
        self.weight_names = tuple(module.state_dict())
        own = len(node.inputs) - len(given)
        self.inputs = node.inputs[:own]
        self.given = tuple(zip(given, node.inputs[own:], strict=True))
        self.stored = stored
        self.released = released

    def weights(self) -> list[torch.Tensor]:
        """The module's parameters and buffers, those that it shares included."""
        owners = (_owner_of(self.module, name) for name in self.weight_names)
        found = (inner._parameters.get(last, inner._buffers.get(last)) for inner, last in owners)
        return [tensor for tensor in found if tensor is not None]

    def run(self, values: Values) -> None:
        """Call the module, and release the values that nothing reads after it."""
        arriving, weights = self.reads(values)
        for ref in self.released:
            del values[ref]
        outputs = self.outputs(arriving, weights)
        for ref in self.stored:
            values[ref] = outputs[ref[1]]

    def reads(self, values: Values) -> tuple[list[torch.Tensor], list[tuple[str, torch.Tensor]]]:
        """The inputs, and the weights that are values."""
        return [values[ref] for ref in self.inputs], [(name, values[ref]) for name, ref in self.given]

    def outputs(self, arriving: Sequence[torch.Tensor], weights: Sequence[tuple[str, torch.Tensor]]) -> tuple[Any, ...]:
        """The module's outputs on what ``reads`` gave."""
        made = _called_with(self.module, weights, arriving) if weights else self.module(*arriving)
        return made if isinstance(made, tuple) else (made,)


class Network(nn.Module):
    """A graph as a module: it takes the graph's inputs in their order, and gives its output, or several as a tuple.

    Its layers are modules under the paths of the graph's nodes. Shared weights are one parameter, and a value is
    released after its last reader. ``calls`` are the layers' calls in order.
    """

    def __init__(self, graph: Graph, calls: Sequence[LayerCall]) -> None:
        super().__init__()
        self.title = graph.about.name
        self.input_names = tuple(name for name, _ in graph.inputs)
        self.output_refs = graph.outputs
        self.calls = tuple(calls)
        for call in calls:
            _place(self, call.name.split("."), call.module)

    def extra_repr(self) -> str:
        return f"{self.title}: {', '.join(self.input_names)}"

    def forward(self, *inputs: torch.Tensor, around: Callable[[LayerCall, Values], None] = LayerCall.run) -> Any:
        """The network's output on these inputs; ``around`` runs each call, so that it can be watched.

        Raises:
            UsageError: too few inputs, or too many.
        """
        if len(inputs) != len(self.input_names):
            names = ", ".join(self.input_names) or "nothing"
            raise UsageError(f"{self.title} takes {len(self.input_names)} inputs ({names}), not {len(inputs)}")
        values = {(-1 - number, 0): x for number, x in enumerate(inputs)}
        for call in self.calls:
            around(call, values)
        outputs = tuple(values[ref] for ref in self.output_refs)
        return outputs[0] if len(outputs) == 1 else outputs


def build(graph: Graph, device: str | torch.device = "meta", dtype: str | None = None) -> Network:
    """The network of a graph as a PyTorch module, with weights as PyTorch draws them.

    Args:
        graph: from ``convcost.load`` or ``convcost.capture``.
        device: where its weights are: "meta" (nowhere: shapes only), "cpu", "cuda".
        dtype: of its floating-point weights; default: that of the captured module, float32 in a graph from a spec.

    Returns:
        A module in evaluation mode, or in training mode if the graph was captured in it. The names in its state_dict
        begin with the names of the graph's nodes.

    Raises:
        UsageError: ``graph`` is no graph; no such device or dtype.
        SpecError: PyTorch cannot build a layer; the message has its place.
    """
    if not isinstance(graph, Graph):
        raise UsageError(f"build takes a graph, not {graph!r:.80}; convcost.load(NAME) gives one")
    place, kind = device_of(device), dtype_of(dtype or graph.dtype or "float32")
    calls: list[LayerCall] = []
    stored, released = _lifetimes(graph)
    with place:
        for position, node in enumerate(graph):
            module = _module(node)
            given = _without_weights(module) if node.owner == GIVEN else ()
            calls.append(LayerCall(node, module, given, stored.get(position, ()), released.get(position, ())))
            if node.owner >= 0:
                _share(module, calls[node.owner].module)
    network = Network(graph, calls)
    if kind != torch.float32:
        network.to(kind)
    return network.train(graph.mode == "train")


def _module(node: Node) -> nn.Module:
    try:
        module: nn.Module = node.op.to_torch()
    except ConvcostError as error:
        raise SpecError([(node.where, node.name, str(error))]) from None
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise SpecError([(node.where, node.name, f"PyTorch cannot build this {node.op.op}: {first}")]) from error
    return module


def _place(parent: nn.Module, path: Sequence[str], module: nn.Module) -> None:
    """Make ``module`` what ``parent`` has under ``path``."""
    # Straight into the table: ``add_module`` refuses what a spec may call a layer, such as ``half`` or ``type``.
    for name in path[:-1]:
        parent = parent._modules.setdefault(name, Container())  # type: ignore[assignment]
    parent._modules[path[-1]], before = module, parent._modules.get(path[-1])
    if before is not None:
        module._modules.update(before._modules)


def _lifetimes(graph: Graph) -> tuple[dict[int, Refs], dict[int, Refs]]:
    """By a node's position: its outputs that are read, and the values that nothing reads after it."""
    last: dict[Reference, int] = {}
    for position, node in enumerate(graph.nodes):
        last.update(dict.fromkeys(node.inputs, position))
    last.update(dict.fromkeys(graph.outputs, len(graph.nodes)))
    stored: dict[int, Refs] = {}
    released: dict[int, Refs] = {}
    for ref, position in last.items():
        stored[ref[0]] = (*stored.get(ref[0], ()), ref)
        released[position] = (*released.get(position, ()), ref)
    return stored, released


# --- weights of others


def _owner_of(module: nn.Module, name: str) -> tuple[nn.Module, str]:
    path, _, last = name.rpartition(".")
    return module.get_submodule(path), last


def _share(module: nn.Module, owner: nn.Module) -> None:
    """Let ``module`` use the very parameters and buffers of ``owner``."""
    for name in module.state_dict():
        (mine, last), (other, _) = _owner_of(module, name), _owner_of(owner, name)
        for mine_of, other_of in ((mine._parameters, other._parameters), (mine._buffers, other._buffers)):
            if last in mine_of:
                mine_of[last] = other_of[last]  # type: ignore[assignment]


def _without_weights(module: nn.Module) -> tuple[str, ...]:
    """Take a module's weights away, since they will arrive as values; their names in order."""
    names = tuple(module.state_dict())
    for name in names:
        inner, last = _owner_of(module, name)
        inner._parameters.pop(last, None)
        inner._buffers.pop(last, None)
    return names


def _called_with(module: nn.Module, weights: Sequence[tuple[str, torch.Tensor]], inputs: Sequence[torch.Tensor]) -> Any:
    """A module's result with these weights."""
    # Not as parameters, which ``setattr`` would make of a learned tensor: they belong to the nodes that give them.
    for name, value in weights:
        inner, last = _owner_of(module, name)
        inner.__dict__[last] = value
    try:
        return module(*inputs)
    finally:
        for name, _ in weights:
            inner, last = _owner_of(module, name)
            del inner.__dict__[last]


__all__ = ["LayerCall", "Network", "Values", "build"]
