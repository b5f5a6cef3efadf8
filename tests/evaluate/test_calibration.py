import numpy as np
import pytest
from scipy.special import softmax as peer_softmax

from projgraph.evaluate.calibration import (
    TEMPERATURES,
    TemperaturePrior,
    expected_calibration_error,
    fit_temperature,
    match_confidence,
    reliability,
    softmax,
)


def labels_drawn_from(logits, temperature, seed=0):
    probabilities = softmax(logits / temperature).cumsum(axis=1)
    return (np.random.default_rng(seed).random((len(logits), 1)) > probabilities[:, :-1]).sum(axis=1)


def test_softmax_like_scipy_and_without_overflow():
    logits = np.random.default_rng(0).normal(size=(50, 4)) * 5
    assert np.allclose(softmax(logits), peer_softmax(logits, axis=1))
    assert softmax(np.array([[1e6, 0.0]])).tolist() == [[1.0, 0.0]]


def test_reliability_by_hand():
    confidence = np.array([0.95, 0.95, 0.55, 0.5, 1.0])
    right = np.array([True, False, True, False, True])
    table = reliability(confidence, right, bins=2)
    assert [(row.lower, row.upper, row.n) for row in table] == [(0.0, 0.5, 1), (0.5, 1.0, 4)]
    assert table[0].confidence == 0.5
    assert table[0].accuracy == 0.0
    assert table[1].confidence == pytest.approx(0.8625)
    assert table[1].accuracy == 0.75
    assert expected_calibration_error(table) == pytest.approx(0.2 * 0.5 + 0.8 * 0.1125)


def test_ece_of_no_rows_and_of_a_perfect_model_is_zero():
    assert expected_calibration_error(reliability(np.zeros(0), np.zeros(0, dtype=bool))) == 0
    assert expected_calibration_error(reliability(np.ones(9), np.ones(9, dtype=bool))) == 0


def test_ece_of_labels_drawn_from_the_model_is_small():
    logits = np.random.default_rng(3).normal(size=(100000, 5)) * 2
    labels = labels_drawn_from(logits, 1.0)
    probabilities = softmax(logits)
    right = probabilities.argmax(axis=1) == labels
    assert expected_calibration_error(reliability(probabilities.max(axis=1), right)) < 0.007


@pytest.mark.parametrize("true_temperature", [0.3, 1.0, 4.0])
def test_a_known_temperature_is_found_again(true_temperature):
    logits = np.random.default_rng(4).normal(size=(20000, 6)) * 3
    labels = labels_drawn_from(logits, true_temperature)
    assert fit_temperature(logits, labels) == pytest.approx(true_temperature, rel=0.04)


def test_temperature_follows_the_scale_of_the_logits():
    logits = np.random.default_rng(5).normal(size=(500, 4))
    labels = labels_drawn_from(logits, 0.7)
    assert fit_temperature(logits * 8, labels) == pytest.approx(8 * fit_temperature(logits, labels), rel=1e-3)


def test_temperature_of_few_separable_rows_claims_no_more_than_was_seen():
    logits = np.eye(3)[[0, 1, 2, 0]] * 10
    temperature = fit_temperature(logits, np.array([0, 1, 2, 0]))
    confidence = softmax(logits / temperature).max()
    # 1/6 of the mass is shared by the three classes, so the true one keeps 5/6 + 1/18.
    assert confidence == pytest.approx(5 / 6 + 1 / 18, abs=1e-3)


@pytest.mark.parametrize(
    ("logits", "labels"), [(np.zeros((0, 3)), []), (np.ones((4, 3)), [0, 1, 2, 0]), (np.eye(3), [-1, -2, -1])]
)
def test_temperature_of_rows_that_say_nothing_is_one(logits, labels):
    assert fit_temperature(logits, np.array(labels, dtype=np.int64)) == 1.0


def test_temperature_stays_within_its_bounds():
    logits = np.eye(3)[np.zeros(50, dtype=int)]
    assert fit_temperature(logits * 1e-3, np.zeros(50, dtype=int)) == pytest.approx(TEMPERATURES[0], rel=1e-3)
    assert fit_temperature(logits * 1e6, np.ones(50, dtype=int)) == pytest.approx(TEMPERATURES[1], rel=1e-3)


def test_a_weighted_row_counts_as_often_as_it_weighs():
    logits = np.random.default_rng(1).normal(size=(40, 3)) * 2
    labels = np.random.default_rng(2).integers(0, 3, 40)
    weights = np.where(np.arange(40) < 20, 3.0, 0.0)
    assert fit_temperature(logits, labels, weights) == pytest.approx(
        fit_temperature(logits[:20], labels[:20]), rel=1e-4
    )
    assert fit_temperature(logits, labels, np.full(40, 7.0)) == pytest.approx(fit_temperature(logits, labels), rel=1e-6)


def test_a_prior_decides_where_rows_say_little_and_yields_to_many():
    logits = np.random.default_rng(3).normal(size=(5000, 4)) * 2
    labels = (logits + np.random.default_rng(4).gumbel(size=logits.shape)).argmax(axis=1)
    sure = TemperaturePrior(0.7, 1e-3)
    vague = TemperaturePrior(0.7, 0.2)
    assert fit_temperature(logits[:5], labels[:5], prior=sure) == pytest.approx(0.7, abs=0.01)
    assert fit_temperature(logits[:0], labels[:0], prior=vague) == 0.7
    alone = fit_temperature(logits, labels)
    assert alone == pytest.approx(1.0, abs=0.05)
    assert fit_temperature(logits, labels, prior=vague) == pytest.approx(alone, abs=0.02)
    few = fit_temperature(logits[:40], labels[:40])
    between = fit_temperature(logits[:40], labels[:40], prior=vague)
    assert min(0.7, few) < between < max(0.7, few)


def test_a_prior_counts_weighted_rows_by_what_they_are_worth():
    logits = np.random.default_rng(5).normal(size=(60, 3)) * 3
    labels = np.random.default_rng(6).integers(0, 3, 60)
    prior = TemperaturePrior(1.0, 0.2)
    weights = np.where(np.arange(60) < 20, 2.0, 0.0)
    expected = fit_temperature(logits[:20], labels[:20], prior=prior)
    assert fit_temperature(logits, labels, weights, prior) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("accuracy", [0.3, 0.6, 0.95])
def test_the_mean_confidence_is_the_accuracy(accuracy):
    logits = np.random.default_rng(7).normal(size=(300, 5)) * 4
    temperature = match_confidence(logits, accuracy)
    assert softmax(logits / temperature).max(axis=1).mean() == pytest.approx(accuracy, abs=1e-5)


def test_two_classes_are_matched_as_by_hand():
    # softmax((2, 0) / T) is 0.8 where 2 / T = log 4.
    assert match_confidence(np.array([[2.0, 0.0], [0.0, 2.0]]), 0.8) == pytest.approx(2 / np.log(4), rel=1e-5)


def test_an_accuracy_out_of_reach_takes_the_bound():
    logits = np.random.default_rng(8).normal(size=(50, 4))
    assert match_confidence(logits, 1.0) == TEMPERATURES[0]
    assert match_confidence(logits, 0.25) == TEMPERATURES[1]
    assert match_confidence(np.ones((3, 4)), 0.9) == match_confidence(logits[:0], 0.9) == 1.0
