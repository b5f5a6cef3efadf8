"""Word vectors from co-occurrence counts alone: the shifted PPMI matrix of a corpus, factorised.

Levy, Goldberg and Dagan, "Improving Distributional Similarity with Lessons Learned from Word Embeddings" (2015).
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from projgraph.features.tokens import Tokens
from projgraph.records import FloatArray, IndexArray

CONTEXT_SMOOTHING = 0.75
EIGENVALUE_POWER = 0.5
PAIRS_AT_ONCE = 8_000_000
"""Co-occurrences that are counted before they are merged, which bounds memory."""


def word_vectors(
    tokens: Tokens,
    window: int,
    dimensions: int = 300,
    min_count: int = 2,
    max_words: int = 30_000,
    shift: float = 1.0,
    seed: int = 0,
) -> FloatArray:
    """Give every word of the vocabulary a vector, ``U S^0.5`` of the truncated SVD of its PPMI row.

    Args:
        tokens: the corpus.
        window: words on either side, inside the same text, that count as context.
        dimensions: singular directions to keep; fewer come back where there are fewer words.
        min_count: occurrences below which a word has no vector and is no context.
        max_words: the most frequent words that may have one.
        shift: k of ``max(PMI - ln k, 0)``; 1 does not shift.
        seed: of the randomised SVD.

    Returns:
        (vocabulary, d) vectors, zero for words left out.
    """
    words = frequent_words(tokens, min_count, max_words)
    counts = cooccurrences(tokens, words, window)
    associations = shifted_ppmi(counts, shift)
    if associations.nnz == 0:
        return np.zeros((len(tokens.vocabulary), 1), dtype=np.float32)
    left, scale, _ = randomized_svd(
        associations,
        min(dimensions, len(words)),
        n_iter=2,
        power_iteration_normalizer="QR",
        transpose=False,
        random_state=seed,
    )
    vectors = np.zeros((len(tokens.vocabulary), len(scale)), dtype=np.float32)
    vectors[words] = left * scale**EIGENVALUE_POWER
    return vectors


def frequent_words(tokens: Tokens, min_count: int, max_words: int) -> IndexArray:
    """The words that occur often enough, ascending; of too many the most frequent, the first in order on a tie."""
    occurrences = np.bincount(tokens.ids, minlength=len(tokens.vocabulary))
    words = np.flatnonzero(occurrences >= min_count)
    if len(words) > max_words:
        words = np.sort(words[np.argsort(-occurrences[words], kind="stable")[:max_words]])
    return words


def cooccurrences(tokens: Tokens, words: IndexArray, window: int) -> sparse.csr_array:
    """(words, words) how often two of the given words stand at most ``window`` words apart in a text; symmetric.

    Words that are left out are deleted first, so that those around them move closer.
    """
    number = np.full(len(tokens.vocabulary), -1, dtype=np.int64)
    number[words] = np.arange(len(words))
    ids = number[tokens.ids]
    rows = tokens.rows[ids >= 0]
    ids = ids[ids >= 0]
    total = sparse.csr_array((len(words), len(words)), dtype=np.float32)
    waiting: list[IndexArray] = []
    longest = int(np.bincount(rows).max(initial=1)) - 1
    for distance in range(1, min(window, longest) + 1):
        inside = rows[distance:] == rows[:-distance]
        waiting.append(ids[:-distance][inside] * len(words) + ids[distance:][inside])
        if sum(map(len, waiting)) > PAIRS_AT_ONCE:
            total = total + _count_pairs(waiting, len(words))
            waiting = []
    if waiting:
        total = total + _count_pairs(waiting, len(words))
    return sparse.csr_array(total + total.T)


def _count_pairs(keys: list[IndexArray], size: int) -> sparse.csr_array:
    left, right = np.divmod(np.concatenate(keys), size)
    ones = np.ones(len(left), dtype=np.float32)
    return sparse.coo_array((ones, (left, right)), shape=(size, size)).tocsr()


def shifted_ppmi(counts: sparse.csr_array, shift: float = 1.0) -> sparse.csr_array:
    """``max(ln(c_ij / (r_i q_j)) - ln shift, 0)``: r_i is a row's sum, q_j the share of (column sum)^0.75."""
    columns = np.asarray(counts.sum(axis=0), dtype=np.float64) ** CONTEXT_SMOOTHING
    rows = np.asarray(counts.sum(axis=1), dtype=np.float64)
    pairs = counts.tocoo()
    columns /= max(columns.sum(), 1.0)
    information = np.log(pairs.data / (rows[pairs.row] * columns[pairs.col])) - np.log(shift)
    positive = information > 0
    entries = (information[positive].astype(np.float32), (pairs.row[positive], pairs.col[positive]))
    return sparse.csr_array(sparse.coo_array(entries, shape=counts.shape))
