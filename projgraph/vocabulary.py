"""Chooses the words that a model carries codes of, and fits the codes; it knows no file and trains no model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from projgraph import native
from projgraph.features.encoder import Encoder
from projgraph.features.tokens import tokenize
from projgraph.features.word_codes import WordCodes
from projgraph.pack.words import WordTable, rows_among
from projgraph.projection.words import WordRows
from projgraph.records import Fingerprints, FloatArray, IndexArray, Texts


@dataclass(frozen=True)
class Vocabulary:
    """The words of a model.

    Attributes:
        table: their codes.
        rows: the texts as the student sees them. Those held out are seen by codes that they had no part in, but with an
            encoder, whose vectors leave the texts hardly a part (0.2 % of the signs of CLINC150's).
        names: the words themselves, "" where one is not known; empty without an encoder.
        vectors: (V, d) the encoder's rows of them; None without one.
    """

    table: WordTable
    rows: WordRows
    names: tuple[str, ...] = ()
    vectors: FloatArray | None = None


def build_vocabulary(
    projection: bytes,
    texts: Texts,
    targets: FloatArray,
    *,
    most: int,
    dimensions: int,
    seed: int,
    encoder: Encoder | None = None,
    held_out: IndexArray | None = None,
) -> Vocabulary | None:
    """The most frequent words of n texts with their codes, and the texts as the student sees them.

    Args:
        projection: bytes of the projection section, whose seed the words' fingerprints depend on.
        texts: labelled and unlabelled ones alike.
        targets: (n, d) what a text's code sum should tell; with an encoder its dimensions come first.
        most: words at most. With an encoder, what the texts leave free is filled from its own vocabulary.
        dimensions: D, signs of a code.
        seed: of the codes.
        encoder: a sentence-transformers model that also knows words; None for none.
        held_out: texts that the student is calibrated on, as if they were new; None for none.

    Returns:
        None where the texts have no word.
    """
    fingerprints, offsets = native.word_fingerprints(projection, texts)
    found, counts = np.unique(fingerprints, return_counts=True)
    if not len(found) or most < 1:
        return None
    # numpy sorts in order of fingerprints, so a stable sort by frequency does not depend on the order of the texts.
    kept = np.sort(found[np.argsort(-counts, kind="stable")[:most]])
    names: tuple[str, ...] = ()
    start = vectors = None
    if encoder is not None:
        strings = dict(zip(*_strings(projection, tokenize(texts).vocabulary), strict=True))
        extra = dict(zip(*_strings(projection, encoder.words()), strict=True))
        kept = _filled(kept, extra, most)
        names = tuple(strings.get(word) or extra.get(word, "") for word in kept.tolist())
        vectors = encoder.encode(Texts.from_strings(names))
        start = np.zeros((len(kept), targets.shape[1]), dtype=np.float32)
        start[:, : vectors.shape[1]] = vectors
    occurrences = _occurrences(fingerprints, offsets, kept)
    equal = np.zeros(len(kept), dtype=np.uint8)
    fitted = WordCodes(occurrences, targets, dimensions, seed=seed, start=start)
    table = WordTable(kept, equal, fitted.codes)
    rows = word_rows(table, fingerprints, offsets)
    if held_out is not None and len(held_out) and encoder is None:
        unseen = replace(table, codes=fitted.without(held_out))
        rows = rows.holding_out(held_out, unseen.codes, unseen.raw_sums(*rows.sequences(held_out)))
    return Vocabulary(table, rows, names, vectors)


def word_rows(table: WordTable, fingerprints: Fingerprints, offsets: IndexArray) -> WordRows:
    """Texts as a student sees them, of ``native.word_fingerprints``."""
    rows = table.rows_of(fingerprints)
    return WordRows(table.codes, rows, offsets, table.raw_sums(rows, offsets))


def _strings(projection: bytes, words: tuple[str, ...]) -> tuple[list[int], list[str]]:
    """Fingerprints of the words that the core reads as one token, and these words."""
    fingerprints, offsets = native.word_fingerprints(projection, Texts.from_strings(list(words)))
    single = np.flatnonzero(np.diff(offsets) == 1)
    return fingerprints[offsets[single]].tolist(), [words[index] for index in single]


def _filled(kept: Fingerprints, extra: dict[int, str], most: int) -> Fingerprints:
    """The words kept, and as many others as there is room for, in their order."""
    known = set(kept.tolist())
    others = [word for word in extra if word not in known][: most - len(kept)]
    return np.sort(np.concatenate([kept, np.array(others, dtype=np.uint32)]))


def _occurrences(fingerprints: Fingerprints, offsets: IndexArray, kept: Fingerprints) -> sparse.csr_array:
    """(n, V) how often a text has each of the words kept."""
    places = rows_among(kept, fingerprints)
    known = places >= 0
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    ones = np.ones(int(known.sum()), dtype=np.float32)
    counts = sparse.csr_array((ones, (rows[known], places[known])), (len(offsets) - 1, len(kept)))
    counts.sum_duplicates()
    return counts
