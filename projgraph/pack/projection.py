"""The projection section of texts (how one becomes bits), checked and turned to bytes and back; it hashes nothing."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from numbers import Integral
from typing import Any

from projgraph.errors import ConfigError, ModelFileError
from projgraph.pack.format import (
    FAMILY,
    MAX_ADDITIONS,
    MAX_BITS,
    MAX_CHARACTER_NGRAM,
    MAX_FAMILIES,
    MAX_SEEN_SLOTS_LOG2,
    MAX_WORD_NGRAM,
    PROJECTION,
    FamilyKind,
    InputKind,
    Quantiser,
    struct_code,
)

PROJECTION_STRUCT = struct.Struct(struct_code(PROJECTION))
FAMILY_STRUCT = struct.Struct(struct_code(FAMILY))
LONGEST_NGRAM = {FamilyKind.WORD: MAX_WORD_NGRAM, FamilyKind.CHARACTER: MAX_CHARACTER_NGRAM}
DEFAULT_FUNCTIONS = 64
"""Functions of a layout that does not say; the flat view uses only the product with the bits of each."""


UNUSABLE = "the projection cannot be used: "


@dataclass(frozen=True)
class Family:
    """A range of n-grams of one kind and the block of bits that these features alone add to.

    Attributes:
        kind: word or character n-grams.
        n_min, n_max: shortest and longest n-gram, in words or code points.
        additions: signed additions of one feature, each into its own part of the block.
        first_bit, bit_count: the block; ``bit_count`` is a multiple of ``additions``.
    """

    kind: FamilyKind
    n_min: int
    n_max: int
    additions: int
    first_bit: int
    bit_count: int

    def problems(self, name: str, n_bits: int) -> Iterator[str]:
        """Every reason why the family cannot be used, as lines that start with ``name``."""
        if self.kind not in set(FamilyKind):
            yield f"{name}.kind is {self.kind}; expected {choices(FamilyKind)}"
        longest = LONGEST_NGRAM.get(self.kind, MAX_CHARACTER_NGRAM)
        if not is_integer(self.n_min) or not is_integer(self.n_max) or not 1 <= self.n_min <= self.n_max <= longest:
            yield f"{name} takes n-grams from {self.n_min} to {self.n_max}; expected 1 <= n_min <= n_max <= {longest}"
        additions_usable = is_integer(self.additions) and 1 <= self.additions <= MAX_ADDITIONS
        if not additions_usable:
            yield f"{name}.additions is {self.additions}; expected 1 to {MAX_ADDITIONS}"
        if not is_integer(self.first_bit) or not is_integer(self.bit_count):
            yield f"{name} has a block of {self.bit_count} bits at {self.first_bit}; expected integers"
            return
        if self.first_bit < 0 or self.bit_count < 1 or self.first_bit + self.bit_count > n_bits:
            yield (
                f"{name} has the bits from {self.first_bit} to {self.first_bit + self.bit_count}; "
                f"expected a block of at least 1 within 0 to {n_bits}"
            )
        if additions_usable and self.bit_count % self.additions:
            yield f"{name}.bit_count is {self.bit_count}; expected a multiple of additions, {self.additions}"


@dataclass(frozen=True)
class ProjectionSpec:
    """How a text becomes ``functions * function_bits`` bits.

    Attributes:
        functions: T, the paper's projection functions.
        function_bits: d, the bits of each.
        families: the feature families, each with a block of its own.
        seed: of every hash, 0 to 2**64 - 1.
        quantiser: how a sum becomes a bit.
        seen_slots_log2: log2 of the repeat filter's slots in each family; 0 counts every occurrence.

    Raises:
        ConfigError: listing every wrong setting at once.
    """

    functions: int
    function_bits: int
    families: tuple[Family, ...]
    seed: int = 0
    quantiser: Quantiser = Quantiser.TERNARY
    seen_slots_log2: int = 10

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise ConfigError(UNUSABLE + "; ".join(problems))

    @property
    def n_bits(self) -> int:
        """T x d."""
        return self.functions * self.function_bits

    def _problems(self) -> Iterator[str]:
        ranges = {
            "seed": (0, (1 << 64) - 1),
            "functions": (1, MAX_BITS),
            "function_bits": (1, MAX_BITS),
            "seen_slots_log2": (0, MAX_SEEN_SLOTS_LOG2),
        }
        wrong = {name for name, (low, high) in ranges.items() if not is_integer(getattr(self, name), low, high)}
        for name in (name for name in ranges if name in wrong):
            yield f"{name} is {getattr(self, name)}; expected an integer from {ranges[name][0]} to {ranges[name][1]}"
        if self.quantiser not in set(Quantiser):
            yield f"quantiser is {self.quantiser}; expected {choices(Quantiser)}"
        n_bits = MAX_BITS if wrong & {"functions", "function_bits"} else self.n_bits
        if n_bits > MAX_BITS:
            yield f"functions x function_bits is {n_bits} bits; expected at most {MAX_BITS}"
        if not 1 <= len(self.families) <= MAX_FAMILIES:
            yield f"there are {len(self.families)} families; expected 1 to {MAX_FAMILIES}"
        blocks = []
        for index, family in enumerate(self.families):
            problems = list(family.problems(f"families[{index}]", n_bits))
            yield from problems
            if not problems:
                blocks.append((family.first_bit, family.first_bit + family.bit_count, index))
        for (_, end, one), (start, _, other) in pairwise(sorted(blocks)):
            if start < end:
                yield f"families[{one}] and families[{other}] share bits; expected blocks that do not overlap"

    def to_bytes(self) -> bytes:
        """The bytes of the file's projection section."""
        head = PROJECTION_STRUCT.pack(
            self.seed,
            self.functions,
            self.function_bits,
            self.quantiser,
            len(self.families),
            self.seen_slots_log2,
            InputKind.TEXT,
        )
        return head + b"".join(
            FAMILY_STRUCT.pack(f.kind, f.n_min, f.n_max, f.additions, f.first_bit, f.bit_count, 0)
            for f in self.families
        )

    @classmethod
    def from_bytes(cls, section: bytes) -> ProjectionSpec:
        """The projection that a section describes.

        Raises:
            ModelFileError: the section is cut, too long, or holds a value that a reader must refuse.
        """
        if len(section) < PROJECTION_STRUCT.size:
            raise ModelFileError(
                f"the projection section has {len(section)} bytes; expected at least {PROJECTION_STRUCT.size}"
            )
        seed, functions, function_bits, quantiser, count, slots, kind = PROJECTION_STRUCT.unpack_from(section)
        expected = PROJECTION_STRUCT.size + count * FAMILY_STRUCT.size
        if len(section) != expected:
            raise ModelFileError(
                f"the projection section has {len(section)} bytes; expected {expected} for {count} families"
            )
        rows = list(FAMILY_STRUCT.iter_unpack(section[PROJECTION_STRUCT.size :]))
        if kind != InputKind.TEXT:
            raise ModelFileError(f"the projection's input is {kind}; expected {InputKind.TEXT.value} (text)")
        if any(row[-1] for row in rows):
            raise ModelFileError("a reserved field of the projection section is not zero; expected zero")
        try:
            return cls(
                functions=functions,
                function_bits=function_bits,
                families=tuple(Family(member(FamilyKind, row[0]), *row[1:-1]) for row in rows),
                seed=seed,
                quantiser=member(Quantiser, quantiser),
                seen_slots_log2=slots,
            )
        except ConfigError as error:
            raise ModelFileError(f"projection section: {error}") from error

    @classmethod
    def for_text(
        cls,
        bits: int = 2048,
        word_share: float = 0.5,
        additions: int = 8,
        seed: int = 0,
        quantiser: Quantiser = Quantiser.TERNARY,
        word_ngrams: tuple[int, int] = (1, 2),
        character_ngrams: tuple[int, int] = (3, 5),
        seen_slots_log2: int = 10,
        functions: int | None = None,
    ) -> ProjectionSpec:
        """The default layout: words in the first block, characters in the second, both a multiple of ``additions``.

        ``word_share`` of the bits, rounded, go to words; up to ``additions - 1`` bits of each block stay zero where
        ``bits`` does not divide. A share of 0 or 1 leaves one family. ``functions`` must divide ``bits``.

        Raises:
            ConfigError: listing every wrong setting at once.
        """
        problems = []
        if not is_integer(bits, 1, MAX_BITS):
            problems.append(f"bits is {bits}; expected an integer from 1 to {MAX_BITS}")
        if not 0.0 <= word_share <= 1.0:
            problems.append(f"word_share is {word_share}; expected 0 to 1")
        if not is_integer(additions, 1, MAX_ADDITIONS):
            problems.append(f"additions is {additions}; expected an integer from 1 to {MAX_ADDITIONS}")
        elif bits < additions * 2:
            problems.append(f"bits is {bits}; expected at least {additions * 2} for {additions} additions a feature")
        if problems:
            raise ConfigError(UNUSABLE + "; ".join(problems))
        divisor = math.gcd(bits, DEFAULT_FUNCTIONS) if functions is None else functions
        if not is_integer(divisor, 1, bits) or bits % divisor:
            example = f", such as {math.gcd(bits, divisor)}" if is_integer(divisor, 1) else ""
            problems.append(f"functions is {functions}; expected a divisor of bits, {bits}{example}")
            divisor = 1  # so that the other settings are checked too
        words, characters = _split(bits // additions, word_share)
        blocks = (
            (FamilyKind.WORD, word_ngrams, 0, words * additions),
            (FamilyKind.CHARACTER, character_ngrams, words * additions, characters * additions),
        )
        families = tuple(
            Family(kind, low, high, additions, first, count) for kind, (low, high), first, count in blocks if count
        )
        try:
            spec = cls(divisor, bits // divisor, families, seed, quantiser, seen_slots_log2)
        except ConfigError as error:
            problems.append(str(error).removeprefix(UNUSABLE))
        if problems:
            raise ConfigError(UNUSABLE + "; ".join(problems))
        return spec


def _split(parts: int, word_share: float) -> tuple[int, int]:
    """Parts for words and for characters; a share that is neither 0 nor 1 gives both at least one."""
    words = round(parts * word_share)
    if 0.0 < word_share < 1.0:
        words = min(max(words, 1), parts - 1)
    return words, parts - words


def is_integer(value: object, low: int | None = None, high: int | None = None) -> bool:
    """Whether a value is a whole number, not a truth value, within the bounds that are given."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        return False
    return (low is None or int(value) >= low) and (high is None or int(value) <= high)


def member(enum: Any, value: int) -> Any:
    """The member of that value, or the value itself, which validation then names."""
    return enum(value) if value in set(enum) else value


def choices(enum: type[IntEnum]) -> str:
    """The members of an enum as a message lists them."""
    return " or ".join(f"{member.value} ({member.name.lower()})" for member in enum)
