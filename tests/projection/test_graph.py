"""The projection graph: collapse, links, edges by hand, agreement figures, invariances, the file and the drawing."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import sparse

from projgraph.errors import InputError
from projgraph.graph.csr import from_csr, to_csr
from projgraph.graph.hamming import hamming_graph
from projgraph.projection.graph import (
    ProjectionGraph,
    describe_projection_graph,
    learned_bits,
    projection_graph,
    to_networkx,
)
from projgraph.projection.store import read_projection_graph, write_projection_graph
from projgraph.records import UNLABELLED, Bits, Graph, Layer

VALUES = np.array(
    [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1], [-1, 1, 1, 1], [1, 1, 0, 0]],
    dtype=np.int8,
)
LABELS = np.array([0, 1, 1, 0, UNLABELLED])


def pack(values: np.ndarray) -> Bits:
    planes = [np.packbits(values == sign, axis=1, bitorder="little") for sign in (1, -1)]
    return Bits(planes[0], planes[1], values.shape[1])


def path_graph(n_nodes: int) -> Graph:
    """0 - 1 - 2 - ..., every edge of weight 1/2."""
    dense = np.zeros((n_nodes, n_nodes), dtype=np.float32)
    one = np.arange(n_nodes - 1)
    dense[one, one + 1] = dense[one + 1, one] = 0.5
    return from_csr(sparse.csr_array(dense))


@pytest.fixture
def small() -> ProjectionGraph:
    return projection_graph(path_graph(5), pack(VALUES), 1)


def test_identical_bits_share_a_projection_node(small):
    assert small.links.tolist() == [0, 1, 0, 2, 1]
    assert small.n_projection_nodes == 3
    assert small.bits.values().tolist() == VALUES[[0, 1, 3]].tolist()
    assert small.first_rows().tolist() == [0, 1, 3]


def test_edges_by_hand(small):
    # Node 0 differs from node 1 by two zeros against ones, H / T d = 1/4, and from node 2 by one opposite, 1/4 too.
    dense = to_csr(small.hamming).toarray()
    assert dense.tolist() == [[0, 0.75, 0.75], [0.75, 0, 0], [0.75, 0, 0]]
    rows = to_csr(small.hamming_of_rows()).toarray()
    # Every row of node 1 or 2 meets row 0, the first of node 0; both rows of node 0 meet rows 1 and 3.
    expected = np.zeros((5, 5))
    for one, other in ((0, 1), (0, 3), (2, 1), (2, 3), (4, 0)):
        expected[one, other] = expected[other, one] = 0.75
    assert np.array_equal(rows, expected)


def test_distinct_rows_are_their_own_projection_nodes():
    values = np.random.default_rng(0).choice(np.array([-1, 0, 1], dtype=np.int8), size=(50, 40))
    graph = projection_graph(path_graph(50), pack(values), 4)
    plain = hamming_graph(pack(values), 4)
    assert np.array_equal(graph.links, np.arange(50))
    for edges in (graph.hamming, graph.hamming_of_rows()):
        assert np.array_equal(edges.indptr, plain.indptr)
        assert np.array_equal(edges.indices, plain.indices)
        assert np.array_equal(edges.weights, plain.weights)


def test_copies_do_not_crowd_out_neighbours():
    values = np.vstack([np.repeat(VALUES[:1], 20, axis=0), VALUES[1:2]])
    graph = projection_graph(path_graph(21), pack(values), 1)
    rows = to_csr(graph.hamming_of_rows()).toarray()
    assert (rows[:20, 20] == 0.75).all(), "the nearest other text, not one of nineteen copies"
    assert hamming_graph(pack(values), 1).indptr[20] - hamming_graph(pack(values), 1).indptr[19] > 0
    assert not rows[:20, :20].any()


def test_the_order_of_rows_does_not_matter():
    generator = np.random.default_rng(1)
    values = generator.choice(np.array([-1, 1], dtype=np.int8), size=(40, 6))
    order = generator.permutation(40)
    one = projection_graph(path_graph(40), pack(values), 40)
    other = projection_graph(path_graph(40), pack(values[order]), 40)
    assert one.n_projection_nodes == other.n_projection_nodes < 40
    same = one.links[:, None] == one.links
    assert np.array_equal(same[np.ix_(order, order)], other.links[:, None] == other.links)
    lifted = [to_csr(graph.hamming).toarray()[np.ix_(graph.links, graph.links)] for graph in (one, other)]
    assert np.array_equal(lifted[0][np.ix_(order, order)], lifted[1])


def test_figures_by_hand(small):
    figures = describe_projection_graph(small, LABELS)
    assert (figures.nodes, figures.projection_nodes, figures.trainer_edges, figures.hamming_edges) == (5, 3, 4, 2)
    # Node 0 holds labels 0 and 1, nodes 1 and 2 one label each.
    assert figures.link_agreement == pytest.approx((0.5 + 1 + 1) / 3)
    # 0-1 differ, 1-2 agree, 2-3 differ, 3-4 is not known.
    assert figures.trainer_agreement == pytest.approx(1 / 3)
    assert figures.hamming_agreement == pytest.approx(0.5)


def test_figures_without_labels(small):
    figures = describe_projection_graph(small, np.full(5, UNLABELLED))
    assert figures.link_agreement is figures.trainer_agreement is figures.hamming_agreement is None


def test_learned_bits_are_the_signs_of_the_hidden_sums():
    hidden = Layer(np.array([[1, -1], [0, 0], [0, 0], [0, 1]], dtype=np.float32), np.array([-0.5, 0], dtype=np.float32))
    # Sums of the rows: (0.5, 0), (0.5, -1), ..., (-1.5, 2); a unit at zero does not fire.
    learned = learned_bits(pack(VALUES), hidden)
    assert learned.n_bits == 2
    assert learned.values().tolist() == [[1, -1], [1, -1], [1, -1], [-1, 1], [1, -1]]


def test_graph_and_bits_of_other_rows():
    with pytest.raises(InputError, match="4 trainer nodes and 5 rows of bits; expected the same rows"):
        projection_graph(path_graph(4), pack(VALUES), 1)


def test_labels_of_other_rows(small):
    with pytest.raises(InputError, match="3 labels for 5 nodes; expected one for each"):
        describe_projection_graph(small, LABELS[:3])


# ----------------------------------------------------------------------------------------------------------- the file


def test_written_and_read_again(small, tmp_path):
    path = tmp_path / "graph.npz"
    assert write_projection_graph(small, path) == path.stat().st_size
    found = read_projection_graph(path)
    assert found.bits.n_bits == 4
    for one, other in (
        (found.links, small.links),
        (found.bits.positive, small.bits.positive),
        (found.bits.negative, small.bits.negative),
        *((getattr(found.trainer, name), getattr(small.trainer, name)) for name in ("indptr", "indices", "weights")),
        *((getattr(found.hamming, name), getattr(small.hamming, name)) for name in ("indptr", "indices", "weights")),
    ):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
    again = tmp_path / "again.npz"
    write_projection_graph(found, again)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("links", None, "links is missing"),
        ("links", np.zeros(5), "links is float64 of shape (5,); expected int64, 1-dimensional"),
        ("links", np.array([0, 1, 0, 3, 1]), "the links do not reach projection nodes 0 to 2, each at least once"),
        ("n_bits", np.array(99), "bit planes of shapes (3, 1) and (3, 1) for 99 bits"),
        ("hamming_indptr", np.array([0, 9, 3, 4]), "hamming_indptr is not the row starts of 3 nodes and 4 entries"),
        ("hamming_indices", np.array([1, 7, 0, 0], np.int32), "hamming_indices are from 0 to 7; expected 0 to 2"),
        ("hamming_indices", np.array([0, 2, 0, 0], np.int32), "hamming has an edge from a node to itself"),
        ("hamming_weights", np.array([1, np.nan, 1, 1], np.float32), "hamming_weights are not all positive and finite"),
        ("trainer_weights", np.ones(3, np.float32), "trainer has 8 indices and 3 weights"),
    ],
)
def test_a_file_that_contradicts_itself(small, tmp_path, name, array, message):
    path = tmp_path / "graph.npz"
    write_projection_graph(small, path)
    with np.load(path) as file:
        arrays = dict(file)
    arrays.pop(name)
    np.savez(path, **arrays, **({} if array is None else {name: array}))
    with pytest.raises(InputError, match=re.escape(f"is no projection graph: {message}")):
        read_projection_graph(path)


@pytest.mark.parametrize("content", [b"", b"no npz", b"PK\x03\x04 and nothing"])
def test_a_file_of_something_else(tmp_path, content):
    path = tmp_path / "graph.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as a projection graph"):
        read_projection_graph(path)


# ------------------------------------------------------------------------------------------------------------ drawing


def test_networkx_has_both_layers(small):
    drawn = to_networkx(small)
    kinds = [kind for *_, kind in drawn.edges(data="kind")]
    assert (kinds.count("trainer"), kinds.count("link"), kinds.count("hamming")) == (4, 5, 2)
    assert drawn.nodes["projection", 1] == {"kind": "projection", "rows": 2}
    assert drawn.edges[("trainer", 4), ("projection", 1)] == {"kind": "link", "weight": 1.0}
    assert drawn.edges[("projection", 0), ("projection", 2)] == {"kind": "hamming", "weight": 0.75}
    assert drawn.edges[("trainer", 0), ("trainer", 1)] == {"kind": "trainer", "weight": 0.5}


def test_networkx_of_some_rows(small):
    drawn = to_networkx(small, np.array([4, 3]))
    assert set(drawn.nodes) == {("trainer", 3), ("trainer", 4), ("projection", 1), ("projection", 2)}
    assert sorted(kind for *_, kind in drawn.edges(data="kind")) == ["link", "link", "trainer"]


def test_networkx_of_rows_that_are_not_there(small):
    with pytest.raises(InputError, match="rows from 2 to 5; expected rows of 0 to 4"):
        to_networkx(small, np.array([5, 2]))
