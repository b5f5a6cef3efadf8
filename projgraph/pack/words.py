"""The table of word codes (which words a model knows, and their codes), checked, turned to bytes and back, and summed.

A word is the core's hash of one token; its fingerprint, the upper 30 bits of a mix of it, is looked up in a table whose
entries carry a code of D numbers of -1 and +1 and a class that says how much the word weighs, ``1 << class``. A text's
code sum is, with c and w of the tokens that are found, and integers alone:

    s_i = sum w * c_i;  q = sum w**2;  r = floor(sqrt(floor(2**(2 * (16 + norm_shift)) / q)))
    m_i = clip(floor((s_i * r + 2**15) / 2**16), -127, 127), and 0 where q = 0

so that m is about ``2**norm_shift * s / sqrt(q)``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from projgraph.errors import ConfigError, ModelFileError
from projgraph.pack.format import MAX_DIMENSIONS, MAX_NORM_SHIFT, MAX_VOCABULARY, MIN_DIMENSIONS, WORDS, struct_code

WORDS_STRUCT = struct.Struct(struct_code(WORDS))
CLASS_MASK = 3
"""The bits of an entry that hold the class of its word's weight; a fingerprint has zeros there."""
LARGEST_SUM = 127
_TEXTS_AT_ONCE = 256
"""So many texts of 4,096 words have running sums within 32 bits, and no more memory than that needs."""

Rows: TypeAlias = NDArray[np.int64]
Sequences: TypeAlias = tuple[Rows, Rows]
"""The words of n texts: (N,) rows of the table, -1 of an unknown word, and (n + 1,) where those of each text start."""


@dataclass(frozen=True)
class WordTable:
    """The words that a model knows.

    Attributes:
        fingerprints: (V,) uint32 multiples of 4, strictly ascending, of `projgraph.native.word_fingerprints`.
        classes: (V,) uint8 of 0 to 3: a word weighs ``1 << class``.
        codes: (V, D) int8 of -1 and +1, D a multiple of 8.

    Raises:
        ConfigError: listing everything that a model file cannot hold.
    """

    fingerprints: NDArray[np.uint32]
    classes: NDArray[np.uint8]
    codes: NDArray[np.int8]

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise ConfigError("the word table cannot be used: " + "; ".join(problems))

    def __len__(self) -> int:
        return len(self.fingerprints)

    @property
    def dimensions(self) -> int:
        """D, the numbers of a code."""
        return int(self.codes.shape[1])

    @property
    def weights(self) -> NDArray[np.int64]:
        """(V,) what each word weighs."""
        return np.left_shift(np.int64(1), self.classes.astype(np.int64))

    def rows_of(self, fingerprints: NDArray[np.uint32]) -> Rows:
        """(N,) the table's row of each fingerprint, -1 of an unknown word."""
        return rows_among(self.fingerprints, fingerprints)

    def sums(self, rows: Rows, offsets: Rows, norm_shift: int) -> NDArray[np.int8]:
        """(n, D) the integer code sums m of n texts, as the core computes them.

        Args:
            rows: (N,) of ``rows_of``.
            offsets: (n + 1,) where the words of each text start.
            norm_shift: 0 to 6.
        """
        totals, squares = self._totals(rows, offsets)
        factors = np.zeros(len(squares), dtype=np.int64)
        known = squares > 0
        factors[known] = _root((1 << 2 * (16 + norm_shift)) // squares[known])
        scaled = (totals * factors[:, None] + (1 << 15)) >> 16
        sums: NDArray[np.int8] = np.clip(scaled, -LARGEST_SUM, LARGEST_SUM).astype(np.int8)
        return sums

    def raw_sums(self, rows: Rows, offsets: Rows) -> NDArray[np.float32]:
        """(n, D) the code sums s / sqrt(q) of n texts, 0 where no word is known; arguments as of ``sums``."""
        totals, squares = self._totals(rows, offsets)
        return (totals / np.sqrt(np.maximum(squares, 1))[:, None]).astype(np.float32)

    def to_bytes(self, norm_shift: int) -> bytes:
        """The bytes of the file's section of words."""
        entries = (self.fingerprints | self.classes).astype("<u4")
        codes = np.packbits(self.codes > 0, axis=1, bitorder="little")
        return WORDS_STRUCT.pack(len(self), self.dimensions, norm_shift, 0) + entries.tobytes() + codes.tobytes()

    @classmethod
    def from_bytes(cls, section: bytes) -> tuple[WordTable, int]:
        """The table that a section holds, and its norm_shift.

        Raises:
            ModelFileError: the section is cut, too long, or holds a value that a reader must refuse.
        """
        if len(section) < WORDS_STRUCT.size:
            raise ModelFileError(
                f"the section of words has {len(section)} bytes; expected at least {WORDS_STRUCT.size}"
            )
        count, dimensions, norm_shift, reserved = WORDS_STRUCT.unpack_from(section)
        if reserved:
            raise ModelFileError(f"words.reserved is {reserved}; expected 0")
        problems = list(_limits(count, dimensions))
        if norm_shift > MAX_NORM_SHIFT:
            problems.append(f"norm_shift is {norm_shift}; expected 0 to {MAX_NORM_SHIFT}")
        if problems:
            raise ModelFileError("section of words: " + "; ".join(problems))
        if len(section) != section_length(count, dimensions):
            expected = f"{section_length(count, dimensions)} for {count} words of {dimensions} dimensions"
            raise ModelFileError(f"the section of words has {len(section)} bytes; expected {expected}")
        entries = np.frombuffer(section, dtype="<u4", count=count, offset=WORDS_STRUCT.size).astype(np.uint32)
        packed = np.frombuffer(section, dtype=np.uint8, offset=WORDS_STRUCT.size + 4 * count)
        bits = np.unpackbits(packed.reshape(count, dimensions // 8), axis=1, bitorder="little")
        codes = 2 * bits.view(np.int8) - 1
        classes = (entries & CLASS_MASK).astype(np.uint8)
        try:
            return cls(entries & np.uint32(0xFFFFFFFF - CLASS_MASK), classes, codes), norm_shift
        except ConfigError as error:
            raise ModelFileError(f"section of words: {error}") from error

    def _totals(self, rows: Rows, offsets: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(n, D) sums of weighted codes and (n,) sums of squared weights, a slice of the texts at a time."""
        weights, n = self.weights.astype(np.int32), len(offsets) - 1
        totals, squares = np.zeros((n, self.dimensions), dtype=np.int64), np.zeros(n, dtype=np.int64)
        for first in range(0, n, _TEXTS_AT_ONCE):
            last = min(first + _TEXTS_AT_ONCE, n)
            some = rows[offsets[first] : offsets[last]]
            weight = np.where(some >= 0, weights[some], 0)
            running = np.zeros((len(some) + 1, self.dimensions + 1), dtype=np.int32)
            np.cumsum(self.codes[some] * weight[:, None], axis=0, out=running[1:, :-1])
            np.cumsum(weight * weight, out=running[1:, -1])
            sums = np.diff(running[offsets[first : last + 1] - offsets[first]], axis=0)
            totals[first:last], squares[first:last] = sums[:, :-1], sums[:, -1]
        return totals, squares

    def _problems(self) -> Iterator[str]:
        shapes: dict[str, tuple[NDArray[Any], type[np.generic], int]] = {
            "fingerprints": (self.fingerprints, np.uint32, 1),
            "classes": (self.classes, np.uint8, 1),
            "codes": (self.codes, np.int8, 2),
        }
        misshapen = [
            f"{name} is {array.dtype.name} of shape {array.shape}; expected {np.dtype(dtype).name} of {axes} "
            f"dimension{'s' * (axes > 1)}, a row for every word"
            for name, (array, dtype, axes) in shapes.items()
            if array.dtype != dtype or array.ndim != axes or len(array) != len(self.fingerprints)
        ]
        if misshapen:  # what follows compares their values
            yield from misshapen
            return
        yield from _limits(len(self), self.dimensions)
        if (self.fingerprints & CLASS_MASK).any():
            yield "fingerprints hold numbers that are no multiples of 4; expected those of native.word_fingerprints"
        if (self.fingerprints[1:] <= self.fingerprints[:-1]).any():
            yield "fingerprints repeat or descend; expected them strictly ascending"
        if self.classes.size and int(self.classes.max()) > CLASS_MASK:
            yield f"classes hold {int(self.classes.max())}; expected 0 to {CLASS_MASK}"
        if not (np.abs(self.codes) == 1).all():
            yield "codes hold numbers other than -1 and +1; expected these alone"


def rows_among(known: NDArray[np.uint32], fingerprints: NDArray[np.uint32]) -> Rows:
    """(N,) where each fingerprint stands among the known ones, (V,) strictly ascending; -1 of an unknown word."""
    places = np.minimum(np.searchsorted(known, fingerprints), len(known) - 1)
    rows: Rows = np.where(known[places] == fingerprints, places, -1)
    return rows


def section_length(count: int, dimensions: int) -> int:
    """Bytes of the section of a table."""
    return WORDS_STRUCT.size + count * (4 + dimensions // 8)


def _limits(count: int, dimensions: int) -> Iterator[str]:
    if not 1 <= count <= MAX_VOCABULARY:
        yield f"there are {count} words; expected 1 to {MAX_VOCABULARY}"
    if dimensions % 8 or not MIN_DIMENSIONS <= dimensions <= MAX_DIMENSIONS:
        yield f"a code has {dimensions} numbers; expected a multiple of 8 from {MIN_DIMENSIONS} to {MAX_DIMENSIONS}"


def _root(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The whole part of the square roots: a double's root is off by less than one up to 2**44."""
    roots = np.sqrt(values.astype(np.float64)).astype(np.int64)
    roots -= roots * roots > values
    return roots + ((roots + 1) * (roots + 1) <= values)
