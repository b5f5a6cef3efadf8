"""The names of labels as texts: `card_arrival` says what its rows are about before any of them is labelled.

A name is described as a text is and becomes one more example of its class, where names tell: each labelled row is given
the class whose name is nearest by cosine, and these guesses have to agree with the labels, by Cohen's kappa (1960) and
not by luck. Codes such as `sd` or `3` do not, and are no examples; since they were described with the texts, these are
described a little otherwise than without them. Source: classes by their names as Chang et al. 2008 ("Importance of
Semantic Representation: Dataless Classification").
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import numpy as np
from scipy.special import bdtrc

from projgraph.features.tokens import APOSTROPHES
from projgraph.records import UNLABELLED, Examples, FloatArray, IndexArray, Progress, Texts

_LEAST_KAPPA = 0.2
"""Where agreement is fair by Landis & Koch (1977)."""
_LUCK = 0.01
"""The largest probability of as many hits for guesses that know nothing of the rows."""


def spoken_names(classes: Iterable[str]) -> Texts:
    """The names as they would be written in a text: `BookRestaurant` and `Book_Restaurant` are "Book Restaurant"."""
    return Texts.from_strings(map(_spoken, classes))


def telling_names(
    names: FloatArray | None, features: FloatArray, labels: IndexArray, progress: Progress
) -> Examples | None:
    """The names as examples of their classes, if they tell labelled rows apart.

    Args:
        names: (c, d) their descriptions, unit rows, zero where nothing is known of a name; None where none are read.
        features: (n, d) those of the rows.
        labels: (n,) class index, or ``UNLABELLED``.
        progress: called with one line that says whether they tell, where any are read.

    Returns:
        One example for each name of which something is known; None where names do not tell.
    """
    if names is None:
        return None
    known = np.flatnonzero(names.any(axis=1))
    tell = _tell(names, known, features, labels)
    progress(f"labels: their names {'tell what their rows are about' if tell else 'do not tell'}")
    return Examples(names[known], known) if tell else None


def _tell(names: FloatArray, known: IndexArray, features: FloatArray, labels: IndexArray) -> bool:
    """Whether the nearest of the known names are those of the labels."""
    labelled = np.flatnonzero(labels != UNLABELLED)
    if not len(labelled) or not len(known):
        return False
    given = labels[labelled]
    guessed = known[(features[labelled] @ names[known].T).argmax(axis=1)]
    shares = [np.bincount(classes, minlength=len(names)) / len(labelled) for classes in (given, guessed)]
    hits, chance = int((given == guessed).sum()), float(shares[0] @ shares[1])
    if hits / len(labelled) < chance + _LEAST_KAPPA * (1 - chance):
        return False
    return bool(bdtrc(hits - 1, len(labelled), chance) <= _LUCK)


def _spoken(name: str) -> str:
    """Words apart where punctuation or a capital parts them; case and symbols are left to whoever reads texts."""
    name = unicodedata.normalize("NFC", name)
    said: list[str] = []
    for before, letter, after in zip(" " + name, name, name[1:] + " ", strict=False):
        if letter.isupper() and before.isalnum() and (before.islower() or after.islower()):
            said.append(" ")
        parts = unicodedata.category(letter).startswith("P") and letter not in APOSTROPHES
        said.append(" " if parts else letter)
    return " ".join("".join(said).split())
