"""Codes of words, D signs each, fitted so that the sum of a text's codes tells its targets; it knows no strings.

With a row a_i of A for each text, the counts of its n words over sqrt(n), and y_i its row of targets, centred,

    W = argmin ||A W - Y||^2 + l ||W - W0||^2       ridge regression; W0 the encoder's vectors of the words, or zero
    code = sign(R PCA(W / |W|))                     iterative quantisation (Gong & Lazebnik 2011) turns PCA to the signs

All words weigh the same: weights by inverse document frequency were not better (`benchmarks/LOG.md`). Time O(n d^2
+ d^3 + steps nnz(A) p + rounds V D^2) with p = 2 D principal directions of Y, memory O(nnz(A) + n d + V p).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from projgraph.records import FloatArray, IndexArray

_RIDGE = 0.003
"""l over the number of texts."""
_STEPS = 50
"""Of conjugate gradients, at most."""
_ROUNDS = 20
"""Of iterative quantisation."""
_SMALLEST = 1e-9


class WordCodes:
    """The codes of V words.

    Args:
        counts: (n, V) how often a text has a word; columns of words that no text has are all zero.
        targets: (n, d) what the sum of a text's codes should tell, such as its row of the view.
        dimensions: D, the signs of a code.
        seed: of the start of the rotation.
        start: (V, d) what is known of the words beforehand, in the space of the targets; None for nothing.

    Attributes:
        codes: (V, D) int8 of -1 and +1.
    """

    def __init__(
        self,
        counts: sparse.csr_array,
        targets: FloatArray,
        dimensions: int,
        *,
        seed: int,
        start: FloatArray | None = None,
    ) -> None:
        lengths = np.asarray(counts.sum(axis=1)).ravel()
        self._shares = sparse.csr_array(sparse.diags_array(1.0 / np.sqrt(np.maximum(lengths, 1.0))) @ counts)
        with threadpool_limits(1, "blas"):
            centred = targets - targets.mean(axis=0)
            directions = _principal(centred, 2 * dimensions)
            self._goal = centred @ directions
            self._known = None if start is None else (start - start.mean(axis=0)) @ directions
            vectors = self._vectors(np.arange(len(targets)))
            self._mean = vectors.mean(axis=0)
            self._directions = _principal((vectors - self._mean).astype(np.float32), dimensions)
            self._rotation = _rotation(self._components(vectors, dimensions), seed)
            self.codes = self._signs(vectors)

    def without(self, texts: IndexArray) -> NDArray[np.int8]:
        """(V, D) the codes as they would be, in the same space, had some of the n texts not been there.

        The sum of a text's codes knows more of its targets than that of a new text would: least so of many short
        texts, most of a few long ones.
        """
        with threadpool_limits(1, "blas"):
            return self._signs(self._vectors(np.setdiff1d(np.arange(len(self._goal)), texts)))

    def _vectors(self, texts: IndexArray) -> NDArray[np.float64]:
        """(V, p) unit vectors of the words, fitted to some of the texts."""
        shares, goal = self._shares[texts], self._goal[texts]
        rest = goal if self._known is None else goal - shares @ self._known
        ridge = Ridge(_RIDGE * len(texts), fit_intercept=False, solver="sparse_cg", max_iter=_STEPS, tol=1e-3)
        vectors = ridge.fit(sparse.csr_matrix(shares), rest).coef_.T.astype(np.float64)
        if self._known is not None:
            vectors = vectors + self._known
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _SMALLEST))

    def _components(self, vectors: NDArray[np.float64], dimensions: int) -> NDArray[np.float64]:
        components = (vectors - self._mean) @ self._directions
        return np.pad(components, ((0, 0), (0, dimensions - components.shape[1])))

    def _signs(self, vectors: NDArray[np.float64]) -> NDArray[np.int8]:
        components = self._components(vectors, len(self._rotation))
        return np.where(components @ self._rotation >= 0, 1, -1).astype(np.int8)


def _principal(centred: FloatArray, most: int) -> FloatArray:
    """(d, p) the directions of largest variance."""
    wide = centred.astype(np.float64)
    values, directions = np.linalg.eigh(wide.T @ wide)
    kept = directions[:, np.argsort(-values)[:most]]
    # An eigenvector's sign is anybody's: the largest entry is made positive, so that libraries agree.
    signs = np.sign(kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])])
    return np.asarray(kept * signs, dtype=np.float32)


def _rotation(components: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """(D, D) the rotation of (V, D) principal components that loses little by their signs."""
    dimensions = components.shape[1]
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((dimensions, dimensions)))[0]
    for _ in range(_ROUNDS):
        left, _, right = np.linalg.svd(np.where(components @ rotation >= 0, 1.0, -1.0).T @ components)
        rotation = (left @ right).T
    return np.asarray(rotation)
