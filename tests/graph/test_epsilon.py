"""Threshold graphs against scikit-learn and double precision."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import radius_neighbors_graph

from projgraph.errors import ConfigError, InputError
from projgraph.graph import epsilon
from projgraph.graph.csr import to_csr
from projgraph.graph.epsilon import epsilon_graph

FEATURES = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)


def dense(*given, **settings):
    return to_csr(epsilon_graph(*given, **settings)).toarray()


@pytest.mark.parametrize("block", [1 << 26, 400])
@pytest.mark.parametrize("threshold", [0.9, 0.5, -0.2])
def test_same_pairs_as_scikit_learn(threshold, block, monkeypatch):
    monkeypatch.setattr(epsilon, "_BLOCK_VALUES", block)
    unit = FEATURES / np.linalg.norm(FEATURES, axis=1, keepdims=True)
    theirs = radius_neighbors_graph(unit, np.sqrt(2 - 2 * threshold)).toarray()
    found = dense(FEATURES, threshold, "binary")
    assert np.array_equal(found, theirs)
    cosines = unit.astype(np.float64) @ unit.T.astype(np.float64)
    weights = dense(FEATURES, threshold, temperature=0.5)
    np.testing.assert_allclose(weights[found > 0], np.exp((cosines[found > 0] - 1) / 0.5), rtol=1e-5)


def test_permuting_the_rows_permutes_the_graph():
    order = np.random.default_rng(1).permutation(60)
    plain = dense(FEATURES, 0.6)
    np.testing.assert_allclose(dense(FEATURES[order], 0.6), plain[np.ix_(order, order)], rtol=1e-5)


def test_copies_zeros_and_nothing():
    features = np.array([[1, 0], [0, 0], [2, 0], [0, 1]], dtype=np.float32)
    assert list(zip(*dense(features, 0.999).nonzero(), strict=True)) == [(0, 2), (2, 0)]
    assert epsilon_graph(np.zeros((3, 2), dtype=np.float32), 0.5).indptr.tolist() == [0, 0, 0, 0]
    assert epsilon_graph(np.zeros((0, 2), dtype=np.float32), 0.5).n_nodes == 0
    assert dense(features, -1.0, "cosine")[0].tolist() == [0, 0, 1, 0], "a cosine of zero is no weight"


def test_the_bound_on_a_row_names_it():
    features = np.concatenate([np.zeros((1, 3)), np.ones((6, 3))]).astype(np.float32)
    assert epsilon_graph(features, 0.9, max_degree=5).n_edges == 15
    with pytest.raises(InputError, match=r"row 1 has more than 4 rows at a cosine of 0.9 or more; raise the threshold"):
        epsilon_graph(features, 0.9, max_degree=4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": 1.5}, "threshold=1.5, max_degree=1000; expected -1 to 1, and one or more"),
        ({"threshold": float("nan")}, "threshold=nan"),
        ({"threshold": 0.5, "max_degree": 0}, "max_degree=0"),
        ({"threshold": 0.5, "weight": "gaussian"}, "weight 'gaussian' needs neighbours"),
        ({"threshold": 0.5, "temperature": -1.0}, "temperature=-1.0"),
    ],
)
def test_errors(settings, message):
    with pytest.raises(ConfigError, match=message):
        epsilon_graph(FEATURES, **settings)
    with pytest.raises(ConfigError, match="epsilon graph: the features hold NaN or infinity"):
        epsilon_graph(np.full((2, 2), np.nan, dtype=np.float32), 0.5)
