"""The trainer graph against brute force in double precision, and the paths that labels can take along it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from projgraph.errors import ConfigError
from projgraph.graph import search
from projgraph.graph.csr import from_csr, reached, to_csr
from projgraph.graph.knn import knn_graph
from projgraph.records import Graph

TEMPERATURE = 0.3


def cosines(features: np.ndarray) -> np.ndarray:
    """(n, n) cosines in double precision; NaN on the diagonal and for rows of zeros."""
    rows = features.astype(np.float64)
    norms = np.linalg.norm(rows, axis=1)
    unit = np.divide(rows, norms[:, None], out=np.full_like(rows, np.nan), where=norms[:, None] > 0)
    result = unit @ unit.T
    np.fill_diagonal(result, np.nan)
    return result


def brute_force(features: np.ndarray, neighbours: int, temperature: float) -> np.ndarray:
    """(n, n) dense weights of the graph, for rows without ties."""
    similarity = cosines(features)
    directed = np.zeros_like(similarity)
    for row, values in enumerate(similarity):
        others = np.flatnonzero(~np.isnan(values))
        nearest = others[np.argsort(-values[others])][:neighbours]
        directed[row, nearest] = np.exp((values[nearest] - 1) / temperature)
    return np.maximum(directed, directed.T)


def check_form(graph: Graph, n_nodes: int) -> np.ndarray:
    """The dense weights, after a look at everything a graph record promises."""
    assert graph.n_nodes == n_nodes
    assert (graph.indptr.dtype, graph.indices.dtype, graph.weights.dtype) == (np.int64, np.int32, np.float32)
    assert graph.indptr[0] == 0
    assert graph.indptr[-1] == len(graph.indices) == len(graph.weights)
    assert (graph.weights > 0).all()
    for row in range(n_nodes):
        neighbours = graph.indices[graph.indptr[row] : graph.indptr[row + 1]]
        assert (np.diff(neighbours) > 0).all(), "ascending, none twice"
        assert row not in neighbours
    dense = to_csr(graph).toarray()
    assert np.array_equal(dense, dense.T)
    assert 2 * graph.n_edges == np.count_nonzero(dense)
    return dense


def check_nearest(graph: Graph, similarity: np.ndarray, neighbours: int, temperature: float) -> None:
    """Values only, so that ties may fall either way: every weight is its pair's, and each row has its k largest."""
    dense = check_form(graph, len(similarity))
    rows, columns = dense.nonzero()
    expected = np.exp((similarity - 1) / temperature)
    np.testing.assert_allclose(dense[rows, columns], expected[rows, columns], rtol=1e-4)
    kind = kinds(similarity)
    for row in range(len(similarity)):
        # One weight for each other kind of row: copies of the row itself do not count, copies of another count once.
        others = np.unique(kind[(kind >= 0) & (kind != kind[row])]) if kind[row] >= 0 else []
        count = min(neighbours, len(others))
        found = [dense[row][kind == other].max() for other in others]
        nearest = [expected[row][kind == other].max() for other in others]
        np.testing.assert_allclose(np.sort(found)[::-1][:count], np.sort(nearest)[::-1][:count], rtol=1e-4)


def kinds(similarity: np.ndarray) -> np.ndarray:
    """(n,) the first row that has the same direction; -1 for rows of zeros."""
    same = np.nan_to_num(similarity) > 1 - 1e-9
    np.fill_diagonal(same, True)
    return np.where(np.isnan(similarity).all(axis=1) & (len(similarity) > 1), -1, same.argmax(axis=1))


@pytest.mark.parametrize(("rows", "dimensions", "neighbours"), [(40, 5, 3), (25, 2, 1), (60, 16, 10), (9, 4, 8)])
def test_equals_brute_force(rows, dimensions, neighbours):
    features = np.random.default_rng(rows).normal(size=(rows, dimensions)).astype(np.float32)
    dense = check_form(knn_graph(features, neighbours, TEMPERATURE), rows)
    np.testing.assert_allclose(dense, brute_force(features, neighbours, TEMPERATURE), rtol=1e-4, atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(
    values=st.lists(st.lists(st.integers(-2, 2), min_size=3, max_size=3), min_size=1, max_size=12),
    neighbours=st.integers(1, 14),
)
def test_small_integers_with_repeats_opposites_and_zero_rows(values, neighbours):
    features = np.array(values, dtype=np.float32)
    check_nearest(knn_graph(features, neighbours, TEMPERATURE), cosines(features), neighbours, TEMPERATURE)


def test_copies_stand_in_a_ring_and_share_the_rows_that_ask_for_them():
    features = np.repeat(np.eye(2, 3, dtype=np.float32), [12, 3], axis=0)
    dense = check_form(knn_graph(features, 2, TEMPERATURE), 15)
    ring = np.roll(np.eye(12), 1, axis=1)
    assert np.array_equal(dense[:12, :12], ring + ring.T)
    assert np.array_equal(dense[12:, 12:], 1 - np.eye(3))
    across = dense[:12, 12:]
    assert across[across > 0].tolist() == pytest.approx([np.exp(-1 / TEMPERATURE)] * np.count_nonzero(across), rel=1e-5)
    assert (np.count_nonzero(across, axis=1) >= 1).all(), "every copy has a neighbour of the other kind"
    assert np.count_nonzero(across, axis=0).max() <= 5, "four of twelve ask for each of the three; each asks one"


def test_copies_do_not_crowd_out_neighbours():
    generator = np.random.default_rng(8)
    distinct = generator.normal(size=(30, 6)).astype(np.float32)
    features = np.concatenate([distinct, np.repeat(distinct[:2], 40, axis=0)])
    dense = check_form(knn_graph(features, 3, TEMPERATURE), 110)
    check_nearest(knn_graph(features, 3, TEMPERATURE), cosines(features), 3, TEMPERATURE)
    # Two of the ring, three asked for, and 69 rows at most that share 41 copies in turn.
    assert np.count_nonzero(dense[30:], axis=1).max() <= 2 + 3 + 2


def test_weight_is_one_for_a_copy_and_falls_with_the_angle():
    features = np.array([[1, 0], [3, 0], [1, 1]], dtype=np.float32)
    dense = check_form(knn_graph(features, 2, 0.1), 3)
    assert dense[0, 1] == 1.0
    assert dense[0, 2] == pytest.approx(np.exp((np.sqrt(0.5) - 1) / 0.1), rel=1e-5)


def test_a_weight_too_small_for_a_float_is_no_edge():
    features = np.array([[1, 0], [-1, 0]], dtype=np.float32)
    assert knn_graph(features, 1, 0.001).n_edges == 0
    assert knn_graph(features, 1, 1.0).weights.tolist() == pytest.approx([np.exp(-2)] * 2)


def test_rows_of_zeros_have_no_edges():
    features = np.array([[0, 0], [1, 0], [0, 0], [1, 0.1]], dtype=np.float32)
    dense = check_form(knn_graph(features, 3, TEMPERATURE), 4)
    assert list(zip(*dense.nonzero(), strict=True)) == [(1, 3), (3, 1)]


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_nothing_to_join(rows):
    check_form(knn_graph(np.zeros((rows, 3), dtype=np.float32), 5, TEMPERATURE), rows)
    check_form(knn_graph(np.zeros((rows, 0), dtype=np.float32), 5, TEMPERATURE), rows)
    one = np.ones((min(rows, 1), 3), dtype=np.float32)
    assert check_form(knn_graph(one, 5, TEMPERATURE), len(one)).sum() == 0


def test_length_of_a_row_does_not_matter():
    generator = np.random.default_rng(3)
    features = generator.normal(size=(20, 6)).astype(np.float32)
    lengths = np.logspace(-35, 35, 20, dtype=np.float32)[:, None]
    plain, scaled = (check_form(knn_graph(rows, 4, TEMPERATURE), 20) for rows in (features, features * lengths))
    np.testing.assert_allclose(scaled, plain, rtol=1e-4)


def test_permuting_the_rows_permutes_the_graph():
    generator = np.random.default_rng(4)
    features = generator.normal(size=(30, 5)).astype(np.float32)
    order = generator.permutation(30)
    plain = to_csr(knn_graph(features, 4, TEMPERATURE)).toarray()
    permuted = to_csr(knn_graph(features[order], 4, TEMPERATURE)).toarray()
    np.testing.assert_allclose(permuted, plain[np.ix_(order, order)], rtol=1e-5)


def test_the_features_are_left_as_they_were():
    features = np.random.default_rng(5).normal(size=(10, 3)).astype(np.float32)
    before = features.copy()
    knn_graph(features, 2, TEMPERATURE)
    assert np.array_equal(features, before)


def test_blocks_do_not_show(monkeypatch):
    features = np.random.default_rng(6).normal(size=(50, 4)).astype(np.float32)
    whole = knn_graph(features, 3, TEMPERATURE)
    monkeypatch.setattr(search, "_BLOCK", 7)
    parts = knn_graph(features, 3, TEMPERATURE)
    assert np.array_equal(parts.indices, whole.indices)
    np.testing.assert_allclose(parts.weights, whole.weights, rtol=1e-5)


def test_approximate_search_finds_nearly_all_neighbours(monkeypatch):
    features = np.random.default_rng(7).normal(size=(600, 12)).astype(np.float32)
    exact = check_form(knn_graph(features, 5, TEMPERATURE), 600)
    monkeypatch.setattr(search, "EXACT_ROWS", 100)
    found = check_form(knn_graph(features, 5, TEMPERATURE), 600)
    rows, columns = found.nonzero()
    np.testing.assert_allclose(
        found[rows, columns], np.exp((cosines(features)[rows, columns] - 1) / TEMPERATURE), rtol=1e-4
    )
    assert np.count_nonzero(found[exact > 0]) > 0.97 * np.count_nonzero(exact)


@pytest.mark.parametrize(
    ("neighbours", "temperature", "value", "message"),
    [
        (0, 0.1, 1.0, "neighbours=0, temperature=0.1; both must be above zero"),
        (3, 0.0, 1.0, "neighbours=3, temperature=0.0; both must be above zero"),
        (3, -1.0, 1.0, "temperature=-1.0"),
        (3, float("nan"), 1.0, "temperature=nan"),
        (3, 0.1, float("nan"), "the features hold NaN or infinity; clean them or drop those rows"),
        (3, 0.1, float("-inf"), "the features hold NaN or infinity"),
    ],
)
def test_errors(neighbours, temperature, value, message):
    features = np.array([[1, 2], [3, value]], dtype=np.float32)
    with pytest.raises(ConfigError, match="knn graph: ") as caught:
        knn_graph(features, neighbours, temperature)
    assert message in str(caught.value)


def test_csr_there_and_back():
    matrix = sparse.csr_array(
        (np.array([3.0, 2.0, 0.0, 2.0, 3.0, 0.0]), np.array([2, 1, 3, 0, 0, 0]), np.array([0, 3, 4, 5, 6]))
    )
    graph = from_csr(matrix)
    assert graph.indptr.tolist() == [0, 2, 3, 4, 4]
    assert graph.indices.tolist() == [1, 2, 0, 0]
    assert graph.weights.tolist() == [2.0, 3.0, 2.0, 3.0]
    assert np.array_equal(to_csr(graph).toarray(), [[0, 2, 3, 0], [2, 0, 0, 0], [3, 0, 0, 0], [0, 0, 0, 0]])


CHAIN_RING_LONER = from_csr(
    sparse.csr_array(
        (np.ones(10), ([0, 1, 1, 2, 3, 4, 4, 5, 5, 3], [1, 0, 2, 1, 4, 3, 5, 4, 3, 5])), shape=(7, 7), dtype=np.float32
    )
)
"""A chain 0-1-2, a ring 3-4-5 and the node 6 on its own."""


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        ([], []),
        ([0], [0, 1, 2]),
        ([2], [0, 1, 2]),
        ([4], [3, 4, 5]),
        ([6], [6]),
        ([1, 5], [0, 1, 2, 3, 4, 5]),
        (range(7), range(7)),
    ],
)
def test_reached(seeds, expected):
    flags = np.isin(np.arange(7), list(seeds))
    assert np.flatnonzero(reached(CHAIN_RING_LONER, flags)).tolist() == list(expected)
