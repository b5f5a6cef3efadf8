"""The Hamming kernel against brute force and faiss, on every path, and what it refuses."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projgraph.errors import ConfigError
from projgraph.kernels import hamming
from projgraph.kernels.hamming import HammingNeighbours, hamming_neighbours, hamming_neighbours_of
from projgraph.kernels.paths import Path, in_threads, paths

WIDTHS = [1, 7, 8, 63, 64, 65, 128]


@pytest.fixture(params=paths(), ids=lambda path: path.name)
def path(request) -> Path:
    return request.param


def brute_force(packed: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Lists in the order of (distance, index), by all distances at once."""
    n = len(packed)
    distances = np.bitwise_count(packed[:, None] ^ packed[None]).sum(axis=2, dtype=np.int64)
    keys = np.sort((distances << 32 | np.arange(n)) + (np.eye(n, dtype=np.int64) << 62), axis=1)
    held = max(min(count, n - 1), 0)
    found = np.full((2, n, count), -1, dtype=np.int32)
    found[0, :, :held], found[1, :, :held] = keys[:, :held] >> 32, keys[:, :held] & (2**32 - 1)
    return found[0], found[1]


def random_rows(n: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, size=(n, width), dtype=np.uint8)


def related_rows(n: int, width: int, seed: int = 0) -> np.ndarray:
    """Rows about few centres, so that most pairs are far and bounds decide."""
    rng = np.random.default_rng(seed)
    bits = rng.random((max(n // 16, 1), width * 8)) < 0.5
    noisy = bits[rng.integers(len(bits), size=n)] ^ (rng.random((n, width * 8)) < 0.1)
    return np.packbits(noisy, axis=1)


def assert_same(found: tuple[np.ndarray, np.ndarray], expected: tuple[np.ndarray, np.ndarray]) -> None:
    assert found[0].dtype == found[1].dtype == np.int32
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 15, 16, 17, 33, 200])
def test_equals_brute_force(n, width, path):
    packed = random_rows(n, width)
    for count in (1, 5, 250):
        expected = brute_force(packed, count)
        assert_same(hamming_neighbours(packed, count, threads=1, path=path), expected)
        queries = np.arange(n)[::-3]
        found = hamming_neighbours_of(packed, queries, count, threads=1, path=path)
        assert_same(found, (expected[0][queries], expected[1][queries]))


@pytest.fixture
def small_panels(monkeypatch) -> int:
    """Panels of 32 rows, so that few rows take many rounds."""
    monkeypatch.setattr(hamming, "_PANEL_BLOCKS", 2)
    return 32


@pytest.mark.parametrize("width", [8, 64, 68, 128, 300])
@pytest.mark.parametrize("n", [31, 97, 640])
def test_related_rows_in_rounds(n, width, path, small_panels):
    packed = related_rows(n, width)
    assert HammingNeighbours(packed, 4).rounds == -(-n // small_panels)
    assert_same(hamming_neighbours(packed, 4, threads=2, path=path), brute_force(packed, 4))


def test_every_bit_counts(path):
    """4,000 bits: more than a byte's worth of counts in each lane."""
    packed = np.zeros((3, 500), dtype=np.uint8)
    packed[1], packed[2, :1] = 255, 1
    distances, indices = hamming_neighbours(packed, 2, path=path)
    assert distances.tolist() == [[1, 4000], [3999, 4000], [1, 3999]]
    assert indices.tolist() == [[2, 1], [2, 0], [0, 1]]


def test_equal_distances_go_by_index(path):
    packed = np.array([[0], [1], [2], [4], [8]], dtype=np.uint8)
    distances, indices = hamming_neighbours(packed, 3, path=path)
    assert distances.tolist() == [[1, 1, 1], [1, 2, 2], [1, 2, 2], [1, 2, 2], [1, 2, 2]]
    assert indices.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1, 2]]


def test_copies_are_neighbours_at_distance_zero(path):
    distances, indices = hamming_neighbours(np.full((40, 9), 7, dtype=np.uint8), 2, path=path)
    assert not distances.any()
    assert indices[:3].tolist() == [[1, 2], [0, 2], [0, 1]]
    assert (indices[3:] == [0, 1]).all()


@pytest.mark.parametrize("width", WIDTHS)
def test_equals_faiss(width):
    import faiss

    packed = random_rows(500, width, seed=1)
    index = faiss.IndexBinaryFlat(width * 8)
    index.add(packed)
    expected = index.search(packed, 8)[0][:, 1:]  # the first is the row itself, or a copy as near
    np.testing.assert_array_equal(hamming_neighbours(packed, 7)[0], expected)


def test_threads_and_paths_give_the_same_bytes(small_panels):
    packed = related_rows(700, 64, seed=2)
    results = {
        b"".join(part.tobytes() for part in hamming_neighbours(packed, 6, threads, path=path))
        for threads in (1, 2, 3)
        for path in paths()
    }
    assert len(results) == 1


@settings(deadline=None, max_examples=40)
@given(
    rows=st.lists(st.binary(min_size=3, max_size=3), min_size=1, max_size=40),
    count=st.integers(1, 45),
    order=st.randoms(use_true_random=False),
)
def test_any_rows_in_any_order(rows, count, order):
    packed = np.array([list(row) for row in rows], dtype=np.uint8)
    distances, indices = hamming_neighbours(packed, count)
    assert_same((distances, indices), brute_force(packed, count))
    shuffled = order.sample(range(len(rows)), len(rows))
    np.testing.assert_array_equal(hamming_neighbours(packed[shuffled], count)[0], distances[shuffled])


def test_resumed_search_gives_the_same_bytes(small_panels):
    packed = related_rows(300, 64, seed=3)
    expected = hamming_neighbours(packed, 5)
    first = HammingNeighbours(packed, 5)
    for _ in range(first.rounds):
        first.run(1)
        second = HammingNeighbours(packed, 5)
        second.resume(first.keys, first.done)
        second.run()
        assert_same(second.found(), expected)


def test_a_round_may_be_run_again(small_panels):
    """As after an interrupt within a round: no neighbour is listed twice."""
    packed = related_rows(100, 64)
    search = HammingNeighbours(packed, 5)
    search.run(2)
    search.done = 0
    search.run()
    assert_same(search.found(), brute_force(packed, 5))


def test_resume_of_another_search():
    search = HammingNeighbours(random_rows(10, 8), 3)
    message = "a state of uint64 (10, 4) after 0 rounds; expected uint64 (10, 3) after 0 to 1: it belongs to another"
    with pytest.raises(ConfigError, match=re.escape(message)):
        search.resume(np.zeros((10, 4), dtype=np.uint64), 0)
    with pytest.raises(ConfigError, match="after 2 rounds"):
        search.resume(search.keys, 2)


def test_progress_counts_rounds(small_panels):
    told: list[tuple[int, int]] = []
    hamming_neighbours(random_rows(96, 8), 2, progress=lambda done, rounds: told.append((done, rounds)))
    assert told == [(1, 3), (2, 3), (3, 3)]


REFUSED = [
    (np.zeros((4, 8), dtype=np.uint8), 0, "count is 0; expected at least 1"),
    (np.zeros((4, 8), dtype=np.int8), 1, "rows are int8 of shape (4, 8); expected uint8, (rows, bytes)"),
    (np.zeros(8, dtype=np.uint8), 1, "rows are uint8 of shape (8,); expected uint8, (rows, bytes)"),
    (np.zeros((4, 0), dtype=np.uint8), 1, "rows of 0 bytes; expected 1 to 268435455"),
    (np.zeros((4, 8), dtype=np.uint8)[:, ::2], 1, "not contiguous in memory; pass numpy.ascontiguousarray(rows)"),
    (np.broadcast_to(np.zeros(8, dtype=np.uint8), (2**31, 8)), 1, "2147483648 rows; expected at most 2147483647"),
]


@pytest.mark.parametrize(("packed", "count", "message"), REFUSED, ids=[case[2][:20] for case in REFUSED])
def test_refused(packed, count, message):
    for call in (
        lambda: hamming_neighbours(packed, count),
        lambda: hamming_neighbours_of(packed, np.zeros(1, dtype=np.int64), count),
    ):
        with pytest.raises(ConfigError, match=re.escape(message)):
            call()


@pytest.mark.parametrize("queries", [[-1], [4], [[0]]])
def test_queries_that_are_no_rows(queries):
    with pytest.raises(ConfigError, match="must be indices of 4 rows"):
        hamming_neighbours_of(random_rows(4, 8), np.array(queries), 1)


def test_threads_below_zero():
    with pytest.raises(ConfigError, match="threads is -1, expected 0 for all processors, or a number of threads"):
        hamming_neighbours(random_rows(4, 8), 1, threads=-1)


def test_a_path_of_another_processor(monkeypatch):
    monkeypatch.setattr(hamming, "paths", lambda: (Path.PORTABLE,))
    with pytest.raises(ConfigError, match="this processor does not run AVX512; it runs PORTABLE"):
        hamming_neighbours(random_rows(4, 8), 1, path=Path.AVX512)


def test_an_error_in_a_thread_is_raised():
    def fail(item: int) -> None:
        raise RuntimeError(f"item {item}")

    with pytest.raises(RuntimeError, match="item 0"):
        in_threads(fail, range(4), 2)
