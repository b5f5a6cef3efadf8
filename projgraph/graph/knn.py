"""Nearest-neighbour graph of feature rows by cosine; it knows faiss and CSR, not what a row means.

Edges join each row to its ``neighbours`` most similar other rows, weighted ``exp((cos - 1) / temperature)`` and
symmetrised by maximum. Up to ``EXACT_ROWS`` rows the search is exhaustive (O(n^2 d) time, O(n d) memory); above, faiss
HNSW answers approximately (about O(n log n d)).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from projgraph.errors import ConfigError
from projgraph.graph.csr import first_others, from_neighbours
from projgraph.records import FloatArray, Graph

EXACT_ROWS = 60_000
"""Above this many rows exhaustive search on two cores takes longer than building and asking HNSW."""

_HNSW_LINKS = 24
_HNSW_BUILD = 80
_HNSW_SEARCH = 96
_BLOCK = 8192


def knn_graph(features: FloatArray, neighbours: int, temperature: float) -> Graph:
    """Join every row to its nearest rows.

    Args:
        features: (n, d) float32; rows are compared by cosine, and a row of zeros gets no edge.
        neighbours: edges each row asks for, itself not counted; fewer where there are fewer other rows.
        temperature: of the edge weight, above zero.

    Raises:
        ConfigError: for neighbours or a temperature that is not positive, or features that are not finite.
    """
    if neighbours < 1 or not temperature > 0:
        raise ConfigError(f"knn graph: neighbours={neighbours}, temperature={temperature}; both must be above zero")
    if not np.isfinite(features).all():
        raise ConfigError("knn graph: the features hold NaN or infinity; clean them or drop those rows")
    described = np.flatnonzero(np.any(features != 0, axis=1))
    unit = np.ascontiguousarray(features[described], dtype=np.float32)
    # First by the largest element, or the squares of large and small rows would leave float32.
    unit /= np.maximum(unit.max(axis=1, initial=0), -unit.min(axis=1, initial=0))[:, None]
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    count = min(neighbours, max(len(unit) - 1, 0))
    if count == 0:
        empty = np.zeros(0, dtype=np.int32)
        return Graph(np.zeros(len(features) + 1, dtype=np.int64), empty, empty.astype(np.float32))
    similarity, found = _search(unit, count + 1)
    kept = first_others(found, count)
    rows = np.broadcast_to(described[:, None], found.shape)[kept]
    weights = np.exp((np.minimum(similarity[kept], 1.0) - 1.0) / temperature).astype(np.float32)
    return from_neighbours(rows, described[found[kept]], weights, len(features))


def _search(unit: FloatArray, count: int) -> tuple[FloatArray, NDArray[np.int64]]:
    import faiss

    index: Any
    if len(unit) <= EXACT_ROWS:
        index = faiss.IndexFlatIP(unit.shape[1])
    else:
        index = faiss.IndexHNSWFlat(unit.shape[1], _HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = _HNSW_BUILD
        index.hnsw.efSearch = _HNSW_SEARCH
    index.add(unit)
    blocks = [index.search(unit[start : start + _BLOCK], count) for start in range(0, len(unit), _BLOCK)]
    return np.concatenate([block[0] for block in blocks]), np.concatenate([block[1] for block in blocks])
