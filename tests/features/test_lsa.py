"""TF-IDF and truncated SVD: values, invariants and corpora with next to nothing in them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from projgraph.features import lsa as module
from projgraph.features.lsa import lsa
from tests.features.corpus import tokens_of, topic_texts


def test_full_rank_keeps_the_cosines_of_scikit_learns_tf_idf() -> None:
    texts = ["the cat sat", "the cat ran", "a dog ran far", "the dog sat sat sat", "cat dog sat ran the"]
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, token_pattern=r"\S+").fit_transform(texts)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=2)
    ngrams = characters.fit_transform(texts)
    expected = ((words @ words.T) + (ngrams @ ngrams.T)).toarray()
    norms = np.sqrt(np.diag(expected))
    described = lsa(tokens_of(*texts), 300)
    np.testing.assert_allclose(described @ described.T, expected / np.outer(norms, norms), atol=1e-5)


def test_texts_of_a_topic_are_nearer_than_others() -> None:
    texts, topics = topic_texts(200)
    described = lsa(tokens_of(*texts), 16)
    same = topics[:, None] == topics
    cosines = described @ described.T
    assert cosines[same].mean() > cosines[~same].mean() + 0.4


def test_order_of_texts_permutes_the_rows() -> None:
    texts, _ = topic_texts(120)
    order = np.random.default_rng(1).permutation(len(texts))
    straight, shuffled = lsa(tokens_of(*texts), 10), lsa(tokens_of(*[texts[row] for row in order]), 10)
    np.testing.assert_allclose(shuffled @ shuffled.T, (straight @ straight.T)[np.ix_(order, order)], atol=2e-4)


def test_repeated_texts_get_equal_rows_of_unit_norm() -> None:
    texts, _ = topic_texts(40)
    described = lsa(tokens_of(*texts, *texts), 12)
    np.testing.assert_allclose(described[:40], described[40:], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(described, axis=1), 1, atol=1e-5)


def test_same_seed_same_bytes() -> None:
    tokens = tokens_of(*topic_texts(100)[0])
    assert lsa(tokens, 8, seed=3).tobytes() == lsa(tokens, 8, seed=3).tobytes()


def test_blocks_of_rows_change_nothing_but_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, topics = topic_texts(300)
    whole = lsa(tokens_of(*texts), 6)
    monkeypatch.setattr(module, "BLOCK_ROWS", 120)
    blocks = lsa(tokens_of(*texts), 6)
    assert blocks.shape == whole.shape
    same = topics[:, None] == topics
    assert (blocks @ blocks.T)[same].mean() == pytest.approx((whole @ whole.T)[same].mean(), abs=0.05)


def test_most_frequent_features_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FEATURES", 3)
    described = lsa(tokens_of("aaa bbb", "aaa bbb", "aaa ccc", "ccc ddd ddd"), 300)
    assert described.shape[1] <= 4
    np.testing.assert_allclose(described[0], described[1], atol=1e-6)


@pytest.mark.parametrize(
    ("texts", "norms"),
    [
        ([], []),
        ([""], [0]),
        (["hello"], [1]),
        (["", "", ""], [0, 0, 0]),
        (["same text"] * 3, [1, 1, 1]),
        (["x", "y", "z"], [1, 1, 1]),
        (["", "only one", ""], [0, 1, 0]),
        (["😀", "😀 😀", "\n"], [1, 1, 0]),
        (["我想查余额", "余额多少", "余额"], [1, 1, 1]),
    ],
)
def test_tiny_corpora(texts: list[str], norms: list[float]) -> None:
    described = lsa(tokens_of(*texts), 300)
    assert described.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(described, axis=1), norms, atol=1e-5)


def test_a_text_of_rare_words_alone_is_zero() -> None:
    described = lsa(tokens_of("card lost", "card stolen", "qqq"), 300)
    assert np.linalg.norm(described, axis=1).round(5).tolist() == [1, 1, 0]
