"""Exchanges words of a text for near ones, so that a student also sees what a text might have said; labels are unknown.

A word is near another by the cosine of vectors that a sentence encoder gives to the words alone. Source: augmentation
for distillation as in TinyBERT (Jiao et al. 2020), by an encoder's words in place of GloVe's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from projgraph.features.tokens import SPELT_WORD, token_of
from projgraph.records import FloatArray

_MOST = 12
"""Words near a word."""
_LEAST_COSINE = 0.35
_ROWS_AT_ONCE = 1024
_SMALLEST = 1e-9


def near_words(words: Sequence[str], vectors: FloatArray) -> dict[str, tuple[str, ...]]:
    """The words near each word, the nearest first; words without one are left out.

    Args:
        words: V words, lower case.
        vectors: (V, d) of them.
    """
    centred = vectors - vectors.mean(axis=0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), _SMALLEST)
    most = min(_MOST, len(words) - 1)
    near: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(words), _ROWS_AT_ONCE):
        cosines = unit[start : start + _ROWS_AT_ONCE] @ unit.T
        here = np.arange(len(cosines))
        cosines[here, start + here] = -1.0
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :most]
        for row, others in enumerate(order):
            found = tuple(words[other] for other in others if cosines[row, other] >= _LEAST_COSINE and words[other])
            if found:
                near[words[start + row]] = found
    return near


def substitute(texts: Iterable[str], near: Mapping[str, tuple[str, ...]], rate: float, seed: int) -> list[str]:
    """Copies of texts in which each word gives way, with probability ``rate``, to one of those near it.

    Args:
        texts: n texts.
        near: of ``near_words``; other words stay.
        rate: 0 to 1.
        seed: same seed, same copies; a text's copy does not depend on the other texts.
    """
    return [_substitute(text, near, rate, np.random.default_rng((seed, row))) for row, text in enumerate(texts)]


def _substitute(text: str, near: Mapping[str, tuple[str, ...]], rate: float, generator: np.random.Generator) -> str:
    def other(match: re.Match[str]) -> str:
        if generator.random() >= rate:
            return match.group()
        found = near.get(token_of(match.group()))
        return match.group() if found is None else found[int(generator.integers(len(found)))]

    return SPELT_WORD.sub(other, text)
