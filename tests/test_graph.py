"""A graph does not change after it is made."""

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


def test_what_it_is_made_from_may_change_later():
    lenet = convcost.load("lenet5")
    nodes, inputs, repeats = [*lenet.nodes], [*lenet.inputs], [(0, 2)]
    graph = Graph(nodes, inputs, repeats=repeats)
    for given in (nodes, inputs, repeats):
        given.clear()
    assert (graph.nodes, graph.inputs, graph.repeats) == (lenet.nodes, lenet.inputs, ((0, 2),))


def test_a_renamed_graph_is_another_one():
    graph = convcost.load("lenet5")
    title = graph.about.title
    other = graph.renamed("mine")
    assert (graph.about.name, other.about.name) == ("lenet5", "mine")
    assert (other.about.title, other.nodes, other.depth) == (title, graph.nodes, graph.depth)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda graph: pickle.loads(pickle.dumps(graph))])
def test_it_can_be_copied_and_pickled(again):
    graph = convcost.load("lenet5")
    other = again(graph)
    assert (other.nodes, other.about, other.index) == (graph.nodes, graph.about, graph.index)
    with pytest.raises(AttributeError):
        other.about = graph.about
