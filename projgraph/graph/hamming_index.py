"""Approximate nearest neighbours of packed bits by faiss' binary indices, widened until a sample is recalled.

    ivf        rows in sqrt(n) lists by nearest centroid; a query reads `width` lists     (Jegou et al. 2011)
    hnsw       a navigable small world; a query keeps `width` candidates                  (Malkov & Yashunin 2018)
    multihash  a few substrings of the bits, each a hash; a query flips up to `width` bits of each (Norouzi et al. 2012)

The width doubles (of multihash: grows by one) until the lists of a sample of rows hold the asked share of their exact
neighbours, or the index has no more to give. HNSW is built by one thread, since two would link rows in an order that
changes from run to run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from projgraph.kernels.hamming import Found, hamming_neighbours_of
from projgraph.kernels.paths import chosen_threads

Method = Literal["ivf", "hnsw", "multihash"]

_SAMPLE = 1000
_ROWS_PER_CENTROID = 40
_LINKS = 32
_BUILD_WIDTH = 80
_HASHES = 8
_LARGEST_FLIP = 3
_BLOCK = 1 << 16
_LAST = np.int64(2**63 - 1)


@dataclass(frozen=True)
class _Searcher:
    """An index, the widths to try, how to set one, and what the index points to without holding it."""

    index: Any
    widths: tuple[int, ...]
    set_width: Callable[[int], None]
    held: Any = None


def approximate_neighbours(
    packed: NDArray[np.uint8], count: int, method: Method, recall: float, seed: int, threads: int = 0
) -> tuple[Found, float]:
    """Every row's nearest other rows, most of them.

    Args:
        packed: (n, bytes) uint8 rows, contiguous.
        count: neighbours of a row, at least 1.
        method: the index.
        recall: the share of the exact neighbours that a sample of rows must find.
        seed: of the sample.
        threads: 0 for all processors.

    Returns:
        What `hamming_neighbours` returns, with -1 also where the index found no more, and the sample's recall.
    """
    if not len(packed):  # faiss finds no centroids of nothing
        return (np.zeros((0, count), dtype=np.int32), np.zeros((0, count), dtype=np.int32)), 1.0
    sample = np.sort(np.random.default_rng(seed).permutation(len(packed))[:_SAMPLE])
    exact, _ = hamming_neighbours_of(packed, sample, count, threads)
    with _faiss_threads(threads):
        searcher = _SEARCHERS[method](packed)
        reached = 0.0
        for width in searcher.widths:
            searcher.set_width(width)
            reached = recall_of(_search(searcher.index, packed, sample, count)[0], exact)
            if reached >= recall:
                break
        return _search(searcher.index, packed, np.arange(len(packed)), count), reached


def recall_of(found: NDArray[np.int32], exact: NDArray[np.int32]) -> float:
    """The share of the exact lists that was found, by (n, count) distances: one as near as the last is as good."""
    asked = exact >= 0
    if not asked.any():
        return 1.0
    within = (found >= 0) & (found <= exact.max(axis=1)[:, None])
    return float(within.sum() / asked.sum())


def _search(index: Any, packed: NDArray[np.uint8], rows: NDArray[np.int64], count: int) -> Found:
    """Lists of other rows in the order of (distance, index), from lists that usually hold the row itself."""
    distances = np.full((len(rows), count), -1, dtype=np.int32)
    indices = np.full_like(distances, -1)
    for start in range(0, len(rows), _BLOCK):
        asking = rows[start : start + _BLOCK]
        length, found = index.search(packed[asking], count + 1)
        other = (found >= 0) & (found != asking[:, None])
        keys = np.where(other, length.astype(np.int64) << 32 | found, _LAST)
        keys = np.sort(keys, axis=1)[:, :count]
        there = np.sort(~other, axis=1)[:, :count] == 0
        distances[start : start + _BLOCK] = np.where(there, keys >> 32, -1)
        indices[start : start + _BLOCK] = np.where(there, keys & (2**32 - 1), -1)
    return distances, indices


def _ivf(packed: NDArray[np.uint8]) -> _Searcher:
    import faiss

    lists = max(1, min(round(len(packed) ** 0.5), len(packed) // _ROWS_PER_CENTROID))
    centroids = faiss.IndexBinaryFlat(packed.shape[1] * 8)
    index = faiss.IndexBinaryIVF(centroids, packed.shape[1] * 8, lists)
    # Evenly spread rows, as many as faiss asks for: more make better centroids than the lists need, for minutes.
    index.train(np.ascontiguousarray(packed[:: max(1, len(packed) // (lists * _ROWS_PER_CENTROID))]))
    index.add(packed)
    return _Searcher(index, _doubling(1, lists), lambda width: setattr(index, "nprobe", width), centroids)


def _hnsw(packed: NDArray[np.uint8]) -> _Searcher:
    import faiss

    index = faiss.IndexBinaryHNSW(packed.shape[1] * 8, _LINKS)
    index.hnsw.efConstruction = _BUILD_WIDTH
    with _faiss_threads(1):
        index.add(packed)
    return _Searcher(index, _doubling(16, 1024), lambda width: setattr(index.hnsw, "efSearch", width))


def _multihash(packed: NDArray[np.uint8]) -> _Searcher:
    import faiss

    bits = packed.shape[1] * 8
    # About one row a bucket, as Norouzi et al. advise.
    length = max(1, min(bits // _HASHES, int(np.log2(max(len(packed), 2)))))
    index = faiss.IndexBinaryMultiHash(bits, min(_HASHES, bits), length)
    index.add(packed)
    widths = tuple(range(min(_LARGEST_FLIP, length) + 1))
    return _Searcher(index, widths, lambda width: setattr(index, "nflip", width))


_SEARCHERS: dict[str, Callable[[NDArray[np.uint8]], _Searcher]] = {"ivf": _ivf, "hnsw": _hnsw, "multihash": _multihash}


def _doubling(first: int, last: int) -> tuple[int, ...]:
    return (*(first << step for step in range(32) if first << step < last), last)


@contextmanager
def _faiss_threads(threads: int) -> Iterator[None]:
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(chosen_threads(threads))
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
