"""The kernels' binding: buffers of the wrong length, ranges that leave the rows, and paths that do not run."""

from __future__ import annotations

import numpy as np
import pytest

from projgraph import _kernels

ROWS, WORDS, COUNT = 20, 2, 3


def arrays() -> list[np.ndarray]:
    names = np.arange(ROWS, dtype=np.int32)
    blocks = np.zeros(2 * WORDS * 16, dtype=np.uint32)
    return [blocks, names, np.full((ROWS, COUNT), 2**63 - 1, dtype=np.uint64), np.full(32, -1, dtype=np.int32)]


def pairs(arguments: list[np.ndarray], *ranges: int, path: int = 0, words: int = WORDS, count: int = COUNT) -> None:
    _kernels.hamming_pairs(*arguments, ROWS, words, count, *ranges, path)


@pytest.mark.parametrize(("place", "name"), list(enumerate(["blocks", "names", "best", "limits"])))
def test_lengths(place, name):
    given = arrays()
    given[place] = given[place].ravel()[:-1].copy()
    with pytest.raises(ValueError, match=f"{name} has [0-9]+ bytes, expected"):
        pairs(given, 0, 2, 0, 2)


@pytest.mark.parametrize("ranges", [(-1, 2, 0, 2), (0, 3, 0, 3), (1, 0, 1, 0), (0, 1, 1, 3)])
def test_ranges_outside(ranges):
    with pytest.raises(IndexError, match=r"blocks -?\d to \d of 2"):
        pairs(arrays(), *ranges)


@pytest.mark.parametrize("ranges", [(0, 2, 1, 2), (0, 1, 0, 2)])
def test_ranges_that_overlap(ranges):
    with pytest.raises(ValueError, match="overlap"):
        pairs(arrays(), *ranges)


def test_lists_that_cannot_be_written():
    given = arrays()
    given[2].flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        pairs(given, 0, 2, 0, 2)


@pytest.mark.parametrize("path", [-1, 3])
def test_paths_that_do_not_run(path):
    assert not _kernels.runs(path)
    with pytest.raises(ValueError, match=f"path {path} does not run on this processor"):
        pairs(arrays(), 0, 2, 0, 2, path=path)


@pytest.mark.parametrize("sizes", [{"words": 0}, {"words": 2**27}, {"count": 0}, {"count": 2**31}])
def test_sizes_out_of_range(sizes):
    with pytest.raises(ValueError, match="20 rows of"):
        pairs(arrays(), 0, 2, 0, 2, **sizes)


@pytest.mark.parametrize("name", [-1, 20])
def test_names_out_of_range(name):
    names = np.arange(ROWS, dtype=np.int32)
    names[7] = name
    with pytest.raises(IndexError, match=f"name {name} of row 7 is not one of 20 rows"):
        _kernels.hamming_blocks(np.zeros((ROWS, 8), dtype=np.uint8), ROWS, 8, names, arrays()[0])


def test_rows_without_bytes():
    with pytest.raises(ValueError, match="20 rows of 0 bytes"):
        _kernels.hamming_blocks(np.zeros((ROWS, 0), dtype=np.uint8), ROWS, 0, *arrays()[1::-1])


def test_search_checks_both_sides():
    blocks, names, best, limits = arrays()
    for rows in ((blocks[1:], names), (blocks, names[1:])):
        with pytest.raises(ValueError, match="expected"):
            _kernels.hamming_search(blocks, names, best, limits, ROWS, *rows, ROWS, WORDS, COUNT, 0, 2, 0)
    with pytest.raises(IndexError, match="blocks 0 to 3 of 2"):
        _kernels.hamming_search(blocks, names, best, limits, ROWS, blocks, names, ROWS, WORDS, COUNT, 0, 3, 0)
