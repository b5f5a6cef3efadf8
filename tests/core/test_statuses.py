"""Each way in which a file can be wrong has its own status, and the status its own words."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import projgraph.core
from projgraph.errors import ModelFileError
from projgraph.native import NativeModel, project
from projgraph.pack.format import MAX_BIAS, Section
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.vector import VectorSpec

from .reference_head import WordShape, random_file, texts_of, word_file

SPEC = ProjectionSpec.for_text(bits=64, additions=4)
LINEAR = random_file(SPEC, classes=5, width=4)
VECTORS = random_file(VectorSpec(16, 4, 7, 3, thresholds=np.arange(64, dtype=np.int32)), classes=5)
TERNARY = random_file(SPEC, classes=5, width=2)
SPARSE = random_file(SPEC, classes=5, width=36)
HIDDEN = random_file(SPEC, classes=5, units=7)
WORDS = word_file(SPEC, [b"where is my card"], WordShape(16, 3, 2), classes=5)
DIRECT = word_file(ProjectionSpec.for_text(bits=384, additions=4), [b"card"], WordShape(128, 128, 1), classes=1)
HEADER = (Path(projgraph.core.__file__).parent / "projgraph.h").read_text(encoding="utf-8")
STATUSES = dict(re.findall(r'X\((PG_\w+),\s*"(.*?)"\)', HEADER))
FROM_C_ALONE = {"PG_OK", "PG_BAD_ARGUMENT", "PG_SCRATCH_TOO_SMALL", "PG_NO_SUCH_LABEL", "PG_LEFT_OUT"}
OF_BUNDLES = {"PG_BAD_HEADS", "PG_NO_SUCH_HEAD", "PG_OTHER_PROJECTION"}
OF_ROWS = {"PG_WANTS_TEXT", "PG_WANTS_VECTOR", "PG_BAD_VECTOR", "PG_VECTOR_TOO_LONG"}


def sealed(data: bytes | bytearray) -> bytes:
    return bytes(data[:12]) + struct.pack("<I", zlib.crc32(data[16:])) + bytes(data[16:])


def patched(data: bytes, offset: int, code: str, value: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into("<" + code, changed, offset, value)
    return sealed(changed)


def row_of(data: bytes, kind: Section) -> int:
    """Where a section's row in the table begins."""
    return next(at for at in range(32, 32 + 16 * data[16], 16) if struct.unpack_from("<I", data, at)[0] == kind)


def field(data: bytes, kind: Section, at: int, code: str, value: int) -> bytes:
    """The file with a value written into a section, counted from its end if ``at`` is negative."""
    offset, length = struct.unpack_from("<II", data, row_of(data, kind) + 4)
    return patched(data, offset + at + (length if at < 0 else 0), code, value)


def table(data: bytes, kind: Section, at: int, value: int) -> bytes:
    return patched(data, row_of(data, kind) + at, "I", value)


def shorter(data: bytes, kind: Section) -> bytes:
    """A section said to have one byte less, which is zero now, as padding is."""
    length = struct.unpack_from("<I", data, row_of(data, kind) + 8)[0]
    return table(field(data, kind, -1, "B", 0), kind, 8, length - 1)


WRONG: dict[str, tuple[str, Callable[[], bytes]]] = {
    "empty": ("PG_TRUNCATED", lambda: b""),
    "half a header": ("PG_TRUNCATED", lambda: LINEAR[:31]),
    "cut": ("PG_TRUNCATED", lambda: LINEAR[:-1]),
    "magic": ("PG_BAD_MAGIC", lambda: patched(LINEAR, 3, "B", 1)),
    "major": ("PG_BAD_VERSION", lambda: patched(LINEAR, 4, "H", 2)),
    "longer than it says": ("PG_BAD_LENGTH", lambda: LINEAR + b"\0"),
    "longer than any": ("PG_BAD_LENGTH", lambda: patched(LINEAR, 8, "I", (1 << 28) + 1)),
    "checksum": ("PG_BAD_CHECKSUM", lambda: LINEAR[:-1] + bytes([LINEAR[-1] ^ 1])),
    "reserved in the header": ("PG_BAD_RESERVED", lambda: patched(LINEAR, 31, "B", 1)),
    "reserved in the table": ("PG_BAD_RESERVED", lambda: table(LINEAR, Section.HEAD, 12, 1)),
    "reserved in a vector": ("PG_BAD_RESERVED", lambda: field(VECTORS, Section.PROJECTION, 28, "I", 1)),
    "reserved beside the thresholds' flag": ("PG_BAD_RESERVED", lambda: field(VECTORS, Section.PROJECTION, 27, "B", 1)),
    "reserved in a family": ("PG_BAD_RESERVED", lambda: field(LINEAR, Section.PROJECTION, 28, "I", 1)),
    "padding": ("PG_BAD_RESERVED", lambda: shorter_without_zero(LINEAR)),
    "no sections": ("PG_BAD_SECTION_COUNT", lambda: patched(LINEAR, 16, "I", 0)),
    "65 sections": ("PG_BAD_SECTION_COUNT", lambda: patched(LINEAR, 16, "I", 65)),
    "table past the end": ("PG_BAD_SECTION_COUNT", lambda: patched(sealed(shrunk(LINEAR, 64)), 16, "I", 3)),
    "kind 0": ("PG_BAD_SECTION_KIND", lambda: table(LINEAR, Section.BIAS, 0, 0)),
    "kind 15": ("PG_BAD_SECTION_KIND", lambda: table(LINEAR, Section.BIAS, 0, 15)),
    "kind 0x7fff": ("PG_BAD_SECTION_KIND", lambda: table(LINEAR, Section.BIAS, 0, 0x7FFF)),
    "unaligned": ("PG_BAD_SECTION_ALIGNMENT", lambda: table(LINEAR, Section.BIAS, 4, 8)),
    "offset past the end": ("PG_BAD_SECTION_BOUNDS", lambda: table(LINEAR, Section.LABELS, 4, 1 << 31)),
    "length past the end": ("PG_BAD_SECTION_BOUNDS", lambda: table(LINEAR, Section.LABELS, 8, 2**32 - 1)),
    "twice": ("PG_BAD_SECTION_ORDER", lambda: table(LINEAR, Section.BIAS, 0, Section.HEAD)),
    "optional twice": ("PG_BAD_SECTION_ORDER", lambda: table(LINEAR, Section.LABELS, 0, Section.PROVENANCE)),
    "overlapping": ("PG_BAD_SECTION_ORDER", lambda: table(LINEAR, Section.HEAD, 4, 32)),
    "missing": ("PG_MISSING_SECTION", lambda: table(LINEAR, Section.BIAS, 0, 0x9000)),
    "hidden part missing": ("PG_MISSING_SECTION", lambda: table(HIDDEN, Section.HIDDEN_BIAS, 0, 0x9000)),
    "hidden part unwanted": ("PG_UNEXPECTED_SECTION", lambda: table(LINEAR, Section.PROVENANCE, 0, 7)),
    "quantiser": ("PG_BAD_PROJECTION", lambda: field(LINEAR, Section.PROJECTION, 12, "B", 2)),
    "families": ("PG_BAD_PROJECTION", lambda: field(LINEAR, Section.PROJECTION, 13, "B", 3)),
    "seen slots": ("PG_BAD_PROJECTION", lambda: field(LINEAR, Section.PROJECTION, 14, "B", 17)),
    "no bits": ("PG_BAD_PROJECTION", lambda: field(LINEAR, Section.PROJECTION, 8, "H", 0)),
    "too many bits": ("PG_BAD_PROJECTION", lambda: field(LINEAR, Section.PROJECTION, 8, "I", 2**32 - 1)),
    "family kind": ("PG_BAD_FAMILY", lambda: field(LINEAR, Section.PROJECTION, 16, "B", 3)),
    "no additions": ("PG_BAD_FAMILY", lambda: field(LINEAR, Section.PROJECTION, 19, "B", 0)),
    "block past the bits": ("PG_BAD_FAMILY", lambda: field(LINEAR, Section.PROJECTION, 20, "I", 2**32 - 4)),
    "shared bits": ("PG_FAMILY_OVERLAP", lambda: field(LINEAR, Section.PROJECTION, 20, "I", 1)),
    "input": ("PG_UNKNOWN_INPUT", lambda: field(LINEAR, Section.PROJECTION, 15, "B", 2)),
    "families of vectors": ("PG_BAD_COLUMNS", lambda: field(LINEAR, Section.PROJECTION, 15, "B", 1)),
    "slots of vectors": ("PG_BAD_COLUMNS", lambda: field(VECTORS, Section.PROJECTION, 14, "B", 1)),
    "no families of texts": ("PG_BAD_PROJECTION", lambda: field(VECTORS, Section.PROJECTION, 15, "B", 0)),
    "no columns": ("PG_BAD_COLUMNS", lambda: field(VECTORS, Section.PROJECTION, 16, "I", 0)),
    "too many columns": ("PG_BAD_COLUMNS", lambda: field(VECTORS, Section.PROJECTION, 16, "I", (1 << 24) + 1)),
    "scale of values": ("PG_BAD_COLUMNS", lambda: field(VECTORS, Section.PROJECTION, 20, "I", 0x7F800000)),
    "no additions of columns": ("PG_BAD_COLUMNS", lambda: field(VECTORS, Section.PROJECTION, 24, "H", 0)),
    "more additions than bits": ("PG_BAD_COLUMNS", lambda: field(VECTORS, Section.PROJECTION, 24, "H", 65)),
    "thresholds' flag": ("PG_BAD_COLUMNS", lambda: field(VECTORS, Section.PROJECTION, 26, "B", 2)),
    "thresholds left out": ("PG_BAD_PROJECTION", lambda: field(VECTORS, Section.PROJECTION, 26, "B", 0)),
    "thresholds of another size": ("PG_BAD_PROJECTION", lambda: field(VECTORS, Section.PROJECTION, 10, "H", 2)),
    "reserved in words": ("PG_BAD_RESERVED", lambda: field(WORDS, Section.WORDS, 7, "B", 1)),
    "reserved in a convolution": ("PG_BAD_RESERVED", lambda: field(WORDS, Section.CONVOLUTION, 4, "I", 1)),
    "no words": ("PG_BAD_WORDS", lambda: field(WORDS, Section.WORDS, 0, "I", 0)),
    "more words than there are": ("PG_BAD_WORDS", lambda: field(WORDS, Section.WORDS, 0, "I", 2**32 - 1)),
    "dimensions": ("PG_BAD_WORDS", lambda: field(WORDS, Section.WORDS, 4, "H", 12)),
    "dimensions of others": ("PG_BAD_WORDS", lambda: field(WORDS, Section.WORDS, 4, "H", 24)),
    "norm shift": ("PG_BAD_WORDS", lambda: field(WORDS, Section.WORDS, 6, "B", 7)),
    "words cut": ("PG_BAD_WORDS", lambda: shorter(WORDS, Section.WORDS)),
    "words repeat": ("PG_WORD_ORDER", lambda: field(WORDS, Section.WORDS, 12, "I", 7)),
    "words of vectors": ("PG_UNEXPECTED_SECTION", lambda: table(VECTORS, Section.PROVENANCE, 0, Section.WORDS)),
    "filters": ("PG_BAD_CONVOLUTION", lambda: field(WORDS, Section.CONVOLUTION, 0, "H", 129)),
    "width": ("PG_BAD_CONVOLUTION", lambda: field(WORDS, Section.CONVOLUTION, 2, "B", 6)),
    "shift of filters": ("PG_BAD_CONVOLUTION", lambda: field(WORDS, Section.CONVOLUTION, 3, "B", 31)),
    "convolution cut": ("PG_BAD_CONVOLUTION", lambda: table(WORDS, Section.CONVOLUTION, 8, 7)),
    "convolution without words": ("PG_UNEXPECTED_SECTION", lambda: table(WORDS, Section.WORDS, 0, 0x9000)),
    "filters without a convolution": ("PG_UNEXPECTED_SECTION", lambda: table(WORDS, Section.CONVOLUTION, 0, 0x9000)),
    "filters' part missing": ("PG_MISSING_SECTION", lambda: table(WORDS, Section.CONVOLUTION_BIAS, 0, 0x9000)),
    "other width": ("PG_BAD_WEIGHTS", lambda: field(WORDS, Section.CONVOLUTION, 2, "B", 3)),
    "too many inputs": ("PG_TOO_MANY_INPUTS", lambda: field(DIRECT, Section.PROJECTION, 10, "H", 65)),
    "head kind": ("PG_BAD_HEAD", lambda: field(LINEAR, Section.HEAD, 0, "B", 3)),
    "units of a linear head": ("PG_BAD_HEAD", lambda: field(LINEAR, Section.HEAD, 6, "H", 1)),
    "shift": ("PG_BAD_HEAD", lambda: field(HIDDEN, Section.HEAD, 3, "B", 31)),
    "no classes": ("PG_BAD_HEAD", lambda: field(LINEAR, Section.HEAD, 4, "H", 0)),
    "scale NaN": ("PG_BAD_HEAD", lambda: field(LINEAR, Section.HEAD, 8, "I", 0x7FC00000)),
    "scale below zero": ("PG_BAD_HEAD", lambda: field(LINEAR, Section.HEAD, 8, "I", 0x80000001)),
    "more classes than weights": ("PG_BAD_WEIGHTS", lambda: field(LINEAR, Section.HEAD, 4, "H", 7)),
    "bytes for nibbles": ("PG_BAD_WEIGHTS", lambda: field(LINEAR, Section.HEAD, 1, "B", 8)),
    "row padding": ("PG_BAD_ROW_PADDING", lambda: field(LINEAR, Section.WEIGHTS, -1, "B", 1)),
    "no such weights": ("PG_BAD_HEAD", lambda: field(LINEAR, Section.HEAD, 1, "B", 33)),
    "bits behind the last output": ("PG_BAD_ROW_PADDING", lambda: field(TERNARY, Section.WEIGHTS, 0, "B", 0x20)),
    "plus and minus": ("PG_BAD_WEIGHTS", lambda: field(TERNARY, Section.WEIGHTS, 0, "H", 0x0101)),
    "values before a block": ("PG_BAD_WEIGHTS", lambda: field(SPARSE, Section.WEIGHTS, 4, "I", 2**32 - 1)),
    "half a byte": ("PG_BAD_ROW_PADDING", lambda: field(LINEAR, Section.WEIGHTS, 2, "B", 0x10)),
    "bias above": ("PG_BAD_BIAS", lambda: field(LINEAR, Section.BIAS, 0, "i", MAX_BIAS + 1)),
    "bias below": ("PG_BAD_BIAS", lambda: field(HIDDEN, Section.HIDDEN_BIAS, -4, "i", -(1 << 31))),
    "bias of another size": ("PG_BAD_BIAS", lambda: shorter(LINEAR, Section.BIAS)),
    "multiplier": ("PG_BAD_MULTIPLIER", lambda: field(LINEAR, Section.MULTIPLIERS, 4, "B", 0)),
    "multipliers of another size": ("PG_BAD_MULTIPLIER", lambda: shorter(HIDDEN, Section.HIDDEN_MULTIPLIERS)),
    "label count": ("PG_BAD_LABELS", lambda: field(LINEAR, Section.LABELS, 0, "I", 4)),
    "label offsets descend": ("PG_BAD_LABELS", lambda: field(LINEAR, Section.LABELS, 12, "I", 2**32 - 1)),
    "labels cut": ("PG_BAD_LABELS", lambda: shorter(LINEAR, Section.LABELS)),
}


def shorter_without_zero(data: bytes) -> bytes:
    """The last section a byte shorter than what it holds: that byte is padding now, and not zero."""
    length = struct.unpack_from("<I", data, row_of(data, Section.PROVENANCE) + 8)[0]
    return table(data, Section.PROVENANCE, 8, length - 1)


def shrunk(data: bytes, length: int) -> bytes:
    changed = bytearray(data[:length])
    struct.pack_into("<I", changed, 8, length)
    return bytes(changed)


@pytest.mark.parametrize(("status", "make"), WRONG.values(), ids=list(WRONG))
def test_the_status_names_what_is_wrong(status: str, make: Callable[[], bytes]) -> None:
    with pytest.raises(ModelFileError) as caught:
        NativeModel(make())
    remedy = "check that it is a .pgb file and whole, or write it again with this version of projgraph"
    expected = f"the model cannot be used: {STATUSES[status]} ({status}); {remedy}"
    assert str(caught.value) == expected


def test_every_status_of_a_file_is_reached() -> None:
    assert {status for status, _ in WRONG.values()} == set(STATUSES) - FROM_C_ALONE - OF_ROWS - OF_BUNDLES


def test_no_two_statuses_read_alike() -> None:
    assert len(set(STATUSES.values())) == len(STATUSES)


def test_what_readers_must_take_is_taken() -> None:
    plain = NativeModel(LINEAR).scores(texts_of([b"card"])).tolist()
    newer = patched(LINEAR, 6, "H", 7)
    unknown = table(LINEAR, Section.PROVENANCE, 0, 0xFFFFFFFF)
    for data in (newer, unknown):
        model = NativeModel(data)
        assert model.scores(texts_of([b"card"])).tolist() == plain
        assert model.provenance == {}


@pytest.mark.parametrize("content", [b"[]", b"\xff\xff", b"{]", b"1 "])
def test_provenance_is_read_late_and_refused_by_name(content: bytes) -> None:
    assert struct.unpack_from("<I", LINEAR, row_of(LINEAR, Section.PROVENANCE) + 8)[0] == 2
    model = NativeModel(field(LINEAR, Section.PROVENANCE, 0, "H", int.from_bytes(content, "little")))
    assert model.predict_one("card") in range(5)
    with pytest.raises(ModelFileError, match="the provenance section"):
        model.provenance  # noqa: B018


def test_a_label_that_is_not_utf8_is_refused_by_python() -> None:
    with pytest.raises(ModelFileError, match=r"a label is not UTF-8 .*: write the model again"):
        NativeModel(field(LINEAR, Section.LABELS, -1, "B", 0xFF))


@pytest.mark.parametrize("cut", [0, 15, 16, 31, 47, 49])
def test_a_projection_of_another_size_is_refused(cut: int) -> None:
    section = (SPEC.to_bytes() + b"\0")[:cut]
    with pytest.raises(ModelFileError, match=r"PG_BAD_PROJECTION"):
        project(section, texts_of([b"card"]))
