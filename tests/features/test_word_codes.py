"""Codes of words: signs of the right shape that tell a text's targets, for any order of rows and from the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from projgraph.features.word_codes import WordCodes


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
    codes = WordCodes(counts, targets, 16, seed=0).codes
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
    codes = WordCodes(wider, targets, 16, seed=0, start=start).codes
    np.testing.assert_array_equal(codes[60:62], codes[62:])
    assert (codes[60] != codes[61]).mean() > 0.9


def test_the_order_of_texts_does_not_matter(corpus):
    counts, targets, _ = corpus
    order = np.random.default_rng(1).permutation(400)
    one, other = (WordCodes(counts[rows], targets[rows], 16, seed=0).codes for rows in (np.arange(400), order))
    assert (one == other).mean() > 0.98


def test_same_seed_same_codes(corpus):
    counts, targets, _ = corpus
    one, same, other = (WordCodes(counts, targets, 8, seed=seed).codes for seed in (3, 3, 4))
    assert one.tobytes() == same.tobytes()
    assert one.tobytes() != other.tobytes()


def test_more_dimensions_than_words_and_places():
    counts = sparse.csr_array(np.eye(3, dtype=np.float32))
    codes = WordCodes(counts, np.eye(3, 2, dtype=np.float32), 16, seed=0).codes
    assert codes.shape == (3, 16)
    assert set(np.unique(codes)) <= {-1, 1}


def test_codes_without_no_text_are_the_codes(corpus):
    counts, targets, _ = corpus
    fitted = WordCodes(counts, targets, 16, seed=0)
    np.testing.assert_array_equal(fitted.without(np.zeros(0, dtype=np.int64)), fitted.codes)


def test_codes_without_a_few_texts_lie_in_the_same_space(corpus):
    """Forty of 400 texts less move few of the signs; a rotation of its own would move half of them."""
    counts, targets, _ = corpus
    fitted = WordCodes(counts, targets, 16, seed=0)
    assert (fitted.without(np.arange(40)) != fitted.codes).mean() < 0.2


def test_a_texts_sum_knows_its_targets_only_where_it_had_a_part_in_the_codes():
    """Long texts of random words with random targets: nothing can be known of a new one."""
    generator = np.random.default_rng(0)
    counts = sparse.csr_array((generator.random((100, 400)) < 0.2).astype(np.float32))
    targets = generator.standard_normal((100, 16)).astype(np.float32)
    fitted = WordCodes(counts, targets, 32, seed=0)
    held_out = np.arange(50)
    alike = np.triu_indices(50, 1)
    true = (targets @ targets.T)[alike]

    def known(codes: np.ndarray) -> float:
        sums = sums_of(counts, codes)[held_out]
        return float(np.corrcoef((sums @ sums.T)[alike], true)[0, 1])

    assert known(fitted.codes) > 0.5
    assert abs(known(fitted.without(held_out))) < 0.1
