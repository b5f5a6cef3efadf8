"""The contrastive bag of words: what it learns, and that nothing of it is left to chance."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from projgraph.features.contrastive import contrastive_bag
from projgraph.features.word_vectors import word_vectors
from tests.features.corpus import tokens_of, topic_texts


def test_texts_of_a_topic_are_nearer_than_others() -> None:
    texts, topics = topic_texts(300)
    tokens = tokens_of(*texts)
    described = contrastive_bag(tokens, word_vectors(tokens, 4, 16), dimensions=16)
    same = topics[:, None] == topics
    cosines = described @ described.T
    assert cosines[same].mean() > cosines[~same].mean() + 0.3


def test_repeated_texts_and_reordered_words_get_equal_rows_of_unit_norm() -> None:
    texts, _ = topic_texts(60)
    tokens = tokens_of(*texts, *[" ".join(reversed(text.split())) for text in texts])
    described = contrastive_bag(tokens, word_vectors(tokens, 4, 16), dimensions=8, epochs=2)
    np.testing.assert_allclose(described[:60], described[60:], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(described, axis=1), 1, atol=1e-5)


def test_same_seed_same_bytes_whatever_the_state_outside() -> None:
    tokens = tokens_of(*topic_texts(200)[0])
    vectors = word_vectors(tokens, 4, 16)
    kept = vectors.copy()
    torch.manual_seed(1)
    first = contrastive_bag(tokens, vectors, 8, seed=5)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert contrastive_bag(tokens, vectors, 8, seed=5).tobytes() == first.tobytes()
    assert torch.equal(torch.get_rng_state(), state)
    assert not np.array_equal(contrastive_bag(tokens, vectors, 8, seed=6), first)
    np.testing.assert_array_equal(vectors, kept)


def test_the_callers_threads_are_given_back_and_do_not_matter() -> None:
    tokens = tokens_of(*topic_texts(100)[0])
    vectors = word_vectors(tokens, 4, 8)
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(contrastive_bag(tokens, vectors, 8).tobytes())
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


def test_steps_are_bounded() -> None:
    tokens = tokens_of(*topic_texts(1100)[0])
    vectors = word_vectors(tokens, 4, 8)
    two = contrastive_bag(tokens, vectors, 8, epochs=1, max_steps=2)
    assert contrastive_bag(tokens, vectors, 8, epochs=50, max_steps=2).tobytes() == two.tobytes()
    assert contrastive_bag(tokens, vectors, 8, epochs=1, max_steps=3).tobytes() != two.tobytes()


@pytest.mark.parametrize("texts", [[], ["", ""], ["a b"], ["a b", ""], ["a b", "a b", "", "b a"]])
def test_tiny_corpora(texts: list[str]) -> None:
    tokens = tokens_of(*texts)
    vectors = np.random.default_rng(0).normal(size=(len(tokens.vocabulary), 4)).astype(np.float32)
    described = contrastive_bag(tokens, vectors, 3)
    assert described.shape == (len(texts), 3)
    np.testing.assert_allclose(np.linalg.norm(described, axis=1), [float(bool(text)) for text in texts], atol=1e-5)


def test_words_without_a_vector_are_left_out() -> None:
    tokens = tokens_of("a z", "a", "z")
    vectors = np.array([[1, 2], [0, 0]], dtype=np.float32)
    described = contrastive_bag(tokens, vectors, 3)
    np.testing.assert_allclose(described[0], described[1], atol=1e-6)
    assert not described[2].any()


def test_a_very_long_text_is_cut() -> None:
    tokens = tokens_of(" ".join(["a"] * 128 + ["b"] * 1000), "a", "b")
    described = contrastive_bag(tokens, np.eye(2, dtype=np.float32), 4)
    np.testing.assert_allclose(described[0], described[1], atol=1e-5)
