"""Union and intersection by hand and against dense arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from projgraph.errors import ConfigError, InputError
from projgraph.graph.combine import intersection, union
from projgraph.graph.csr import to_csr
from projgraph.graph.given import given_graph


def dense(graph):
    return to_csr(graph).toarray()


def some(seed):
    generator = np.random.default_rng(seed)
    half = np.triu(generator.random((9, 9)) * (generator.random((9, 9)) < 0.4), k=1).astype(np.float32)
    return given_graph(sparse.csr_array(half))


def test_against_dense_arithmetic():
    graphs = [some(seed) for seed in range(3)]
    matrices = np.array([dense(graph) for graph in graphs])
    np.testing.assert_array_equal(dense(union(graphs)), matrices.max(axis=0))
    np.testing.assert_allclose(dense(union(graphs, "sum")), matrices.sum(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(dense(intersection(graphs[:2])), matrices[:2].min(axis=0))
    assert intersection(graphs[:2]).n_edges == np.count_nonzero(matrices[:2].min(axis=0)) // 2


def test_one_graph_and_any_order():
    one, other = some(1), some(2)
    for combine in (union, intersection):
        assert np.array_equal(dense(combine([one])), dense(one))
        assert np.array_equal(dense(combine([one, other])), dense(combine([other, one])))
        for name in ("indptr", "indices", "weights"):
            assert getattr(combine([one, other]), name).dtype == getattr(one, name).dtype


def test_with_a_graph_without_edges():
    empty = given_graph(([], []), n_nodes=9)
    assert np.array_equal(dense(union([some(1), empty])), dense(some(1)))
    assert intersection([some(1), empty]).n_edges == 0


def test_errors():
    with pytest.raises(InputError, match="union of graphs: none was given; expected one or more"):
        union([])
    with pytest.raises(InputError, match="intersection of graphs: they have 9, 4 nodes; expected the same nodes"):
        intersection([some(1), given_graph(([], []), n_nodes=4)])
    with pytest.raises(ConfigError, match="both='mean'; expected 'maximum' or 'sum'"):
        union([some(1)], "mean")
