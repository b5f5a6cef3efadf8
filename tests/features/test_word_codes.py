"""Codes of words: signs of the right shape that tell a text's targets, for any order of rows and from the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from projgraph.features.word_codes import word_codes


@pytest.fixture(scope="module")
def corpus() -> tuple[sparse.csr_array, np.ndarray, np.ndarray]:
    """400 texts of six words each, of 60 words in five topics; a text's targets are its topic's place and noise."""
    generator = np.random.default_rng(0)
    topics = np.arange(400) % 5
    words = np.stack([generator.integers(0, 12, 6) + 12 * topic for topic in topics])
    counts = sparse.csr_array((np.ones(2400, np.float32), (np.repeat(np.arange(400), 6), words.ravel())), (400, 60))
    counts.sum_duplicates()
    targets = generator.standard_normal((5, 20))[topics] + 0.1 * generator.standard_normal((400, 20))
    return counts, targets.astype(np.float32), topics


def sums_of(counts: sparse.csr_array, codes: np.ndarray) -> np.ndarray:
    sums = counts @ codes.astype(np.float64)
    return sums / np.linalg.norm(sums, axis=1, keepdims=True)


def test_codes_are_signs_and_texts_of_a_topic_lie_together(corpus):
    counts, targets, topics = corpus
    codes = word_codes(counts, targets, 16, seed=0)
    assert codes.shape == (60, 16)
    assert codes.dtype == np.int8
    assert set(np.unique(codes)) == {-1, 1}
    sums = sums_of(counts, codes)
    cosines = sums @ sums.T
    np.fill_diagonal(cosines, -2)
    assert (topics[cosines.argmax(axis=1)] == topics).mean() > 0.99


def test_a_word_without_texts_keeps_what_was_known_before(corpus):
    """Words that start, and stay, at one place have one code; those that start at opposite places opposite ones."""
    counts, targets, _ = corpus
    wider = sparse.csr_array(sparse.hstack([counts, sparse.csr_array((400, 4), dtype=np.float32)]))
    start = np.zeros((64, 20), dtype=np.float32)
    start[60:] = np.array([1, -1, 1, -1])[:, None] * np.linspace(-5.0, 5.0, 20)
    codes = word_codes(wider, targets, 16, seed=0, start=start)
    np.testing.assert_array_equal(codes[60:62], codes[62:])
    assert (codes[60] != codes[61]).mean() > 0.9


def test_the_order_of_texts_does_not_matter(corpus):
    counts, targets, _ = corpus
    order = np.random.default_rng(1).permutation(400)
    one, other = (word_codes(counts[rows], targets[rows], 16, seed=0) for rows in (np.arange(400), order))
    assert (one == other).mean() > 0.98


def test_same_seed_same_codes(corpus):
    counts, targets, _ = corpus
    one, same, other = (word_codes(counts, targets, 8, seed=seed) for seed in (3, 3, 4))
    assert one.tobytes() == same.tobytes()
    assert one.tobytes() != other.tobytes()


def test_more_dimensions_than_words_and_places():
    counts = sparse.csr_array(np.eye(3, dtype=np.float32))
    codes = word_codes(counts, np.eye(3, 2, dtype=np.float32), 16, seed=0)
    assert codes.shape == (3, 16)
    assert set(np.unique(codes)) <= {-1, 1}
