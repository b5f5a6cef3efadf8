"""Every format of weights, there and back, and what damaged rows, codebooks and counts of values are refused for."""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projgraph.errors import ConfigError
from projgraph.native import NativeModel, project
from projgraph.pack.format import CODEBOOK_SIZE, PACKED_MINOR, WEIGHT_NAMES, Section
from projgraph.pack.layer import QuantisedLayer
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.read import read_model
from projgraph.pack.rows import FORMATS, pack_weights, row_length, weights_length
from projgraph.pack.write import model_bytes
from projgraph.records import Texts

from ..core.reference_head import random_file, random_layer
from .test_attacks import core_takes, entry_of, patch, refusal, with_section

SPEC = ProjectionSpec.for_text(bits=40, additions=4)
SHARED, SPARSE = 16, 32


def plain(weights: list[list[int]], kind: int, codebook: list[int] | None = None) -> QuantisedLayer:
    outputs = len(weights[0])
    return QuantisedLayer(
        np.array(weights, dtype=np.int8),
        np.ones(outputs, dtype=np.uint8),
        np.zeros(outputs, dtype=np.int32),
        kind & 15,
        None if codebook is None else np.array(codebook, dtype=np.int8),
        bool(kind & SPARSE),
    )


def test_rows_are_the_written_bytes() -> None:
    pad = bytes(32)
    signs = [[1, -1, -1, 1, 1, 1, -1, -1, 1], [-1] * 9]
    assert pack_weights(plain(signs, 1)) == bytes([0b00111001, 1, 0, 0]) + pad
    ternary = [[0, -1, 0, 1, 1, 0, 0, 0, -1], [1] + [0] * 8]
    assert pack_weights(plain(ternary, 2)) == bytes([0b00011000, 0, 0b00000010, 1, 1, 0, 0, 0]) + pad
    # no value before the first block, bits of the rows, then the signs
    sparse = struct.pack("<I", 0) + bytes([0b00011010, 1, 1, 0, 0b01001]) + pad
    assert pack_weights(plain(ternary, 2 | SPARSE)) == sparse
    codebook = [*range(-8, 8)]
    places = [[-8, 7, -7]]
    assert (
        pack_weights(plain(places, 4 | SHARED, codebook))
        == bytes(range(248, 256)) + bytes(range(8)) + b"\x10\x0f" + pad
    )
    values = [[0, 5, 0, -8, 7]]
    assert pack_weights(plain(values, 4 | SPARSE)) == bytes(4) + bytes([0b11010, 0x85, 0x07]) + pad
    assert pack_weights(plain([[0, 5, 0, -128, 7]], 8 | SPARSE)) == bytes(4) + bytes([0b11010, 5, 128, 7]) + pad


def test_values_are_counted_before_every_sixteenth_row() -> None:
    weights = np.zeros((35, 3), dtype=np.int8)
    weights[:20, 0] = 1
    weights[34] = -1
    found = pack_weights(plain(weights.tolist(), 2 | SPARSE))
    assert struct.unpack_from("<3I", found) == (0, 16, 20)
    assert len(found) == weights_length(35, 3, 2 | SPARSE, 23) == 12 + 35 + 3 + 32


@pytest.mark.parametrize("kind", sorted(FORMATS))
@pytest.mark.parametrize("outputs", [1, 2, 7, 8, 9, 16, 33])
def test_every_format_is_read_back(kind: int, outputs: int) -> None:
    rng = np.random.default_rng(outputs)
    output, hidden = random_layer(rng, outputs, 5, 8), random_layer(rng, SPEC.n_bits, outputs, kind)
    model = QuantisedModel(SPEC.to_bytes(), output, hidden, 3, 1.0, tuple("abcde"))
    data = model_bytes(model, {})
    found, _ = read_model(data)
    assert found.hidden is not None
    np.testing.assert_array_equal(found.hidden.weights, hidden.weights)
    assert found.hidden.format == kind
    assert model_bytes(found, {}) == data
    assert struct.unpack_from("<H", data, 6)[0] == (0 if kind in (4, 8) else PACKED_MINOR)
    values = int((hidden.weights != 0).sum())
    assert entry_of(data, Section.HIDDEN_WEIGHTS)[1].length == weights_length(SPEC.n_bits, outputs, kind, values)


def test_a_row_of_fewer_bits_is_shorter() -> None:
    assert [row_length(100, kind) for kind in (8, 4, 2, 1, 4 | SHARED, 8 | SPARSE)] == [100, 50, 26, 13, 50, 13]


@pytest.mark.parametrize(
    ("kind", "at", "value", "message"),
    [
        (1, 1, 0x02, "the unused bits of a row in WEIGHTS is 1; expected 0"),
        (2, 3, 0x80, "the unused bits of a row in WEIGHTS is 64; expected 0"),
        (2, 0, 0xFF, "a ternary weight in WEIGHTS is +1 and -1; expected one of them, or neither"),
        (20, 20, 0x10, "the unused half byte of a row in WEIGHTS is 1; expected 0"),
        (1, -1, 0x01, "padding of the rows in WEIGHTS is 0x01 at byte 111; expected zero"),
        (36, 0, 0x01, "starts[0] of WEIGHTS is 1; expected the 0 values before it"),
        (36, 4, 0x00, "starts[1] of WEIGHTS is 0; expected the "),
        (36, 13, 0xFF, "the unused bits of a row in WEIGHTS is 127; expected 0"),
        (36, -1, 0x01, "padding of the rows in WEIGHTS is 0x01 at byte "),
    ],
)
def test_damaged_rows_are_named_and_refused_by_both_readers(kind: int, at: int, value: int, message: str) -> None:
    data = random_file(SPEC, 1, 9, kind)
    entry = entry_of(data, Section.WEIGHTS)[1]
    content = bytearray(data[entry.offset : entry.end])
    if kind == 2 and at == 0:
        content[2] = 1
    content[at] = value
    changed = with_section(data, Section.WEIGHTS, bytes(content))
    assert message in str(refusal(changed))
    assert not core_takes(changed)


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_sections_of_another_length_are_refused_by_both_readers(kind: int) -> None:
    data = random_file(SPEC, 1, 9, kind)
    entry = entry_of(data, Section.WEIGHTS)[1]
    content = data[entry.offset : entry.end]
    for other in (content[:-1], content + b"\0", content[:8], content[:40], b""):
        changed = with_section(data, Section.WEIGHTS, other)
        of_values = kind & SPARSE and abs(len(other) - len(content)) == 1
        assert f"length of {'the values in ' if of_values else ''}WEIGHTS is " in str(refusal(changed))
        if not other:
            asked = f"{WEIGHT_NAMES[kind]} weights" if kind > 8 else f"of {kind} bits"
            assert str(refusal(changed)).endswith(f" 9 {asked}")
        assert not core_takes(changed)


def test_the_last_value_fills_its_byte_with_zeros() -> None:
    weights = np.zeros((40, 9), dtype=np.int8)
    weights[3, 4] = 1
    for kind, message in ((34, "the unused bits after the last value"), (36, "the unused bits after the last value")):
        layer = plain(weights.tolist(), kind)
        data = model_bytes(QuantisedModel(SPEC.to_bytes(), layer, None, 0, 1.0, tuple("abcdefghi")), {})
        content = bytearray(pack_weights(layer))
        content[-33] |= 0x80
        changed = with_section(data, Section.WEIGHTS, bytes(content))
        assert core_takes(data)
        assert message in str(refusal(changed))
        assert not core_takes(changed)


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_both_readers_agree_about_every_flipped_byte_of_the_weights(kind: int) -> None:
    data = random_file(SPEC, kind, 9, kind)
    entry, taken = entry_of(data, Section.WEIGHTS)[1], 0
    for position in range(entry.offset, entry.end):
        for mask in (0x01, 0x80, 0xFF):
            changed = patch(data, position, "B", data[position] ^ mask)
            found = refusal(changed) is None
            assert core_takes(changed) == found, (position - entry.offset, mask)
            taken += found
    assert 0 < taken < 3 * (entry.end - entry.offset)


EDITS = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6)


@settings(max_examples=120, deadline=None)
@given(
    kind=st.sampled_from(sorted(FORMATS)),
    outputs=st.sampled_from([1, 7, 8, 9, 17]),
    edits=EDITS,
    cut=st.integers(-9, 9),
    counted=st.booleans(),
)
def test_any_bytes_for_weights_have_one_verdict_and_one_meaning(
    kind: int, outputs: int, edits: list[tuple[int, int]], cut: int, counted: bool
) -> None:
    """Codebooks, counts, rows and values of anything; with the counts corrected, so that some are taken."""
    data = random_file(SPEC, kind, outputs, kind)
    entry = entry_of(data, Section.WEIGHTS)[1]
    content = bytearray(data[entry.offset : entry.end])
    for place, value in edits:
        content[place % (len(content) - 32)] = value
    if counted and kind & SPARSE:
        first = 16 if kind & SHARED else 0
        rows = np.frombuffer(bytes(content), np.uint8, SPEC.n_bits * (-(-outputs // 8)), first + 12).reshape(
            SPEC.n_bits, -1
        )
        counts = np.unpackbits(rows, axis=1).sum(axis=1).cumsum()
        struct.pack_into("<3I", content, first, 0, int(counts[15]), int(counts[31]))
        value_bytes = (int(counts[-1]) * (1 if kind & 15 == 2 else kind & 15) + 7) // 8
        content[first + 12 + rows.size :] = b"\x5a" * (value_bytes - 1) + bytes(min(value_bytes, 1) + 32)
    content = content[: len(content) + cut] if cut < 0 else content + bytes(cut if cut > 5 else 0)
    changed = with_section(data, Section.WEIGHTS, bytes(content))
    message = refusal(changed)
    assert core_takes(changed) == (message is None), message
    if message is None:
        texts = Texts.from_strings(["where is my card", "a b c", ""])
        expected = read_model(changed)[0].scores(project(SPEC.to_bytes(), texts).values())
        np.testing.assert_array_equal(NativeModel(changed).scores(texts), expected)
    else:
        assert "WEIGHTS" in message


@pytest.mark.parametrize("byte", range(256))
def test_both_readers_know_the_same_formats(byte: int) -> None:
    data = random_file(SPEC, 1, 9, 8)
    head = entry_of(data, Section.HEAD)[1]
    changed = patch(data, head.offset + 1, "B", byte)
    assert (refusal(changed) is None) == core_takes(changed) == (byte == 8)
    unknown = f"head.weight_bits is {byte}; expected one of 1, 2, 4, 8, 20, 34, 36, 40, 52"
    assert (unknown in str(refusal(changed))) == (byte not in FORMATS)


def test_what_no_format_can_hold_is_refused() -> None:
    classes = tuple("ab")

    def problem(layer: QuantisedLayer) -> str:
        spec = ProjectionSpec.for_text(bits=2, additions=1)
        with pytest.raises(ConfigError) as caught:
            QuantisedModel(spec.to_bytes(), layer, None, 0, 1.0, classes)
        return str(caught.value)

    assert "output.weights hold 0; expected -1 and +1 alone of 1-bit weights" in problem(plain([[1, 0], [1, 1]], 1))
    assert "output.weights leave -1 to 1; expected 2-bit integers" in problem(plain([[1, 2], [1, 1]], 2))
    sparse = "output is sparse with 1-bit weights; expected 8, 4 or 2 bits, of which one can be 0"
    assert sparse in problem(plain([[1, 1], [1, 1]], 1 | SPARSE))
    book = [*range(CODEBOOK_SIZE)]
    assert "output.weights hold 99; expected values of the codebook" in problem(plain([[1, 99], [1, 1]], 4, book))
    shape = "output.codebook is int8 of shape (2,) with 4-bit weights; expected 16 int8 values with 4-bit weights"
    assert shape in problem(plain([[1, 1], [1, 1]], 4, [0, 1]))
    assert "codebook is int8 of shape (16,) with 8-bit weights" in problem(plain([[1, 1], [1, 1]], 8, book))
    assert "output has 3-bit weights; expected 8, 4, 2 (ternary) or 1 (binary)" in problem(plain([[1, 1], [1, 1]], 3))


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_scores_of_the_model_are_the_cores(kind: int) -> None:
    data = random_file(SPEC, 3, 9, kind, units=17, hidden_width=kind)
    model, _ = read_model(data)
    native = NativeModel(data)
    texts = Texts.from_strings(["where is my card", "a b c", ""])
    expected = model.scores(project(SPEC.to_bytes(), texts).values())
    np.testing.assert_array_equal(native.scores(texts), expected)
    assert all(a != b for a, b in pairwise(expected[:2].tolist()))
