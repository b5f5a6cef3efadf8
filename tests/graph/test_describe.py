"""Figures of graphs small enough to count by hand."""

from __future__ import annotations

import json
from dataclasses import asdict

import networkx as nx
import numpy as np
import pytest

from projgraph.errors import InputError
from projgraph.graph.describe import GraphDescription, describe_graph
from projgraph.graph.given import given_graph

# A triangle 0 1 2, a pair 3 4 and node 5 alone.
GRAPH = given_graph(([0, 1, 2, 3], [1, 2, 0, 4], [1.0, 2.0, 5.0, 0.5]), n_nodes=6)


def test_by_hand():
    assert describe_graph(GRAPH, np.array([0, 0, 1, -1, -1, -1])) == GraphDescription(
        nodes=6,
        edges=4,
        isolated=1,
        components=3,
        largest_component=3,
        degree_min=0,
        degree_median=1.5,
        degree_max=2,
        degree_mean=8 / 6,
        weight_min=0.5,
        weight_median=1.5,
        weight_max=5.0,
        labelled=3,
        unreached=3,
        known_edges=3,
        agreement=pytest.approx(1 / 3),
        weighted_agreement=pytest.approx(1 / 8),
    )


def test_without_labels_and_without_known_edges():
    assert describe_graph(GRAPH).labelled is None
    none = describe_graph(GRAPH, np.full(6, -1))
    assert (none.labelled, none.unreached, none.known_edges, none.agreement) == (0, 6, 0, None)
    apart = describe_graph(GRAPH, np.array([1, -1, -1, 0, -1, -1]))
    assert (apart.labelled, apart.unreached, apart.known_edges, apart.weighted_agreement) == (2, 1, 0, None)


def test_without_edges_and_without_nodes():
    alone = describe_graph(given_graph(([], []), n_nodes=2))
    assert (alone.components, alone.isolated, alone.degree_max, alone.weight_max) == (2, 2, 0, None)
    nothing = describe_graph(given_graph(([], [])))
    assert (nothing.nodes, nothing.components, nothing.largest_component, nothing.degree_min) == (0, 0, 0, None)


def test_json_has_every_figure():
    description = describe_graph(GRAPH, np.array([0, 0, 1, -1, -1, -1]))
    assert json.loads(json.dumps(description.to_json())) == asdict(description)


def test_against_networkx_and_any_order_of_nodes():
    theirs = nx.gnm_random_graph(60, 50, seed=1)
    ours = describe_graph(given_graph(theirs))
    assert ours.components == nx.number_connected_components(theirs)
    assert ours.largest_component == max(len(part) for part in nx.connected_components(theirs))
    assert ours.isolated == nx.number_of_isolates(theirs)
    order = np.random.default_rng(0).permutation(60)
    assert describe_graph(given_graph(nx.to_numpy_array(theirs)[np.ix_(order, order)])) == ours


def test_labels_of_another_length():
    with pytest.raises(InputError, match=r"labels of shape \(5,\) for 6 nodes; expected one a node"):
        describe_graph(GRAPH, np.zeros(5, dtype=np.int64))
