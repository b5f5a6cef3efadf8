"""Equal rows by hand and against a plain loop."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projgraph.graph import copies as module
from projgraph.graph.copies import Copies, find_copies, spread_over_copies


def test_by_hand():
    copies = find_copies(np.array([[1.0, 2], [0, 0], [1, 2], [3, 1], [0, 0], [1, 2]], dtype=np.float32))
    assert copies.first.tolist() == [0, 1, 3]
    assert copies.group.tolist() == [0, 1, 0, 2, 1, 0]


@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (0, 0)])
def test_nothing_in_them(shape):
    copies = find_copies(np.zeros(shape, dtype=np.uint8))
    assert copies.first.tolist() == [0][: shape[0]]
    assert copies.group.tolist() == [0] * shape[0]


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.lists(st.integers(0, 2), min_size=5, max_size=5), max_size=12), st.sampled_from([np.uint8, np.float32])
)
def test_against_a_dictionary(rows, kind):
    array = np.array(rows, dtype=kind).reshape(-1, 5)
    seen: dict[tuple, int] = {}
    expected = [seen.setdefault(tuple(row), len(seen)) for row in rows]
    assert find_copies(array).group.tolist() == expected


def test_rows_that_share_a_hash(monkeypatch):
    monkeypatch.setattr(module, "_hashes", lambda content: np.zeros(len(content), dtype=np.uint64))
    copies = find_copies(np.array([[5], [1], [5], [2]], dtype=np.int64))
    assert copies.group.tolist() == [0, 1, 0, 2]


def test_copies_in_turn():
    # Group 0 is rows 0, 1 and 2, group 1 is row 3, group 2 is rows 4 and 5.
    copies = Copies(np.array([0, 3, 4]), np.array([0, 0, 0, 1, 2, 2]))
    askers, found, weights = np.array([0, 1, 2]), np.array([2, 0, 1]), np.array([0.5, 0.25, 0.125], dtype=np.float32)
    rows, columns, spread = spread_over_copies(copies, askers, found, weights, largest=2.0)
    edges = Counter(zip(rows.tolist(), columns.tolist(), spread.tolist(), strict=True))
    assert edges == Counter(
        [
            *[(0, 4, 0.5), (1, 5, 0.5), (2, 4, 0.5)],
            (3, 0, 0.25),
            *[(4, 3, 0.125), (5, 3, 0.125)],
            *[(0, 1, 2.0), (1, 2, 2.0), (2, 0, 2.0)],
            *[(4, 5, 2.0), (5, 4, 2.0)],
        ]
    )


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 5), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_no_copy_is_a_hub(sizes, random):
    group = [number for number, size in enumerate(sizes) for _ in range(size)]
    random.shuffle(group)
    groups = np.array(group)
    first = np.array([group.index(number) for number in range(len(sizes))])
    pairs = [(one, other) for one in range(len(sizes)) for other in range(len(sizes)) if one != other]
    askers, found = (np.array(part) for part in zip(*pairs, strict=True))
    rows, columns, weights = spread_over_copies(
        Copies(first, groups), askers, found, np.full(len(pairs), 0.5, dtype=np.float32)
    )
    across = weights < 1
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == len(rows), "no pair twice"
    for row in range(len(groups)):
        asked = groups[columns[across & (rows == row)]]
        assert sorted(asked.tolist()) == sorted(set(range(len(sizes))) - {groups[row]}), "one copy of each other row"
    for number, size in enumerate(sizes):
        asks = np.bincount(columns[across & (groups[columns] == number)], minlength=len(groups))[groups == number]
        assert asks.max() - asks.min() <= 1
        assert asks.sum() == len(groups) - size
