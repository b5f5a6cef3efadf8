"""Ternary steps: the rounds by hand, the same from numpy and torch, and the squared error that they never raise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from projgraph.pack.layer import best_steps
from projgraph.projection.straight_through import ternary
from projgraph.ternary import FIRST_THRESHOLD, ternary_steps


def steps_of(sizes: np.ndarray, rounds: int) -> np.ndarray:
    def mean_above(thresholds: np.ndarray) -> np.ndarray:
        kept = sizes > thresholds
        return (sizes * kept).sum(axis=0) / np.maximum(kept.sum(axis=0), 1)

    return ternary_steps(sizes.mean(axis=0), mean_above, rounds)


def test_rounds_by_hand():
    """The mean is 3 and the first threshold 2.1: 3 and 9 are kept, their mean is 6, of which 3 is half and goes."""
    sizes = np.array([[0.0], [1.0], [2.0], [3.0], [9.0]])
    assert FIRST_THRESHOLD == 0.7
    assert [float(steps_of(sizes, rounds)[0]) for rounds in (1, 2, 3)] == [6.0, 9.0, 9.0]


def test_no_round_raises_the_squared_error():
    weights = np.random.default_rng(0).standard_normal((500, 20))
    errors = []
    for rounds in range(1, 12):
        steps = steps_of(np.abs(weights), rounds)
        rounded = np.sign(weights) * (np.abs(weights) > steps / 2) * steps
        errors.append(np.square(rounded - weights).sum(axis=0))
    assert (np.diff(errors, axis=0) <= 1e-9).all()
    assert errors[-1].sum() < errors[0].sum()


def test_a_fit_and_the_file_find_the_same_steps():
    weights = np.random.default_rng(1).standard_normal((400, 8)).round(1)
    rounded = ternary(torch.from_numpy(weights.T)).numpy()
    np.testing.assert_allclose(np.abs(rounded).max(axis=1), best_steps(weights, 2), rtol=1e-3)


@pytest.mark.parametrize("rounds", [1, 5])
def test_zeros_have_the_step_zero(rounds):
    assert steps_of(np.zeros((4, 2)), rounds).tolist() == [0.0, 0.0]
