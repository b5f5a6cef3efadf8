"""Damaged and hostile model files: every reader refuses them, names the field, and agrees with the other reader."""

from __future__ import annotations

import dataclasses
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projgraph.errors import InputError, ModelFileError
from projgraph.native import NativeModel
from projgraph.pack.format import MAX_LENGTH, WEIGHTS_SHARED, Section
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.read import read_model
from projgraph.pack.sections import Entry, read_table
from projgraph.pack.vector import VectorSpec
from projgraph.pack.write import model_bytes

MakeModel = Callable[..., QuantisedModel]
Attack = tuple[str, bytes, str]


def seal(data: bytes | bytearray) -> bytes:
    """The bytes with a checksum that fits them."""
    return bytes(data[:12]) + struct.pack("<I", zlib.crc32(data[16:])) + bytes(data[16:])


def patch(data: bytes, offset: int, code: str, *values: object) -> bytes:
    changed = bytearray(data)
    struct.pack_into("<" + code, changed, offset, *values)
    return seal(changed)


def refusal(data: bytes) -> str | None:
    """Why the Python reader refuses the bytes; None where it takes them. Any other error fails the test."""
    try:
        read_model(data)
    except ModelFileError as error:
        return str(error)
    return None


def core_takes(data: bytes) -> bool:
    try:
        NativeModel(data)
    except ModelFileError:
        return False
    return True


def entry_of(data: bytes, kind: Section) -> tuple[int, Entry]:
    """A section's offset in the table, and its row."""
    return next((32 + 16 * row, entry) for row, entry in enumerate(read_table(data)) if entry.kind == kind)


def without(data: bytes, kind: Section) -> bytes:
    """The file with a section turned into an unknown one that a reader skips."""
    return patch(data, entry_of(data, kind)[0], "I", 0x9000 + kind)


def with_section(data: bytes, kind: Section, content: bytes) -> bytes:
    """The file with another content of a section, written at the end where its old place was the last."""
    entries = [(entry.kind, data[entry.offset : entry.end]) for entry in read_table(data)]
    return build([(number, content if number == kind else old) for number, old in entries])


def build(sections: list[tuple[int, bytes]], gap: int = 0) -> bytes:
    table, body, start = b"", b"", 32 + 16 * len(sections)
    for kind, content in sections:
        body += bytes(-(start + len(body)) % 16 + gap)
        table += struct.pack("<IIII", kind, start + len(body), len(content), 0)
        body += content
    return seal(struct.pack("<4sHHIIIIII", b"PGB\0", 1, 0, start + len(body), 0, len(sections), 0, 0, 0) + table + body)


def contents(data: bytes) -> list[tuple[Entry, bytes]]:
    return [(entry, data[entry.offset : entry.end]) for entry in read_table(data)]


def patch_content(content: bytes, offset: int, code: str, value: int) -> bytes:
    changed = bytearray(content)
    struct.pack_into("<" + code, changed, offset, value)
    return bytes(changed)


def content_of(data: bytes, kind: Section) -> bytes:
    entry = entry_of(data, kind)[1]
    return data[entry.offset : entry.end]


def header_attacks(data: bytes) -> Iterator[Attack]:
    length = len(data)
    yield "magic", patch(data, 0, "4s", b"PGC\0"), "magic is b'PGC\\x00'; expected b'PGB\\x00'"
    yield "major 0", patch(data, 4, "H", 0), "major version is 0; expected 1"
    yield "major 2", patch(data, 4, "H", 2), "major version is 2; expected 1"
    for name, value in (("short", length - 1), ("long", length + 1), ("zero", 0), ("huge", 0xFFFFFFFF)):
        yield f"length {name}", patch(data, 8, "I", value), f"length is {value}; expected the {length} bytes"
    yield "checksum", data[:12] + b"\0\0\0\0" + data[16:], "checksum is 0x00000000; expected 0x"
    yield "appended", data + b"\0", f"length is {length}; expected the {length + 1} bytes"
    for count in (65, 0xFFFFFFFF, length):
        yield f"{count} sections", patch(data, 16, "I", count), f"sections is {count}; expected at most "
    yield "no sections", build([]), "section PROJECTION is missing; expected every required section"
    for index in range(3):
        yield f"reserved_{index}", patch(data, 20 + 4 * index, "I", 1), f"reserved_{index} is 1; expected 0"


def table_attacks(data: bytes) -> Iterator[Attack]:
    length, (table, weights), (_, bias) = len(data), entry_of(data, Section.WEIGHTS), entry_of(data, Section.BIAS)
    for value in (0, 15, 0x7FFF):
        yield f"kind {value}", patch(data, table, "I", value), f"kind is {value}; expected 1 to 14, or 32768 and above"
    yield "twice", patch(data, table, "I", Section.HEAD), "kind is HEAD again; expected every section at most once"
    for value in (weights.offset + 1, weights.offset + 8, weights.offset - 16, 0, 0xFFFFFFF0, 0xFFFFFFFF):
        yield f"offset {value}", patch(data, table + 4, "I", value), "WEIGHTS is "
    for value in (0xFFFFFFFF, length, weights.length + 64):
        yield f"weights of {value}", patch(data, table + 8, "I", value), " is "
    for value in (0, 1, weights.length - 1):
        yield f"weights of {value}", patch(data, table + 8, "I", value), " is "
    yield "row reserved", patch(data, table + 12, "I", 1), "section table row 2: reserved is 1; expected 0"
    yield (
        "padding",
        patch(data, bias.end, "B", 7),
        f"padding before MULTIPLIERS is 0x07 at byte {bias.end}; expected zero",
    )
    descending = bytearray(data)
    descending[32:64] = data[48:64] + data[32:48]
    yield "descending", seal(descending), "offset of PROJECTION is 144; expected a multiple of 16 from 208 on"
    yield "trailing", seal(patch(data + b"\1", 8, "I", length + 1)), "padding at the end of the file is 0x01"
    for kind in (Section.PROJECTION, Section.HEAD, Section.WEIGHTS, Section.BIAS, Section.MULTIPLIERS, Section.LABELS):
        yield f"no {kind.name}", without(data, kind), f"section {kind.name} is missing; expected every required section"
    sections = [(entry.kind, data[entry.offset : entry.end]) for entry in read_table(data)]
    yield (
        "stray hidden",
        build([*sections, (Section.HIDDEN_BIAS, bytes(4))]),
        "section HIDDEN_BIAS is present; expected the hidden sections exactly with",
    )


def head_attacks(data: bytes) -> Iterator[Attack]:
    _, head = entry_of(data, Section.HEAD)
    for offset, code, value, message in (
        (0, "B", 0, "head.kind is 0; expected 1 (linear) or 2 (hidden)"),
        (0, "B", 2, "head.hidden_weight_bits is 0; expected one of 1, 2, 4, 8, 20, 34, 36, 40, 52 with a hidden layer"),
        (1, "B", 3, "head.weight_bits is 3; expected one of 1, 2, 4, 8, 20, 34, 36, 40, 52"),
        (1, "B", 8, "length of WEIGHTS is 224; expected 352 for 64 x 5 of 8 bits"),
        (
            2,
            "B",
            8,
            "head.hidden_weight_bits is 8; expected one of 1, 2, 4, 8, 20, 34, 36, 40, 52 with a hidden layer, 0",
        ),
        (3, "B", 1, "head.hidden_shift is 1; expected 0 to 30 with a hidden layer, 0 without"),
        (4, "H", 0, "head.classes is 0; expected 1 to 4096"),
        (4, "H", 4, "length of WEIGHTS is 224; expected 160 for 64 x 4 of 4 bits"),
        (4, "H", 4097, "head.classes is 4097; expected 1 to 4096"),
        (6, "H", 1, "head.units is 1; expected 1 to 256 with a hidden layer, 0 without"),
        (8, "f", 0.0, "head.scale is 0.0; expected a positive normal number"),
        (8, "f", -1.0, "head.scale is -1.0; expected a positive normal number"),
        (8, "f", float("nan"), "head.scale is nan; expected a positive normal number"),
        (8, "f", float("inf"), "head.scale is inf; expected a positive normal number"),
        (8, "I", 0x007FFFFF, "head.scale is 1.1754942106924411e-38; expected a positive normal number"),
    ):
        yield f"head {offset} {value}", patch(data, head.offset + offset, code, value), message


def projection_attacks(data: bytes) -> Iterator[Attack]:
    _, projection = entry_of(data, Section.PROJECTION)
    for offset, code, value, message in (
        (8, "H", 0, "functions is 0; expected an integer from 1 to 16384"),
        (8, "H", 257, "functions x function_bits is 16448 bits; expected at most 16384"),
        (10, "H", 0, "function_bits is 0; expected an integer from 1 to 16384"),
        (10, "H", 63, "families[1] has the bits from 32 to 64; expected a block of at least 1 within 0 to 63"),
        (10, "H", 65, "length of WEIGHTS is 224; expected 227 for 65 x 5 of 4 bits"),
        (12, "B", 2, "quantiser is 2; expected 0 (sign) or 1 (ternary)"),
        (13, "B", 0, "the projection section has 48 bytes; expected 16 for 0 families"),
        (13, "B", 255, "the projection section has 48 bytes; expected 4096 for 255 families"),
        (14, "B", 17, "seen_slots_log2 is 17; expected an integer from 0 to 16"),
        (15, "B", 1, "families, seen_slots_log2 or a reserved field of a projection of vectors is not zero; expected"),
        (15, "B", 2, "the projection's input is 2; expected 0 (text) or 1 (vector): read it with a newer projgraph"),
        (16, "B", 0, "families[0].kind is 0; expected 1 (word) or 2 (character)"),
        (17, "B", 0, "families[0] takes n-grams from 0 to 2; expected 1 <= n_min <= n_max <= 4"),
        (17, "B", 3, "families[0] takes n-grams from 3 to 2; expected"),
        (18, "B", 5, "families[0] takes n-grams from 1 to 5; expected 1 <= n_min <= n_max <= 4"),
        (34, "B", 9, "families[1] takes n-grams from 1 to 9; expected 1 <= n_min <= n_max <= 8"),
        (19, "B", 0, "families[0].additions is 0; expected 1 to 16"),
        (19, "B", 3, "families[0].bit_count is 32; expected a multiple of additions, 3"),
        (19, "B", 17, "families[0].additions is 17; expected 1 to 16"),
        (20, "I", 1, "families[0] and families[1] share bits; expected blocks that do not overlap"),
        (20, "I", 0xFFFFFFF0, "families[0] has the bits from 4294967280 to 4294967312; expected a block"),
        (24, "I", 0, "families[0] has the bits from 0 to 0; expected a block"),
        (24, "I", 0xFFFFFFFF, "families[0] has the bits from 0 to 4294967295; expected a block"),
        (28, "I", 1, "a reserved field of the projection section is not zero; expected zero"),
    ):
        yield f"projection {offset} {value}", patch(data, projection.offset + offset, code, value), message


def label_attacks(data: bytes) -> Iterator[Attack]:
    _, labels = entry_of(data, Section.LABELS)
    for offset, code, value, message in (
        (0, "I", 4, "labels.count is 4; expected head.classes, 5"),
        (0, "I", 0xFFFFFFFF, "labels.count is 4294967295; expected head.classes, 5"),
        (4, "I", 1, "labels.offsets[0] is 1; expected 0"),
        (8, "I", 0xFFFFFFFF, "labels.offsets[2] is 4; expected 4294967295 or more"),
        (24, "I", 0xFFFFFFFF, "labels.offsets[5] is 4294967295; expected the "),
        (24, "I", 14, "labels.offsets[5] is 14; expected 17 or more"),
        (28, "B", 0xFF, "label 0 is b'\\xff'; expected UTF-8"),
    ):
        yield f"labels {offset} {value}", patch(data, labels.offset + offset, code, value), message
    content = content_of(data, Section.LABELS)
    yield (
        "labels cut",
        with_section(data, Section.LABELS, content[:-1]),
        "offsets[5] is 29; expected the 28 bytes of names",
    )
    yield "labels long", with_section(data, Section.LABELS, content + b"a"), "offsets[5] is 29; expected the 30 bytes"
    yield (
        "labels short",
        with_section(data, Section.LABELS, content[:27]),
        "length of LABELS is 27; expected at least 28",
    )


def layer_attacks(data: bytes) -> Iterator[Attack]:
    _, weights = entry_of(data, Section.WEIGHTS)
    for kind in (Section.BIAS, Section.MULTIPLIERS, Section.HEAD, Section.PROJECTION):
        content = content_of(data, kind)
        for other in (content[:-1], content + b"\0", b""):
            yield f"{kind.name} of {len(other)}", with_section(data, kind, other), str(len(other))
    too_large = struct.pack("<5i", 0, 1 << 30, 0, 0, 0)
    smallest = struct.pack("<5i", 0, 0, 0, 0, -(1 << 31))
    for content, value in ((too_large, 1 << 30), (smallest, 1 << 31)):
        message = f"the largest value of BIAS is {value}; expected at most 1073741823"
        yield f"bias {value}", with_section(data, Section.BIAS, content), message
    zero = content_of(data, Section.MULTIPLIERS)[:-1] + b"\0"
    yield "multiplier", with_section(data, Section.MULTIPLIERS, zero), "a value of MULTIPLIERS is 0; expected 1 to 255"
    yield "row padding", patch(data, weights.end - 1, "B", 1), "padding of the rows in WEIGHTS is 0x01"
    content = content_of(data, Section.WEIGHTS)
    nibble = content[:2] + bytes([content[2] | 0x70]) + content[3:]
    message = "the unused half byte of a row in WEIGHTS is 7; expected 0"
    yield "half byte", with_section(data, Section.WEIGHTS, nibble), message


def field_attacks(data: bytes) -> Iterator[Attack]:
    """Hostile files made from a linear model of 5 classes, 4-bit weights and 64 bits: name, bytes, message."""
    kinds = (header_attacks, table_attacks, head_attacks, projection_attacks, label_attacks, layer_attacks)
    return chain.from_iterable(attacks(data) for attacks in kinds)


def word_attacks(data: bytes) -> Iterator[Attack]:
    """Hostile files made from a linear model of 7 words of 16 dimensions and 3 filters of width 2."""
    _, words = entry_of(data, Section.WORDS)
    _, filters = entry_of(data, Section.CONVOLUTION)
    first = struct.unpack_from("<I", data, words.offset + 8)[0]
    for offset, code, value, message in (
        (0, "I", 0, "there are 0 words; expected 1 to 1048576"),
        (0, "I", 6, "the section of words has 50 bytes; expected 44 for 6 words of 16 dimensions"),
        (0, "I", (1 << 20) + 1, "there are 1048577 words; expected 1 to 1048576"),
        (0, "I", 0xFFFFFFFF, "there are 4294967295 words; expected 1 to 1048576"),
        (4, "H", 0, "a code has 0 numbers; expected a multiple of 8 from 8 to 128"),
        (4, "H", 12, "a code has 12 numbers; expected a multiple of 8 from 8 to 128"),
        (4, "H", 24, "the section of words has 50 bytes; expected 57 for 7 words of 24 dimensions"),
        (4, "H", 136, "a code has 136 numbers; expected a multiple of 8 from 8 to 128"),
        (6, "B", 7, "norm_shift is 7; expected 0 to 6"),
        (7, "B", 1, "words.reserved is 1; expected 0"),
        (12, "I", first ^ 3, "fingerprints repeat or descend; expected them strictly ascending"),
        (12, "I", 0, "fingerprints repeat or descend; expected them strictly ascending"),
    ):
        yield f"words {offset} {value}", patch(data, words.offset + offset, code, value), message
    for offset, code, value, message in (
        (0, "H", 0, "convolution.filters is 0; expected 1 to 128"),
        (0, "H", 4, "length of CONVOLUTION_WEIGHTS is 128; expected 160 for 32 x 4 of 8 bits"),
        (0, "H", 129, "convolution.filters is 129; expected 1 to 128"),
        (2, "B", 0, "convolution.width is 0; expected 1 to 5"),
        (2, "B", 3, "length of CONVOLUTION_WEIGHTS is 128; expected 176 for 48 x 3 of 8 bits"),
        (2, "B", 6, "convolution.width is 6; expected 1 to 5"),
        (3, "B", 31, "convolution.shift is 31; expected 0 to 30"),
        (4, "I", 1, "convolution.reserved is 1; expected 0"),
    ):
        yield f"convolution {offset} {value}", patch(data, filters.offset + offset, code, value), message


def word_section_attacks(data: bytes) -> Iterator[Attack]:
    """What the sections of words and of the convolution need of each other."""
    content = content_of(data, Section.WORDS)
    for other in (content[:-1], content + b"\0", content[:7], b""):
        message = f"the section of words has {len(other)} bytes; expected "
        yield f"words of {len(other)}", with_section(data, Section.WORDS, other), message
    content = content_of(data, Section.CONVOLUTION)
    for other in (content[:-1], content + b"\0", b""):
        message = f"length of CONVOLUTION is {len(other)}; expected 8"
        yield f"convolution of {len(other)}", with_section(data, Section.CONVOLUTION, other), message
    message = "section CONVOLUTION is present; expected a convolution with words alone"
    yield "no words", without(data, Section.WORDS), message
    parts = (Section.CONVOLUTION_WEIGHTS, Section.CONVOLUTION_BIAS, Section.CONVOLUTION_MULTIPLIERS)
    expected = "expected the convolution's sections exactly with a convolution"
    for part in parts:
        yield f"no {part.name}", without(data, part), f"section {part.name} is missing; {expected}"
        content = content_of(data, part)
        for other in (content[:-1], content + b"\0", b""):
            message = f"length of {part.name} is {len(other)}; expected {len(content)}"
            yield f"{part.name} of {len(other)}", with_section(data, part, other), message
    yield "no convolution", without(data, Section.CONVOLUTION), f"section {parts[0].name} is present; {expected}"
    bias = struct.pack("<3i", 0, -(1 << 30), 0)
    message = "the largest value of CONVOLUTION_BIAS is 1073741824; expected at most 1073741823"
    yield "bias", with_section(data, parts[1], bias), message
    message = "a value of CONVOLUTION_MULTIPLIERS is 0; expected 1 to 255"
    yield "multiplier", with_section(data, parts[2], b"\1\0\1"), message
    weights = entry_of(data, parts[0])[1]
    message = "padding of the rows in CONVOLUTION_WEIGHTS is 0x01"
    yield "row padding", patch(data, weights.end - 1, "B", 1), message


@pytest.fixture(scope="module")
def worded(make_model: MakeModel) -> bytes:
    return model_bytes(make_model(seed=1, words=7, filters=3, classes=2, bits=16), {})


@pytest.fixture(scope="module")
def linear(make_model: MakeModel) -> bytes:
    return model_bytes(make_model(seed=1, weight_bits=4), {"run": 7})


@pytest.fixture(scope="module")
def hidden(make_model: MakeModel) -> bytes:
    return model_bytes(make_model(seed=1, units=3, classes=2, bits=16, hidden_weight_bits=4), {})


@pytest.fixture(scope="module")
def vectors(make_model: MakeModel) -> bytes:
    thresholds = np.arange(-8, 8, dtype=np.int32)
    projection = VectorSpec(4, 4, 7, 3, 0.5, thresholds, seed=9).to_bytes()
    return model_bytes(dataclasses.replace(make_model(seed=1, classes=2, bits=16), projection=projection), {})


def test_hostile_fields_are_named(linear: bytes) -> None:
    assert refusal(linear) is None
    wrong = {name: refusal(data) for name, data, message in field_attacks(linear) if message not in str(refusal(data))}
    assert wrong == {}
    accepted = [name for name, data, _ in field_attacks(linear) if refusal(data) is None]
    assert accepted == []


def test_the_core_refuses_hostile_fields(linear: bytes) -> None:
    assert core_takes(linear)
    assert [name for name, data, _ in field_attacks(linear) if core_takes(data)] == []


def test_hostile_words_are_named_and_refused_by_both_readers(worded: bytes) -> None:
    attacks = [*word_attacks(worded), *word_section_attacks(worded)]
    assert refusal(worded) is None
    assert core_takes(worded)
    wrong = {name: refusal(data) for name, data, message in attacks if message not in str(refusal(data))}
    assert wrong == {}
    assert [name for name, data, _ in attacks if core_takes(data)] == []


def test_too_many_inputs_are_refused_by_both_readers(make_model: MakeModel) -> None:
    """The sections fit one another: it is the sum of the inputs that does not fit 32 bits."""
    model = make_model(units=2, words=3, filters=128, bits=16)
    sections = [(entry.kind, content) for entry, content in contents(model_bytes(model, {}))]
    for units, expected in ((131, None), (132, "132 hidden units and 128 filters are too many inputs")):
        larger = dict(sections)
        larger[Section.HEAD] = patch_content(larger[Section.HEAD], 6, "H", units)
        larger[Section.HIDDEN_WEIGHTS] = bytes(32 * units + 32)
        larger[Section.HIDDEN_BIAS], larger[Section.HIDDEN_MULTIPLIERS] = bytes(4 * units), b"\1" * units
        rows = units + 128
        formats = {8: 5 * rows + 32, 4 | WEIGHTS_SHARED: 16 + 3 * rows + 32}
        for weight_format, length in formats.items():
            larger[Section.HEAD] = patch_content(larger[Section.HEAD], 1, "B", weight_format)
            larger[Section.WEIGHTS] = bytes(length)
            data = build(list(larger.items()))
            assert core_takes(data) == (expected is None)
            assert (refusal(data) is None) == (expected is None)
            assert expected is None or expected in str(refusal(data))
        # Weights of four bits that are numbers are at most 8 in size, so that any sum fits.
        larger[Section.HEAD] = patch_content(larger[Section.HEAD], 1, "B", 4)
        larger[Section.WEIGHTS] = bytes(3 * rows + 32)
        data = build(list(larger.items()))
        assert (core_takes(data), refusal(data)) == (True, None)


def test_words_of_vectors_are_refused_by_both_readers(worded: bytes) -> None:
    spec = VectorSpec(1, 16, 3, 2)
    data = with_section(worded, Section.PROJECTION, spec.to_bytes())
    assert refusal(data) == "model bytes: section WORDS is present; expected words in models of texts alone"
    assert not core_takes(data)


def test_every_truncation_is_refused(linear: bytes, hidden: bytes, vectors: bytes, worded: bytes) -> None:
    for data in (linear, hidden, vectors, worded):
        for end in range(len(data)):
            message = refusal(data[:end])
            expected = "at least the 32 bytes of a header" if end < 32 else f"length is {len(data)}; expected the {end}"
            assert message is not None
            assert expected in message
            if end >= 32:  # and where header and checksum hide the cut
                assert refusal(patch(data[:end], 8, "I", end)) is not None
                assert not core_takes(patch(data[:end], 8, "I", end))
            assert not core_takes(data[:end])


def flips(data: bytes, end: int) -> Iterator[tuple[int, bytes]]:
    for position in range(end):
        for mask in (0x01, 0x80, 0xFF):
            changed = bytearray(data)
            changed[position] ^= mask
            yield position, bytes(changed)


def test_every_flipped_byte_is_noticed_by_the_checksum(linear: bytes) -> None:
    taken = {position for position, data in flips(linear, len(linear)) if refusal(data) is None}
    assert taken == {6, 7}  # any minor version will do, and the checksum does not cover it
    assert {position for position, data in flips(linear, len(linear)) if core_takes(data)} == taken


@pytest.mark.parametrize("name", ["linear", "hidden", "vectors", "worded"])
def test_a_flipped_header_or_table_is_refused_under_a_good_checksum(name: str, request: pytest.FixtureRequest) -> None:
    data = request.getfixturevalue(name)
    table_end = min(entry.offset for entry in read_table(data))
    provenance = entry_of(data, Section.PROVENANCE)[0]
    # harmless: the minor version, the checksum that is sealed again, and another optional kind for the provenance
    harmless = {6, 7, *range(12, 16), *range(provenance, provenance + 4)}
    for position, changed in flips(data, table_end):
        sealed = seal(changed)
        taken = refusal(sealed) is None
        assert not taken or position in harmless, position
        assert core_takes(sealed) == taken, position


@pytest.mark.parametrize("name", ["linear", "hidden", "vectors", "worded"])
def test_both_readers_agree_on_every_flipped_byte(name: str, request: pytest.FixtureRequest) -> None:
    data = request.getfixturevalue(name)
    end = entry_of(data, Section.PROVENANCE)[1].offset  # the core hands the provenance on unread
    differ = {
        (position, refusal(seal(changed)))
        for position, changed in flips(data, end)
        if (refusal(seal(changed)) is None) != core_takes(seal(changed))
    }
    assert differ == set()


@pytest.mark.parametrize("name", ["hidden", "vectors"])
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 0xFFFFFFFF)), min_size=1, max_size=4),
    cut=st.none() | st.integers(0, 10**6),
    fix_length=st.booleans(),
)
def test_random_damage_never_crashes(
    request: pytest.FixtureRequest, name: str, edits: list[tuple[int, int]], cut: int | None, fix_length: bool
) -> None:
    changed = bytearray(request.getfixturevalue(name))
    for position, value in edits:
        struct.pack_into("<I", changed, position % (len(changed) - 4), value)
    if cut is not None:
        del changed[16 + cut % (len(changed) - 16) :]
    if fix_length:
        struct.pack_into("<I", changed, 8, len(changed))
    data = seal(changed)
    message = refusal(data)
    if "provenance" not in str(message):
        assert core_takes(data) == (message is None)


@pytest.mark.parametrize("offset", range(32))
def test_every_field_of_a_projection_of_vectors_has_one_verdict(vectors: bytes, offset: int) -> None:
    """Every value of every byte, and the extremes of every word."""
    _, projection = entry_of(vectors, Section.PROJECTION)
    changed = [patch(vectors, projection.offset + offset, "B", value) for value in range(256)]
    if offset % 4 == 0:
        words = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x01000000, 0x01000001, 0x00800000, 0x7F7FFFFF, 0x7F800000)
        changed += [patch(vectors, projection.offset + offset, "I", word) for word in words]
    differ = [(refusal(data), core_takes(data)) for data in changed if (refusal(data) is None) != core_takes(data)]
    assert differ == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "provenance is not JSON"),
        (b"\xff", "provenance is not JSON"),
        (b"[1]", "provenance is a JSON list; expected a UTF-8 JSON object"),
        (b'{"a":NaN}', "provenance is not JSON (NaN is no JSON value)"),
        (b'{"a":' + b"[" * 100_000, "provenance is not JSON"),
        (b'{"a":' + b"9" * 5000 + b"}", "provenance is not JSON"),
    ],
)
def test_provenance_that_is_no_object_is_refused(linear: bytes, content: bytes, message: str) -> None:
    found = refusal(with_section(linear, Section.PROVENANCE, content))
    assert found is not None
    assert message in found


def test_headers_cannot_make_the_reader_allocate(linear: bytes) -> None:
    """The largest dimensions over a small file: refused by lengths, before any array of that size."""
    _, head = entry_of(linear, Section.HEAD)
    _, projection = entry_of(linear, Section.PROJECTION)
    large = patch(patch(linear, head.offset + 4, "H", 4096), projection.offset + 8, "HH", 1, 16384)
    tracemalloc.start()
    try:
        assert "expected 33554464 for 16384 x 4096 of 4 bits" in str(refusal(large))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_later_minor_version_may_add_sections_and_wider_padding(linear: bytes, make_model: MakeModel) -> None:
    sections = [(entry.kind, linear[entry.offset : entry.end]) for entry in read_table(linear)]
    extended = bytearray(build([*sections, (0x8002, b"new"), (0xFFFFFFFF, b"")]))
    struct.pack_into("<H", extended, 6, 9)
    model, provenance = read_model(bytes(extended))
    assert provenance == {"run": 7}
    assert model.classes == make_model(seed=1, weight_bits=4).classes
    without_provenance = build([section for section in sections if section[0] != Section.PROVENANCE])
    assert read_model(without_provenance)[1] == {}
    assert core_takes(bytes(extended))
    assert core_takes(without_provenance)


@pytest.mark.parametrize("name", ["missing.pgb", "folder", "zero\0byte"])
def test_places_without_a_file_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"cannot read .*; expected a \.pgb model file"):
        read_model(tmp_path / name)


def test_a_file_longer_than_any_model_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "long.pgb"
    with path.open("wb") as file:
        file.truncate(MAX_LENGTH + 1)
    with pytest.raises(ModelFileError, match=r"long\.pgb: the file has 268435457 bytes; expected at most 268435456"):
        read_model(path)


def test_messages_begin_with_the_file(tmp_path: Path, linear: bytes) -> None:
    (tmp_path / "cut.pgb").write_bytes(linear[:100])
    with pytest.raises(ModelFileError, match=rf"cut\.pgb: length is {len(linear)}; expected the 100 bytes"):
        read_model(tmp_path / "cut.pgb")


def test_values_are_kept_in_order(linear: bytes, make_model: MakeModel) -> None:
    model = make_model(seed=1, weight_bits=4)
    values = np.eye(64, dtype=np.int8)
    np.testing.assert_array_equal(read_model(linear)[0].scores(values), model.scores(values))
