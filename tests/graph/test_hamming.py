"""The Hamming graph against brute force on the values of the bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projgraph.errors import ConfigError
from projgraph.graph.csr import to_csr
from projgraph.graph.hamming import hamming_graph
from projgraph.records import Bits


def pack(values: np.ndarray) -> Bits:
    planes = [np.packbits(values == sign, axis=1, bitorder="little") for sign in (1, -1)]
    return Bits(planes[0], planes[1], values.shape[1])


def expected_weights(values: np.ndarray) -> np.ndarray:
    """1 - H / (2 T d), where a bit is at distance 1 from zero and 2 from its opposite."""
    differences = np.abs(values[:, None, :].astype(int) - values[None, :, :]).sum(axis=2)
    return 1 - differences / (2 * values.shape[1])


def check(values: np.ndarray, neighbours: int) -> np.ndarray:
    graph = hamming_graph(pack(values), neighbours)
    dense = to_csr(graph).toarray()
    assert (graph.indptr.dtype, graph.indices.dtype, graph.weights.dtype) == (np.int64, np.int32, np.float32)
    assert dense.shape == (len(values), len(values))
    assert np.array_equal(dense, dense.T)
    assert not dense.diagonal().any()
    expected = expected_weights(values)
    rows, columns = dense.nonzero()
    np.testing.assert_allclose(dense[rows, columns], expected[rows, columns], rtol=1e-6)
    np.fill_diagonal(expected, -1)
    count = min(neighbours, len(values) - 1)
    np.testing.assert_allclose(
        -np.sort(-dense, axis=1)[:, :count], -np.sort(-expected, axis=1)[:, :count], rtol=1e-6, atol=1e-7
    )
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


def test_more_copies_than_neighbours():
    dense = check(np.ones((9, 16), dtype=np.int8), 2)
    assert (np.count_nonzero(dense, axis=1) >= 2).all()


def test_no_neighbours_asked():
    with pytest.raises(ConfigError, match="hamming graph: neighbours=0; expected one or more"):
        hamming_graph(pack(np.ones((3, 8), dtype=np.int8)), 0)
