"""The allocations of a captured module are recorded on demand, and no graph holds a reference to the module."""

from __future__ import annotations

import gc
import pickle
import types

import pytest

import convcost
from convcost.graph import Allocation

torch = pytest.importorskip("torch")

RUNS = []


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(3, 5)

    def forward(self, x):
        RUNS.append(x)
        return self.fc(x).sigmoid()


IN, OUT = 2 * 3 * 4, 2 * 5 * 4  # bytes of a batch of 2 in float32


def captured(train=False):
    RUNS.clear()
    return convcost.capture(Net().train(train), torch.ones(2, 3))


def modules():
    """The number of modules of this test that exist, including the copy that is captured."""
    RUNS.clear()
    gc.collect()
    return sum(type(each) is Net for each in gc.get_objects())


def test_the_allocations_of_a_linear_layer_and_a_sigmoid():
    assert [(each.bytes, each.born, each.died) for each in captured().observed] == [
        (IN, 0, None),  # the caller holds the input
        (OUT, 1, 3),
        (OUT, 2, None),
    ]
    assert convcost.memory(captured(), mode="inference").activation_peak_bytes == IN + 2 * OUT


def test_the_module_runs_again_on_demand_and_only_once():
    graph = captured()
    assert len(RUNS) == 1
    assert graph.observed is graph.observed
    assert len(RUNS) == 2


def test_the_module_is_released_after_its_run():
    graph = captured()
    assert modules() == 1
    assert len(graph.observed) == 3
    assert modules() == 0


def test_the_module_is_released_with_its_graphs():
    graph = captured()
    other = graph.renamed("other")
    del graph
    assert modules() == 1
    assert len(other.renamed("again").observed) == 3
    del other
    unseen = captured()
    assert modules() == 1
    del unseen
    assert modules() == 0


def test_a_graph_in_training_mode_keeps_no_module():
    graph = captured(train=True)
    assert modules() == 0
    assert graph.observed is None


def test_a_graph_has_no_reference_to_the_module():
    seen, waiting = set(), [captured()]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, (type, types.ModuleType)):
            continue
        seen.add(id(each))
        if isinstance(each, types.FunctionType):
            waiting += each.__closure__ or ()
            continue
        assert not isinstance(each, (torch.nn.Module, torch.Tensor, types.MethodType))
        waiting += gc.get_referents(each)


def test_a_pickled_graph_has_the_allocations():
    graph = captured()
    again = pickle.loads(pickle.dumps(graph))
    assert again.observed == graph.observed
    assert isinstance(again.observed[0], Allocation)
