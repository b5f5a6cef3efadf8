"""Exact nearest neighbours of packed bits by Hamming distance, in rounds that can be interrupted and resumed.

Rows are cut into p panels. Round r takes the panel pairs (i, j) with i + j = r mod p: no two of them share a panel, so
threads need no locks, and p rounds meet every pair of rows once. A row's list holds its ``count`` smallest keys
``distance << 32 | index``; keys are totally ordered, so neither rounds nor threads nor instructions change a byte.
Ties: the smaller index. Time: n^2 / 2 distances; memory: n (2 x bytes + 8 x count) bytes besides the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from projgraph import _kernels
from projgraph.errors import ConfigError
from projgraph.kernels.paths import Path, chosen_threads, in_threads, paths

LANES = 16
"""Rows of a block, PK_LANES of kernels.h."""

MAX_ROWS = 2**31 - 1
MAX_BYTES = (2**31 - 1) // 8

_PANEL_BLOCKS = 256
_NO_KEY = np.uint64(2**63 - 1)
_NO_DISTANCE = 2**31 - 1
_CACHE_LINE = 64

Found = tuple[NDArray[np.int32], NDArray[np.int32]]
Keys = NDArray[np.uint64]


class HammingNeighbours:
    """The search for every row's nearest other rows; run its rounds, then take what it found.

    Args:
        packed: (n, bytes) uint8 rows, contiguous.
        count: neighbours of a row, at least 1; the lists of fewer rows than that end with -1.
        path: the instructions to use, None for the fastest.

    Raises:
        ConfigError: naming what is wrong with the rows, the count or the path.

    Attributes:
        rounds: how many there are.
        done: how many have been run.
        keys: (n, count) uint64, the state after ``done`` rounds, rows in the search's own order.
    """

    def __init__(self, packed: NDArray[np.uint8], count: int, path: Path | None = None) -> None:
        _check(packed, count)
        self._path = _usable(path)
        self._rows, self.keys, self.done = len(packed), np.full((len(packed), count), _NO_KEY), 0
        self._words = -(-packed.shape[1] // 4)
        self._names = _order(packed)
        self._blocks = _blocks(packed, self._names)
        self._n_blocks = -(-self._rows // LANES)
        self._limits = _limits(self._rows)
        self.rounds = -(-self._n_blocks // _PANEL_BLOCKS)

    def resume(self, keys: Keys, done: int) -> None:
        """Go on from the ``keys`` of a search over the same rows that was interrupted after ``done`` rounds.

        Raises:
            ConfigError: the state has another shape or type than this search's, or a round that it does not have.
        """
        if keys.shape != self.keys.shape or keys.dtype != self.keys.dtype or not 0 <= done <= self.rounds:
            raise ConfigError(
                f"hamming neighbours: a state of {keys.dtype} {keys.shape} after {done} rounds; expected uint64 "
                f"{self.keys.shape} after 0 to {self.rounds}: it belongs to another search"
            )
        self.keys, self.done = np.ascontiguousarray(keys).copy(), done
        self._limits[: self._rows] = self.keys[:, -1] >> np.uint64(32)

    def run(self, rounds: int | None = None, threads: int = 0) -> None:
        """Run so many more rounds, or all that are left; an interrupted round may be run again.

        Args:
            rounds: at least 0; None for all.
            threads: 0 for all processors.
        """
        threads = chosen_threads(threads)
        end = self.rounds if rounds is None else min(self.rounds, self.done + rounds)
        while self.done < end:
            pairs = [(i, (self.done - i) % self.rounds) for i in range(self.rounds)]
            in_threads(self._meet, [(i, j) for i, j in pairs if i <= j], threads)
            self.done += 1

    def found(self) -> Found:
        """(n, count) int32 distances and indices, nearest first; -1 where there is no further row."""
        keys = np.empty_like(self.keys)
        keys[self._names] = self.keys
        return _found(keys)

    def _meet(self, panels: tuple[int, int]) -> None:
        ranges = [(panel * _PANEL_BLOCKS, min((panel + 1) * _PANEL_BLOCKS, self._n_blocks)) for panel in panels]
        sizes = self._rows, self._words, self.keys.shape[1]
        arrays = self._blocks, self._names, self.keys, self._limits
        _kernels.hamming_pairs(*arrays, *sizes, *ranges[0], *ranges[1], self._path)


def hamming_neighbours(
    packed: NDArray[np.uint8],
    count: int,
    threads: int = 0,
    progress: Callable[[int, int], None] | None = None,
    path: Path | None = None,
) -> Found:
    """Every row's nearest other rows.

    Args:
        packed: (n, bytes) uint8 rows, contiguous.
        count: neighbours of a row, at least 1.
        threads: 0 for all processors.
        progress: told the rounds done and all rounds, after each.
        path: the instructions to use, None for the fastest.

    Returns:
        (n, count) int32 distances and indices, nearest first, equally near ones by index; -1 where there is no further
        row.

    Raises:
        ConfigError: naming what is wrong with the rows, the count, the threads or the path.
    """
    search = HammingNeighbours(packed, count, path)
    while search.done < search.rounds:
        search.run(1, threads)
        if progress:
            progress(search.done, search.rounds)
    return search.found()


def hamming_neighbours_of(
    packed: NDArray[np.uint8],
    queries: NDArray[np.int64],
    count: int,
    threads: int = 0,
    path: Path | None = None,
) -> Found:
    """The nearest other rows of some rows: the lists that `hamming_neighbours` gives them.

    Args:
        packed: (n, bytes) uint8 rows, contiguous.
        queries: (q,) indices of the asking rows.
        count: neighbours of a row, at least 1.
        threads: 0 for all processors.
        path: the instructions to use, None for the fastest.

    Returns:
        (q, count) int32 distances and indices as `hamming_neighbours` returns them.

    Raises:
        ConfigError: naming what is wrong with the rows, the queries, the count, the threads or the path.
    """
    _check(packed, count)
    asking = np.asarray(queries)
    if asking.ndim != 1 or (len(asking) and not (asking.min() >= 0 and asking.max() < len(packed))):
        raise ConfigError(f"hamming search: queries of shape {asking.shape} must be indices of {len(packed)} rows")
    used, threads = _usable(path), chosen_threads(threads)
    names = np.arange(len(packed), dtype=np.int32)
    blocks, words = _blocks(packed, names), -(-packed.shape[1] // 4)
    n_blocks = -(-len(packed) // LANES)
    keys = np.full((len(asking), count), _NO_KEY)

    def search(part: slice) -> None:
        own, asked, limits = keys[part], asking[part].astype(np.int32), _limits(len(asking[part]))
        rows = _blocks(np.ascontiguousarray(packed[asked]), np.arange(len(asked), dtype=np.int32))
        for first in range(0, n_blocks, _PANEL_BLOCKS):
            last = min(first + _PANEL_BLOCKS, n_blocks)
            sizes = len(packed), words, count, first, last, used
            _kernels.hamming_search(rows, asked, own, limits, len(asked), blocks, names, *sizes)

    step = max(LANES, -(-len(asking) // threads))
    in_threads(search, [slice(start, start + step) for start in range(0, len(asking), step)], threads)
    return _found(keys)


def _check(packed: NDArray[Any], count: int) -> None:
    what = "hamming neighbours: "
    if count < 1:
        raise ConfigError(f"{what}count is {count}; expected at least 1")
    if packed.ndim != 2 or packed.dtype != np.uint8:
        raise ConfigError(f"{what}rows are {packed.dtype} of shape {packed.shape}; expected uint8, (rows, bytes)")
    rows, size = packed.shape
    if rows > MAX_ROWS:
        raise ConfigError(f"{what}{rows} rows; expected at most {MAX_ROWS}: search a sample of them")
    if not 1 <= size <= MAX_BYTES:
        raise ConfigError(f"{what}rows of {size} bytes; expected 1 to {MAX_BYTES}")
    if not packed.flags.c_contiguous:
        raise ConfigError(f"{what}the rows are not contiguous in memory; pass numpy.ascontiguousarray(rows)")


def _usable(path: Path | None) -> Path:
    usable = paths()
    if path is not None and path not in usable:
        names = ", ".join(each.name for each in usable)
        raise ConfigError(f"hamming neighbours: this processor does not run {path.name}; it runs {names}")
    return usable[-1] if path is None else path


def _order(packed: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Rows by their number of set bits: rows of one block then have neighbours about equally far, and fail together."""
    counts = np.zeros(len(packed), dtype=np.int32)
    for column in packed.T:
        counts += np.bitwise_count(column)
    return np.argsort(counts, kind="stable").astype(np.int32)


def _blocks(packed: NDArray[np.uint8], names: NDArray[np.int32]) -> NDArray[np.uint32]:
    """The rows in that order, transposed; on a cache line, or every vector would lie on two."""
    size = -(-len(packed) // LANES) * -(-packed.shape[1] // 4) * LANES
    room = np.empty(size * 4 + _CACHE_LINE, dtype=np.uint8)
    start = -room.ctypes.data % _CACHE_LINE
    blocks = room[start : start + size * 4].view(np.uint32)
    _kernels.hamming_blocks(packed, len(packed), packed.shape[1], names, blocks)
    return blocks


def _limits(rows: int) -> NDArray[np.int32]:
    limits = np.full(-(-rows // LANES) * LANES, -1, dtype=np.int32)
    limits[:rows] = _NO_DISTANCE
    return limits


def _found(keys: Keys) -> Found:
    distances = (keys >> np.uint64(32)).astype(np.int32)
    indices = (keys & np.uint64(2**32 - 1)).astype(np.uint32).view(np.int32)
    distances[keys == _NO_KEY] = -1  # whose low half is already -1
    return distances, indices
