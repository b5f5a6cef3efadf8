"""How rows of numbers are described to the graph: as they are, or by singular directions if they are sparse and wide.

The directions are those of the randomised SVD of Halko, Martinsson and Tropp (2011); rows are not weighted.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from projgraph.features.lsa import leading_directions
from projgraph.records import FloatArray, Vectors

POWER_ITERATIONS = 4
BLOCK_ROWS = 50_000
"""Rows that the directions are fitted on at most."""


def describe_vectors(vectors: Vectors, dimensions: int, seed: int = 0) -> FloatArray:
    """Describe every row to the graph.

    Args:
        vectors: n rows.
        dimensions: singular directions that sparse rows of more columns are projected on; dense rows keep theirs.
        seed: of the range finder, and of the rows that it looks at where there are more than ``BLOCK_ROWS``.

    Returns:
        (n, d) the rows divided by one number, so that the mean of their squared norms is 1: the trainers' penalties
        are weighed against features of that size.
    """
    if vectors.indptr is None or vectors.columns is None:
        return _of_unit_size(vectors.values)
    shape = (len(vectors), vectors.n_columns)
    matrix = sparse.csr_array((vectors.values, vectors.columns, vectors.indptr), shape=shape)
    if vectors.n_columns <= dimensions:
        return _of_unit_size(matrix.toarray())
    return _of_unit_size(matrix @ _directions(matrix, dimensions, seed))


def _directions(matrix: sparse.csr_array, dimensions: int, seed: int) -> FloatArray:
    """(columns, d) the leading right singular vectors."""
    if matrix.shape[0] > BLOCK_ROWS:
        rows = np.random.default_rng(seed).choice(matrix.shape[0], BLOCK_ROWS, replace=False)
        matrix = matrix[np.sort(rows)]
    return leading_directions(matrix, dimensions, POWER_ITERATIONS, seed)


def _of_unit_size(values: FloatArray) -> FloatArray:
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0.0:
        return values
    scaled = (values / np.float32(largest)).astype(np.float32, copy=False)  # or squares would leave float32
    norm = float(np.sqrt(np.einsum("ij,ij->", scaled, scaled, dtype=np.float64) / len(scaled)))
    return np.asarray(scaled / np.float32(norm), dtype=np.float32)
