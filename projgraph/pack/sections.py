"""A file's bytes to its sections, header, checksum and table proved; what is in a section is unknown here."""

from __future__ import annotations

import os
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from projgraph.errors import InputError, ModelFileError
from projgraph.pack.format import (
    ALIGNMENT,
    BUNDLE_MAGIC,
    CHECKED_FROM,
    MAGIC,
    MAJOR,
    MAX_LENGTH,
    MAX_SECTIONS,
    Section,
)
from projgraph.pack.write import HEADER_STRUCT, SECTION_STRUCT

SKIPPABLE_FROM = 0x8000
LAST_KIND = max(section.value for section in Section if section < SKIPPABLE_FROM)


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
        refuse(
            "magic", magic, f"{MAGIC!r}: this is a bundle of several heads, not one model: give a model it was made of"
        )
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
