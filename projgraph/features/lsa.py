"""Latent semantic analysis: a text is its TF-IDF words and character n-grams on a few hundred singular directions.

Deerwester et al., "Indexing by Latent Semantic Analysis" (1990), with the randomised SVD of Halko, Martinsson and Tropp
(2011).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import randomized_svd

from projgraph.features.tokens import Tokens
from projgraph.records import FloatArray, IndexArray

MAX_FEATURES = 200_000
"""Features of one family (words and pairs, or characters); the most frequent are kept."""
BLOCK_ROWS = 50_000
"""Texts that the directions are fitted on, and texts of a block on their way to them: bounds memory for millions."""
MIN_TEXTS = 2
"""Texts that a feature must occur in, unless no feature does."""
POWER_ITERATIONS = 1
"""As good as five or better: 15-NN same-label rate 65.5 against 64.7 on BANKING77, 76.8 against 76.2 on CLINC150."""


def lsa(tokens: Tokens, dimensions: int = 300, seed: int = 0) -> FloatArray:
    """Describe every text by TF-IDF and truncated SVD.

    Words with word pairs, and character 3-5-grams inside word boundaries, are two families of sublinear TF-IDF, each of
    unit norm in a row: ``x = (1 + ln tf) (1 + ln((1 + n) / (1 + df)))``.

    Args:
        tokens: n texts.
        dimensions: singular directions to keep; fewer come back where there are fewer texts or features.
        seed: of the range finder, and of the texts that it looks at where there are more than ``BLOCK_ROWS``.

    Returns:
        (n, d) rows of unit norm, or zero where a text has no feature.
    """
    if len(tokens.ids) == 0:
        return np.zeros((len(tokens), 1), dtype=np.float32)
    generator = np.random.default_rng(seed)
    fitted = np.arange(len(tokens))
    if len(tokens) > BLOCK_ROWS:
        fitted = np.sort(generator.choice(fitted, BLOCK_ROWS, replace=False))
    words = tokens.counts()
    families = (
        _Family.fit(sparse.hstack([words, _pair_counts(tokens)], format="csr"), None, fitted),
        _Family.fit(words, _character_ngrams(tokens.vocabulary, words), fitted),
    )
    directions = leading_directions(_rows(families, fitted), dimensions, POWER_ITERATIONS, seed)
    blocks = [
        _rows(families, np.arange(start, min(start + BLOCK_ROWS, len(tokens)))) @ directions
        for start in range(0, len(tokens), BLOCK_ROWS)
    ]
    described: FloatArray = normalize(np.concatenate(blocks), copy=False)
    return described


@dataclass(frozen=True)
class _Family:
    """One family of features: counts of a text, which may need a product with what each word consists of."""

    counts: sparse.csr_array
    parts: sparse.csr_array | None
    kept: IndexArray
    weights: TfidfTransformer

    @classmethod
    def fit(cls, counts: sparse.csr_array, parts: sparse.csr_array | None, rows: IndexArray) -> _Family:
        seen = counts[rows] if parts is None else counts[rows] @ parts
        texts = np.bincount(seen.indices, minlength=seen.shape[1])
        kept = np.flatnonzero(texts >= min(MIN_TEXTS, texts.max(initial=0)))
        if len(kept) > MAX_FEATURES:
            kept = np.sort(kept[np.argsort(-texts[kept], kind="stable")[:MAX_FEATURES]])
        return cls(counts, parts, kept, TfidfTransformer(sublinear_tf=True).fit(seen[:, kept]))

    def rows(self, rows: IndexArray) -> sparse.csr_array:
        """(rows, features) TF-IDF of unit norm."""
        counts = self.counts[rows] if self.parts is None else self.counts[rows] @ self.parts
        weighted: sparse.csr_array = self.weights.transform(counts[:, self.kept])
        return weighted


def _rows(families: tuple[_Family, ...], rows: IndexArray) -> sparse.csr_array:
    return sparse.csr_array(sparse.hstack([family.rows(rows) for family in families], format="csr", dtype=np.float32))


def leading_directions(features: sparse.csr_array, dimensions: int, power_iterations: int, seed: int) -> FloatArray:
    """(features, d) the leading right singular vectors, by the randomised SVD of Halko, Martinsson and Tropp (2011).

    The range finder starts from the features, whose order is fixed, so that the order of the texts does not matter.
    """
    _, _, directions = randomized_svd(
        features,
        min(dimensions, *features.shape),
        n_iter=power_iterations,
        power_iteration_normalizer="QR",
        transpose=False,
        random_state=seed,
    )
    return np.ascontiguousarray(directions.T, dtype=np.float32)


def _pair_counts(tokens: Tokens) -> sparse.csr_array:
    """(n, pairs) how often a pair of adjacent words occurs in a text, for pairs that occur more than once in all."""
    rows = tokens.rows
    inside = rows[1:] == rows[:-1]
    keys = (tokens.ids[:-1].astype(np.int64) * len(tokens.vocabulary) + tokens.ids[1:])[inside]
    _, columns, occurrences = np.unique(keys, return_inverse=True, return_counts=True)
    repeated = occurrences > 1
    chosen = repeated[columns]
    columns = (np.cumsum(repeated) - 1)[columns[chosen]]
    ones = np.ones(len(columns), dtype=np.float32)
    return sparse.csr_array((ones, (rows[1:][inside][chosen], columns)), shape=(len(tokens), int(repeated.sum())))


def _character_ngrams(vocabulary: tuple[str, ...], words: sparse.csr_array) -> sparse.csr_array:
    """(words, n-grams) the character 3-5-grams of each word, without those that too few texts can have."""
    counter = CountVectorizer(analyzer="char_wb", ngram_range=(3, 5), lowercase=False, dtype=np.float32)
    ngrams: sparse.csr_array = sparse.csr_array(counter.fit_transform(vocabulary))
    word_texts = np.bincount(words.indices, minlength=len(vocabulary))
    at_most: NDArray[np.float64] = ngrams.astype(np.float64).T @ word_texts
    kept = np.flatnonzero(at_most >= min(MIN_TEXTS, at_most.max(initial=0)))
    if len(kept) > MAX_FEATURES:
        kept = np.sort(kept[np.argsort(-at_most[kept], kind="stable")[:MAX_FEATURES]])
    return ngrams[:, kept]
