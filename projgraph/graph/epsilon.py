"""Graph of all pairs of rows whose cosine reaches a threshold; it knows rows, not what a row means.

Exhaustive and blocked: O(n^2 d) time, 256 MB beside the rows and the edges. Equal rows are pairs like others.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from projgraph.errors import ConfigError, InputError
from projgraph.graph.csr import from_csr
from projgraph.graph.rows import check_finite, unit_rows
from projgraph.graph.weights import Weight, chosen_weight, edge_weights
from projgraph.records import FloatArray, Graph, IndexArray

_BLOCK_VALUES = 1 << 26


def epsilon_graph(
    features: FloatArray,
    threshold: float,
    weight: Weight = "exponential",
    temperature: float = 0.1,
    max_degree: int = 1000,
) -> Graph:
    """Join every two rows whose cosine is at least the threshold.

    Args:
        features: (n, d) float32; a row of zeros gets no edge.
        threshold: smallest cosine of an edge, from -1 to 1. float32 tells cosines apart to about 1e-6.
        weight: exponential, cosine or binary, as in `graph.weights`; gaussian needs a number of neighbours.
        temperature: of the exponential weight.
        max_degree: edges of a row at most, a guard of the memory.

    Raises:
        ConfigError: a setting out of range, or features that are not finite.
        InputError: a row has more edges than ``max_degree``; the message names it.
    """
    if not -1 <= threshold <= 1 or max_degree < 1:
        raise ConfigError(
            f"epsilon graph: threshold={threshold}, max_degree={max_degree}; expected -1 to 1, and one or more"
        )
    weight = chosen_weight(weight, "cosine", temperature)
    if weight == "gaussian":
        raise ConfigError("epsilon graph: weight 'gaussian' needs neighbours; expected exponential, cosine or binary")
    check_finite(features, "epsilon graph")
    described, unit = unit_rows(features)
    rows, columns, cosines = _pairs(unit, threshold, described, max_degree)
    weights = edge_weights(2 - 2 * np.minimum(cosines, np.float32(1)), weight, temperature)
    half = sparse.csr_array((weights, (described[rows], described[columns])), shape=(len(features), len(features)))
    return from_csr(half + half.T)


def _pairs(
    unit: FloatArray, threshold: float, described: IndexArray, max_degree: int
) -> tuple[IndexArray, IndexArray, FloatArray]:
    """Each pair once, the smaller index first."""
    n_rows = len(unit)
    degrees = np.zeros(n_rows, dtype=np.int64)
    none = np.zeros(0, dtype=np.int64)
    found: list[tuple[IndexArray, IndexArray, FloatArray]] = [(none, none, np.zeros(0, dtype=np.float32))]
    block = max(1, _BLOCK_VALUES // max(n_rows, 1))
    for start in range(0, n_rows, block):
        part = unit[start : start + block]
        cosines = part @ unit[start:].T
        near = np.triu(cosines >= np.float32(threshold), k=1)
        degrees[start:] += near.sum(axis=0)
        degrees[start : start + block] += near.sum(axis=1)
        worst = int(degrees.argmax())
        if degrees[worst] > max_degree:
            raise InputError(
                f"epsilon graph: row {described[worst]} has more than {max_degree:,} rows at a cosine of "
                f"{threshold:g} or more; raise the threshold or max_degree, or drop repeated rows"
            )
        one, other = np.nonzero(near)
        found.append((one + start, other + start, cosines[one, other]))
    rows, columns, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return rows, columns, values
