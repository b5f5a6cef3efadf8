"""Nearest-neighbour graph of feature rows by cosine; it knows faiss and CSR, not what a row means.

Edges join each row to its ``neighbours`` most similar other rows, weighted ``exp((cos - 1) / temperature)`` and
symmetrised by maximum. Up to ``EXACT_ROWS`` rows the search is exhaustive (O(n^2 d) time, O(n d) memory); above, faiss
HNSW answers approximately (about O(n log n d)).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from projgraph.errors import ConfigError
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
    rows = np.repeat(described, found.shape[1])
    valid = (found >= 0) & (found != np.arange(len(unit))[:, None])
    # The row itself is usually, with repeated texts not always, among its own nearest: keep the first `count` others.
    valid &= np.cumsum(valid, axis=1) <= count
    weights = np.exp((np.minimum(similarity, 1.0) - 1.0) / temperature).astype(np.float32)
    keep = valid.ravel()
    shape = (len(features), len(features))
    directed = sparse.csr_array(
        (weights.ravel()[keep], (rows[keep], described[found.ravel()[keep]])), shape=shape, dtype=np.float32
    )
    return from_csr(directed.maximum(directed.T))


def from_csr(adjacency: sparse.csr_array) -> Graph:
    """A graph record of a symmetric sparse matrix whose diagonal is empty."""
    matrix = sparse.csr_array(adjacency)
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return Graph(
        indptr=matrix.indptr.astype(np.int64),
        indices=matrix.indices.astype(np.int32),
        weights=matrix.data.astype(np.float32),
    )


def to_csr(graph: Graph) -> sparse.csr_array:
    """The graph as a scipy matrix that shares its arrays."""
    shape = (graph.n_nodes, graph.n_nodes)
    return sparse.csr_array((graph.weights, graph.indices, graph.indptr), shape=shape)


def reached(graph: Graph, seeds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n,) True for every node that a path of edges joins to a seed, seeds included."""
    _, component = sparse.csgraph.connected_components(to_csr(graph), directed=False)
    return np.isin(component, np.unique(component[seeds]))


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
