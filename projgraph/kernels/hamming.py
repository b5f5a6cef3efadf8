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
        keys: (n, count) uint64, the state after ``done`` rounds.
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
        return _found(self.keys)

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
