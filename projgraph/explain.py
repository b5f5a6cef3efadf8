"""Which features of a text voted for its label: every n-gram left out in turn; it knows no training and no file.

The vote of a feature is exact, not an estimate: the change of the label's margin (its logit less the largest other one)
when this feature alone is missing from the projection's sums. Votes do not add up to the margin, since a bit is the
sign of a sum. With word codes, the code of each known word is left out too. Source: occlusion, Zeiler & Fergus 2014.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from projgraph import native
from projgraph.core.unicode_table import CharClass, char_class, lower
from projgraph.errors import InputError
from projgraph.pack.format import MAX_FEATURES, FamilyKind, Quantiser
from projgraph.pack.projection import Family, ProjectionSpec
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.vector import VectorSpec, read_projection
from projgraph.pack.words import Sequences
from projgraph.records import Texts

CODE = "code"
UNKNOWN = "?"
"""Stands for a feature whose characters this Python classifies in another way than the core does."""

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_ROWS = 256


@dataclass(frozen=True)
class Vote:
    """What one feature did.

    Attributes:
        kind: "word" n-grams, "character" n-grams (a space is a word's edge), or "code", the code of a word.
        feature: the n-gram or word, as the core reads it.
        vote: logits by which the label's margin falls when the feature is left out; below zero it spoke against it.
    """

    kind: str
    feature: str
    vote: float


@dataclass(frozen=True)
class Explanation:
    """Why a text has its label.

    Attributes:
        label: the class with the largest score, whether or not it reaches the model's threshold.
        answered: whether it does.
        rival: the class with the next score.
        margin: the label's logit less the rival's.
        votes: of every distinct feature, the largest in size first.
    """

    label: str
    answered: bool
    rival: str
    margin: float
    votes: tuple[Vote, ...]


def explain(model: QuantisedModel, text: str) -> Explanation:
    """Leave out every feature of a text in turn.

    Raises:
        InputError: the model takes vectors, or has one class only.
    """
    spec = read_projection(model.projection)
    if isinstance(spec, VectorSpec):
        raise InputError(f"the model takes vectors of {spec.columns} columns; expected one of texts to explain")
    if len(model.classes) < 2:
        raise InputError("the model has one class; expected two or more, since a vote is for one against another")
    texts = Texts.from_strings([text])
    features, sequences = native.features(model.projection, text), _sequences(model, texts)
    sums = feature_sums(spec, features)
    seen = model.seen_of_words(sequences)
    scores = model.scores_beside(_quantised(sums[None], spec), seen)[0].astype(np.int64)
    order = np.argsort(-scores, kind="stable")
    label, rival = int(order[0]), int(order[1])
    names = _names(model.projection, spec, text)
    counts = Counter(features)
    distinct = list(counts)
    votes = []
    margin = int(scores[label] - scores[rival])
    for first in range(0, len(distinct), _ROWS):
        some = distinct[first : first + _ROWS]
        without = np.stack([sums - counts[each] * feature_sums(spec, [each]) for each in some])
        changed = model.scores_beside(_quantised(without, spec), seen and seen.repeated(len(some)))
        for each, left in zip(some, _margins(changed, label).tolist(), strict=True):
            kind = FamilyKind(spec.families[each[0]].kind).name.lower()
            votes.append(Vote(kind, names.get(each, UNKNOWN), (margin - left) * model.scale))
    votes += _code_votes(model, _quantised(sums[None], spec), sequences, text, label, margin)
    votes.sort(key=lambda vote: (-abs(vote.vote), vote.kind, vote.feature))
    answered = not model.threshold or int(scores[label]) >= model.threshold
    return Explanation(model.classes[label], answered, model.classes[rival], margin * model.scale, tuple(votes))


def feature_sums(spec: ProjectionSpec, features: Sequence[tuple[int, int]]) -> NDArray[np.int32]:
    """(n_bits,) the sums that counted features add up to, as the core's before it takes their signs.

    Args:
        spec: the projection.
        features: (family index, 64-bit hash) as `native.features` gives them.
    """
    sums = np.zeros(spec.n_bits, dtype=np.int32)
    for index, family in enumerate(spec.families):
        word = np.array([each for of, each in features if of == index], dtype=np.uint64)
        part = family.bit_count // family.additions
        for addition in range(family.additions):
            field = (word >> np.uint64(16 * (addition % 4)) & np.uint64(0xFFFF)).astype(np.int64)
            bits = family.first_bit + addition * part + (field * part >> 16)
            np.add.at(sums, bits, np.where(field & 1, -1, 1).astype(np.int32))
            if addition % 4 == 3:
                word = _mixed(word + _MULTIPLIER)
    return sums


def _mixed(word: NDArray[np.uint64]) -> NDArray[np.uint64]:
    word = (word ^ word >> np.uint64(32)) * _MIX
    return word ^ word >> np.uint64(32)


def _quantised(sums: NDArray[np.int32], spec: ProjectionSpec) -> NDArray[np.int8]:
    if spec.quantiser == Quantiser.TERNARY:
        return np.sign(sums).astype(np.int8)
    return np.where(sums > 0, 1, -1).astype(np.int8)


def _margins(scores: NDArray[np.int32], label: int) -> NDArray[np.int64]:
    """(n,) the label's score less the largest other one."""
    others = scores.astype(np.int64)
    own = others[:, label].copy()
    others[:, label] = np.iinfo(np.int64).min
    return np.asarray(own - others.max(axis=1))


def _sequences(model: QuantisedModel, texts: Texts) -> Sequences | None:
    if model.words is None:
        return None
    fingerprints, offsets = native.word_fingerprints(model.projection, texts)
    return model.words.rows_of(fingerprints), offsets


def _code_votes(
    model: QuantisedModel, values: NDArray[np.int8], sequences: Sequences | None, text: str, label: int, margin: int
) -> Iterator[Vote]:
    """Of every known word, its code taken away wherever it stands; the places of the words stay."""
    if sequences is None:
        return
    rows, _ = sequences
    words = [word for run in _runs(text) for word in ([run] if isinstance(run, str) else _words_of(run))]
    for row in dict.fromkeys(rows[rows >= 0].tolist()):
        left = np.where(rows == row, -1, rows), np.array([0, len(rows)], dtype=np.int64)
        changed = int(_margins(model.scores(values, left), label)[0])
        place = int(np.flatnonzero(rows == row)[0])
        name = words[place] if len(words) >= len(rows) else UNKNOWN
        yield Vote(CODE, name, (margin - changed) * model.scale)


def _names(projection: bytes, spec: ProjectionSpec, text: str) -> dict[tuple[int, int], str]:
    """The n-gram of every feature: both are listed in the order of the text, once without the repeat filter."""
    unfiltered = ProjectionSpec(spec.functions, spec.function_bits, spec.families, spec.seed, spec.quantiser, 0)
    found = native.features(unfiltered.to_bytes(), text)
    names: dict[tuple[int, int], str] = {}
    for index, family in enumerate(spec.families):
        hashes = [each for each in found if each[0] == index]
        grams = list(_ngrams(text, family))
        if len(grams) == len(hashes) or len(grams) > len(hashes) == MAX_FEATURES:
            names.update(zip(hashes, grams, strict=False))
    return names


def _ngrams(text: str, family: Family) -> Iterator[str]:
    """The n-grams of a family in the core's order: by their last word or character, shortest first."""
    if family.kind == FamilyKind.CHARACTER:
        for run in _runs(text):
            if isinstance(run, str):
                continue
            padded = " " + "".join(character for character, _ in run) + " "
            for end in range(1, len(padded) + 1):
                for n in range(family.n_min, min(family.n_max, end) + 1):
                    yield padded[end - n : end]
        return
    words: list[str] = []
    for run in _runs(text):
        if isinstance(run, str):
            if family.n_min == 1:
                yield run
            continue
        for word in _words_of(run):
            words.append(word)
            for n in range(family.n_min, min(family.n_max, len(words)) + 1):
                yield " ".join(words[-n:])


_Run = list[tuple[str, CharClass]]


def _runs(text: str) -> Iterator[_Run | str]:
    """Runs of word characters, and symbols as strings, in order."""
    run: _Run = []
    for character in text.encode("utf-8", "surrogatepass").decode("utf-8", "replace"):
        kind = char_class(ord(character))
        if kind == CharClass.IGNORED:
            continue
        if kind in (CharClass.WORD, CharClass.UNSPACED):
            run.append((chr(lower(ord(character))), kind))
            continue
        if run:
            yield run
        run = []
        if kind == CharClass.SYMBOL:
            yield chr(lower(ord(character)))
    if run:
        yield run


def _words_of(run: _Run) -> Iterator[str]:
    """The words of a run; a character of a script written without spaces is one."""
    word = ""
    for character, kind in run:
        if kind == CharClass.UNSPACED:
            if word:
                yield word
            yield character
            word = ""
        else:
            word += character
    if word:
        yield word
