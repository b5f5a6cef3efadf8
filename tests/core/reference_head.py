"""A model file's bytes as the plain Python reference reads them, and their scores; it checks nothing.

The reader is written from the format's description and shares nothing with the library's.

Also here: what the tests of the core build models and texts from.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from projgraph.native import NativeModel, word_fingerprints
from projgraph.pack.convolution import QuantisedConvolution
from projgraph.pack.format import MAX_BIAS
from projgraph.pack.layer import WEIGHT_RANGES, QuantisedLayer
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.vector import VectorSpec
from projgraph.pack.words import WordTable
from projgraph.pack.write import model_bytes
from projgraph.records import Texts

from . import reference, reference_words
from .reference import Family, Layer, Projection, VectorProjection


@dataclass(frozen=True)
class Model:
    projection: Projection | VectorProjection
    output: Layer
    hidden: Layer | None
    shift: int
    words: reference_words.Words | None = None
    convolution: reference_words.Convolution | None = None

    def bits(self, row: bytes | Sequence[float]) -> list[int]:
        if isinstance(self.projection, VectorProjection):
            return reference.vector_bits(self.projection, reference.integers(self.projection, row))
        return reference.bits(self.projection, row)

    def scores(self, row: bytes | Sequence[float]) -> list[int]:
        values, behind = self.bits(row), []
        if self.words is not None:
            found = reference_words.sequence(self.words, bytes(row), self.projection.seed)
            values = values + reference_words.code_sums(self.words, found)
            if self.convolution is not None:
                behind = reference_words.filters(self.convolution, found, self.words.dimensions)
        return reference.scores(values, self.output, self.hidden, self.shift, behind)


def projection_of(section: bytes) -> Projection:
    seed, functions, function_bits, quantiser, count, slots, _ = struct.unpack_from("<QHHBBBB", section)
    rows = [struct.unpack_from("<BBBBIII", section, 16 + 16 * index) for index in range(count)]
    return Projection(seed, functions * function_bits, quantiser == 1, slots, tuple(Family(*row[:6]) for row in rows))


def vector_projection_of(section: bytes) -> VectorProjection:
    seed, functions, function_bits, quantiser, families, slots, kind = struct.unpack_from("<QHHBBBB", section)
    columns, scale, additions, flag, *reserved = struct.unpack_from("<IfHBBI", section, 16)
    bits = functions * function_bits
    assert (families, slots, kind, *reserved) == (0, 0, 1, 0, 0)
    thresholds = struct.unpack_from(f"<{bits}i", section, 32) if flag else (0,) * bits
    return VectorProjection(seed, bits, quantiser == 1, columns, additions, scale, thresholds)


def signed(value: int, width: int) -> int:
    return value - (1 << width) if value >> (width - 1) else value


def bit(data: bytes, index: int) -> int:
    return data[index // 8] >> index % 8 & 1


def weight_row(row: bytes, outputs: int, width: int, nibble_values: Sequence[int]) -> list[int]:
    if width == 8:
        return [signed(byte, 8) for byte in row]
    if width == 4:
        nibbles = [byte & 15 for byte in row] + [byte >> 4 for byte in row]
        return [nibble_values[nibble] for nibble in nibbles[:outputs]]
    if width == 1:
        return [2 * bit(row, c) - 1 for c in range(outputs)]
    minus = row[len(row) // 2 :]
    return [bit(row, c) - bit(minus, c) for c in range(outputs)]


def sparse_rows(data: bytes, inputs: int, outputs: int, width: int, nibble_values: Sequence[int]) -> list[list[int]]:
    """Rows of a bit an output; of their values the first one of every block is where the block says."""
    row, blocks = (outputs + 7) // 8, -(-inputs // 16)
    starts = struct.unpack_from(f"<{blocks}I", data)
    masks, values = data[4 * blocks :], data[4 * blocks + row * inputs :]
    rows, place = [], 0
    for i in range(inputs):
        place = starts[i // 16] if i % 16 == 0 else place
        found = []
        for c in range(outputs):
            value = 0
            if bit(masks, 8 * row * i + c):
                if width == 8:
                    value = signed(values[place], 8)
                elif width == 4:
                    value = nibble_values[values[place // 2] >> 4 * (place % 2) & 15]
                else:
                    value = 1 - 2 * bit(values, place)
                place += 1
            found.append(value)
        rows.append(found)
    return rows


def layer_of(weights: bytes, bias: bytes, multipliers: bytes, kind: int, inputs: int = 0) -> Layer:
    outputs, width = len(multipliers), kind & 15
    nibble_values = [signed(nibble, 4) for nibble in range(16)]
    if kind & 16:
        nibble_values, weights = [signed(byte, 8) for byte in weights[:16]], weights[16:]
    if kind & 32:
        rows = sparse_rows(weights, inputs, outputs, width, nibble_values)
    else:
        bits = (outputs + 7) // 8
        row = {8: outputs, 4: (outputs + 1) // 2, 2: 2 * bits, 1: bits}[width]
        stored = [weights[start : start + row] for start in range(0, len(weights) - 32, row)]
        rows = [weight_row(each, outputs, width, nibble_values) for each in stored]
    return Layer(rows, list(struct.unpack(f"<{outputs}i", bias)), list(multipliers))


def model_of(data: bytes) -> Model:
    """The model in the bytes of a well-formed file."""
    entries = [struct.unpack_from("<IIII", data, 32 + 16 * index) for index in range(data[16])]
    sections = {kind: data[offset : offset + length] for kind, offset, length, _ in entries}
    kind, width, hidden_width, shift = sections[2][:4]
    projection = (vector_projection_of if sections[1][15] else projection_of)(sections[1])
    words = reference_words.words_in(sections[10]) if 10 in sections else None
    first, behind = projection.bits + (words.dimensions if words else 0), 0
    if 11 in sections:
        behind = struct.unpack_from("<H", sections[11])[0]
    units = struct.unpack_from("<H", sections[2], 6)[0]
    output = layer_of(sections[3], sections[4], sections[5], width, (units or first) + behind)
    hidden = layer_of(sections[6], sections[7], sections[8], hidden_width, first) if kind == 2 else None
    convolution = None
    if 11 in sections:
        _, window, filter_shift, _ = struct.unpack("<HBBI", sections[11])
        layer = layer_of(sections[12], sections[13], sections[14], 8)
        convolution = reference_words.Convolution(layer, window, filter_shift)
    return Model(projection, output, hidden, shift, words, convolution)


def natives_of(data: bytes) -> list[NativeModel]:
    """The model in the portable core's hands, and in those of vectors of every width that this processor has for it."""
    models = [NativeModel(data, vectors=width) for width in (0, 256, 512)]
    return [model for model, width in zip(models, (0, 256, 512), strict=True) if model.vectors == width]


def texts_of(rows: Sequence[bytes]) -> Texts:
    """Rows of any bytes, well-formed or not."""
    offsets = np.zeros(len(rows) + 1, dtype=np.uint64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    return Texts(b"".join(rows), offsets)


def random_weights(
    rng: np.random.Generator, inputs: int, outputs: int, kind: int
) -> tuple[NDArray[np.int8], NDArray[np.int8] | None]:
    """Weights of one of the formats, and their codebook; of a sparse one 4 in 5 are 0."""
    codebook, (low, high) = None, WEIGHT_RANGES[kind & 15]
    if kind & 16:
        codebook = np.append(rng.integers(-128, 127, 14, endpoint=True), [-128, 127]).astype(np.int8)
        weights = codebook[rng.integers(0, 16, (inputs, outputs))]
    elif kind == 1:
        weights = rng.choice(np.array([-1, 1], dtype=np.int8), (inputs, outputs))
    else:
        weights = rng.integers(low, high, (inputs, outputs), endpoint=True).astype(np.int8)
    if kind & 32:
        weights[rng.random((inputs, outputs)) < 0.8] = 0
    return weights, codebook


def random_layer(rng: np.random.Generator, inputs: int, outputs: int, kind: int) -> QuantisedLayer:
    weights, codebook = random_weights(rng, inputs, outputs, kind)
    return QuantisedLayer(
        weights=weights,
        multipliers=rng.integers(1, 255, outputs, endpoint=True).astype(np.uint8),
        bias=rng.integers(-50_000, 50_000, outputs, endpoint=True).astype(np.int32),
        weight_bits=kind & 15,
        codebook=codebook,
        sparse=bool(kind & 32),
    )


def constant_layer(inputs: int, outputs: int, weight: int, bias: int = -MAX_BIAS, width: int = 8) -> QuantisedLayer:
    """One weight and one bias everywhere, multiplied as much as the format allows."""
    return QuantisedLayer(
        weights=np.full((inputs, outputs), weight, dtype=np.int8),
        multipliers=np.full(outputs, 255, dtype=np.uint8),
        bias=np.full(outputs, bias, dtype=np.int32),
        weight_bits=width,
    )


def file_of(
    spec: ProjectionSpec | VectorSpec, output: QuantisedLayer, hidden: QuantisedLayer | None = None, shift: int = 0
) -> bytes:
    """The model file of some layers over a projection."""
    classes = tuple(f"class {index}" for index in range(len(output.bias)))
    return model_bytes(QuantisedModel(spec.to_bytes(), output, hidden, shift, 1.0, classes), {})


def random_file(
    spec: ProjectionSpec | VectorSpec,
    seed: int = 0,
    classes: int = 5,
    width: int = 8,
    units: int = 0,
    hidden_width: int = 8,
    shift: int = 9,
) -> bytes:
    """A model file of random integers, small enough in its biases that the weights decide."""
    rng = np.random.default_rng(seed)
    output = random_layer(rng, units or spec.n_bits, classes, width)
    hidden = random_layer(rng, spec.n_bits, units, hidden_width) if units else None
    return file_of(spec, output, hidden, shift if units else 0)


@dataclass(frozen=True)
class WordShape:
    """Words of a random file: dimensions of their codes, and filters (0: none) over windows of some words."""

    dimensions: int = 16
    filters: int = 0
    window: int = 3
    norm_shift: int = 3
    shift: int = 9


def table_of(spec: ProjectionSpec, known: Sequence[bytes], dimensions: int, seed: int = 0) -> WordTable:
    """Random codes and weights for all words of some texts, and for one that stands in none."""
    rng = np.random.default_rng(seed)
    found = np.unique(np.append(word_fingerprints(spec.to_bytes(), texts_of(known))[0], np.uint32(4)))
    codes = rng.integers(0, 2, (len(found), dimensions)) * 2 - 1
    return WordTable(found, rng.integers(0, 4, len(found)).astype(np.uint8), codes.astype(np.int8))


def word_file(
    spec: ProjectionSpec,
    known: Sequence[bytes],
    shape: WordShape,
    seed: int = 0,
    classes: int = 5,
    width: int = 8,
    units: int = 0,
    hidden_width: int = 8,
    shift: int = 9,
) -> bytes:
    """A model file of random integers that knows the words of some texts."""
    rng = np.random.default_rng(seed)
    first = spec.n_bits + shape.dimensions
    output = random_layer(rng, (units or first) + shape.filters, classes, width)
    hidden = random_layer(rng, first, units, hidden_width) if units else None
    convolution = None
    if shape.filters:
        layer = random_layer(rng, shape.window * shape.dimensions, shape.filters, 8)
        convolution = QuantisedConvolution(layer, shape.window, shape.shift)
    names = tuple(f"class {index}" for index in range(classes))
    table = table_of(spec, known, shape.dimensions, seed)
    parts = (table, shape.norm_shift, convolution)
    return model_bytes(QuantisedModel(spec.to_bytes(), output, hidden, shift if units else 0, 1.0, names, *parts), {})
