"""Many model files to one bundle over their common projection, and back to the same bytes; it trains and runs nothing.

A section that has the same bytes in several models stands in the bundle once: the projection always, tables of words,
hidden layers, labels and provenance where they are equal. Nothing is fitted: a head has its model's integers.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from projgraph.atomic import atomic_write, check_target
from projgraph.errors import ConfigError, ModelFileError
from projgraph.pack.format import (
    BUNDLE_MAGIC,
    CHECKED_FROM,
    HEADS,
    MAGIC,
    MAJOR,
    MAX_BUNDLE_SECTIONS,
    MAX_HEADS,
    MAX_LENGTH,
    MAX_SECTIONS,
    BundleSection,
    Section,
    struct_code,
)
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.read import parse_model
from projgraph.pack.sections import (
    SKIPPABLE_FROM,
    Entry,
    check_header,
    check_rows,
    model_file_bytes,
    read_table,
    refuse,
)
from projgraph.pack.write import HEADER_STRUCT, SECTION_STRUCT, layout, model_bytes

HEADS_STRUCT = struct.Struct(struct_code(HEADS))
SLOTS = 1 + max(section for section in Section if section < SKIPPABLE_FROM)


@dataclass(frozen=True)
class BundleHead:
    """A head of a bundle.

    Attributes:
        name: how it is asked for.
        sections: the rows of the bundle's table that it is made of, by their kind.
    """

    name: str
    sections: Mapping[Section, Entry]


@dataclass(frozen=True)
class BundleFigures:
    """What a bundle saves: its heads and bytes, those of the models apart, and distinct sections of each kind."""

    heads: int
    bytes: int
    bytes_apart: int
    sections: Mapping[str, int]


def bundle_bytes(models: Mapping[str, bytes]) -> bytes:
    """The bytes of a bundle; the same models in the same order give the same bytes.

    Args:
        models: the bytes of `.pgb` files by the names that their heads get.

    Raises:
        ModelFileError: one is no model; the message names it.
        ConfigError: there is none, one has a section that this version does not know, their projections differ, or the
            bundle would be too long.
    """
    if not 1 <= len(models) <= MAX_HEADS:
        raise ConfigError(f"there are {len(models)} models; expected 1 to {MAX_HEADS}")
    pool: dict[tuple[int, bytes], int] = {}
    heads = []
    for name, data in models.items():
        sections = _sections(name, data)
        heads.append({kind: pool.setdefault((kind, content), len(pool)) for kind, content in sections.items()})
    _check_projections(list(models), [head[Section.PROJECTION] for head in heads])
    directory = _directory(list(models), heads)
    minor = max(HEADER_STRUCT.unpack_from(data)[2] for data in models.values())
    return _assemble(BUNDLE_MAGIC, minor, [(BundleSection.HEADS, directory), *pool])


def write_bundle(paths: Sequence[Path], out: Path) -> BundleFigures:
    """Write the bundle of model files, whole or not at all; a head is called by its file's stem.

    Raises:
        InputError: a file cannot be read.
        ModelFileError: one is no model; the message names it.
        ConfigError: as ``bundle_bytes``, or two files have the same stem.
        OutputError: the bundle cannot be written, or would replace one of the models.
    """
    check_target(out, paths)
    models: dict[str, bytes] = {}
    for path in paths:
        if path.stem in models:
            raise ConfigError(f"two models are called {path.stem}; expected files of different names")
        models[path.stem] = model_file_bytes(path)[0]
    data = bundle_bytes(models)
    atomic_write(out, data)
    return BundleFigures(len(models), len(data), sum(map(len, models.values())), shared_kinds(data))


def shared_kinds(data: bytes) -> dict[str, int]:
    """How many distinct sections of each kind the heads of a bundle have; one is shared by all that have any.

    Raises:
        ModelFileError: the bytes are no bundle.
    """
    distinct: dict[str, set[int]] = {}
    for head in bundle_heads(data):
        for kind, entry in head.sections.items():
            distinct.setdefault(kind.name.lower(), set()).add(entry.offset)
    return {name: len(offsets) for name, offsets in sorted(distinct.items())}


def read_bundle(source: str | os.PathLike[str] | bytes) -> dict[str, tuple[QuantisedModel, dict[str, Any]]]:
    """Model and provenance of every head by its name.

    Raises:
        InputError: there is no such file, or it cannot be read.
        ModelFileError: the bytes are no bundle, or a head is no model.
    """
    data, name = model_file_bytes(source)
    try:
        return {head: parse_model(content) for head, content in unbundle(data).items()}
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from error


def unbundle(data: bytes) -> dict[str, bytes]:
    """The `.pgb` file of every head by its name, of the bytes that it was bundled from.

    Raises:
        ModelFileError: the bytes are no bundle, or a head is no model.
    """
    return {head.name: _head_file(data, head) for head in bundle_heads(data)}


def bundle_heads(data: bytes) -> tuple[BundleHead, ...]:
    """The heads of a bundle, after every check of the header, the checksum, the table, padding and directory.

    Raises:
        ModelFileError: naming the field, what was found and what is expected.
    """
    count = check_header(data, BUNDLE_MAGIC, MAX_BUNDLE_SECTIONS)
    known = {int(section) for section in (*Section, *BundleSection)}
    entries = check_rows(data, count, known, repeat=True)
    lists = [entry for entry in entries if entry.kind == BundleSection.HEADS]
    if len(lists) != 1:
        refuse("sections of kind HEADS", len(lists), "one")
    return _read_directory(data[lists[0].offset : lists[0].end], entries)


def _sections(name: str, data: bytes) -> dict[int, bytes]:
    """The sections of a model's file, which is checked whole."""
    try:
        parse_model(data)
        entries = read_table(data)
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from error
    unknown = [entry.name for entry in entries if entry.kind not in set(Section)]
    if unknown:
        raise ConfigError(f"{name} has the section {unknown[0]}, which this version would drop; expected known ones")
    return {entry.kind: data[entry.offset : entry.end] for entry in entries}


def _check_projections(names: list[str], projections: list[int]) -> None:
    others = [name for name, projection in zip(names, projections, strict=True) if projection != projections[0]]
    if others:
        raise ConfigError(
            f"{', '.join(others[:3])}{', ...' if len(others) > 3 else ''} and {names[0]} have different projections; "
            "expected models of the same bits, n-grams and seed: train them with the same seed, --set projection.bits "
            "and other projection settings"
        )


def _directory(names: list[str], heads: list[dict[int, int]]) -> bytes:
    """The section of heads; rows are counted from 1, and the first is the directory's own."""
    encoded = [name.encode() for name in names]
    offsets = list(accumulate((len(name) for name in encoded), initial=0))
    slots = []
    for head in heads:
        kinds = [Section.PROVENANCE, *range(1, SLOTS)]
        slots += [head[kind] + 2 if kind in head else 0 for kind in kinds]
    parts = [
        HEADS_STRUCT.pack(len(names), SLOTS),
        struct.pack(f"<{len(offsets)}I", *offsets),
        struct.pack(f"<{len(slots)}H", *slots),
    ]
    return b"".join([*parts, *encoded])


def _assemble(magic: bytes, minor: int, sections: list[tuple[int, bytes]]) -> bytes:
    """A file of these sections."""
    offsets, length = layout(len(content) for _, content in sections)
    if length > MAX_LENGTH or len(sections) > MAX_BUNDLE_SECTIONS:
        raise ConfigError(
            f"the file would have {length} bytes and {len(sections)} sections; expected at most {MAX_LENGTH} and "
            f"{MAX_BUNDLE_SECTIONS}: make several bundles"
        )
    data = bytearray(length)
    for row, (offset, (kind, content)) in enumerate(zip(offsets, sections, strict=True)):
        place = HEADER_STRUCT.size + row * SECTION_STRUCT.size
        SECTION_STRUCT.pack_into(data, place, kind, offset, len(content), 0)
        data[offset : offset + len(content)] = content
    HEADER_STRUCT.pack_into(data, 0, magic, MAJOR, minor, length, 0, len(sections), 0, 0, 0)
    checksum = zlib.crc32(memoryview(data)[CHECKED_FROM:])
    HEADER_STRUCT.pack_into(data, 0, magic, MAJOR, minor, length, checksum, len(sections), 0, 0, 0)
    return bytes(data)


def _head_file(data: bytes, head: BundleHead) -> bytes:
    """The model file of a head, as this version writes it."""
    sections = [(int(kind), data[entry.offset : entry.end]) for kind, entry in head.sections.items()]
    try:
        return model_bytes(*parse_model(_assemble(MAGIC, 0, sections)))
    except ModelFileError as error:
        raise ModelFileError(f"head {head.name}: {error}") from error


def _read_directory(section: bytes, entries: tuple[Entry, ...]) -> tuple[BundleHead, ...]:
    if len(section) < HEADS_STRUCT.size:
        refuse("length of HEADS", len(section), f"at least {HEADS_STRUCT.size}")
    count, slots = HEADS_STRUCT.unpack_from(section)
    if not 1 <= count <= MAX_HEADS:
        refuse("heads.count", count, f"1 to {MAX_HEADS}")
    if not Section.PROJECTION < slots <= MAX_SECTIONS:
        refuse("heads.slots", slots, f"{Section.PROJECTION + 1} to {MAX_SECTIONS}")
    first = HEADS_STRUCT.size + 4 * (count + 1)
    names_start = first + 2 * count * slots
    if len(section) < names_start:
        refuse("length of HEADS", len(section), f"at least {names_start} for {count} heads of {slots} slots")
    offsets = struct.unpack_from(f"<{count + 1}I", section, HEADS_STRUCT.size)
    ascending = all(one <= other for one, other in pairwise(offsets))
    if offsets[0] != 0 or not ascending or offsets[-1] != len(section) - names_start:
        refuse("heads.offsets", f"{offsets[0]} to {offsets[-1]}", f"ascending from 0 to {len(section) - names_start}")
    heads = []
    for index in range(count):
        numbers = struct.unpack_from(f"<{slots}H", section, first + 2 * slots * index)
        name = section[names_start + offsets[index] : names_start + offsets[index + 1]]
        try:
            heads.append(BundleHead(name.decode(), _head_sections(index, numbers, entries)))
        except UnicodeDecodeError:
            refuse(f"heads.names[{index}]", name, "UTF-8")
    if len({head.name for head in heads}) != count:
        refuse("heads.names", "a name twice", "distinct names")
    if len({head.sections[Section.PROJECTION] for head in heads}) != 1:
        refuse("heads", "heads of several projections", "one projection")
    return tuple(heads)


def _head_sections(index: int, numbers: tuple[int, ...], entries: tuple[Entry, ...]) -> dict[Section, Entry]:
    """The sections of a head in the order of a model file."""
    found: dict[Section, Entry] = {}
    for slot, number in enumerate(numbers):
        if not number:
            continue
        kind = Section.PROVENANCE if slot == 0 else slot
        if number > len(entries) or kind not in set(Section) or entries[number - 1].kind != kind:
            refuse(f"heads[{index}].slots[{slot}]", number, f"0, or a section of kind {kind}")
        found[Section(kind)] = entries[number - 1]
    if Section.PROJECTION not in found:
        refuse(f"heads[{index}].slots[{int(Section.PROJECTION)}]", 0, "a projection")
    return dict(sorted(found.items(), key=lambda item: item[1].offset))
