"""Co-occurrence counts and PPMI by hand, and what their factors keep."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
from scipy import sparse

from projgraph.features import word_vectors as module
from projgraph.features.word_vectors import cooccurrences, frequent_words, shifted_ppmi, word_vectors
from tests.features.corpus import TOPICS, tokens_of, topic_texts


def every_word(tokens) -> np.ndarray:
    return np.arange(len(tokens.vocabulary))


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (1, [[0, 2, 1], [2, 0, 0], [1, 0, 2]]),
        (2, [[0, 2, 1], [2, 0, 1], [1, 1, 2]]),
        (50, [[0, 2, 1], [2, 0, 1], [1, 1, 2]]),
    ],
)
def test_counts_within_a_window_and_a_text(window: int, expected: list[list[int]]) -> None:
    tokens = tokens_of("b a c", "a b", "c c", "")
    assert cooccurrences(tokens, every_word(tokens), window).toarray().tolist() == expected


def test_words_left_out_are_deleted_before_counting() -> None:
    tokens = tokens_of("a x b", "a x b")
    counts = cooccurrences(tokens, np.array([0, 1]), 1)
    assert counts.toarray().tolist() == [[0, 2], [2, 0]]


def test_counts_do_not_depend_on_how_many_pairs_are_merged_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = tokens_of(*topic_texts(50)[0])
    whole = cooccurrences(tokens, every_word(tokens), 5).toarray()
    monkeypatch.setattr(module, "PAIRS_AT_ONCE", 10)
    np.testing.assert_array_equal(cooccurrences(tokens, every_word(tokens), 5).toarray(), whole)


def test_ppmi_of_a_corpus_by_hand() -> None:
    # "a b", "a b", "a c": row sums 3, 2, 1; context shares 3^.75, 2^.75, 1 over their sum.
    shares = np.array([3**0.75, 2**0.75, 1.0])
    shares /= shares.sum()
    tokens = tokens_of("a b", "a b", "a c")
    found = shifted_ppmi(cooccurrences(tokens, every_word(tokens), 4)).toarray()
    expected = np.array(
        [
            [0, math.log(2 / (3 * shares[1])), math.log(1 / (3 * shares[2]))],
            [math.log(2 / (2 * shares[0])), 0, 0],
            [math.log(1 / (1 * shares[0])), 0, 0],
        ]
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_shift_subtracts_its_logarithm_and_cuts_at_zero() -> None:
    counts = sparse.csr_array(np.array([[0, 2, 1], [2, 0, 0], [1, 0, 0]], dtype=np.float32))
    plain, shifted = shifted_ppmi(counts).toarray(), shifted_ppmi(counts, shift=1.5).toarray()
    np.testing.assert_allclose(shifted, np.maximum(plain - math.log(1.5), 0), atol=1e-6)


def test_all_dimensions_keep_the_inner_products_of_the_factorisation() -> None:
    tokens = tokens_of("a b c", "a b", "c a d", "d b")
    associations = shifted_ppmi(cooccurrences(tokens, every_word(tokens), 4)).toarray()
    vectors = word_vectors(tokens, 4, min_count=1)
    expected = scipy.linalg.sqrtm(associations @ associations.T)
    np.testing.assert_allclose(vectors @ vectors.T, expected, atol=1e-4)


def test_rare_words_have_no_vector_and_too_many_words_lose_the_rarest() -> None:
    tokens = tokens_of("a b a b", "a b c", "c d")
    assert frequent_words(tokens, min_count=2, max_words=100).tolist() == [0, 1, 2]
    assert frequent_words(tokens, min_count=1, max_words=3).tolist() == [0, 1, 2]
    vectors = word_vectors(tokens, 4)
    assert np.any(vectors != 0, axis=1).tolist() == [True, True, True, False]


def test_words_of_a_topic_are_nearer_than_others() -> None:
    tokens = tokens_of(*topic_texts(400)[0])
    vectors = word_vectors(tokens, 4, dimensions=8)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    number = {word: row for row, word in enumerate(tokens.vocabulary)}
    groups = [[number[word] for word in topic.split()] for topic in TOPICS]
    within = np.mean([vectors[group] @ vectors[group].T for group in groups])
    across = np.mean(vectors[groups[0]] @ vectors[groups[1]].T)
    assert within > across + 0.5


@pytest.mark.parametrize("texts", [[], [""], ["a"], ["a", "a"], ["a b"], ["a a a"]])
def test_tiny_corpora(texts: list[str]) -> None:
    tokens = tokens_of(*texts)
    vectors = word_vectors(tokens, 4)
    assert vectors.shape[0] == len(tokens.vocabulary)
    assert np.isfinite(vectors).all()


def test_same_seed_same_bytes() -> None:
    tokens = tokens_of(*topic_texts(100)[0])
    assert word_vectors(tokens, 4, 8).tobytes() == word_vectors(tokens, 4, 8).tobytes()
