"""The SIF formula by hand and its invariants."""

from __future__ import annotations

import numpy as np

from projgraph.features.sif import sif
from projgraph.features.word_vectors import word_vectors
from tests.features.corpus import tokens_of, topic_texts


def test_weighted_mean_without_mean_and_first_component() -> None:
    tokens = tokens_of("a b", "a a c", "b c", "c")
    vectors = np.array([[1, 0, 2], [0, 1, 1], [3, 1, 0]], dtype=np.float32)
    shares = np.array([3, 2, 3]) / 8
    weighted = vectors * (0.1 / (0.1 + shares))[:, None]
    means = np.array(
        [
            (weighted[0] + weighted[1]) / 2,
            (2 * weighted[0] + weighted[2]) / 3,
            (weighted[1] + weighted[2]) / 2,
            weighted[2],
        ]
    )
    centred = means - means.mean(axis=0)
    common = np.linalg.svd(centred)[2][0]
    expected = centred - np.outer(centred @ common, common)
    np.testing.assert_allclose(sif(tokens, vectors, smoothing=0.1), expected, atol=1e-6)


def test_words_without_a_vector_count_for_nothing() -> None:
    vectors = np.array([[1, 2], [0, 0]], dtype=np.float32)
    with_unknown = sif(tokens_of("a b b b"), vectors)
    np.testing.assert_allclose(with_unknown[0] / np.linalg.norm(with_unknown), [1, 2] / np.sqrt(5), atol=1e-6)


def test_texts_without_a_known_word_stay_zero_and_do_not_move_the_mean() -> None:
    vectors = np.array([[1, 0], [0, 1], [0, 0]], dtype=np.float32)
    alone, beside = sif(tokens_of("a", "b", "a b"), vectors[:2]), sif(tokens_of("a", "b", "a b", "", ""), vectors[:2])
    np.testing.assert_allclose(beside[:3], alone, atol=1e-6)
    assert not beside[3:].any()


def test_order_of_texts_permutes_the_rows_and_repeated_texts_are_equal() -> None:
    texts, _ = topic_texts(100)
    texts += texts[:10]
    order = np.random.default_rng(1).permutation(len(texts))
    straight, shuffled = tokens_of(*texts), tokens_of(*[texts[row] for row in order])
    rows = sif(straight, word_vectors(straight, 4, 16))
    np.testing.assert_allclose(sif(shuffled, word_vectors(shuffled, 4, 16)), rows[order], atol=1e-5)
    np.testing.assert_allclose(rows[:10], rows[-10:], atol=1e-6)


def test_nothing_known_at_all() -> None:
    assert sif(tokens_of(), np.zeros((0, 1), dtype=np.float32)).shape == (0, 1)
    assert not sif(tokens_of("a", ""), np.zeros((1, 5), dtype=np.float32)).any()
