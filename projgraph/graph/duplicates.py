"""Rows that stand more than once: found, left out of a search, and given their edges; it knows no distance.

A text that stands a hundred times would fill its neighbours' lists with itself. So a search runs among distinct rows,
and its lists are spread over the copies: every row is joined to one copy of each of its nearest *other* distinct rows,
and the copies of a row are joined in a ring.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from projgraph.graph.csr import from_neighbours
from projgraph.records import FloatArray, Graph, IndexArray

_BLOCK_BYTES = 1 << 24
_SEED = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Copies:
    """Which of n rows are the same.

    Attributes:
        firsts: (m,) the first row of each distinct one, ascending.
        groups: (n,) index into ``firsts`` of each row.
    """

    firsts: IndexArray
    groups: IndexArray

    @property
    def any(self) -> bool:
        """Whether a row stands twice."""
        return len(self.firsts) < len(self.groups)


def find_copies(rows: NDArray[Any]) -> Copies:
    """Group equal rows in O(n d + n log n) time and O(n) memory: by a 64-bit hash, then checked against the first.

    Args:
        rows: (n, d) of any number type, without NaN; 0.0 and -0.0 are equal.
    """
    hashes = np.concatenate([_hashes(rows[part]) for part in _parts(rows)] or [np.zeros(0, dtype=np.uint64)])
    copies = _grouped(hashes)
    if copies.any and not all(
        np.array_equal(rows[part], rows[copies.firsts[copies.groups[part]]]) for part in _parts(rows)
    ):
        # Two different rows share a hash, which chance alone brings about once in 10^7 sets of a million rows.
        return _grouped(np.unique(rows, axis=0, return_inverse=True)[1].ravel())
    return copies


def spread_over_copies(
    copies: Copies,
    rows: IndexArray,
    columns: IndexArray,
    weights: FloatArray,
    mutual: bool = False,
    copy_weight: float = 1.0,
) -> Graph:
    """The graph of all n rows from the neighbour lists of the m distinct ones, symmetrised by maximum.

    The copies of a distinct row are taken in turn by those who ask for it, so that none becomes a hub: with a asking
    rows and b copies, each copy is asked for by a / b of them, rounded up or down.

    Args:
        copies: of the n rows.
        rows: (e,) the asking distinct row of each directed edge, an index into ``copies.firsts``; a pair stands at most
            once.
        columns: (e,) the distinct row that it found, never itself.
        weights: (e,) positive.
        mutual: keep an edge only where both distinct rows ask for it; otherwise where either does.
        copy_weight: of the ring through the copies of one row.
    """
    n_rows = len(copies.groups)
    if not copies.any:
        return from_neighbours(rows, columns, weights, n_rows, mutual)
    if mutual:
        asked = _both_ask(rows, columns, len(copies.firsts))
        rows, columns, weights = rows[asked], columns[asked], weights[asked]
    members = np.argsort(copies.groups, kind="stable")
    sizes = np.bincount(copies.groups, minlength=len(copies.firsts))
    starts = np.cumsum(sizes) - sizes
    # Every copy of an asking row asks, one copy after the other.
    edges = np.repeat(np.arange(len(rows)), sizes[rows])
    asking = members[starts[rows[edges]] + _ranks(sizes[rows])]
    target = columns[edges]
    order = np.lexsort((asking, target))
    turn = np.empty_like(order)
    turn[order] = _ranks(np.bincount(target, minlength=len(sizes)))
    found = members[starts[target] + turn % sizes[target]]
    place = _ranks(sizes)
    following = members[np.repeat(starts, sizes) + (place + 1) % np.repeat(sizes, sizes)]
    ring = following != members
    return from_neighbours(
        np.concatenate([asking, members[ring]]),
        np.concatenate([found, following[ring]]),
        np.concatenate([weights[edges], np.full(int(ring.sum()), copy_weight, dtype=np.float32)]),
        n_rows,
    )


def _both_ask(rows: IndexArray, columns: IndexArray, count: int) -> NDArray[np.bool_]:
    """(e,) True where the edge the other way stands too."""
    return np.isin(rows * np.int64(count) + columns, columns * np.int64(count) + rows)


def _ranks(sizes: NDArray[np.int64]) -> IndexArray:
    """0, 1, ..., size - 1 of each size, one after the other."""
    starts = np.cumsum(sizes) - sizes
    return np.asarray(np.arange(int(sizes.sum())) - np.repeat(starts, sizes), dtype=np.int64)


def _grouped(values: NDArray[Any]) -> Copies:
    _, firsts, inverse = np.unique(values, return_index=True, return_inverse=True)
    order = np.argsort(firsts)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return Copies(firsts[order].astype(np.int64), rank[inverse].astype(np.int64))


def _parts(rows: NDArray[Any]) -> list[slice]:
    step = max(1, _BLOCK_BYTES // max(1, rows[:1].nbytes))
    return [slice(start, start + step) for start in range(0, len(rows), step)]


def _hashes(rows: NDArray[Any]) -> NDArray[np.uint64]:
    """(n,) one hash a row: a sum of its 64-bit words, each mixed with a key of its own."""
    plain = rows + rows.dtype.type(0) if np.issubdtype(rows.dtype, np.floating) else rows  # -0.0 to 0.0
    octets = np.ascontiguousarray(plain).view(np.uint8).reshape(len(rows), -1)
    words = np.zeros((len(rows), -(-octets.shape[1] // 8) * 8), dtype=np.uint8)
    words[:, : octets.shape[1]] = octets
    keys = np.random.default_rng(_SEED).integers(1 << 63, size=(2, words.shape[1] // 8), dtype=np.uint64)
    total = np.zeros(len(rows), dtype=np.uint64)
    for word, add, factor in zip(words.view(np.uint64).T, keys[0], keys[1] | np.uint64(1), strict=True):
        mixed = (word ^ add) * factor
        total += (mixed ^ mixed >> np.uint64(29)) * factor
    return total
