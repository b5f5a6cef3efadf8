"""The logistic regression against scikit-learn's, and what soft and weighted targets stand for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from projgraph.graph.csr import from_csr
from projgraph.records import Examples, TrainerTask
from projgraph.trainers.prior import FEW_LABELS_L2, fit_few_labels, fit_prior, predict_prior

pytestmark = pytest.mark.usefixtures("one_thread")

L2 = 0.05
ENOUGH = 300


@pytest.fixture(scope="module")
def rows():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, size=90)
    centres = generator.normal(size=(3, 4))
    features = (centres[labels] + generator.normal(size=(90, 4))).astype(np.float32)
    weights = generator.uniform(0.2, 3.0, size=90).astype(np.float32)
    return features, labels, weights


def one_hot(labels):
    return np.eye(3, dtype=np.float32)[labels]


def ones(count):
    return np.ones(count, dtype=np.float32)


def assert_same(coefficients, others, atol=1e-3):
    """Equal W, and equal b up to the constant that softmax does not see."""
    np.testing.assert_allclose(coefficients[:-1], others[:-1], atol=atol)
    np.testing.assert_allclose(
        coefficients[-1] - coefficients[-1].mean(), others[-1] - others[-1].mean(), rtol=0, atol=atol
    )


@pytest.mark.parametrize("l2", [0.01, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_scikit_learn(rows, l2, weighted):
    features, labels, weights = rows
    weights = weights if weighted else ones(90)
    # scikit-learn minimises C sum_i w_i CE_i + |W|^2 / 2.
    peer = LogisticRegression(C=1 / (2 * l2 * float(weights.sum())), tol=1e-8, max_iter=5000)
    peer.fit(features.astype(np.float64), labels, sample_weight=weights)
    coefficients = fit_prior(features, one_hot(labels), weights, l2, iterations=ENOUGH)
    assert coefficients.shape == (5, 3)
    assert coefficients.dtype == np.float32
    assert_same(coefficients, np.vstack([peer.coef_.T, peer.intercept_]))
    np.testing.assert_allclose(predict_prior(features, coefficients), peer.predict_proba(features), atol=1e-3)


def test_soft_and_weighted_targets_stand_for_repeated_rows(rows):
    features, _, _ = rows
    counts = np.random.default_rng(1).integers(0, 4, size=(90, 3))
    counts[0] = (4, 0, 2)
    given = counts.sum(axis=1) > 0
    soft = (counts[given] / counts[given].sum(axis=1, keepdims=True)).astype(np.float32)
    weights = counts[given].sum(axis=1).astype(np.float32)
    row, label = np.repeat(np.argwhere(counts >= 0), counts.ravel(), axis=0).T
    repeated = fit_prior(features[row], one_hot(label), ones(len(row)), L2, iterations=ENOUGH)
    assert_same(fit_prior(features[given], soft, weights, L2, iterations=ENOUGH), repeated)


def test_start_and_size_of_the_weights_do_not_matter(rows):
    features, labels, weights = rows
    plain = fit_prior(features, one_hot(labels), weights, L2, iterations=ENOUGH)
    start = np.random.default_rng(2).normal(size=(5, 3)).astype(np.float32)
    kept = start.copy()
    assert_same(fit_prior(features, one_hot(labels), weights, L2, start=start, iterations=ENOUGH), plain)
    assert np.array_equal(start, kept), "the given start is left as it was"
    assert_same(fit_prior(features, one_hot(labels), weights * 1000, L2, iterations=ENOUGH), plain)


def test_same_rows_same_coefficients(rows):
    features, labels, weights = rows
    first = fit_prior(features, one_hot(labels), weights, L2)
    assert np.array_equal(first, fit_prior(features, one_hot(labels), weights, L2))


def test_rows_of_weight_zero_are_not_seen(rows):
    features, labels, weights = rows
    kept = np.arange(90) < 60
    some = fit_prior(features[kept], one_hot(labels[kept]), weights[kept], L2, iterations=ENOUGH)
    spoilt = np.where(kept, weights, 0).astype(np.float32)
    assert_same(fit_prior(features, one_hot(labels), spoilt, L2, iterations=ENOUGH), some)


def test_features_that_say_nothing_give_the_frequencies():
    coefficients = fit_prior(
        np.zeros((4, 2), dtype=np.float32), np.eye(2, dtype=np.float32)[[0, 0, 0, 1]], ones(4), L2, iterations=ENOUGH
    )
    np.testing.assert_allclose(
        predict_prior(np.zeros((1, 2), dtype=np.float32), coefficients), [[0.75, 0.25]], atol=1e-4
    )


def test_predict_by_hand_and_far_out():
    # Logits 2 x - 1 and 0: at x = 1 the odds are e : 1.
    coefficients = np.array([[2, 0], [-1, 0]], dtype=np.float32)
    features = np.array([[1], [0.5], [5000], [-5000]], dtype=np.float32)
    odds = np.exp(1)
    np.testing.assert_allclose(
        predict_prior(features, coefficients), [[odds / (1 + odds), 1 / (1 + odds)], [0.5, 0.5], [1, 0], [0, 1]], 1e-5
    )


def test_examples_teach_the_regression_but_not_how_frequent_a_class_is():
    generator = np.random.default_rng(3)
    features = generator.normal(size=(9, 2)).astype(np.float32)
    labelled, classes = np.arange(5), np.eye(2, dtype=np.float32)[[0, 0, 0, 0, 1]]
    graph = from_csr(sparse.csr_array((9, 9), dtype=np.float32))
    examples = Examples(generator.normal(size=(2, 2)).astype(np.float32), np.array([1, 1]))
    task = TrainerTask(graph, features, np.array([0, 0, 0, 0, 1, -1, -1, -1, -1]), 2)
    for each, learnt in ((None, classes), (examples, np.vstack([classes, [[0, 1], [0, 1]]]).astype(np.float32))):
        rows = features[:5] if each is None else np.vstack([features[:5], each.features])
        expected = fit_prior(rows, learnt, ones(len(rows)), FEW_LABELS_L2)
        coefficients, posteriors = fit_few_labels(replace(task, examples=each), labelled, classes)
        np.testing.assert_allclose(coefficients, expected, rtol=1e-6)
        odds = predict_prior(features, expected)
        odds = odds[:, 0] / odds[:, 1] * (4 / 1) / (4 / (1 if each is None else 3))
        np.testing.assert_allclose(posteriors[:, 0] / posteriors[:, 1], odds, rtol=1e-4)


def test_a_regression_needs_features():
    graph = from_csr(sparse.csr_array((2, 2), dtype=np.float32))
    with pytest.raises(ValueError, match="no features; expected some"):
        fit_few_labels(TrainerTask(graph, None, np.array([0, 1]), 2), np.arange(2), np.eye(2, dtype=np.float32))
