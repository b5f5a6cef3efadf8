"""Equal rows: found once, searched once, and their edges shared out; it knows no similarity.

Were copies searched like other rows, a text that stands often would have nothing but its copies for neighbours, and its
copies would be everybody's. So only distinct rows are searched; every row is then joined to one copy of each distinct
row that it asked for, copies taken in turn so that none becomes a hub, and the copies of a row are joined in a ring.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from projgraph.records import FloatArray, IndexArray

_BLOCK = 1 << 16


@dataclass(frozen=True)
class Copies:
    """Which rows are equal.

    Attributes:
        first: (g,) the first row of each group of equal rows, ascending.
        group: (n,) the group of each row.
    """

    first: IndexArray
    group: IndexArray


def find_copies(rows: NDArray[Any]) -> Copies:
    """Groups of rows that are equal byte for byte: O(n log n + n d).

    Args:
        rows: (n, d) of any fixed type.
    """
    packed = np.ascontiguousarray(rows)
    content = packed.view(np.uint8).reshape(len(packed), -1) if packed.size else np.zeros((len(packed), 0), np.uint8)
    _, first, group = np.unique(_hashes(content), return_index=True, return_inverse=True)
    if not np.array_equal(content, content[first[group]]):  # two rows of one hash, once in 2^64 pairs
        _, first, group = np.unique(content, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return Copies(first[order].astype(np.int64), place[group.ravel()].astype(np.int64))


def _hashes(content: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """64 bits of each row: a sum of its words, each times a random odd number."""
    padded = -content.shape[1] % 4
    n_words = (content.shape[1] + padded) // 4
    factors = np.random.default_rng(0).integers(0, 2**63, size=n_words, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    hashes = np.zeros(len(content), dtype=np.uint64)
    for start in range(0, len(content), _BLOCK):
        block = np.pad(content[start : start + _BLOCK], ((0, 0), (0, padded)))
        words = np.ascontiguousarray(block).view(np.uint32)
        mixed = words.astype(np.uint64) * factors
        hashes[start : start + _BLOCK] = (mixed ^ (mixed >> np.uint64(32))).sum(axis=1, dtype=np.uint64)
    return hashes


def spread_over_copies(
    copies: Copies, askers: IndexArray, found: IndexArray, weights: FloatArray, largest: float = 1.0
) -> tuple[IndexArray, IndexArray, FloatArray]:
    """Directed edges between rows from directed edges between groups.

    Args:
        copies: the groups of the n rows.
        askers: (m,) the group that asks.
        found: (m,) the other group that it found; a pair stands at most once.
        weights: (m,) of each.
        largest: weight of the edges between copies.

    Returns:
        Asking row, found row and weight of each edge, no pair twice.
    """
    sizes = np.bincount(copies.group, minlength=len(copies.first))
    members = np.argsort(copies.group, kind="stable")
    starts = np.cumsum(sizes) - sizes
    # Each edge once for every copy of the asker.
    edge = np.repeat(np.arange(len(askers)), sizes[askers])
    turn = np.arange(len(edge)) - np.repeat(np.cumsum(sizes[askers]) - sizes[askers], sizes[askers])
    rows = members[starts[askers[edge]] + turn]
    # The copies of a found group in turn, over all that ask for it.
    wanted = found[edge]
    order = np.argsort(wanted, kind="stable")
    asked = np.bincount(wanted, minlength=len(sizes))
    rank = np.empty(len(edge), dtype=np.int64)
    rank[order] = np.arange(len(edge)) - np.repeat(np.cumsum(asked) - asked, asked)
    columns = members[starts[wanted] + rank % sizes[wanted]]
    one, next_one = _rings(members, starts, sizes)
    return (
        np.concatenate([rows, one]),
        np.concatenate([columns, next_one]),
        np.concatenate([weights[edge], np.full(len(one), largest, dtype=np.float32)]),
    )


def _rings(members: IndexArray, starts: IndexArray, sizes: IndexArray) -> tuple[IndexArray, IndexArray]:
    """Every member of a group of two or more, and the next one of its group."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    place = np.arange(len(members)) - starts[group]
    following = members[starts[group] + (place + 1) % sizes[group]]
    several = sizes[group] > 1
    return members[several], following[several]
