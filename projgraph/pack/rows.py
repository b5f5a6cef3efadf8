"""The weights of a layer to the bytes of their section and back, in each of the file's formats; it rounds nothing.

`projgraph.pack.format` describes the formats where it names `WEIGHTS_BITS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from projgraph.errors import ModelFileError
from projgraph.pack.format import (
    CODEBOOK_SIZE,
    ROW_PADDING,
    SPARSE_BLOCK,
    WEIGHT_NAMES,
    WEIGHTS_BITS,
    WEIGHTS_SHARED,
    WEIGHTS_SPARSE,
)
from projgraph.pack.layer import QuantisedLayer

Bytes = NDArray[np.uint8]
FORMATS = frozenset(WEIGHT_NAMES)
"""The bytes that a head may have for its weights."""


@dataclass(frozen=True)
class StoredWeights:
    """What a section of weights says.

    Attributes:
        weights: (inputs, outputs) int8.
        codebook: (16,) int8, or None.
    """

    weights: NDArray[np.int8]
    codebook: NDArray[np.int8] | None


def pack_weights(layer: QuantisedLayer) -> bytes:
    """The section of a layer's weights."""
    parts = [] if layer.codebook is None else [layer.codebook.tobytes()]
    if layer.sparse:
        mask = layer.weights != 0
        parts += [_starts(mask).tobytes(), _bit_rows(mask).tobytes(), _pack_values(layer, layer.weights[mask])]
    else:
        parts.append(_dense_rows(layer).tobytes())
    return b"".join([*parts, bytes(ROW_PADDING)])


def weights_length(inputs: int, outputs: int, weight_format: int, values: int = 0) -> int:
    """Bytes of the section of a layer's weights; ``values`` are those other than zero, where they are sparse."""
    length = inputs * row_length(outputs, weight_format) + ROW_PADDING
    if weight_format & WEIGHTS_SHARED:
        length += CODEBOOK_SIZE
    if weight_format & WEIGHTS_SPARSE:
        length += 4 * -(-inputs // SPARSE_BLOCK) + (values * _value_bits(weight_format) + 7) // 8
    return length


def row_length(outputs: int, weight_format: int) -> int:
    """Bytes of one row of weights; of sparse ones, of the bits that say which are there."""
    bits = weight_format & WEIGHTS_BITS
    if weight_format & WEIGHTS_SPARSE or bits < 4:
        return (1 if weight_format & WEIGHTS_SPARSE else bits) * ((outputs + 7) // 8)
    return outputs if bits == 8 else (outputs + 1) // 2


def unpack_weights(section: bytes, inputs: int, outputs: int, weight_format: int, name: str) -> StoredWeights:
    """The weights of a section, checked as the core checks them.

    Raises:
        ModelFileError: naming the section, what was found and what is expected.
    """
    kind = f"of {weight_format} bits" if weight_format <= 8 else f"{WEIGHT_NAMES[weight_format]} weights"
    shape = f"{inputs} x {outputs} {kind}"
    fixed = weights_length(inputs, outputs, weight_format)
    sparse = bool(weight_format & WEIGHTS_SPARSE)
    if len(section) < fixed or (len(section) > fixed and not sparse):
        _refuse(f"length of {name}", len(section), f"{fixed}{' or more' if sparse else ''} for {shape}")
    data: Bytes = np.frombuffer(section, dtype=np.uint8)
    codebook = None
    if weight_format & WEIGHTS_SHARED:
        codebook, data = data[:CODEBOOK_SIZE].view(np.int8), data[CODEBOOK_SIZE:]
    if sparse:
        weights, data = _unpack_sparse(data, inputs, outputs, weight_format, codebook, name)
    else:
        rows, data = np.split(data, [inputs * row_length(outputs, weight_format)])
        rows = rows.reshape(inputs, row_length(outputs, weight_format))
        weights = _unpack_dense(rows, outputs, weight_format, codebook, name)
    if data.any():
        at = int(np.flatnonzero(data)[0])
        where = len(section) - len(data) + at
        _refuse(f"padding of the rows in {name}", f"{data[at]:#04x} at byte {where}", "zero")
    return StoredWeights(weights, codebook)


def _value_bits(weight_format: int) -> int:
    """Of a sparse layer's value; a ternary one is its sign."""
    bits = weight_format & WEIGHTS_BITS
    return 1 if bits == 2 else bits


def _starts(mask: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """The number of values before each block of rows."""
    counts = mask.sum(axis=1)
    starts: NDArray[np.uint32] = (np.cumsum(counts) - counts)[::SPARSE_BLOCK].astype("<u4")
    return starts


def _bit_rows(rows: NDArray[np.bool_]) -> Bytes:
    return np.packbits(rows, axis=1, bitorder="little")


def _dense_rows(layer: QuantisedLayer) -> NDArray[Any]:
    if layer.weight_bits == 8:
        return layer.weights
    if layer.weight_bits == 4:
        return _nibble_rows(_nibbles(layer, layer.weights))
    plus = _bit_rows(layer.weights > 0)
    return plus if layer.weight_bits == 1 else np.concatenate([plus, _bit_rows(layer.weights < 0)], axis=1)


def _nibbles(layer: QuantisedLayer, weights: NDArray[np.int8]) -> Bytes:
    """The half byte of every weight: its number, or its first place in the codebook."""
    if layer.codebook is None:
        return weights.view(np.uint8) & np.uint8(15)
    place = np.zeros(256, dtype=np.uint8)
    place[layer.codebook[::-1].view(np.uint8)] = np.arange(CODEBOOK_SIZE, dtype=np.uint8)[::-1]
    found: Bytes = place[weights.view(np.uint8)]
    return found


def _nibble_rows(nibbles: Bytes) -> Bytes:
    half = (nibbles.shape[1] + 1) // 2
    padded = np.zeros((len(nibbles), 2 * half), dtype=np.uint8)
    padded[:, : nibbles.shape[1]] = nibbles
    rows: Bytes = padded[:, :half] | padded[:, half:] << 4
    return rows


def _pack_values(layer: QuantisedLayer, values: NDArray[np.int8]) -> bytes:
    if layer.weight_bits == 8:
        return values.tobytes()
    if layer.weight_bits == 2:
        return np.packbits(values < 0, bitorder="little").tobytes()
    nibbles = np.append(_nibbles(layer, values), np.zeros(len(values) % 2, dtype=np.uint8))
    return (nibbles[::2] | nibbles[1::2] << 4).tobytes()


def _unpack_dense(
    rows: Bytes, outputs: int, weight_format: int, codebook: NDArray[np.int8] | None, name: str
) -> NDArray[np.int8]:
    bits = weight_format & WEIGHTS_BITS
    if bits == 8:
        return rows.view(np.int8)
    if bits == 4:
        if outputs % 2:
            _check_unused(rows[:, -1:] >> 4, "half byte", name)
        nibbles = np.concatenate([rows & 15, rows >> 4], axis=1)[:, :outputs]
        return _numbers(nibbles, codebook)
    planes = np.split(rows, bits, axis=1)
    for plane in planes:
        _check_bits(plane, outputs, name)
    plus = _bits(planes[0], outputs)
    if bits == 1:
        return (2 * plus - 1).astype(np.int8)
    minus = _bits(planes[1], outputs)
    if (plus & minus).any():
        _refuse(f"a ternary weight in {name}", "+1 and -1", "one of them, or neither")
    return plus - minus


def _unpack_sparse(
    data: Bytes, inputs: int, outputs: int, weight_format: int, codebook: NDArray[np.int8] | None, name: str
) -> tuple[NDArray[np.int8], Bytes]:
    """The weights, and what follows them in the section."""
    starts, data = np.split(data, [4 * -(-inputs // SPARSE_BLOCK)])
    rows, data = np.split(data, [inputs * row_length(outputs, weight_format)])
    rows = rows.reshape(inputs, row_length(outputs, weight_format))
    _check_bits(rows, outputs, name)
    mask = _bits(rows, outputs) > 0
    expected, found = _starts(mask), starts.view("<u4")
    if not np.array_equal(found, expected):
        block = int(np.flatnonzero(found != expected)[0])
        _refuse(f"starts[{block}] of {name}", int(found[block]), f"the {expected[block]} values before it")
    count, bits = int(mask.sum()), _value_bits(weight_format)
    length = (count * bits + 7) // 8
    if len(data) != length + ROW_PADDING:
        _refuse(f"length of the values in {name}", len(data) - ROW_PADDING, f"{length} for {count} values")
    stored, data = np.split(data, [length])
    if count * bits % 8:
        _check_unused(stored[-1:] >> count * bits % 8, "bits after the last value", name)
    weights = np.zeros((inputs, outputs), dtype=np.int8)
    weights[mask] = _values(stored, count, bits, codebook)
    return weights, data


def _values(stored: Bytes, count: int, bits: int, codebook: NDArray[np.int8] | None) -> NDArray[np.int8]:
    if bits == 8:
        return stored.view(np.int8)
    if bits == 1:
        return (1 - 2 * _bits(stored, count)).astype(np.int8)
    return _numbers(np.stack([stored & 15, stored >> 4], axis=1).reshape(-1)[:count], codebook)


def _numbers(nibbles: Bytes, codebook: NDArray[np.int8] | None) -> NDArray[np.int8]:
    if codebook is not None:
        return codebook[nibbles]
    return (nibbles << 4).view(np.int8) >> 4  # an arithmetic shift keeps the sign of a nibble


def _bits(packed: Bytes, count: int) -> NDArray[np.int8]:
    """The first bits of packed ones along the last axis, as 0 and 1."""
    return np.unpackbits(packed, axis=-1, count=count, bitorder="little").view(np.int8)


def _check_bits(rows: Bytes, outputs: int, name: str) -> None:
    """Whether the bits behind the last output of every row are zero."""
    if outputs % 8:
        _check_unused(rows[:, -1:] >> outputs % 8, "bits", name)


def _check_unused(found: NDArray[Any], what: str, name: str) -> None:
    if found.any():
        _refuse(f"the unused {what} of a row in {name}", int(found[found != 0][0]), "0")


def _refuse(field: str, found: object, expected: str) -> NoReturn:
    raise ModelFileError(f"{field} is {found}; expected {expected}")
