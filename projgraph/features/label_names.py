"""The names of labels as texts: `card_arrival` says what its rows are about before any of them is labelled.

A name is described as a text is and becomes one more example of its class, where names tell: each labelled row is given
the class whose name is nearest by cosine, and these guesses have to agree with the labels, by Cohen's kappa (1960) and
not by luck. Codes such as `sd` or `3` do not, so they count for nothing. Source: classes by their names as Chang et al.
2008 ("Importance of Semantic Representation: Dataless Classification").
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import numpy as np
from scipy.special import bdtrc

from projgraph.records import UNLABELLED, Examples, FloatArray, IndexArray, Texts

_LEAST_KAPPA = 0.2
"""Where agreement is fair by Landis & Koch (1977)."""
_LUCK = 0.01
"""The largest probability of as many hits for guesses that know nothing of the rows."""


def spoken_names(classes: Iterable[str]) -> Texts:
    """The names as they would be said: words apart, in lower case, so that `BookRestaurant` is "book restaurant"."""
    return Texts.from_strings(map(_spoken, classes))


def telling_names(names: FloatArray, features: FloatArray, labels: IndexArray) -> Examples | None:
    """The names as examples of their classes, if they tell labelled rows apart.

    Args:
        names: (c, d) their descriptions, unit rows, zero where nothing is known of a name.
        features: (n, d) those of the rows.
        labels: (n,) class index, or ``UNLABELLED``.

    Returns:
        One example for each name of which something is known; None where names do not tell.
    """
    labelled = np.flatnonzero(labels != UNLABELLED)
    known = np.flatnonzero(names.any(axis=1))
    if not len(labelled) or not len(known):
        return None
    given = labels[labelled]
    guessed = known[(features[labelled] @ names[known].T).argmax(axis=1)]
    shares = [np.bincount(classes, minlength=len(names)) / len(labelled) for classes in (given, guessed)]
    hits, chance = int((given == guessed).sum()), float(shares[0] @ shares[1])
    if hits / len(labelled) < chance + _LEAST_KAPPA * (1 - chance):
        return None
    return Examples(names[known], known) if bdtrc(hits - 1, len(labelled), chance) <= _LUCK else None


def _spoken(name: str) -> str:
    spaced: list[str] = []
    before = " "
    for letter in name:
        if letter.isupper() and (before.islower() or before.isdigit()):
            spaced.append(" ")
        # Letters, their marks and digits; all else parts words.
        spaced.append(letter if unicodedata.category(letter)[0] in "LMN" else " ")
        before = letter
    return " ".join("".join(spaced).lower().split())
