"""The greedy cover against sums by hand, the best choice of small graphs, and its invariants."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import sparse

from projgraph.errors import InputError
from projgraph.graph.cover import greedy_cover, uncovered
from projgraph.graph.csr import from_csr, to_csr
from projgraph.records import Graph


def random_graph(n: int, seed: int) -> Graph:
    drawn = sparse.random_array((n, n), density=0.3, rng=np.random.default_rng(seed)).toarray().astype(np.float32)
    drawn = np.maximum(drawn, drawn.T)
    np.fill_diagonal(drawn, 0)
    return from_csr(sparse.csr_array(drawn))


def worth(graph: Graph, need: np.ndarray, chosen: tuple[int, ...]) -> float:
    """f(A) as the module's docstring has it."""
    strengths = to_csr(graph).toarray().astype(np.float64)
    strengths = np.sqrt(strengths / strengths.max())
    np.fill_diagonal(strengths, 1)
    return float((need * (1 - np.prod(1 - strengths[list(chosen)], axis=0))).sum())


def path(weights: list[float]) -> Graph:
    n = len(weights) + 1
    dense = np.zeros((n, n), dtype=np.float32)
    for node, weight in enumerate(weights):
        dense[node, node + 1] = dense[node + 1, node] = weight
    return from_csr(sparse.csr_array(dense))


def test_a_path_by_hand():
    # Strengths 1/2, 1, 1/2. Node 1 covers 1/2 + 1 + 1; then node 3 adds 1 (2 is covered), then node 0 its other half.
    chosen, gains = greedy_cover(path([1, 4, 1]), np.ones(4, np.float32), np.ones(4, bool), 4)
    assert chosen.tolist() == [1, 3, 0, 2]
    assert gains.tolist() == pytest.approx([2.5, 1.0, 0.5, 0.0])


@pytest.mark.parametrize("seed", range(4))
def test_gains_add_up_to_what_the_choice_is_worth_and_greedy_keeps_its_promise(seed):
    graph, need = random_graph(9, seed), np.random.default_rng(seed).random(9).astype(np.float32)
    chosen, gains = greedy_cover(graph, need, np.ones(9, bool), 3)
    assert gains.sum() == pytest.approx(worth(graph, need, tuple(chosen)), rel=1e-6)
    assert (np.diff(gains) <= 1e-9).all()
    best = max(worth(graph, need, choice) for choice in itertools.combinations(range(9), 3))
    assert gains.sum() >= (1 - 1 / np.e) * best


def test_choosing_first_and_leaving_uncovered_afterwards_say_the_same():
    graph, need = random_graph(20, 7), np.ones(20, np.float32)
    first, _ = greedy_cover(graph, need, np.ones(20, bool), 6)
    free = np.ones(20, bool)
    free[first[:3]] = False
    later, _ = greedy_cover(graph, need * uncovered(graph, first[:3]), free, 3)
    assert later.tolist() == first[3:].tolist()


def test_only_allowed_nodes_are_chosen_and_no_more_than_there_are():
    graph = random_graph(12, 3)
    allowed = np.arange(12) % 3 == 0
    chosen, _ = greedy_cover(graph, np.ones(12, np.float32), allowed, 99)
    assert sorted(chosen.tolist()) == [0, 3, 6, 9]
    assert greedy_cover(graph, np.ones(12, np.float32), np.zeros(12, bool), 5)[0].tolist() == []


def test_without_edges_need_alone_decides_and_ties_go_to_the_lowest():
    none = from_csr(sparse.csr_array((4, 4), dtype=np.float32))
    chosen, gains = greedy_cover(none, np.array([1, 3, 3, 0], np.float32), np.ones(4, bool), 4)
    assert chosen.tolist() == [1, 2, 0, 3]
    assert gains.tolist() == [3, 3, 1, 0]


@pytest.mark.parametrize("need", [[-1.0, 0, 0, 0], [np.nan, 0, 0, 0], [np.inf, 0, 0, 0]])
def test_a_need_that_is_no_need_is_refused(need):
    with pytest.raises(InputError, match="a need is negative or not finite"):
        greedy_cover(path([1, 1, 1]), np.array(need, np.float32), np.ones(4, bool), 1)


def test_another_number_of_nodes_is_refused():
    with pytest.raises(InputError, match="the graph has 4 nodes, need 3 and allowed 4; expected one a node"):
        greedy_cover(path([1, 1, 1]), np.ones(3, np.float32), np.ones(4, bool), 1)
