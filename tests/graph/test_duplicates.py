"""Copies of rows: grouped by value, joined in rings, and asked for in turn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projgraph.graph import duplicates
from projgraph.graph.csr import from_neighbours, to_csr
from projgraph.graph.duplicates import Copies, find_copies, spread_over_copies


def lists(count: int, neighbours: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    asked = np.stack([rng.permutation(np.delete(np.arange(count), i))[:neighbours] for i in range(count)])
    rows = np.repeat(np.arange(count), neighbours)
    return rows, asked.ravel(), rng.uniform(0.1, 0.9, rows.size).astype(np.float32)


def test_groups_are_in_the_order_of_their_first_row():
    copies = find_copies(np.array([[3, 1], [0, 0], [3, 1], [2, 2], [0, 0]], dtype=np.uint8))
    assert copies.firsts.tolist() == [0, 1, 3]
    assert copies.groups.tolist() == [0, 1, 0, 2, 1]
    assert copies.any


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("width", [1, 7, 8, 9, 64])
def test_groups_equal_numpy(dtype, width, monkeypatch):
    monkeypatch.setattr(duplicates, "_BLOCK_BYTES", 100)
    rows = np.random.default_rng(width).integers(0, 2, size=(200, width)).astype(dtype)
    rows[150:] = rows[:50]
    copies = find_copies(rows)
    assert len(copies.firsts) == len(np.unique(rows, axis=0))
    assert np.array_equal(rows[copies.firsts[copies.groups]], rows)


def test_zeros_of_both_signs_are_equal():
    assert find_copies(np.array([[0.0, 1.0], [-0.0, 1.0]], dtype=np.float32)).groups.tolist() == [0, 0]


def test_no_rows():
    copies = find_copies(np.zeros((0, 4), dtype=np.uint8))
    assert (len(copies.firsts), len(copies.groups), copies.any) == (0, 0, False)


def test_rows_that_share_a_hash_stay_apart(monkeypatch):
    monkeypatch.setattr(duplicates, "_hashes", lambda rows: np.zeros(len(rows), dtype=np.uint64))
    assert find_copies(np.array([[5], [4], [5]], dtype=np.uint8)).groups.tolist() == [0, 1, 0]


def test_without_copies_it_is_the_plain_graph():
    rows, columns, weights = lists(20, 3, 0)
    alone = Copies(np.arange(20), np.arange(20))
    for mutual in (False, True):
        got, expected = (
            spread_over_copies(alone, rows, columns, weights, mutual),
            from_neighbours(rows, columns, weights, 20, mutual),
        )
        assert np.array_equal(got.indices, expected.indices)
        assert np.array_equal(got.weights, expected.weights)


def test_by_hand():
    # Rows a b a a c; a asks for b, b for c, c for a.
    copies = Copies(np.array([0, 1, 4]), np.array([0, 1, 0, 0, 2]))
    weights = np.array([0.5, 0.25, 0.75], dtype=np.float32)
    dense = to_csr(spread_over_copies(copies, np.arange(3), np.array([1, 2, 0]), weights)).toarray()
    expected = np.zeros((5, 5))
    for one, other, weight in [(0, 1, 0.5), (2, 1, 0.5), (3, 1, 0.5), (1, 4, 0.25), (4, 0, 0.75)]:
        expected[one, other] = expected[other, one] = weight
    for one, other in [(0, 2), (2, 3), (3, 0)]:
        expected[one, other] = expected[other, one] = 1
    np.testing.assert_array_equal(dense, expected)


def test_copies_are_taken_in_turn():
    """100 rows ask for one text that stands 10 times: 10 ask for each copy."""
    groups = np.concatenate([np.zeros(10, dtype=np.int64), np.arange(1, 101)])
    copies = Copies(np.concatenate([[0], np.arange(10, 110)]), groups)
    graph = spread_over_copies(copies, np.arange(1, 101), np.zeros(100, dtype=np.int64), np.ones(100, dtype=np.float32))
    assert np.diff(graph.indptr)[:10].tolist() == [12] * 10  # and two along the ring


def test_mutual_is_asked_of_texts_not_of_copies():
    copies = Copies(np.array([0, 2, 3]), np.array([0, 0, 1, 2]))
    rows, columns = np.array([0, 1, 1]), np.array([1, 0, 2])
    graph = spread_over_copies(copies, rows, columns, np.full(3, 0.5, dtype=np.float32), mutual=True)
    dense = to_csr(graph).toarray()
    assert dense[0, 2] == dense[1, 2] == 0.5  # both copies ask for row 2, whose text asks for theirs
    assert not dense[3].any()
    assert dense[0, 1] == 1.0


@settings(deadline=None, max_examples=60)
@given(sizes=st.lists(st.integers(1, 4), min_size=3, max_size=8), neighbours=st.integers(1, 2), seed=st.integers(0, 99))
def test_every_row_keeps_its_neighbours(sizes, neighbours, seed):
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    rows, columns, weights = lists(len(sizes), neighbours, seed)
    weights[:] = 0.5
    copies = find_copies(groups[:, None])
    texts = groups[copies.firsts]  # the text of each distinct row
    graph = spread_over_copies(copies, rows, columns, weights, copy_weight=0.25)
    dense = to_csr(graph).toarray()
    assert np.array_equal(dense, dense.T)
    assert not dense.diagonal().any()
    for row, text in enumerate(groups):
        index = int(np.flatnonzero(texts == text)[0])
        met = {int(groups[other]) for other in np.flatnonzero(dense[row] == 0.5)}
        assert {int(texts[column]) for column in columns[rows == index]} <= met
        assert np.count_nonzero(dense[row] == 0.25) == min(sizes[text] - 1, 2)
