"""A graph is immutable."""

from __future__ import annotations

import copy
import pickle

import pytest

import convcost
from convcost.graph import Graph


def test_nothing_can_be_set_or_deleted():
    graph = convcost.load("lenet5")
    for name in ("about", "nodes", "observation", "index", "anything"):
        with pytest.raises(AttributeError, match=f"'{name}' cannot be set"):
            setattr(graph, name, None)
    with pytest.raises(AttributeError, match="'nodes' cannot be deleted"):
        del graph.nodes


def test_changing_the_arguments_later_does_not_change_it():
    lenet = convcost.load("lenet5")
    nodes, inputs, repeats = [*lenet.nodes], [*lenet.inputs], [(0, 2)]
    graph = Graph(nodes, inputs, repeats=repeats)
    for argument in (nodes, inputs, repeats):
        argument.clear()
    assert (graph.nodes, graph.inputs, graph.repeats) == (lenet.nodes, lenet.inputs, ((0, 2),))


def test_renamed_returns_a_copy():
    graph = convcost.load("lenet5")
    title = graph.about.title
    renamed = graph.renamed("mine")
    assert (graph.about.name, renamed.about.name) == ("lenet5", "mine")
    assert (renamed.about.title, renamed.nodes, renamed.depth) == (title, graph.nodes, graph.depth)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda graph: pickle.loads(pickle.dumps(graph))])
def test_it_can_be_copied_and_pickled(again):
    graph = convcost.load("lenet5")
    copied = again(graph)
    assert (copied.nodes, copied.about, copied.index) == (graph.nodes, graph.about, graph.index)
    with pytest.raises(AttributeError):
        copied.about = graph.about
