"""The bytes of a `.pgb` file back to a quantised model, refused for the core's reasons; it runs nothing."""

from __future__ import annotations

import json
import os
import stat
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from projgraph.errors import ConfigError, InputError, ModelFileError
from projgraph.pack.convolution import QuantisedConvolution
from projgraph.pack.format import (
    ALIGNMENT,
    BUNDLE_MAGIC,
    CHECKED_FROM,
    MAGIC,
    MAJOR,
    MAX_BIAS,
    MAX_CLASSES,
    MAX_FILTERS,
    MAX_LENGTH,
    MAX_SECTIONS,
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
from projgraph.pack.quantise import QuantisedModel
from projgraph.pack.rows import FORMATS, unpack_weights
from projgraph.pack.vector import LARGEST_SCALE, SMALLEST_SCALE, input_kind, read_projection
from projgraph.pack.words import WordTable
from projgraph.pack.write import (
    CONVOLUTION_STRUCT,
    HEAD_STRUCT,
    HEADER_STRUCT,
    SECTION_STRUCT,
)

SKIPPABLE_FROM = 0x8000
LAST_KIND = max(section.value for section in Section if section < SKIPPABLE_FROM)
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


@dataclass(frozen=True)
class Entry:
    """One row of the section table.

    Attributes:
        kind: a ``Section`` value, or an unknown one that may be skipped.
        offset: of the section's first byte in the file.
        length: its bytes, without padding.
    """

    kind: int
    offset: int
    length: int

    @property
    def end(self) -> int:
        """Offset of the first byte behind the section."""
        return self.offset + self.length

    @property
    def name(self) -> str:
        """The section's name, or its number where it is unknown."""
        return section_name(self.kind)


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


def model_file_bytes(source: str | os.PathLike[str] | bytes) -> tuple[bytes, str]:
    """The bytes of a model file, and how messages call it.

    Raises:
        InputError: there is no such file, or it cannot be read.
        ModelFileError: it is longer than any model.
    """
    if isinstance(source, bytes):
        return source, "model bytes"
    path = Path(source)
    try:
        facts = path.stat()
        ordinary = stat.S_ISREG(facts.st_mode)
        data = path.read_bytes() if ordinary and facts.st_size <= MAX_LENGTH else b""
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read {str(path)!r}: {reason}; expected a .pgb model file") from error
    if not ordinary:
        raise InputError(f"cannot read {path}: it is not an ordinary file; expected a .pgb model file")
    if facts.st_size > MAX_LENGTH:
        raise ModelFileError(f"{path}: the file has {facts.st_size} bytes; expected at most {MAX_LENGTH}")
    return data, str(path)


def read_table(data: bytes) -> tuple[Entry, ...]:
    """The section table, after every check of the header, the checksum, the table and the padding.

    Raises:
        ModelFileError: naming the field, what was found and what is expected.
    """
    count = check_header(data, MAGIC, MAX_SECTIONS)
    return check_rows(data, count, {int(section) for section in Section})


def check_rows(data: bytes, count: int, known: set[int], *, repeat: bool = False) -> tuple[Entry, ...]:
    """The section table of a file whose header has been checked.

    Args:
        data: the whole file.
        count: rows of the table.
        known: kinds that may stand below those that can be skipped.
        repeat: a kind may stand there more than once.

    Raises:
        ModelFileError: naming the field, what was found and what is expected.
    """
    end = HEADER_STRUCT.size + count * SECTION_STRUCT.size
    entries: list[Entry] = []
    seen: set[int] = set()
    for row in range(count):
        kind, offset, length, reserved = SECTION_STRUCT.unpack_from(
            data, HEADER_STRUCT.size + row * SECTION_STRUCT.size
        )
        where, entry = f"section table row {row}", Entry(kind, offset, length)
        if kind < SKIPPABLE_FROM and kind not in known:
            refuse(f"{where}: kind", kind, f"1 to {LAST_KIND}, or {SKIPPABLE_FROM} and above")
        if kind in seen and not repeat:
            refuse(f"{where}: kind", f"{entry.name} again", "every section at most once")
        if offset % ALIGNMENT or offset < end:
            refuse(f"{where}: offset of {entry.name}", offset, f"a multiple of {ALIGNMENT} from {end} on")
        if entry.end > len(data):
            refuse(f"{where}: end of {entry.name}", entry.end, f"at most the file's length, {len(data)}")
        if reserved:
            refuse(f"{where}: reserved", reserved, "0")
        entries.append(entry)
        seen.add(kind)
        end = entry.end
    end = HEADER_STRUCT.size + count * SECTION_STRUCT.size
    for entry in entries:
        _check_zero(data, end, entry.offset, f"padding before {entry.name}")
        end = entry.end
    _check_zero(data, end, len(data), "padding at the end of the file")
    return tuple(entries)


def section_name(kind: int) -> str:
    """The name of a kind of section, or its number where it is unknown."""
    return Section(kind).name if kind in set(Section) else f"unknown ({kind:#x})"


def check_header(data: bytes, expected_magic: bytes, most_sections: int) -> int:
    """The number of sections; what does not depend on the checksum comes first, so that the message fits the cause.

    Raises:
        ModelFileError: naming the field, what was found and what is expected.
    """
    if len(data) < HEADER_STRUCT.size:
        refuse("the file's length", len(data), f"at least the {HEADER_STRUCT.size} bytes of a header")
    magic, major, _minor, length, checksum, sections, *reserved = HEADER_STRUCT.unpack_from(data)
    if magic == BUNDLE_MAGIC and expected_magic == MAGIC:
        refuse("magic", magic, f"{MAGIC!r}: this is a bundle of several heads, not one model")
    if magic != expected_magic:
        what = "bundle" if expected_magic == BUNDLE_MAGIC else ".pgb model file"
        refuse("magic", magic, f"{expected_magic!r}: this is no {what}")
    if major != MAJOR:
        refuse("major version", major, f"{MAJOR}: pack the model again with this version of projgraph")
    if length != len(data) or length > MAX_LENGTH:
        refuse("length", length, f"the {len(data)} bytes that are there, at most {MAX_LENGTH}: the file may be cut")
    found = zlib.crc32(memoryview(data)[CHECKED_FROM:])
    if found != checksum:
        refuse("checksum", f"{checksum:#010x}", f"{found:#010x} for these bytes: the file is damaged, copy it again")
    for index, value in enumerate(reserved):
        if value:
            refuse(f"reserved_{index}", value, "0")
    most = min(most_sections, (length - HEADER_STRUCT.size) // SECTION_STRUCT.size)
    if sections > most:
        refuse("sections", sections, f"at most {most}")
    return int(sections)


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


def _check_zero(data: bytes, start: int, end: int, name: str) -> None:
    if data.count(0, start, end) != end - start:
        position = end - len(data[start:end].lstrip(b"\0"))
        refuse(name, f"{data[position]:#04x} at byte {position}", "zero bytes")


def refuse(field: str, found: object, expected: str) -> NoReturn:
    """Refuse a file for a field.

    Raises:
        ModelFileError: naming the field, what was found and what is expected.
    """
    shown = repr(found) if isinstance(found, bytes) else found
    raise ModelFileError(f"{field} is {shown}; expected {expected}")
