"""The definition of text -> features -> bits -> scores (format major 1) in plain Python, written to be read, not run.

Nothing here is shared with the core: classes and lower case come from `unicodedata` through the generator's functions,
the rest is written from the format's description.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from projgraph.core.unicode_table import CharClass, char_class, lower

MASK = (1 << 64) - 1
MULT = 0x9E3779B97F4A7C15
MAX_FEATURES = 32767


def mix(h: int) -> int:
    h ^= h >> 32
    h = h * 0xD6E8FEB86659FD93 & MASK
    return h ^ h >> 32


def splitmix64(state: int, count: int) -> list[int]:
    outputs = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        outputs.append((z ^ z >> 31) | 1)
    return outputs


K = splitmix64(0x1234567, 8)


@dataclass(frozen=True)
class Family:
    kind: int  # 1 word, 2 character
    n_min: int
    n_max: int
    additions: int
    first_bit: int
    bit_count: int


@dataclass(frozen=True)
class Projection:
    seed: int
    bits: int
    ternary: bool
    seen_slots_log2: int
    families: tuple[Family, ...]


def code_points(data: bytes) -> Iterator[tuple[int, CharClass]]:
    """Lower-cased code points and classes, without the ignored ones."""
    for character in data.decode("utf-8", "replace"):
        kind = char_class(ord(character))
        if kind != CharClass.IGNORED:
            yield lower(ord(character)), kind


def runs(data: bytes) -> Iterator[list[tuple[int, CharClass]] | int]:
    """Runs as lists of (code point, class), symbols as integers, in order."""
    run: list[tuple[int, CharClass]] = []
    for point, kind in code_points(data):
        if kind in (CharClass.WORD, CharClass.UNSPACED):
            run.append((point, kind))
            continue
        if run:
            yield run
        run = []
        if kind == CharClass.SYMBOL:
            yield point
    if run:
        yield run


def words_of(run: list[tuple[int, CharClass]]) -> Iterator[list[int]]:
    word: list[int] = []
    for point, kind in run:
        if kind == CharClass.UNSPACED:
            if word:
                yield word
            yield [point]
            word = []
        else:
            word.append(point)
    if word:
        yield word


def token_hash(points: Sequence[int]) -> int:
    h = 0x8AEBC0EB3F9A1D27
    for point in points:
        h = (h ^ point) * MULT & MASK
        h ^= h >> 29
    return h


def word_ngram(tokens: Sequence[int], seed: int) -> int:
    g = len(tokens) * 0xA0761D6478BD642F & MASK
    for token in tokens:
        g = (g ^ token) * MULT & MASK
        g ^= g >> 32
    return mix(g ^ (seed + 1 * 0xE7037ED1A0B428DB & MASK))


def character_ngram(points: Sequence[int], seed: int) -> int:
    total = len(points) * 0xA0761D6478BD642F
    for back, point in enumerate(reversed(points)):
        total += (point + 1) * K[back]
    return mix((total & MASK) ^ (seed + 2 * 0xE7037ED1A0B428DB & MASK))


def word_family(data: bytes, family: Family, seed: int) -> Iterator[int]:
    words: list[int] = []
    for run in runs(data):
        if isinstance(run, int):
            if family.n_min == 1:
                yield word_ngram([token_hash([run])], seed)
            continue
        for word in words_of(run):
            words.append(token_hash(word))
            for n in range(family.n_min, family.n_max + 1):
                if n <= len(words):
                    yield word_ngram(words[-n:], seed)


def character_family(data: bytes, family: Family, seed: int) -> Iterator[int]:
    for run in runs(data):
        if isinstance(run, int):
            continue
        padded = [0x20, *(point for point, _ in run), 0x20]
        for end in range(1, len(padded) + 1):
            for n in range(family.n_min, family.n_max + 1):
                if n <= end:
                    yield character_ngram(padded[end - n : end], seed)


def counted(hashes: Iterator[int], seen_slots_log2: int) -> list[int]:
    """What the repeat filter lets through, up to the limit."""
    slots = [0] * (1 << seen_slots_log2)
    kept: list[int] = []
    for h in hashes:
        if len(kept) == MAX_FEATURES:
            break
        slot, stamp = h & (len(slots) - 1), (h >> 32) | 1
        if seen_slots_log2 > 0 and slots[slot] == stamp:
            continue
        slots[slot] = stamp
        kept.append(h)
    return kept


def features(projection: Projection, data: bytes) -> list[tuple[int, int]]:
    """(family index, hash), family by family."""
    found = []
    for index, family in enumerate(projection.families):
        hashes = (word_family if family.kind == 1 else character_family)(data, family, projection.seed)
        found += [(index, h) for h in counted(hashes, projection.seen_slots_log2)]
    return found


def sums(projection: Projection, data: bytes) -> list[int]:
    total = [0] * projection.bits
    for index, h in features(projection, data):
        family = projection.families[index]
        sub = family.bit_count // family.additions
        w = h
        for j in range(family.additions):
            field = w >> 16 * (j % 4) & 0xFFFF
            total[family.first_bit + j * sub + (field * sub >> 16)] += -1 if field & 1 else 1
            if j % 4 == 3:
                w = mix((w + MULT) & MASK)
    return total


def quantised(sums: Iterable[int], ternary: bool) -> list[int]:
    if ternary:
        return [(total > 0) - (total < 0) for total in sums]
    return [1 if total > 0 else -1 for total in sums]


def bits(projection: Projection, data: bytes) -> list[int]:
    return quantised(sums(projection, data), projection.ternary)


@dataclass(frozen=True)
class VectorProjection:
    seed: int
    bits: int
    ternary: bool
    columns: int
    additions: int
    scale: float
    thresholds: tuple[int, ...]


def vector_sums(projection: VectorProjection, values: Sequence[int]) -> list[int]:
    """Of a row of integers, one a column."""
    total = [0] * projection.bits
    for column, value in enumerate(values):
        w = mix(((column + 1) * MULT & MASK) ^ (projection.seed + 3 * 0xE7037ED1A0B428DB & MASK))
        for i in range(projection.additions):
            field = w >> 16 * (i % 4) & 0xFFFF
            start = i * projection.bits // projection.additions
            size = (i + 1) * projection.bits // projection.additions - start
            total[start + (field * size >> 16)] += -value if field & 1 else value
            if i % 4 == 3:
                w = mix((w + MULT) & MASK)
    return total


def vector_bits(projection: VectorProjection, values: Sequence[int]) -> list[int]:
    found = vector_sums(projection, values)
    return quantised(
        (total - middle for total, middle in zip(found, projection.thresholds, strict=True)), projection.ternary
    )


def integers(projection: VectorProjection, row: Sequence[float]) -> list[int]:
    """Python's round goes half to even too."""
    return [max(-32768, min(32767, round(x * projection.scale))) for x in row]


@dataclass(frozen=True)
class Layer:
    weights: list[list[int]]  # inputs x outputs
    bias: list[int]
    multipliers: list[int]

    def __call__(self, values: Sequence[int]) -> list[int]:
        outputs = range(len(self.bias))
        acc = [sum(value * row[c] for value, row in zip(values, self.weights, strict=True)) for c in outputs]
        return [acc[c] * self.multipliers[c] + self.bias[c] for c in outputs]


def scores(
    values: Sequence[int], output: Layer, hidden: Layer | None = None, shift: int = 0, behind: Sequence[int] = ()
) -> list[int]:
    """Of the first layer's inputs, and of what stands behind the hidden units as inputs of the last one."""
    if hidden is not None:
        values = [min(127, max(0, a) >> shift) for a in hidden(values)]
    return output([*values, *behind])


def label(found: Sequence[int]) -> int:
    return max(range(len(found)), key=lambda c: (found[c], -c))
