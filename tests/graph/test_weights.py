"""Edge weights against their formulas."""

from __future__ import annotations

import numpy as np
import pytest

from projgraph.errors import ConfigError
from projgraph.graph.weights import chosen_weight, edge_weights, gaussian_weights, local_scales

COSINES = np.array([1.0, 0.5, 0.0, -0.5])
SQUARED = (2 - 2 * COSINES).astype(np.float32)


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        ("exponential", np.exp((COSINES - 1) / 0.3)),
        ("cosine", [1.0, 0.5, 0.0, 0.0]),
        ("binary", [1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_formulas(weight, expected):
    weights = edge_weights(SQUARED, weight, 0.3)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_rounding_below_zero_and_far_away():
    assert edge_weights(np.array([-1e-7, 1e30]), "exponential", 0.1).tolist() == [1.0, 0.0]


def test_local_scales_take_the_seventh_neighbour():
    squared = np.square(np.arange(10, dtype=np.float32))[None, :].repeat(2, axis=0)
    kept = np.ones((2, 10), dtype=bool)
    kept[:, 0] = False  # the row itself
    kept[1, 4:] = False
    assert local_scales(squared, kept).tolist() == [7.0, 3.0]
    assert local_scales(squared, np.zeros((2, 10), dtype=bool)).min() > 0


def test_gaussian_is_symmetric_and_blind_to_scale():
    scales = np.array([2.0, 3.0])
    one = gaussian_weights(np.array([1.5, 1.5]), scales, np.array([0, 1]), np.array([1, 0]))
    assert one.tolist() == pytest.approx([np.exp(-1.5 / 6)] * 2)
    np.testing.assert_allclose(gaussian_weights(np.array([150.0]), scales * 10, np.array([0]), np.array([1])), one[:1])


def test_auto():
    assert chosen_weight("auto", "cosine", 0.1) == "exponential"
    assert chosen_weight("auto", "euclidean", 0.1) == "gaussian"
    assert chosen_weight("binary", "euclidean", 0.1) == "binary"


@pytest.mark.parametrize(
    ("weight", "metric", "temperature", "message"),
    [
        (
            "tanh",
            "cosine",
            0.1,
            "graph weight 'tanh' is unknown; expected one of auto, exponential, cosine, gaussian, binary",
        ),
        (
            "cosine",
            "euclidean",
            0.1,
            "graph weight 'cosine' with metric 'euclidean'; expected exponential, gaussian or",
        ),
        ("binary", "cosine", 0.0, "graph temperature=0.0; expected a finite number above zero"),
        ("binary", "cosine", float("nan"), "graph temperature=nan"),
    ],
)
def test_errors(weight, metric, temperature, message):
    with pytest.raises(ConfigError, match=message):
        chosen_weight(weight, metric, temperature)
