"""Smooth inverse frequency: a text is the weighted mean of its word vectors without what all texts share.

Arora, Liang and Ma, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings" (2017).
"""

from __future__ import annotations

import numpy as np

from projgraph.features.tokens import Tokens
from projgraph.records import FloatArray

SMOOTHING = 1e-3


def sif(tokens: Tokens, vectors: FloatArray, smoothing: float = SMOOTHING) -> FloatArray:
    """Average word vectors with weights ``a / (a + p(w))``; remove the mean and the first principal component.

    Args:
        tokens: n texts.
        vectors: (vocabulary, d) word vectors, zero for words without one.
        smoothing: a; p(w) is a word's share of all occurrences.

    Returns:
        (n, d) rows of any length, zero where no word of a text has a vector.
    """
    occurrences = np.bincount(tokens.ids, minlength=len(tokens.vocabulary))
    weights = smoothing / (smoothing + occurrences / max(len(tokens.ids), 1))
    weighted: FloatArray = (vectors * weights[:, None]).astype(np.float32)
    known: FloatArray = np.any(vectors != 0, axis=1).astype(np.float32)
    counts = tokens.counts()
    lengths: FloatArray = counts @ known
    means: FloatArray = counts @ weighted
    described = np.flatnonzero(lengths)
    means[described] /= lengths[described, None]
    if len(described) > 1:
        means[described] = _without_common_part(means[described])
    return means


def _without_common_part(rows: FloatArray) -> FloatArray:
    centred = rows - rows.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
    common = directions[:, -1:].astype(np.float32)
    remaining: FloatArray = centred - (centred @ common) @ common.T
    return remaining
