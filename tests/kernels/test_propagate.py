"""The propagation steps against scipy and numpy, and what no number of threads may change."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from projgraph.errors import ConfigError
from projgraph.kernels.propagate import Edges, TopLabels

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


def random_matrix(n: int, seed: int = 0, density: float = 0.02) -> sparse.csr_array:
    """Symmetric, its first and last row and column empty."""
    random = np.random.default_rng(seed)
    dense = np.where(random.random((n, n)) < density, random.random((n, n)), 0).astype(np.float32)
    dense = np.triu(dense, 1)
    dense[[0, -1]] = dense[:, [0, -1]] = 0
    return sparse.csr_array(dense + dense.T)


def edges_of(matrix: sparse.csr_array) -> Edges:
    return Edges(matrix.indptr, matrix.indices, matrix.data)


@pytest.mark.parametrize("classes", [0, 1, 2, 16, 63, 64, 65, 130])
def test_a_dense_step_is_that_of_scipy(classes: int):
    n, random = 1500, np.random.default_rng(1)
    matrix = random_matrix(n)
    beliefs, anchor = (random.random((n, classes), dtype=np.float32) for _ in range(2))
    share = random.random(n, dtype=np.float32)
    expected = share[:, None] * (matrix.astype(np.float64) @ beliefs) + (1 - share[:, None]) * anchor
    one = edges_of(matrix).propagate(beliefs, share, anchor, threads=1)
    np.testing.assert_allclose(one, expected, rtol=1e-6, atol=1e-6)
    assert np.array_equal(one, edges_of(matrix).propagate(beliefs, share, anchor, threads=2))
    # Nobody is heard where there is no edge.
    np.testing.assert_array_equal(one[0], (1 - share[0]) * anchor[0])


def test_one_share_for_all_into_given_room():
    matrix, random = random_matrix(40, density=0.2), np.random.default_rng(2)
    beliefs, anchor = (random.random((40, 5), dtype=np.float32) for _ in range(2))
    out = np.full_like(beliefs, np.nan)
    assert edges_of(matrix).propagate(beliefs, 1.0, anchor, out) is out
    np.testing.assert_allclose(out, matrix @ beliefs, rtol=1e-6, atol=1e-6)


def test_no_node_and_no_edge():
    nothing = Edges(np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32))
    empty = np.zeros((0, 3), dtype=np.float32)
    assert nothing.propagate(empty, 0.5, empty).shape == (0, 3)
    lonely = Edges(np.zeros(4, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32))
    ones = np.ones((3, 2), dtype=np.float32)
    np.testing.assert_array_equal(lonely.propagate(ones, 0.25, 4 * ones), 3 * ones)


def dense_expand(matrix: sparse.csr_array, before: TopLabels, seeds: np.ndarray, pulls: tuple) -> np.ndarray:
    """The step of every class in full, before anything is left out."""
    n, c = len(seeds), before.n_classes
    full = np.repeat(before.rest[:, None].astype(np.float64), c, axis=1)
    rows, places = np.nonzero(before.labels >= 0)
    full[rows, before.labels[rows, places]] = before.probabilities[rows, places]
    known = seeds >= 0
    own = np.zeros((n, c))
    own[known, seeds[known]] = pulls[0]
    total = pulls[0] * known + pulls[1] * matrix.sum(axis=1) + pulls[2]
    return (own + pulls[1] * (matrix.astype(np.float64) @ full) + pulls[2] / c) / total[:, None]


@pytest.mark.parametrize(("classes", "top"), [(1, 1), (2, 1), (30, 3), (30, 30), (30, 256), (1000, 8)])
def test_a_sparse_step_keeps_the_most_probable(classes: int, top: int):
    n, random, pulls = 1200, np.random.default_rng(3), (1.0, 0.5, 0.01)
    matrix = random_matrix(n)
    edges = edges_of(matrix)
    seeds = np.where(random.random(n) < 0.3, random.integers(0, classes, n), -1).astype(np.int32)
    now = TopLabels.of(seeds, top, classes)
    for _ in range(3):
        out, other = now.empty_like(), now.empty_like()
        change = edges.expand(now, seeds, pulls, out, threads=1)
        assert change == edges.expand(now, seeds, pulls, other, threads=2)
        for name in ("labels", "probabilities", "rest"):
            assert np.array_equal(getattr(out, name), getattr(other, name))
        expected = dense_expand(matrix, now, seeds, pulls)
        kept = out.labels >= 0
        rows, _ = np.nonzero(kept)
        np.testing.assert_allclose(out.probabilities[kept], expected[rows, out.labels[kept]], rtol=2e-5, atol=1e-7)
        best = -np.sort(-expected, axis=1)[:, : min(top, classes)]
        shown = np.where(kept, out.probabilities, out.rest[:, None])[:, : min(top, classes)]
        np.testing.assert_allclose(shown, best, rtol=2e-5, atol=1e-6)
        mass = out.probabilities.sum(axis=1) + out.rest * (classes - kept.sum(axis=1))
        np.testing.assert_allclose(mass, 1, atol=1e-5)
        assert change == pytest.approx(_change(now, out), abs=1e-7)
        now = out


def _change(before: TopLabels, after: TopLabels) -> float:
    full = []
    for lists in (before, after):
        dense = np.repeat(lists.rest[:, None], lists.n_classes, axis=1)
        rows, places = np.nonzero(lists.labels >= 0)
        dense[rows, lists.labels[rows, places]] = lists.probabilities[rows, places]
        full.append(dense)
    # Where every class is listed, rest is no probability of anything.
    return float(np.abs(full[1] - full[0]).max())


def test_equally_probable_labels_stand_by_index_and_the_lowest_stay():
    # A star: four neighbours of node 0 name labels 3, 1, 2 and 0 with equal weight.
    star = np.zeros((5, 5), dtype=np.float32)
    star[0, 1:] = star[1:, 0] = 1
    seeds = np.array([-1, 3, 1, 2, 0], dtype=np.int32)
    now = TopLabels.of(seeds, 2, 4)
    out = now.empty_like()
    edges_of(sparse.csr_array(star)).expand(now, seeds, (1.0, 1.0, 0.0), out)
    assert out.labels[0].tolist() == [0, 1]
    np.testing.assert_allclose(out.probabilities[0], 0.25)
    assert out.rest[0] == pytest.approx(0.25)


STARTS, ENDS, WEIGHTS = np.array([0, 1, 2]), np.array([1, 0]), np.ones(2, dtype=np.float32)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((np.array([], dtype=int), ENDS, WEIGHTS), r"row starts must ascend from 0 to the 2 edges; check the CSR"),
        ((np.array([1, 1, 2]), ENDS, WEIGHTS), r"row starts must ascend from 0 to the 2 edges"),
        ((np.array([0, 1, 3]), ENDS, WEIGHTS), r"row starts must ascend from 0 to the 2 edges"),
        ((np.array([0, 2, 1, 2]), ENDS, WEIGHTS), r"row starts must ascend from 0 to the 2 edges"),
        ((STARTS, ENDS, WEIGHTS[:1]), r"1 weights for 2 edges; expected one weight an edge"),
        ((STARTS, np.array([2, 0]), WEIGHTS), r"an edge ends at 0 or 2; expected nodes 0 to 1"),
        ((STARTS, np.array([1, -1]), WEIGHTS), r"an edge ends at -1 or 1; expected nodes 0 to 1"),
    ],
)
def test_edges_that_cannot_be(arrays: Arrays, message: str):
    with pytest.raises(ConfigError, match=message):
        Edges(*arrays)


def test_arrays_that_cannot_be():
    edges, good = Edges(STARTS, ENDS, WEIGHTS), np.ones((2, 3), dtype=np.float32)
    for wrong in (good[:1], good.astype(np.float64), np.ones((3, 2), dtype=np.float32).T, good[0]):
        with pytest.raises(ConfigError, match=rf"beliefs is {wrong.dtype} of .* expected contiguous float32, \(2,"):
            edges.propagate(wrong, 0.5, good)
    with pytest.raises(ConfigError, match=r"anchor is float32 of shape \(2, 2\)"):
        edges.propagate(good, 0.5, np.ones((2, 2), dtype=np.float32))
    with pytest.raises(ConfigError, match="out overlaps beliefs or anchor; pass an array of its own"):
        edges.propagate(good, 0.5, good.copy(), good)
    with pytest.raises(ConfigError, match="threads is -1, expected 0 for all processors"):
        edges.propagate(good, 0.5, good, threads=-1)
    seeds = np.array([0, -1], dtype=np.int32)
    lists = TopLabels.of(seeds, 2, 3)
    with pytest.raises(ConfigError, match=r"lists of \(2, 1\) for 3 classes; expected \(2, 2\) for 3"):
        edges.expand(lists, seeds, (1, 1, 1), TopLabels.of(seeds, 1, 3))
    with pytest.raises(ConfigError, match="seeds must be 2 int32 below 3, -1 where no label is given"):
        edges.expand(lists, np.array([0, 3], dtype=np.int32), (1, 1, 1), lists.empty_like())
