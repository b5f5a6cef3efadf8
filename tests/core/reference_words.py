"""Word codes and the convolution over them in plain Python, written from the format's description."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from .reference import Layer, mix, runs, token_hash, words_of

MAX_WORDS = 4096


@dataclass(frozen=True)
class Words:
    table: dict[int, tuple[int, list[int]]]  # fingerprint: weight, code
    dimensions: int
    norm_shift: int


@dataclass(frozen=True)
class Convolution:
    layer: Layer
    width: int
    shift: int


def fingerprints(data: bytes, seed: int) -> list[int]:
    tokens: list[int] = []
    for run in runs(data):
        if isinstance(run, int):
            tokens.append(token_hash([run]))
        else:
            tokens += [token_hash(word) for word in words_of(run)]
    return [mix(token ^ seed) >> 32 & ~3 for token in tokens[:MAX_WORDS]]


def words_in(section: bytes) -> Words:
    count, dimensions, norm_shift, reserved = struct.unpack_from("<IHBB", section)
    assert reserved == 0
    entries = struct.unpack_from(f"<{count}I", section, 8)
    size = dimensions // 8
    packed = [section[8 + 4 * count + size * row :][:size] for row in range(count)]
    codes = [[1 if code[i // 8] >> i % 8 & 1 else -1 for i in range(dimensions)] for code in packed]
    table = {entry & ~3: (1 << (entry & 3), code) for entry, code in zip(entries, codes, strict=True)}
    return Words(table, dimensions, norm_shift)


def sequence(words: Words, data: bytes, seed: int) -> list[tuple[int, list[int]]]:
    """Weight and code of every token, zeros where it is not in the table."""
    nothing = (0, [0] * words.dimensions)
    return [words.table.get(fingerprint, nothing) for fingerprint in fingerprints(data, seed)]


def code_sums(words: Words, found: Sequence[tuple[int, list[int]]]) -> list[int]:
    squares = sum(weight * weight for weight, _ in found)
    if squares == 0:
        return [0] * words.dimensions
    r = math.isqrt(2 ** (2 * (16 + words.norm_shift)) // squares)
    sums = [sum(weight * code[i] for weight, code in found) for i in range(words.dimensions)]
    return [max(-127, min(127, (s * r + 32768) // 65536)) for s in sums]


def filters(convolution: Convolution, found: Sequence[tuple[int, list[int]]], dimensions: int) -> list[int]:
    width, outputs = convolution.width, len(convolution.layer.bias)
    if not found:
        return [0] * outputs
    blank = [[0] * dimensions] * (width - 1)
    padded = blank + [[weight * x for x in code] for weight, code in found] + blank
    windows = [[x for code in padded[at : at + width] for x in code] for at in range(len(padded) - width + 1)]
    values = [convolution.layer(window) for window in windows]
    largest = [max(value[f] for value in values) for f in range(outputs)]
    return [min(max(0, z) >> convolution.shift, 127) for z in largest]
