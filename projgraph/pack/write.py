"""A quantised model to the bytes of a `.pgb` file, laid out by the format's table; it trains and rounds nothing."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

from projgraph.atomic import atomic_write
from projgraph.errors import ConfigError
from projgraph.pack.format import (
    ALIGNMENT,
    CHECKED_FROM,
    CONVOLUTION,
    HEAD,
    HEADER,
    MAGIC,
    MAJOR,
    MAX_LENGTH,
    PACKED_MINOR,
    SECTION,
    THRESHOLD_MINOR,
    VECTOR_MINOR,
    WEIGHTS_SHARED,
    WEIGHTS_SPARSE,
    WORDS_MINOR,
    HeadKind,
    InputKind,
    Section,
    struct_code,
)
from projgraph.pack.layer import QuantisedLayer
from projgraph.pack.projection import FAMILY_STRUCT, PROJECTION_STRUCT
from projgraph.pack.quantised import QuantisedModel, Shape
from projgraph.pack.rows import pack_weights, weights_length
from projgraph.pack.vector import VECTOR_STRUCT, input_kind
from projgraph.pack.words import section_length

HEADER_STRUCT = struct.Struct(struct_code(HEADER))
SECTION_STRUCT = struct.Struct(struct_code(SECTION))
HEAD_STRUCT = struct.Struct(struct_code(HEAD))
CONVOLUTION_STRUCT = struct.Struct(struct_code(CONVOLUTION))


def write_model(path: str | os.PathLike[str], model: QuantisedModel, provenance: Mapping[str, Any]) -> int:
    """Write a model file, whole or not at all; returns its bytes.

    Raises:
        ConfigError: the provenance is no JSON object, or the file would be too long.
        OutputError: the file cannot be written; what stood there before is untouched.
    """
    return atomic_write(path, model_bytes(model, provenance))


def model_bytes(model: QuantisedModel, provenance: Mapping[str, Any]) -> bytes:
    """The bytes of a model file; the same input gives the same bytes.

    Raises:
        ConfigError: the provenance is no JSON object, or the file would be too long.
    """
    sections = {
        Section.PROJECTION: model.projection,
        Section.HEAD: _head(model),
        **_layer(model.output, Section.WEIGHTS, Section.BIAS, Section.MULTIPLIERS),
    }
    if model.hidden:
        parts = (Section.HIDDEN_WEIGHTS, Section.HIDDEN_BIAS, Section.HIDDEN_MULTIPLIERS)
        sections |= _layer(model.hidden, *parts)
    if model.words:
        sections[Section.WORDS] = model.words.to_bytes(model.norm_shift)
    if model.convolution:
        filters = model.convolution
        sections[Section.CONVOLUTION] = CONVOLUTION_STRUCT.pack(filters.filters, filters.width, filters.shift, 0)
        parts = (Section.CONVOLUTION_WEIGHTS, Section.CONVOLUTION_BIAS, Section.CONVOLUTION_MULTIPLIERS)
        sections |= _layer(filters.layer, *parts)
    sections |= {Section.LABELS: _labels(model.classes), Section.PROVENANCE: provenance_bytes(provenance)}
    offsets, length = layout(len(section) for section in sections.values())
    if length > MAX_LENGTH:
        raise ConfigError(
            f"the model file would have {length} bytes; expected at most {MAX_LENGTH}: shorten the labels"
        )
    data = bytearray(length)
    for row, (offset, (kind, section)) in enumerate(zip(offsets, sections.items(), strict=True)):
        entry = HEADER_STRUCT.size + row * SECTION_STRUCT.size
        SECTION_STRUCT.pack_into(data, entry, kind, offset, len(section), 0)
        data[offset : offset + len(section)] = section
    HEADER_STRUCT.pack_into(data, 0, MAGIC, MAJOR, minor_version(model), length, 0, len(sections), 0, 0, 0)
    checksum = zlib.crc32(memoryview(data)[CHECKED_FROM:])
    HEADER_STRUCT.pack_into(data, 0, MAGIC, MAJOR, minor_version(model), length, checksum, len(sections), 0, 0, 0)
    return bytes(data)


def predicted_size(
    shape: Shape,
    label_bytes: int,
    weight_bits: int,
    hidden_weight_bits: int | None = None,
    *,
    words: int = 0,
    width: int = 3,
    pruning: float = 0.0,
    shared: bool = False,
    families: int = 2,
    thresholds: bool | None = None,
    provenance_length: int = 2,
) -> int:
    """Bytes of a model file of these dimensions, exactly where no weight is pruned.

    Args:
        shape: inputs and outputs of the layers.
        label_bytes: UTF-8 bytes of all label names together.
        weight_bits: 8, 4, 2 or 1, of the output layer.
        hidden_weight_bits: likewise; as ``weight_bits`` unless given.
        words: in the model's table, 0 without one.
        width: words of the convolution's windows.
        pruning: share of the weights over the bits that are 0 and left out where that takes fewer bytes; more of them
            may be, so that the file may be smaller.
        shared: whether those weights have a codebook.
        families: feature families of the projection.
        thresholds: None for a projection of texts; whether one of vectors, which has no families, has thresholds.
        provenance_length: ``len(provenance_bytes(provenance))``.
    """
    rest = families * FAMILY_STRUCT.size if thresholds is None else VECTOR_STRUCT.size + 4 * shape.n_bits * thresholds
    lengths = [PROJECTION_STRUCT.size + rest, HEAD_STRUCT.size]
    if shape.units is None:
        lengths += _packed_lengths(*shape.output, weight_bits, pruning, shared)
    else:
        lengths += layer_lengths(*shape.output, weight_bits)
        over_bits = weight_bits if hidden_weight_bits is None else hidden_weight_bits
        lengths += _packed_lengths(*shape.hidden, over_bits, pruning, shared)
    if words:
        lengths.append(section_length(words, shape.dimensions))
    if shape.filters:
        lengths += [CONVOLUTION_STRUCT.size, *layer_lengths(width * shape.dimensions, shape.filters, 8)]
    lengths += [4 + 4 * (shape.classes + 1) + label_bytes, provenance_length]
    return layout(lengths)[1]


def _packed_lengths(inputs: int, outputs: int, weight_bits: int, pruning: float, shared: bool) -> tuple[int, int, int]:
    """Of the layer over the bits, the lengths that `layer_lengths` gives, of the smaller of its formats."""
    dense = weight_bits | (WEIGHTS_SHARED if shared else 0)
    lengths = layer_lengths(inputs, outputs, dense)
    if not pruning:
        return lengths
    values = inputs * outputs - int(pruning * inputs * outputs)
    return min(lengths, layer_lengths(inputs, outputs, dense | WEIGHTS_SPARSE, values))


def layer_lengths(inputs: int, outputs: int, weight_format: int, values: int = 0) -> tuple[int, int, int]:
    """Bytes of a layer's sections of weights, biases and multipliers; ``values`` as of `weights_length`."""
    return weights_length(inputs, outputs, weight_format, values), 4 * outputs, outputs


def layout(lengths: Iterable[int]) -> tuple[list[int], int]:
    """The offset of each section, in the order given, and the bytes of the whole file."""
    lengths = list(lengths)
    first = HEADER_STRUCT.size + len(lengths) * SECTION_STRUCT.size
    starts = list(accumulate(lengths, lambda end, length: _aligned(end) + length, initial=first))
    return [_aligned(end) for end in starts[:-1]], starts[-1]


def provenance_bytes(provenance: Mapping[str, Any]) -> bytes:
    """The provenance section: compact JSON in the order of its sorted keys.

    Raises:
        ConfigError: a value has no JSON form.
    """
    try:
        text = json.dumps(dict(provenance), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"the provenance has no JSON form: {error}; expected a dictionary of JSON values") from error
    return text.encode("ascii")


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT


def minor_version(model: QuantisedModel) -> int:
    """The lowest minor version that describes the model."""
    if any(layer is not None and layer.format not in (8, 4) for layer in (model.output, model.hidden)):
        return PACKED_MINOR
    if model.threshold:
        return THRESHOLD_MINOR
    if model.words:
        return WORDS_MINOR
    return VECTOR_MINOR if input_kind(model.projection) == InputKind.VECTOR else 0


def _head(model: QuantisedModel) -> bytes:
    return HEAD_STRUCT.pack(
        HeadKind.HIDDEN if model.hidden else HeadKind.LINEAR,
        model.output.format,
        model.hidden.format if model.hidden else 0,
        model.hidden_shift,
        len(model.classes),
        model.units,
        model.scale,
        model.threshold,
    )


def _layer(layer: QuantisedLayer, weights: Section, bias: Section, multipliers: Section) -> dict[Section, bytes]:
    return {
        weights: pack_weights(layer),
        bias: layer.bias.astype("<i4").tobytes(),
        multipliers: layer.multipliers.tobytes(),
    }


def _labels(classes: tuple[str, ...]) -> bytes:
    names = [name.encode() for name in classes]
    offsets = list(accumulate((len(name) for name in names), initial=0))
    return struct.pack(f"<{len(offsets) + 1}I", len(names), *offsets) + b"".join(names)
