"""The bytes of a `.pgb` file back to a quantised model, refused for the core's reasons; it runs nothing."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from projgraph.errors import ConfigError, ModelFileError
from projgraph.pack.convolution import QuantisedConvolution
from projgraph.pack.format import (
    MAX_BIAS,
    MAX_CLASSES,
    MAX_FILTERS,
    MAX_SHIFT,
    MAX_UNITS,
    MAX_WIDTH,
    WEIGHTS_BITS,
    WEIGHTS_SPARSE,
    HeadKind,
    InputKind,
    Section,
)
from projgraph.pack.layer import QuantisedLayer
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.rows import FORMATS, unpack_weights
from projgraph.pack.sections import model_file_bytes, read_table, refuse
from projgraph.pack.vector import LARGEST_SCALE, SMALLEST_SCALE, input_kind, read_projection
from projgraph.pack.words import WordTable
from projgraph.pack.write import (
    CONVOLUTION_STRUCT,
    HEAD_STRUCT,
)

REQUIRED = (
    Section.PROJECTION,
    Section.HEAD,
    Section.WEIGHTS,
    Section.BIAS,
    Section.MULTIPLIERS,
    Section.LABELS,
)
_FORMATS = f"one of {', '.join(map(str, sorted(FORMATS)))}"
PARTS = (Section.WEIGHTS, Section.BIAS, Section.MULTIPLIERS)
HIDDEN = (Section.HIDDEN_WEIGHTS, Section.HIDDEN_BIAS, Section.HIDDEN_MULTIPLIERS)
CONVOLUTION = (Section.CONVOLUTION_WEIGHTS, Section.CONVOLUTION_BIAS, Section.CONVOLUTION_MULTIPLIERS)


def read_model(source: str | os.PathLike[str] | bytes) -> tuple[QuantisedModel, dict[str, Any]]:
    """The model and the provenance of a file or of its bytes.

    Raises:
        InputError: there is no such file, or it cannot be read.
        ModelFileError: the bytes are no model; the message names the field, what was found and what is expected.
    """
    data, name = model_file_bytes(source)
    try:
        return parse_model(data)
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from error


def parse_model(data: bytes) -> tuple[QuantisedModel, dict[str, Any]]:
    """The model and the provenance of a file's bytes.

    Raises:
        ModelFileError: naming the field, what was found and what is expected, without the name of a file.
    """
    sections = {entry.kind: data[entry.offset : entry.end] for entry in read_table(data)}
    for kind in REQUIRED:
        if kind not in sections:
            refuse(f"section {kind.name}", "missing", "every required section")
    spec = read_projection(sections[Section.PROJECTION])
    head = _head(sections[Section.HEAD])
    kind, weight_bits, hidden_weight_bits, hidden_shift, classes, units, scale, threshold = head
    _check_parts(sections, HIDDEN, kind == HeadKind.HIDDEN, "the hidden sections exactly with a hidden head")
    words, norm_shift = _words(sections)
    filters, width, shift = _convolution(sections)
    dimensions = words.dimensions if words else 0
    hidden = convolution = None
    if kind == HeadKind.HIDDEN:
        hidden = _layer(sections, HIDDEN, spec.n_bits + dimensions, units, hidden_weight_bits)
    if filters:
        layer = _layer(sections, CONVOLUTION, width * dimensions, filters, 8)
        convolution = QuantisedConvolution(layer, width, shift)
    output = _layer(sections, PARTS, (units or spec.n_bits + dimensions) + filters, classes, weight_bits)
    labels = _labels(sections[Section.LABELS], classes)
    provenance = _provenance(sections.get(Section.PROVENANCE, b"{}"))
    try:
        model = QuantisedModel(
            sections[Section.PROJECTION],
            output,
            hidden,
            hidden_shift,
            scale,
            labels,
            words,
            norm_shift,
            convolution,
            threshold,
        )
    except ConfigError as error:
        raise ModelFileError(str(error)) from error
    return model, provenance


def _check_parts(sections: Mapping[int, bytes], parts: tuple[Section, ...], wanted: bool, expected: str) -> None:
    for part in parts:
        if (part in sections) != wanted:
            refuse(f"section {part.name}", "present" if part in sections else "missing", expected)


def _words(sections: Mapping[int, bytes]) -> tuple[WordTable | None, int]:
    """The table of words and its norm_shift, if there is one."""
    if Section.WORDS not in sections:
        return None, 0
    if input_kind(sections[Section.PROJECTION]) != InputKind.TEXT:
        refuse("section WORDS", "present", "words in models of texts alone")
    return WordTable.from_bytes(sections[Section.WORDS])


def _convolution(sections: Mapping[int, bytes]) -> tuple[int, int, int]:
    """Filters, width and shift; zeros where there is no convolution."""
    section, filters, width, shift = sections.get(Section.CONVOLUTION), 0, 0, 0
    if section is not None:
        if Section.WORDS not in sections:
            refuse("section CONVOLUTION", "present", "a convolution with words alone")
        if len(section) != CONVOLUTION_STRUCT.size:
            refuse("length of CONVOLUTION", len(section), str(CONVOLUTION_STRUCT.size))
        filters, width, shift, reserved = CONVOLUTION_STRUCT.unpack(section)
        for field, found, low, high in (
            ("filters", filters, 1, MAX_FILTERS),
            ("width", width, 1, MAX_WIDTH),
            ("shift", shift, 0, MAX_SHIFT),
            ("reserved", reserved, 0, 0),
        ):
            if not low <= found <= high:
                refuse(f"convolution.{field}", found, f"{low} to {high}" if high else "0")
    _check_parts(sections, CONVOLUTION, section is not None, "the convolution's sections exactly with a convolution")
    return filters, width, shift


def _head(section: bytes) -> tuple[Any, ...]:
    if len(section) != HEAD_STRUCT.size:
        refuse("length of HEAD", len(section), str(HEAD_STRUCT.size))
    values = HEAD_STRUCT.unpack(section)
    kind, weight_bits, hidden_weight_bits, hidden_shift, classes, units, scale, _threshold = values
    hidden = kind == HeadKind.HIDDEN
    for field, found, usable, expected in (
        ("kind", kind, kind in set(HeadKind), "1 (linear) or 2 (hidden)"),
        ("weight_bits", weight_bits, weight_bits in FORMATS, _FORMATS),
        (
            "hidden_weight_bits",
            hidden_weight_bits,
            hidden_weight_bits in FORMATS if hidden else hidden_weight_bits == 0,
            f"{_FORMATS} with a hidden layer, 0 without",
        ),
        (
            "hidden_shift",
            hidden_shift,
            hidden_shift <= (MAX_SHIFT if hidden else 0),
            f"0 to {MAX_SHIFT} with a hidden layer, 0 without",
        ),
        ("classes", classes, 1 <= classes <= MAX_CLASSES, f"1 to {MAX_CLASSES}"),
        (
            "units",
            units,
            1 <= units <= MAX_UNITS if hidden else units == 0,
            f"1 to {MAX_UNITS} with a hidden layer, 0 without",
        ),
        ("scale", scale, SMALLEST_SCALE <= scale <= LARGEST_SCALE, "a positive normal number"),
    ):
        if not usable:
            refuse(f"head.{field}", found, expected)
    return values


def _layer(
    sections: Mapping[int, bytes], parts: tuple[Section, ...], inputs: int, outputs: int, weight_format: int
) -> QuantisedLayer:
    """One layer from its sections of weights, biases and multipliers, whose lengths are checked before any array."""
    weights, bias, multipliers = (sections[part] for part in parts)
    stored = unpack_weights(weights, inputs, outputs, weight_format, parts[0].name)
    for part, expected in ((parts[1], 4 * outputs), (parts[2], outputs)):
        if len(sections[part]) != expected:
            refuse(f"length of {part.name}", len(sections[part]), f"{expected} for {outputs} outputs")
    layer = QuantisedLayer(
        weights=stored.weights,
        multipliers=np.frombuffer(multipliers, dtype=np.uint8),
        bias=np.frombuffer(bias, dtype="<i4").astype(np.int32, copy=False),
        weight_bits=weight_format & WEIGHTS_BITS,
        codebook=stored.codebook,
        sparse=bool(weight_format & WEIGHTS_SPARSE),
    )
    largest = int(np.abs(layer.bias.astype(np.int64)).max())
    if largest > MAX_BIAS:
        refuse(f"the largest value of {parts[1].name}", largest, f"at most {MAX_BIAS}")
    if not layer.multipliers.all():
        refuse(f"a value of {parts[2].name}", 0, "1 to 255")
    return layer


def _labels(section: bytes, classes: int) -> tuple[str, ...]:
    first = 4 + 4 * (classes + 1)
    if len(section) < first:
        refuse("length of LABELS", len(section), f"at least {first} for {classes} classes")
    count, *offsets = struct.unpack_from(f"<{classes + 2}I", section)
    if count != classes:
        refuse("labels.count", count, f"head.classes, {classes}")
    ends = (0, *offsets)
    for index, (one, other) in enumerate(zip(ends, offsets, strict=False)):
        if other < one or (index == 0 and other != 0):
            refuse(f"labels.offsets[{index}]", other, "0" if index == 0 else f"{one} or more")
    if offsets[-1] != len(section) - first:
        refuse(f"labels.offsets[{classes}]", offsets[-1], f"the {len(section) - first} bytes of names that follow")
    names = []
    for index in range(classes):
        name = section[first + offsets[index] : first + offsets[index + 1]]
        try:
            names.append(name.decode())
        except UnicodeDecodeError:
            refuse(f"label {index}", name, "UTF-8")
    return tuple(names)


def _provenance(section: bytes) -> dict[str, Any]:
    try:
        value = json.loads(section.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        refuse("provenance", f"not JSON ({error})", "a UTF-8 JSON object")
    if not isinstance(value, dict):
        refuse("provenance", f"a JSON {type(value).__name__}", "a UTF-8 JSON object")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")
