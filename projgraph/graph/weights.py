"""Edge weights of found neighbours from squared distances; they know no search and no graph.

For rows of length one the squared distance is ``d^2 = 2 - 2 cos``, so that each formula serves both metrics:

- exponential: ``exp(-d^2 / (2 temperature))``, which is ``exp((cos - 1) / temperature)`` of unit rows;
- cosine: ``1 - d^2 / 2``, negative ones no edge; of unit rows only;
- gaussian: ``exp(-d_ij^2 / (s_i s_j))``, s_i the distance of row i to its seventh neighbour, or its last of fewer
  (Zelnik-Manor & Perona 2004, Self-Tuning Spectral Clustering, section 2 and equation 1);
- binary: 1.

``auto`` is exponential for cosine, and gaussian for Euclidean distances, which have a unit that no temperature knows.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from projgraph.errors import ConfigError
from projgraph.records import FloatArray, IndexArray

Weight = Literal["auto", "exponential", "cosine", "gaussian", "binary"]
WEIGHTS: tuple[Weight, ...] = ("auto", "exponential", "cosine", "gaussian", "binary")

LOCAL_NEIGHBOUR = 7


def chosen_weight(weight: Weight, metric: str, temperature: float) -> Weight:
    """The weight that auto stands for, and every other as it is.

    Raises:
        ConfigError: the weight does not exist, or not for this metric, or the temperature is not positive.
    """
    if weight not in WEIGHTS:
        raise ConfigError(f"graph weight {weight!r} is unknown; expected one of {', '.join(WEIGHTS)}")
    if weight == "cosine" and metric != "cosine":
        raise ConfigError(f"graph weight 'cosine' with metric {metric!r}; expected exponential, gaussian or binary")
    if not 0 < temperature < np.inf:
        raise ConfigError(f"graph temperature={temperature}; expected a finite number above zero")
    if weight == "auto":
        return "exponential" if metric == "cosine" else "gaussian"
    return weight


def edge_weights(squared: NDArray[np.floating], weight: Weight, temperature: float) -> FloatArray:
    """Weights of squared distances, of any shape, that need nothing but their own: all but gaussian."""
    distance = np.maximum(squared.astype(np.float64), 0.0)
    if weight == "binary":
        return np.ones(squared.shape, dtype=np.float32)
    if weight == "cosine":
        return np.maximum(1.0 - distance / 2, 0.0).astype(np.float32)
    with np.errstate(under="ignore"):  # far away is no edge
        return np.exp(-distance / (2 * temperature)).astype(np.float32)


def local_scales(squared: NDArray[np.floating], kept: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n,) each row's distance to its seventh neighbour, or its last; above zero.

    Args:
        squared: (n, k) squared distances, ascending.
        kept: (n, k) True where an entry is a neighbour.
    """
    place = np.cumsum(kept, axis=1)
    counted = np.where(kept & (place <= LOCAL_NEIGHBOUR), squared.astype(np.float64), 0.0)
    scales = np.sqrt(np.maximum(counted, 0.0).max(axis=1, initial=0.0))
    return np.asarray(np.maximum(scales, np.finfo(np.float32).tiny))


def gaussian_weights(
    squared: NDArray[np.floating], scales: NDArray[np.float64], rows: IndexArray, columns: IndexArray
) -> FloatArray:
    """(m,) locally scaled weights of the edges from rows to columns at the given squared distances."""
    distance = np.maximum(squared.astype(np.float64), 0.0)
    with np.errstate(under="ignore", over="ignore"):
        return np.exp(-distance / (scales[rows] * scales[columns])).astype(np.float32)
