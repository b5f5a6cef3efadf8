"""Graphs from outside: every form gives the same graph, and everything wrong is named."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from projgraph.errors import InputError
from projgraph.graph.csr import normalised, to_csr, transition
from projgraph.graph.given import given_graph
from projgraph.records import MAX_WEIGHT, MIN_WEIGHT, EdgeList

DENSE = np.array([[0, 2, 0, 0], [2, 0, 0.5, 0], [0, 0.5, 0, 0], [0, 0, 0, 0]])
SOURCES, TARGETS, WEIGHTS = np.array([0, 1]), np.array([1, 2]), np.array([2.0, 0.5])


def dense(graph):
    assert (graph.indptr.dtype, graph.indices.dtype, graph.weights.dtype) == (np.int64, np.int32, np.float32)
    return to_csr(graph).toarray()


class Tensor:
    """What torch gives: no array, but it turns into one."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def __array__(self, dtype=None, copy=None):
        return self.values


@pytest.mark.parametrize(
    "form",
    [
        DENSE,
        DENSE.tolist(),
        sparse.csr_array(DENSE),
        sparse.csc_matrix(DENSE),
        sparse.coo_array(DENSE),
        sparse.lil_matrix(DENSE),
        (SOURCES, TARGETS, WEIGHTS),
        [[*SOURCES.tolist(), 3], [*TARGETS.tolist(), 3], [*WEIGHTS.tolist(), 9.0]],
        EdgeList(SOURCES, TARGETS, WEIGHTS.astype(np.float32), 4),
    ],
    ids=["dense", "lists", "csr", "csc", "coo", "lil", "arrays", "loop", "record"],
)
def test_every_form_gives_the_same_graph(form):
    n_nodes = 4 if isinstance(form, tuple) else None
    assert np.array_equal(dense(given_graph(form, n_nodes=n_nodes)), DENSE)


def test_edge_index():
    edge_index = np.array([[0, 1, 1], [1, 0, 2]])
    assert np.array_equal(dense(given_graph(edge_index, weights=[1, 2, 0.5], n_nodes=4)), DENSE)
    ones = dense(given_graph(Tensor(edge_index), n_nodes=4))
    assert np.array_equal(ones, DENSE > 0)
    assert given_graph(edge_index).n_nodes == 3


def test_networkx_in_the_order_of_its_nodes():
    graph = nx.Graph()
    graph.add_nodes_from(["a", "b", "c", "d"])
    graph.add_edge("b", "a", weight=2.0)
    graph.add_edge("c", "b", weight=0.5)
    assert np.array_equal(dense(given_graph(graph)), DENSE)
    parallel = nx.MultiDiGraph([(0, 1), (0, 1)])
    assert dense(given_graph(parallel)).tolist() == [[0, 1], [1, 0]]


def test_asymmetric():
    matrix = np.array([[0, 1, 0], [3, 0, 0], [0, 2, 0]])
    assert dense(given_graph(matrix)).tolist() == [[0, 3, 0], [3, 0, 2], [0, 2, 0]]
    with pytest.raises(InputError, match=r"not symmetric: 0 -> 1 weighs 1, 1 -> 0 3; .*directed='maximum'"):
        given_graph(matrix, directed="error")
    assert np.array_equal(dense(given_graph(DENSE, directed="error")), DENSE)
    with pytest.raises(InputError, match="directed='sum'; expected 'maximum' or 'error'"):
        given_graph(DENSE, directed="sum")


def test_repeated_edges():
    assert dense(given_graph(([0, 0, 1], [1, 1, 0], [1.0, 3.0, 2.0]))).tolist() == [[0, 3], [3, 0]]
    twice = sparse.coo_array(([1.0, 3.0], ([0, 0], [1, 1])), shape=(2, 2))
    assert dense(given_graph(twice)).tolist() == [[0, 4], [4, 0]]


def test_self_loops_are_dropped_and_counted():
    lines = []
    graph = given_graph(([0, 1, 1], [0, 1, 0]), progress=lines.append)
    assert dense(graph).tolist() == [[0, 1], [1, 0]]
    assert lines == ["graph: 2 self-loops dropped"]


def test_no_edges_and_no_nodes():
    assert given_graph(np.zeros((3, 3))).indptr.tolist() == [0, 0, 0, 0]
    assert given_graph(([], []), n_nodes=2).n_nodes == 2
    assert given_graph(np.zeros((2, 0), dtype=np.int64)).n_nodes == 0
    assert given_graph(np.zeros((0, 0))).n_nodes == 0
    assert given_graph(nx.empty_graph(3)).n_nodes == 3
    assert given_graph(([0], [1], [0.0])).n_edges == 0
    assert given_graph(([0], [1], [1e-60])).n_edges == 0


def test_repeated_small_integers_add_up_without_wrapping():
    stored = (np.array([200, 200], dtype=np.uint8), np.array([1, 1]), np.array([0, 2, 2]))
    assert given_graph(sparse.csr_array(stored, shape=(2, 2))).weights.tolist() == [400, 400]


@pytest.mark.parametrize("weight", [MIN_WEIGHT, MAX_WEIGHT])
def test_the_extreme_weights_have_finite_degrees_and_inverses(weight):
    graph = given_graph(np.full((40, 40), weight))
    assert graph.weights[0] == weight
    with np.errstate(all="raise"):
        assert np.allclose(normalised(graph).sum(axis=1), 1)
        assert np.allclose(transition(graph).sum(axis=1), 1)
    assert given_graph(([0], [1], [MIN_WEIGHT / 2])).n_edges == 0


def test_what_is_given_stays_as_it_was():
    matrix = sparse.csr_array(np.array([[5.0, 1.0], [0.0, 0.0]]))
    given_graph(matrix)
    assert matrix.toarray().tolist() == [[5, 1], [0, 0]]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (np.array([[0, np.nan], [1, 0]]), r"weight nan at \(0, 1\) \(1 such\); expected finite numbers"),
        (sparse.csr_array([[0, np.inf], [1, 0]]), r"weight inf at 0 \(1 such\); expected finite numbers"),
        (([0], [1], [-0.5]), r"weight -0.5 at 0 \(1 such\); expected no negative weight: clean"),
        (([0], [1], [1e300]), "weight 1e.300 at 0 .*expected finite numbers"),
        (([0], [1], [1e29]), r"weight 1e.29 at 0 \(1 such\); expected at most 7.9e.28: clean"),
        (([0], [1], ["x"]), "weights of type <U1; expected real numbers"),
        (([0], [1], [1j]), "weights of type complex128; expected real numbers"),
        (([0], [1], [1.0, 2.0]), r"weights of shape \(2,\) for 1 edges; expected one an edge"),
        (([0, 1], [1]), "2 sources and 1 targets; expected as many of both"),
        (([0], [-1]), r"target -1 of edge 0 is out of range \(1 such\); expected 0 to 0 for 1 nodes"),
        (([0.5], [1.0]), "source indices are of type float64; expected whole numbers from 0"),
        (np.zeros((3, 4)), r"shape \(3, 4\) is neither square nor \(2, m\)"),
        (sparse.csr_array((3, 4)), r"the adjacency has shape \(3, 4\); expected as many columns as rows"),
        (7, r"shape \(\) is neither square"),
        ("graph", "is neither square"),
        (([0], [2**40]), "1,099,511,627,777 nodes; expected 0 to 2,147,483,647"),
    ],
)
def test_errors(form, message):
    with pytest.raises(InputError, match=f"graph: .*{message}"):
        given_graph(form)


def test_out_of_range():
    with pytest.raises(InputError, match=r"target 5 of edge 1 is out of range \(1 such\); expected 0 to 4 for 5 nodes"):
        given_graph(([0, 1], [1, 5]), n_nodes=5)
    damaged = sparse.csr_array(DENSE)
    damaged.indices[0] = 77
    with pytest.raises(InputError, match="the sparse adjacency is damaged"):
        given_graph(damaged)
    coo = sparse.coo_array(DENSE)
    coo.coords[0][0] = -4
    with pytest.raises(InputError, match="row -4 of edge 0 is out of range"):
        given_graph(coo)
    with pytest.raises(InputError, match="weights are given twice"):
        given_graph(([0], [1], [1.0]), weights=[1.0])


def test_too_many_edges_without_their_memory():
    many = np.broadcast_to(np.int64(0), 2**31)
    with pytest.raises(InputError, match=r"2,147,483,648 stored edges; at most 2,147,483,647 are held: keep fewer"):
        given_graph((many, many))
    with pytest.raises(InputError, match="2,147,483,648 stored edges"):
        given_graph(np.broadcast_to(np.int64(0), (2, 2**31)))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.floats(0, 8, width=32, allow_subnormal=False)), max_size=20
    )
)
def test_any_edges_against_a_plain_loop(edges):
    expected = np.zeros((6, 6), dtype=np.float32)
    for one, other, weight in edges:
        if one != other:
            expected[one, other] = expected[other, one] = max(expected[one, other], weight)
    columns = [list(part) for part in zip(*edges, strict=True)] if edges else [[], []]
    assert np.array_equal(dense(given_graph(tuple(columns), n_nodes=6)), expected)


def test_permuting_the_nodes_permutes_the_graph():
    generator = np.random.default_rng(0)
    matrix = generator.random((12, 12)) * (generator.random((12, 12)) < 0.3)
    order = generator.permutation(12)
    assert np.array_equal(
        dense(given_graph(matrix[np.ix_(order, order)])), dense(given_graph(matrix))[np.ix_(order, order)]
    )
