"""Splits texts into the tokens that a feature view counts, by the device's classes of code points; it knows no view.

The rules are those of the C core: letters, marks and numbers form words, a code point of a script written without
spaces is a word of its own, punctuation and other symbols are tokens of their own, apostrophes and format characters
vanish. The classes come from the running Python's Unicode tables, which matters at training time only.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from projgraph.records import IndexArray, Texts

_UNSPACED_SCRIPTS = (
    "BOPOMOFO",
    "CJK",
    "HALFWIDTH KATAKANA",
    "HENTAIGANA",
    "HIRAGANA",
    "KATAKANA",
    "KHMER",
    "LAO",
    "MYANMAR",
    "NEW TAI",
    "TAI",
    "THAI",
)
APOSTROPHES = "'\u2019\u02bc"
SPELT_WORD = re.compile(rf"[^\W\d_]+(?:[{APOSTROPHES}][^\W\d_]+)?")
"""A word of letters as it stands in a text, with the apostrophe within it that its token lacks, see `token_of`."""
_NOT_OF_A_TOKEN = re.compile(rf"[\W{APOSTROPHES}]")


@dataclass(frozen=True)
class Tokens:
    """The words of n texts as indices into a vocabulary.

    Attributes:
        ids: (N,) the words of all texts, one text after the other.
        offsets: (n + 1,) text i has the words ``ids[offsets[i]:offsets[i + 1]]``.
        vocabulary: the distinct words in code point order, so that the order of the texts does not matter.
    """

    ids: NDArray[np.int32]
    offsets: IndexArray
    vocabulary: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def rows(self) -> IndexArray:
        """(N,) the text of each word."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.offsets))

    def counts(self) -> sparse.csr_array:
        """(n, words) how often a word occurs in a text, float32."""
        ones = np.ones(len(self.ids), dtype=np.float32)
        shape = (len(self), len(self.vocabulary))
        counts = sparse.csr_array((ones, self.ids, self.offsets), shape=shape, copy=True)
        counts.sum_duplicates()
        return counts


def tokenize(texts: Texts) -> Tokens:
    """The lower-cased words and the symbols of every text, numbered."""
    strings = list(texts)
    table = {ord(character): _replacement(character) for character in set().union(*strings)}
    words = [string.translate(table).split() for string in strings]
    vocabulary = sorted(set().union(*words))
    number = {word: index for index, word in enumerate(vocabulary)}
    offsets = np.zeros(len(words) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in words], out=offsets[1:])
    ids = np.fromiter((number[word] for row in words for word in row), dtype=np.int32, count=int(offsets[-1]))
    return Tokens(ids, offsets, tuple(vocabulary))


def token_of(spelt: str) -> str:
    """The token of a ``SPELT_WORD``: lower case, without its apostrophe."""
    return _NOT_OF_A_TOKEN.sub("", spelt.lower())


def _replacement(character: str) -> str:
    """What stands for a code point: nothing, a space, its lower case, or itself as a token of its own."""
    category, name = unicodedata.category(character), unicodedata.name(character, "")
    if character in APOSTROPHES or category == "Cf" or name.startswith("VARIATION SELECTOR"):
        return ""
    if category[0] in "PS" or category == "Co":
        return f" {character} "
    if category[0] not in "LMN":
        return " "
    unspaced = category[0] != "N" and name.startswith(_UNSPACED_SCRIPTS)
    return f" {character} " if unspaced else character.lower()[:1]
