"""The estimate of class frequencies: by hand, by its fixed point, and on mixtures whose frequencies are known."""

from __future__ import annotations

import numpy as np
import pytest

from projgraph.trainers.class_prior import estimate_class_prior, reweigh, shrink


def em(posteriors, frequencies, strength, steps=3000):
    """The update of the docstring in double precision, until nothing moves."""
    p, f = np.asarray(posteriors, dtype=np.float64), np.asarray(frequencies, dtype=np.float64)
    prior = f.copy()
    for _ in range(steps):
        q = p * (prior / f)
        q /= q.sum(axis=1, keepdims=True)
        prior = (q.mean(axis=0) + strength * f) / (1 + strength)
    return prior


def floats(*rows):
    return np.array(rows, dtype=np.float32)


def test_reweigh_by_hand():
    # 0.5 * 3 : 0.5 * 1 is 3 : 1, and 0.2 * 3 : 0.8 * 1 is 3 : 4.
    result = reweigh(floats([0.5, 0.5], [0.2, 0.8]), floats(3, 1))
    np.testing.assert_allclose(result, [[0.75, 0.25], [3 / 7, 4 / 7]], rtol=1e-6)
    assert result.dtype == np.float32


def test_ratios_of_one_change_nothing():
    posteriors = floats([0.1, 0.9], [0.6, 0.4])
    np.testing.assert_allclose(reweigh(posteriors, np.ones(2, dtype=np.float32)), posteriors, rtol=1e-6)


def test_certain_rows_are_counted():
    # Certain posteriors stay certain: 3 of 4 rows are of class 0, against 0.5 given with strength 1.
    certain = floats([1, 0], [1, 0], [1, 0], [0, 1])
    np.testing.assert_allclose(estimate_class_prior(certain, floats(0.5, 0.5), 1.0), [0.625, 0.375], rtol=1e-6)
    np.testing.assert_allclose(estimate_class_prior(certain, floats(0.5, 0.5), 0.25), [0.7, 0.3], rtol=1e-6)


def test_rows_that_know_nothing_leave_the_frequencies():
    frequencies = floats(0.5, 0.3, 0.2)
    known_nothing = np.tile(frequencies, (7, 1))
    np.testing.assert_allclose(estimate_class_prior(known_nothing, frequencies, 0.1), frequencies, rtol=1e-6)


def test_two_rows_by_hand():
    # Row 0 has odds 3 : 1, row 1 has 1 : 1. With frequencies (x, 1 - x) row 0 gives 3x / (2x + 1) and row 1 gives x;
    # strength 1 makes the fixed point 2x = (3x / (2x + 1) + x) / 2 + 1 / 2, that is 6 x^2 - 2 x - 1 = 0.
    expected = (2 + np.sqrt(28)) / 12
    result = estimate_class_prior(floats([0.75, 0.25], [0.5, 0.5]), floats(0.5, 0.5), 1.0)
    np.testing.assert_allclose(result, [expected, 1 - expected], atol=1e-5)


@pytest.mark.parametrize("strength", [0.1, 1.0, 10.0])
def test_equals_double_precision(strength):
    generator = np.random.default_rng(1)
    posteriors = generator.dirichlet([0.4, 0.4, 0.4, 0.4], size=200).astype(np.float32)
    frequencies = floats(0.4, 0.3, 0.2, 0.1)
    result = estimate_class_prior(posteriors, frequencies, strength)
    np.testing.assert_allclose(result, em(posteriors, frequencies, strength), atol=1e-4)
    assert result.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("truth", [(0.5, 0.5), (0.9, 0.1), (0.15, 0.85)])
def test_recovers_the_frequencies_of_a_mixture(truth):
    """Normal classes at -1 and +1: under even frequencies the posterior of +1 at x is 1 / (1 + exp(-2 x))."""
    generator = np.random.default_rng(0)
    sides = generator.random(20_000) < truth[1]
    x = generator.normal(np.where(sides, 1.0, -1.0))
    second = 1 / (1 + np.exp(-2 * x))
    posteriors = np.column_stack([1 - second, second]).astype(np.float32)
    result = estimate_class_prior(posteriors, floats(0.5, 0.5), 1e-3)
    np.testing.assert_allclose(result, truth, atol=0.02)
    assert np.abs(posteriors.mean(axis=0) - truth).max() >= np.abs(result - truth).max() - 0.005, "no worse than a mean"


def test_a_class_without_support_keeps_its_share_of_the_strength():
    posteriors = floats([1, 0, 0], [1, 0, 0], [0, 1, 0])
    result = estimate_class_prior(posteriors, floats(0.25, 0.25, 0.5), 1.0)
    assert result[2] == pytest.approx(1.0 / 2.0 * 0.5)
    assert result.min() > 0


def test_great_strength_is_the_frequencies():
    result = estimate_class_prior(floats([1, 0], [1, 0]), floats(0.3, 0.7), 1e5)
    np.testing.assert_allclose(result, [0.3, 0.7], atol=1e-4)


def test_shrink_by_hand():
    # Half believed where the noise is the divergence, and the square roots of the odds 4 : 1 are 2 : 1.
    even, estimate = floats(0.5, 0.5), floats(0.8, 0.2)
    divergence = 0.8 * np.log(1.6) + 0.2 * np.log(0.4)
    np.testing.assert_allclose(shrink(estimate, even, divergence), [2 / 3, 1 / 3], rtol=1e-5)
    # A quarter: odds of 4 to the power of a quarter.
    np.testing.assert_allclose(
        shrink(estimate, even, 3**0.5 * divergence), np.array([2**0.5, 1]) / (1 + 2**0.5), rtol=1e-5
    )


def test_shrink_between_its_ends():
    labels, estimate = floats(0.2, 0.3, 0.5), floats(0.6, 0.3, 0.1)
    np.testing.assert_allclose(shrink(estimate, labels, 1e-9), estimate, atol=1e-6)
    np.testing.assert_allclose(shrink(estimate, labels, 1e9), labels, atol=1e-6)
    np.testing.assert_allclose(shrink(labels, labels, 0.1), labels, rtol=1e-6)
    assert shrink(estimate, labels, 0.3).sum() == pytest.approx(1)
    assert shrink(estimate, labels, 0.3).dtype == np.float32
