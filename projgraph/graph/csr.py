"""Graph records as sparse matrices and back, and what follows from the matrix alone; it knows no feature, no label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from projgraph.records import FloatArray, Graph, IndexArray


def from_neighbours(
    rows: IndexArray, columns: IndexArray, weights: FloatArray, n_nodes: int, mutual: bool = False
) -> Graph:
    """Make directed neighbour lists undirected.

    Args:
        rows: (m,) the asking node of each directed edge; a pair stands at most once.
        columns: (m,) the node it found, never itself.
        weights: (m,) positive.
        n_nodes: nodes, with or without edges.
        mutual: keep an edge only where both ends ask for it; otherwise where either does. Where the two directions
            differ, the larger weight counts.
    """
    shape = (n_nodes, n_nodes)
    directed = sparse.csr_array((weights, (rows, columns)), shape=shape)
    either: sparse.csr_array = directed.maximum(directed.T)
    if mutual:
        asked = sparse.csr_array((np.ones_like(weights), (rows, columns)), shape=shape)
        either = either * asked * asked.T
    return from_csr(either)


def first_others(found: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """(n, k) True for the first ``count`` entries of each row that are a row (not -1) and not the row itself.

    A search for nearest rows usually, with repeated rows not always, finds the asking row among them.
    """
    valid = (found >= 0) & (found != np.arange(len(found))[:, None])
    return np.asarray(valid & (np.cumsum(valid, axis=1) <= count))


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


def induced(graph: Graph, nodes: IndexArray) -> Graph:
    """The given nodes, in ascending order, with the edges among them."""
    return from_csr(to_csr(graph)[nodes][:, nodes])


def reached(graph: Graph, seeds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n,) True for every node that a path of edges joins to a seed, seeds included."""
    _, component = sparse.csgraph.connected_components(to_csr(graph), directed=False)
    return np.isin(component, np.unique(component[seeds]))


def normalised(graph: Graph) -> sparse.csr_array:
    """D^-1/2 W D^-1/2; a node without edges has an empty row."""
    adjacency = to_csr(graph)
    degree = np.asarray(adjacency.sum(axis=1), dtype=np.float64).ravel()
    root = np.zeros_like(degree)
    root[degree > 0] = degree[degree > 0] ** -0.5
    rows = graph.sources
    weights = graph.weights * (root[rows] * root[graph.indices]).astype(np.float32)
    return sparse.csr_array((weights, graph.indices, graph.indptr), shape=adjacency.shape)


def transition(graph: Graph) -> sparse.csr_array:
    """D^-1 W, whose rows sum to one; a node without edges has an empty row."""
    adjacency = to_csr(graph)
    degree = np.asarray(adjacency.sum(axis=1, dtype=np.float64)).ravel()
    rows = graph.sources
    weights = (graph.weights / degree[rows]).astype(np.float32)
    return sparse.csr_array((weights, graph.indices, graph.indptr), shape=adjacency.shape)


def self_looped(graph: Graph) -> sparse.csr_array:
    """D^-1/2 (W + I) D^-1/2 with D the row sums of W + I (Kipf & Welling 2017); every node has at least itself."""
    return normalised(from_csr(to_csr(graph) + sparse.eye_array(graph.n_nodes, dtype=np.float32, format="csr")))
