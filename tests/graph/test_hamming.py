"""The Hamming graph against brute force on the values of the bits, by every search; copies, recall and resumption."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projgraph.errors import ConfigError
from projgraph.graph import hamming as module
from projgraph.graph.csr import to_csr
from projgraph.graph.hamming import hamming_graph, hamming_search
from projgraph.graph.hamming_index import recall_of
from projgraph.kernels import hamming as kernel
from projgraph.records import Bits

INDICES = ["ivf", "hnsw", "multihash"]


def pack(values: np.ndarray) -> Bits:
    planes = [np.packbits(values == sign, axis=1, bitorder="little") for sign in (1, -1)]
    return Bits(planes[0], planes[1], values.shape[1])


def expected_weights(values: np.ndarray) -> np.ndarray:
    """1 - H / (2 T d), where a bit is at distance 1 from zero and 2 from its opposite."""
    differences = np.abs(values[:, None, :].astype(int) - values[None, :, :]).sum(axis=2)
    return 1 - differences / (2 * values.shape[1])


def dense_graph(values: np.ndarray, neighbours: int) -> np.ndarray:
    graph = hamming_graph(pack(values), neighbours)
    assert (graph.indptr.dtype, graph.indices.dtype, graph.weights.dtype) == (np.int64, np.int32, np.float32)
    dense = to_csr(graph).toarray()
    assert dense.shape == (len(values), len(values))
    assert np.array_equal(dense, dense.T)
    assert not dense.diagonal().any()
    return dense


def check(values: np.ndarray, neighbours: int) -> np.ndarray:
    """Every edge weighs what the formula says, and every node has one to each of its nearest other texts."""
    dense = dense_graph(values, neighbours)
    expected = expected_weights(values)
    rows, columns = dense.nonzero()
    np.testing.assert_allclose(dense[rows, columns], expected[rows, columns], rtol=1e-6)
    _, firsts, groups = np.unique(values, axis=0, return_index=True, return_inverse=True)
    count = min(neighbours, len(firsts) - 1)
    for row, group in enumerate(groups.ravel()):
        others = np.arange(len(firsts)) != group
        met = np.array([dense[row, groups.ravel() == other].max() for other in np.flatnonzero(others)])
        nearest = expected[row, firsts[others]]
        np.testing.assert_allclose(-np.sort(-met)[:count], -np.sort(-nearest)[:count], rtol=1e-6, atol=1e-7)
        copies = np.count_nonzero(groups == group)
        assert np.count_nonzero(dense[row, groups.ravel() == group]) == min(copies - 1, 2)
    return dense


@pytest.mark.parametrize("n_bits", [8, 12, 64, 100])
@pytest.mark.parametrize("quantiser", ["ternary", "sign"])
def test_equals_brute_force(n_bits, quantiser):
    choices = [-1, 0, 1] if quantiser == "ternary" else [-1, 1]
    values = np.random.default_rng(n_bits).choice(np.array(choices, dtype=np.int8), size=(40, n_bits))
    check(values, 5)


@settings(deadline=None, max_examples=60)
@given(
    values=st.lists(st.lists(st.integers(-1, 1), min_size=3, max_size=3), min_size=1, max_size=10),
    neighbours=st.integers(1, 12),
)
def test_ties_copies_and_few_rows(values, neighbours):
    check(np.array(values, dtype=np.int8), neighbours)


def test_by_hand():
    values = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [-1, -1, -1, -1]], dtype=np.int8)
    dense = check(values, 2)
    # Two zeros against two ones is H = 2 of 8, against minus one too, plus two opposites; all opposite has no edge.
    assert dense[0, 1] == 0.75
    assert dense[1, 2] == 0.25
    assert dense[0, 2] == 0.0
    assert hamming_graph(pack(values), 2).n_edges == 2


def test_one_plane_weighs_as_two():
    """Rows without a zero are searched by one plane; one zero elsewhere, and the same rows are searched by both."""
    signs = np.random.default_rng(0).choice(np.array([-1, 1], dtype=np.int8), size=(30, 20))
    alone = to_csr(hamming_graph(pack(signs), 29)).toarray()
    both = to_csr(hamming_graph(pack(np.vstack([signs, np.zeros((1, 20), dtype=np.int8)])), 30)).toarray()
    np.testing.assert_array_equal(alone, both[:30, :30])


def test_more_copies_than_neighbours():
    """Nine copies of a text do not keep it from its two nearest other texts."""
    values = np.ones((12, 16), dtype=np.int8)
    values[9, 0], values[10, :2], values[11, :3] = -1, -1, -1
    dense = check(values, 2)
    assert (dense[:9, 9:11] > 0).all()
    assert not dense[:9, :9].all(axis=1).any()


def test_copies_share_who_asks():
    """50 texts that are nearest to one that stands five times: ten ask for each copy."""
    values = np.ones((55, 64), dtype=np.int8)
    values[np.arange(5, 55), np.arange(50)] = -1
    dense = dense_graph(values, 1)
    degrees = np.count_nonzero(dense[:5, 5:], axis=1)
    # All five ask in their turn for the first of the others.
    assert degrees.min() >= 10
    assert degrees.max() <= 11


def test_order_of_rows_does_not_matter():
    values = np.random.default_rng(1).choice(np.array([-1, 0, 1], dtype=np.int8), size=(60, 256))
    order = np.random.default_rng(2).permutation(60)
    dense, shuffled = dense_graph(values, 3), dense_graph(values[order], 3)
    # Ties at the last place go by index; here, with 256 bits, a node's three nearest rarely tie: compare the weights.
    np.testing.assert_array_equal(np.sort(dense[order], axis=1)[:, -3:], np.sort(shuffled, axis=1)[:, -3:])


def test_mutual_edges_are_asked_for_by_both():
    values = np.random.default_rng(3).choice(np.array([-1, 1], dtype=np.int8), size=(50, 64))
    either = to_csr(hamming_graph(pack(values), 4)).toarray()
    both = to_csr(hamming_graph(pack(values), 4, mutual=True)).toarray()
    kept = both > 0
    assert 0 < kept.sum() < (either > 0).sum()
    np.testing.assert_array_equal(both[kept], either[kept])
    assert (np.count_nonzero(both, axis=1) <= 4).all()


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_rows_for_an_edge(n):
    graph = hamming_graph(pack(np.ones((n, 8), dtype=np.int8)), 3)
    assert (graph.n_nodes, graph.n_edges) == (n, 0)


# ---- searches ----


def clustered(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.choice(np.array([-1, 1], dtype=np.int8), size=(n // 20, 128))
    flips = np.where(rng.random((n, 128)) < 0.1, -1, 1)
    return (centres[rng.integers(len(centres), size=n)] * flips).astype(np.int8)


@pytest.mark.parametrize("method", INDICES)
def test_an_index_reaches_the_recall(method):
    bits = pack(clustered(1500, 4))
    exact = to_csr(hamming_graph(bits, 5, "exact")).toarray()
    built = hamming_search(bits, 5, method, recall=0.9, threads=1)
    assert built.method == method
    assert 0.9 <= built.recall <= 1.0
    dense = to_csr(built.graph).toarray()
    same = (dense > 0) & (exact > 0)
    assert same.sum() / np.count_nonzero(exact) > 0.75  # ties at the last place may go another way
    np.testing.assert_array_equal(dense[same], exact[same])


@pytest.mark.parametrize("method", ["ivf", "hnsw"])
def test_an_index_gives_the_same_bytes_again(method):
    bits = pack(clustered(600, 5))
    one, other = (hamming_search(bits, 5, method, recall=0.8, threads=threads) for threads in (1, 2))
    assert one.recall == other.recall
    assert one.graph.indices.tobytes() == other.graph.indices.tobytes()
    assert one.graph.weights.tobytes() == other.graph.weights.tobytes()


@pytest.mark.parametrize("method", INDICES)
@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_an_index_of_few_rows(method, n):
    bits = pack(np.eye(5, 16, dtype=np.int8)[:n] * 2 - 1)
    built = hamming_search(bits, 3, method, recall=1.0)
    exact = hamming_search(bits, 3, "exact")
    assert (built.recall, built.graph.n_nodes) == (1.0, n)
    assert built.graph.n_edges >= exact.graph.n_edges // 2


def test_auto_is_exact_until_it_costs_too_much(monkeypatch):
    bits = pack(clustered(400, 6))
    assert hamming_search(bits, 3).method == "exact"
    monkeypatch.setattr(module, "EXACT_WORK", 1e6)
    assert hamming_search(bits, 3).method == "ivf"
    assert hamming_search(bits, 3, recall=1.0).method == "exact"


def test_recall_counts_ties_as_found():
    exact = np.array([[1, 2, 5], [3, 4, -1]], dtype=np.int32)
    assert recall_of(exact, exact) == 1.0
    assert recall_of(np.array([[1, 5, 5], [3, 4, -1]], dtype=np.int32), exact) == 1.0
    assert recall_of(np.array([[1, 6, 7], [4, -1, -1]], dtype=np.int32), exact) == 0.4
    assert recall_of(np.zeros((2, 0), dtype=np.int32), np.zeros((2, 0), dtype=np.int32)) == 1.0


class Kept:
    """A state keeper that keeps every state, and is killed after so many."""

    def __init__(self, until: int) -> None:
        self.until, self.state = until, None

    def load(self, name: str) -> Mapping[str, np.ndarray] | None:
        return self.state

    def keep(self, name: str, state: Callable[[], Mapping[str, np.ndarray]]) -> None:
        self.state = {key: np.array(value) for key, value in state().items()}
        self.until -= 1
        if not self.until:
            raise InterruptedError


def test_killed_and_started_again(monkeypatch):
    monkeypatch.setattr(kernel, "_PANEL_BLOCKS", 2)
    bits = pack(clustered(500, 7))
    expected = hamming_search(bits, 4).graph
    lines: list[str] = []
    kept = Kept(until=9)
    with pytest.raises(InterruptedError):
        hamming_search(bits, 4, states=kept, progress=lines.append)
    assert lines[0].startswith("hamming neighbours: 0% of ")
    kept.until = -1
    again = hamming_search(bits, 4, states=kept).graph
    assert again.indices.tobytes() == expected.indices.tobytes()
    assert again.weights.tobytes() == expected.weights.tobytes()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"neighbours": 0}, "hamming graph: neighbours=0; expected one or more"),
        (
            {"neighbours": 0, "method": "lsh", "recall": 0.0, "threads": -1},
            "neighbours=0; expected one or more; method='lsh'; expected one of auto, exact, ivf, hnsw, multihash; "
            "recall=0.0; expected above 0, at most 1; threads=-1; expected 0 for all processors, or a number",
        ),
        ({"neighbours": 1, "recall": float("nan")}, "recall=nan; expected above 0, at most 1"),
    ],
)
def test_refused(settings, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        hamming_search(pack(np.ones((3, 8), dtype=np.int8)), **settings)
