"""A checked graph of edges that come from outside, as a matrix, as arrays or as a networkx graph; it trusts nothing.

What is made of what is given:

- NaN, infinite, negative and huge weights (above ``MAX_WEIGHT``), and indices out of range, are errors; a weight of
  zero, or below ``MIN_WEIGHT``, is no edge.
- Where the two directions of an edge differ, or one is missing, the larger weight counts; ``directed="error"`` refuses.
- An edge given twice counts once, with the larger weight. A sparse matrix that stores an entry twice means their sum,
  as scipy defines it.
- Self-loops are dropped. A node without edges stays, and so does a graph without edges.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from projgraph.errors import InputError
from projgraph.graph.csr import from_csr
from projgraph.records import MAX_WEIGHT, MIN_WEIGHT, EdgeList, Graph, IndexArray, Progress

MAX_STORED = 2**31 - 1
"""Stored entries at most, two for an edge; and nodes at most. Twelve bytes an entry make that 24 GiB."""

Directed = Literal["maximum", "error"]


def given_graph(
    given: Any,
    weights: Any = None,
    n_nodes: int | None = None,
    directed: Directed = "maximum",
    progress: Progress | None = None,
) -> Graph:
    """The undirected graph of an adjacency or of edges.

    Args:
        given: a scipy sparse matrix or dense array of shape (n, n); an `EdgeList`; arrays ``(source, target)`` or
            ``(source, target, weight)``; a PyG ``edge_index``, integers of shape (2, m) (a 2 x 2 array is an
            adjacency: give a tuple for edges); a networkx graph, whose nodes count in their order and whose edges
            weigh their ``weight``, 1 without one.
        weights: (m,) of an ``edge_index`` or a pair of arrays; 1 each without them.
        n_nodes: nodes of arrays of edges; without it the largest index counts them.
        directed: what is done with an asymmetric graph.
        progress: told in one line what was dropped.

    Raises:
        InputError: what is given is no graph, or its weights, indices or size are not as above.
    """
    if directed not in ("maximum", "error"):
        raise InputError(f"graph: directed={directed!r}; expected 'maximum' or 'error'")
    if isinstance(given, EdgeList):
        given, weights, n_nodes = (given.sources, given.targets), given.weights, max(given.n_nodes, n_nodes or 0)
    if hasattr(given, "nodes") and hasattr(given, "edges"):
        matrix = _of_networkx(given)
    elif sparse.issparse(given):
        matrix = _of_sparse(given)
    elif isinstance(given, tuple | list) and len(given) in (2, 3) and all(np.ndim(part) == 1 for part in given):
        if len(given) == 3 and weights is not None:
            raise InputError("graph: weights are given twice, beside the edges and as their third array; give one")
        matrix = _of_edges(given[0], given[1], given[2] if len(given) == 3 else weights, n_nodes)
    else:
        matrix = _of_array(given, weights, n_nodes)
    return _undirected(matrix, directed, progress)


def _of_array(given: Any, weights: Any, n_nodes: int | None) -> sparse.csr_array:
    try:
        array = np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"graph: {type(given).__name__} is not an array ({error}); expected {_EXPECTED}") from error
    if array.ndim == 2 and array.shape[0] == array.shape[1] and weights is None:
        _check_stored(int(np.count_nonzero(array)) if array.dtype != object else 0)
        values = _checked_weights(array)
        # A NaN is not zero and so was found above; the rest is what an adjacency stores.
        return sparse.csr_array(values)
    if array.ndim == 2 and array.shape[0] == 2:
        return _of_edges(array[0], array[1], weights, n_nodes)
    raise InputError(f"graph: an array of shape {array.shape} is neither square nor (2, m); expected {_EXPECTED}")


_EXPECTED = "an (n, n) adjacency, arrays (source, target[, weight]), an edge_index of shape (2, m) or a networkx graph"


def _of_sparse(given: Any) -> sparse.csr_array:
    if given.ndim != 2 or given.shape[0] != given.shape[1]:
        raise InputError(f"graph: the adjacency has shape {given.shape}; expected as many columns as rows")
    _check_stored(given.nnz)
    _check_nodes(given.shape[0])
    try:
        if hasattr(given, "check_format"):
            given.check_format(full_check=True)
        elif given.format == "coo":
            _check_range(np.asarray(given.row), given.shape[0], "row")
            _check_range(np.asarray(given.col), given.shape[0], "column")
        matrix = sparse.csr_array(given, copy=True)
        if matrix.dtype.kind in "iu":  # the sum of two entries of such a type may wrap
            matrix = matrix.astype(np.float64)
        matrix.sum_duplicates()
    except InputError:
        raise
    except (ValueError, IndexError, TypeError) as error:
        raise InputError(f"graph: the sparse adjacency is damaged ({error}); build it again") from error
    matrix.data = _checked_weights(matrix.data)
    return matrix


def _of_networkx(given: Any) -> sparse.csr_array:
    place = {node: number for number, node in enumerate(given.nodes)}
    edges = list(given.edges(data="weight", default=1.0))
    sources = np.fromiter((place[edge[0]] for edge in edges), dtype=np.int64, count=len(edges))
    targets = np.fromiter((place[edge[1]] for edge in edges), dtype=np.int64, count=len(edges))
    return _of_edges(sources, targets, [edge[2] for edge in edges], len(place))


def _of_edges(source: Any, target: Any, weights: Any, n_nodes: int | None) -> sparse.csr_array:
    sources, targets = _checked_indices(source, "source"), _checked_indices(target, "target")
    if len(sources) != len(targets):
        raise InputError(f"graph: {len(sources):,} sources and {len(targets):,} targets; expected as many of both")
    _check_stored(len(sources))
    values = np.ones(len(sources), dtype=np.float32) if weights is None else _checked_weights(np.asarray(weights))
    if values.shape != sources.shape:
        raise InputError(f"graph: weights of shape {values.shape} for {len(sources):,} edges; expected one an edge")
    if n_nodes is None:
        n_nodes = int(max(sources.max(initial=-1), targets.max(initial=-1))) + 1
    _check_nodes(n_nodes)
    _check_range(sources, n_nodes, "source")
    _check_range(targets, n_nodes, "target")
    return _largest_of_each(sources.astype(np.int64), targets.astype(np.int64), values, n_nodes)


def _largest_of_each(
    sources: IndexArray, targets: IndexArray, values: NDArray[np.float32], n_nodes: int
) -> sparse.csr_array:
    """CSR with the largest weight of each pair, for scipy would add them."""
    pairs = sources * max(n_nodes, 1) + targets
    order = np.argsort(pairs)
    pairs, values = pairs[order], values[order]
    first = np.flatnonzero(np.diff(pairs, prepend=-1))
    largest = np.maximum.reduceat(values, first) if len(first) else values
    rows, columns = np.divmod(pairs[first], max(n_nodes, 1))
    return sparse.csr_array((largest, (rows, columns)), shape=(n_nodes, n_nodes))


def _undirected(matrix: sparse.csr_array, directed: Directed, progress: Progress | None) -> Graph:
    matrix.eliminate_zeros()
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    loops = matrix.indices == rows
    n_loops = int(np.count_nonzero(loops))
    if n_loops:
        matrix.data[loops] = 0
        matrix.eliminate_zeros()
        if progress is not None:
            progress(f"graph: {n_loops:,} self-loops dropped")
    matrix.sort_indices()
    if directed == "error":
        _check_symmetric(matrix)
        return from_csr(matrix)
    either = matrix.maximum(matrix.T)
    _check_stored(either.nnz)
    return from_csr(either)


def _check_symmetric(matrix: Any) -> None:  # scipy's stubs know no comparison of CSR with its transpose
    different = (matrix != matrix.T).tocoo()
    if different.nnz:
        row, column = int(different.row[0]), int(different.col[0])
        raise InputError(
            f"graph: not symmetric: {row} -> {column} weighs {matrix[row, column]:g}, {column} -> {row} "
            f"{matrix[column, row]:g}; give both directions alike, or directed='maximum' to take the larger"
        )


def _checked_weights(values: NDArray[Any]) -> NDArray[np.float32]:
    """The weights in float32; one below MIN_WEIGHT becomes zero, which is no edge."""
    if values.dtype.kind not in "biuf":
        try:
            if values.dtype.kind != "O":
                raise TypeError
            values = values.astype(np.float64)
        except (TypeError, ValueError):
            raise InputError(f"graph: weights of type {values.dtype}; expected real numbers") from None
    with np.errstate(over="ignore", under="ignore"):
        small = values.astype(np.float32)
    small[(small > 0) & (small < MIN_WEIGHT)] = 0
    for wrong, what in (
        (~np.isfinite(small), "finite numbers"),
        (small < 0, "no negative weight"),
        (small > MAX_WEIGHT, f"at most {MAX_WEIGHT:.1e}"),
    ):
        if wrong.any():
            place = tuple(int(axis) for axis in np.argwhere(wrong)[0])
            shown = place[0] if len(place) == 1 else place
            raise InputError(
                f"graph: weight {values[place]} at {shown} ({np.count_nonzero(wrong):,} such); expected {what}: "
                "clean the weights or drop those edges"
            )
    return small


def _checked_indices(given: Any, name: str) -> NDArray[Any]:
    try:
        array = np.asarray(given)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise InputError(f"graph: the {name} indices are no array ({error}); expected whole numbers") from error
    if array.ndim != 1:
        raise InputError(f"graph: the {name} indices have shape {array.shape}; expected one dimension")
    _check_stored(len(array))
    if len(array) == 0:
        return np.zeros(0, dtype=np.int64)
    if array.dtype.kind not in "iu":
        raise InputError(f"graph: the {name} indices are of type {array.dtype}; expected whole numbers from 0")
    return array


def _check_range(indices: NDArray[Any], n_nodes: int, name: str) -> None:
    wrong = (indices < 0) | (indices >= n_nodes)
    if wrong.any():
        place = int(np.argmax(wrong))
        raise InputError(
            f"graph: {name} {int(indices[place])} of edge {place} is out of range ({np.count_nonzero(wrong):,} such); "
            f"expected 0 to {n_nodes - 1} for {n_nodes:,} nodes"
        )


def _check_stored(count: int) -> None:
    if count > MAX_STORED:
        raise InputError(
            f"graph: {count:,} stored edges; at most {MAX_STORED:,} are held: keep fewer neighbours a node, or split it"
        )


def _check_nodes(count: int) -> None:
    if not 0 <= count <= MAX_STORED:
        raise InputError(f"graph: {count:,} nodes; expected 0 to {MAX_STORED:,}")
