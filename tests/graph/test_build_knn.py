"""Metrics, weights, mutual graphs and near searches against scikit-learn and double precision."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import kneighbors_graph

from projgraph.config import GraphConfig
from projgraph.errors import ConfigError
from projgraph.graph.csr import to_csr
from projgraph.graph.knn import build_knn, knn_graph
from projgraph.graph.search import nearest

FEATURES = np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)


def dense(features, neighbours, **settings):
    return to_csr(build_knn(features, neighbours, **settings).graph).toarray()


def distances(features):
    rows = features.astype(np.float64)
    return np.linalg.norm(rows[:, None] - rows[None], axis=2)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("mutual", [False, True])
def test_same_edges_as_scikit_learn(metric, mutual):
    theirs = kneighbors_graph(FEATURES, 5, metric=metric).toarray()
    expected = np.minimum(theirs, theirs.T) if mutual else np.maximum(theirs, theirs.T)
    assert np.array_equal(dense(FEATURES, 5, metric=metric, weight="binary", mutual=mutual), expected)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_local_scaling(metric):
    rows = FEATURES / np.linalg.norm(FEATURES, axis=1, keepdims=True) if metric == "cosine" else FEATURES
    apart = distances(rows)
    scales = np.sort(apart, axis=1)[:, 7]
    found = dense(FEATURES, 9, metric=metric, weight="gaussian")
    expected = np.exp(-(apart**2) / np.outer(scales, scales))
    np.testing.assert_allclose(found[found > 0], expected[found > 0], rtol=1e-4)
    assert np.array_equal(found > 0, dense(FEATURES, 9, metric=metric, weight="binary") > 0)
    np.testing.assert_allclose(dense(FEATURES * 1000, 9, metric=metric, weight="gaussian"), found, rtol=1e-4)


def test_exponential_of_euclidean_distances():
    found = dense(FEATURES, 4, metric="euclidean", weight="exponential", temperature=0.7)
    expected = np.exp(-(distances(FEATURES) ** 2) / 1.4)
    np.testing.assert_allclose(found[found > 0], expected[found > 0], rtol=1e-4)


def test_a_large_mean_costs_no_distance():
    small = np.random.default_rng(1).normal(size=(40, 4))
    features = (small + 4096).astype(np.float32)
    theirs = kneighbors_graph(features.astype(np.float64), 3).toarray()
    found = dense(features, 3, metric="euclidean", weight="binary")
    assert np.array_equal(found, np.maximum(theirs, theirs.T))


def test_default_build_is_knn_graph():
    one, other = build_knn(FEATURES, 5, 0.2), knn_graph(FEATURES, 5, 0.2)
    assert (one.recall, one.method) == (1.0, "flat")
    assert np.array_equal(one.graph.weights, other.weights)
    settings = GraphConfig(neighbours=5, temperature=0.2).model_dump()
    assert np.array_equal(build_knn(FEATURES, **settings).graph.weights, other.weights)


def test_mutual_graph_keeps_copies_and_their_neighbours():
    features = np.concatenate([FEATURES[:10], FEATURES[:1], FEATURES[:1]])
    plain = dense(FEATURES[:10], 3, mutual=True)
    found = dense(features, 3, mutual=True)
    for one in (0, 10, 11):
        assert {other if other < 10 else 0 for other in found[one].nonzero()[0]} - {0} == set(plain[0].nonzero()[0])
    assert found[np.ix_([0, 10, 11], [0, 10, 11])].tolist() == (1 - np.eye(3)).tolist()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("weight", ["exponential", "gaussian", "binary"])
def test_all_rows_equal(metric, weight):
    found = dense(np.ones((5, 3), dtype=np.float32), 2, metric=metric, weight=weight)
    ring = np.roll(np.eye(5), 1, axis=1)
    assert np.array_equal(found, ring + ring.T)


def test_euclidean_rows_of_zeros_are_rows():
    features = np.array([[0, 0], [1, 0], [0, 0], [-0.0, 5]], dtype=np.float32)
    found = dense(features, 1, metric="euclidean", weight="binary")
    assert found.tolist() == [[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 1], [0, 0, 1, 0]]


def test_permuting_the_rows_permutes_the_graph():
    order = np.random.default_rng(2).permutation(80)
    for settings in ({"metric": "euclidean", "weight": "gaussian"}, {"mutual": True}):
        plain, permuted = dense(FEATURES, 4, **settings), dense(FEATURES[order], 4, **settings)
        np.testing.assert_allclose(permuted, plain[np.ix_(order, order)], rtol=1e-4)


@pytest.mark.parametrize("method", ["hnsw", "ivf"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_near_searches_reach_the_asked_recall(method, metric):
    features = np.random.default_rng(3).normal(size=(1500, 24)).astype(np.float32)
    low = build_knn(features, 10, metric=metric, method=method, recall=0.3)
    high = build_knn(features, 10, metric=metric, method=method, recall=0.97)
    assert low.method == high.method == method
    assert 0.97 <= high.recall <= 1.0
    again = build_knn(features, 10, metric=metric, method=method, recall=0.97)
    assert np.array_equal(again.graph.indices, high.graph.indices)
    assert np.array_equal(again.graph.weights, high.graph.weights)


@pytest.mark.parametrize("method", ["hnsw", "ivf"])
def test_measured_recall_is_the_recall(method):
    features = np.random.default_rng(4).normal(size=(900, 24)).astype(np.float32)  # fewer than the sample: all of them
    exact = nearest(features, 8, "euclidean", method="flat")
    found = nearest(features, 8, "euclidean", method=method, recall=0.1)
    shared = sum(len(set(one[1:]) & set(other)) for one, other in zip(exact.found, found.found, strict=True))
    assert found.recall == pytest.approx(shared / (900 * 7), abs=1e-3)
    assert exact.recall == 1.0


def test_auto_method(monkeypatch):
    from projgraph.graph import search

    monkeypatch.setattr(search, "EXACT_ROWS", 50)
    unit = FEATURES / np.linalg.norm(FEATURES, axis=1, keepdims=True)
    assert nearest(unit, 3, "cosine").method == "hnsw"
    assert nearest(unit[:50], 3, "cosine").method == "flat"
    assert nearest(unit, 3, "cosine", recall=1.0).method == "flat"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metric": "manhattan"}, "metric='manhattan'; expected one of cosine, euclidean"),
        ({"method": "annoy"}, "method='annoy'; expected one of .* of auto, flat, hnsw, ivf"),
        ({"recall": 0.0}, "recall=0.0; expected a share above 0, at most 1"),
        ({"recall": float("nan")}, "recall=nan"),
        ({"metric": "euclidean", "weight": "cosine"}, "weight 'cosine' with metric 'euclidean'"),
    ],
)
def test_errors(settings, message):
    with pytest.raises(ConfigError, match=message):
        build_knn(FEATURES, 3, **settings)
