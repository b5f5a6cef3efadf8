"""Word codes and their convolution: the core, the packer's numpy and the plain Python reference agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projgraph import _core
from projgraph.errors import ConfigError, InputError, ModelFileError
from projgraph.native import NativeModel, features, project, word_fingerprints
from projgraph.pack.convolution import QuantisedConvolution
from projgraph.pack.format import MAX_BIAS, MAX_INPUT_SUM, MAX_WORDS, FamilyKind, Quantiser
from projgraph.pack.projection import Family, ProjectionSpec
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.read import read_model
from projgraph.pack.rows import FORMATS
from projgraph.pack.vector import VectorSpec
from projgraph.pack.words import WordTable
from projgraph.pack.write import model_bytes

from . import reference, reference_words
from .reference_head import (
    WordShape,
    constant_layer,
    model_of,
    natives_of,
    projection_of,
    table_of,
    texts_of,
    word_file,
)

BRIEF = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
SPEC = ProjectionSpec.for_text(bits=64, additions=4, seed=2**63 + 5)
KNOWN = [b"where is my card", "don't 日本語 É!".encode(), b"", b"a b c d e f g"]
PIECES = [b"card ", b"my ", b"a ", "日".encode(), b"!", b" ", b"unknown ", b"x", b"'", b"\xff", "É".encode()]
texts = st.lists(st.builds(lambda piece, times: piece * times, st.sampled_from(PIECES), st.integers(1, 4)), max_size=9)


def assert_same_scores(data: bytes, rows: list[bytes]) -> None:
    """Of the core, of the reference, and of the integers that the packer reads."""
    model = model_of(data)
    assert packed_scores(data, rows) == [model.scores(row) for row in rows]


def packed_scores(data: bytes, rows: list[bytes]) -> list[list[int]]:
    """What the packer's numpy computes, after the core has found the same."""
    packed, _ = read_model(data)
    found, offsets = word_fingerprints(packed.projection, texts_of(rows))
    assert packed.words is not None
    values = project(packed.projection, texts_of(rows)).values()
    scores: list[list[int]] = packed.scores(values, (packed.words.rows_of(found), offsets)).tolist()
    for native in natives_of(data):
        assert native.scores(texts_of(rows), threads=1).tolist() == scores
    return scores


shapes = st.builds(
    WordShape,
    dimensions=st.sampled_from([8, 16, 64, 72, 128]),
    filters=st.sampled_from([0, 0, 1, 3, 32, 33]),
    window=st.integers(1, 5),
    norm_shift=st.integers(0, 6),
    shift=st.integers(0, 30),
)


@BRIEF
@given(
    rows=st.lists(texts.map(b"".join), min_size=1, max_size=3),
    shape=shapes,
    seed=st.integers(0, 2**32 - 1),
    classes=st.integers(1, 40),
    width=st.sampled_from(sorted(FORMATS)),
    units=st.sampled_from([0, 0, 1, 7, 33]),
    hidden_width=st.sampled_from(sorted(FORMATS)),
    shift=st.integers(0, 30),
)
def test_scores_of_any_model(
    rows: list[bytes],
    shape: WordShape,
    seed: int,
    classes: int,
    width: int,
    units: int,
    hidden_width: int,
    shift: int,
) -> None:
    assert_same_scores(word_file(SPEC, KNOWN, shape, seed, classes, width, units, hidden_width, shift), rows)


@pytest.mark.parametrize("width", sorted(FORMATS))
@pytest.mark.parametrize(("units", "dimensions"), [(0, 64), (9, 72), (150, 64), (256, 128)])
def test_code_sums_of_every_size_times_rows_of_any_weights(units: int, dimensions: int, width: int) -> None:
    """A word nine times: 64 x 9 / 3, cut at 127 above zero and below; no word at all: zeros."""
    shape = WordShape(dimensions=dimensions, norm_shift=6)
    data = word_file(SPEC, KNOWN, shape, units, 77, width if units == 0 else 4, units, width)
    words = model_of(data).words
    assert words is not None
    assert set(reference_words.code_sums(words, reference_words.sequence(words, b"card " * 9, SPEC.seed))) == {
        -127,
        127,
    }
    assert_same_scores(data, [b"", b"card " * 9, b" ".join(KNOWN)])


@pytest.mark.parametrize("filters", [0, 9])
@pytest.mark.parametrize("text", [b"", b"   ", b"none of these", b"?", b"card", b"\xf0\x9f", b"a " * 10_000])
def test_texts_of_no_word_of_unknown_words_and_of_very_many(text: bytes, filters: int) -> None:
    shape = WordShape(dimensions=24, filters=filters, window=4, norm_shift=2)
    assert_same_scores(word_file(SPEC, KNOWN, shape, 3, units=6), [text])


@BRIEF
@given(rows=st.lists(texts.map(b"".join), max_size=4), seed=st.integers(0, 2**64 - 1))
def test_fingerprints_of_any_texts(rows: list[bytes], seed: int) -> None:
    spec = replace(SPEC, seed=seed)
    found, offsets = word_fingerprints(spec.to_bytes(), texts_of(rows))
    expected = [reference_words.fingerprints(row, seed) for row in rows]
    assert found.tolist() == [fingerprint for row in expected for fingerprint in row]
    assert np.diff(offsets).tolist() == [len(row) for row in expected]
    assert found.dtype == np.uint32
    assert offsets.dtype == np.int64


def test_a_fingerprint_is_the_token_that_the_word_features_hash() -> None:
    """Token and unigram are one hash apart: text order, symbols and CJK characters are those of the bits."""
    spec = ProjectionSpec(1, 8, (Family(FamilyKind.WORD, 1, 1, 1, 0, 8),), seed=9, seen_slots_log2=0)
    text = "Where is my card? 日本 don't!"
    tokens = [reference.token_hash([ord(c) for c in word]) for word in ("where", "is", "my", "card", "?")]
    tokens += [reference.token_hash([ord(c) for c in word]) for word in ("日", "本", "dont", "!")]
    assert [value for _, value in features(spec.to_bytes(), text)] == [
        reference.word_ngram([token], 9) for token in tokens
    ]
    found, _ = word_fingerprints(spec.to_bytes(), texts_of([text.encode()]))
    assert found.tolist() == [reference.mix(token ^ 9) >> 32 & ~3 for token in tokens]


def test_only_the_first_4096_tokens_count() -> None:
    head, tail = b"a " * MAX_WORDS, b"card " * 100
    found, offsets = word_fingerprints(SPEC.to_bytes(), texts_of([head + tail, head]))
    assert offsets.tolist() == [0, MAX_WORDS, 2 * MAX_WORDS]
    assert len(set(found.tolist())) == 1
    table = table_of(SPEC, KNOWN, 8)
    sums = table.sums(table.rows_of(found), offsets, 6)
    assert sums[0].tolist() == sums[1].tolist()
    assert set(np.abs(sums[0]).tolist()) == {127}  # 64 x 4,096 w / sqrt(4,096 w^2) is 4,096: cut


def test_threads_find_the_same_words() -> None:
    rows = [b"card %d my" % index for index in range(3000)]
    one, many = (word_fingerprints(SPEC.to_bytes(), texts_of(rows), threads) for threads in (1, 5))
    np.testing.assert_array_equal(one[0], many[0])
    np.testing.assert_array_equal(one[1], many[1])
    assert one[1][-1] == 9000


def test_words_of_vectors_are_refused() -> None:
    with pytest.raises(InputError, match="given texts; the model takes vectors of 7 columns"):
        word_fingerprints(VectorSpec(16, 4, 7, 3).to_bytes(), texts_of([b"card"]))
    with pytest.raises(ModelFileError, match="PG_BAD_PROJECTION"):
        word_fingerprints(b"", texts_of([b"card"]))
    found, offsets = word_fingerprints(SPEC.to_bytes(), texts_of([]))
    assert (len(found), offsets.tolist()) == (0, [0])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 1000])
def test_every_entry_of_a_table_is_found_and_its_neighbours_are_not(count: int) -> None:
    words = [b"w%d" % index for index in range(count + 1)]
    found, _ = word_fingerprints(SPEC.to_bytes(), texts_of(words))
    known = np.unique(found[:-1])
    rng = np.random.default_rng(count)
    codes = (rng.integers(0, 2, (len(known), 8)) * 2 - 1).astype(np.int8)
    table = WordTable(known, np.full(len(known), 3, np.uint8), codes)
    output = constant_layer(64 + 8, 8, 0, 0)
    output.weights[64:] = np.eye(8, dtype=np.int8)
    model = QuantisedModel(SPEC.to_bytes(), output, None, 0, 1.0, tuple("abcdefgh"), table, 0)
    scores = NativeModel(model_bytes(model, {})).scores(texts_of(words))
    np.testing.assert_array_equal(scores[:-1], 255 * codes[np.searchsorted(known, found[:-1])].astype(np.int32))
    assert not scores[-1].any()


def extreme(bits: int, units: int, filters: int, weight: int, output_weight: int | None = None) -> QuantisedModel:
    """All codes +1, all words weigh 8, every layer as large as it may be, at the ends of its ranges."""
    spec = ProjectionSpec.for_text(bits=bits, additions=4, quantiser=Quantiser.SIGN)
    table = table_of(spec, [b"a"], 128)
    table = WordTable(table.fingerprints, np.full(len(table), 3, np.uint8), np.ones_like(table.codes))
    hidden = constant_layer(bits + 128, units, weight, MAX_BIAS) if units else None
    output = constant_layer((units or bits + 128) + filters, 3, weight, MAX_BIAS)
    if output_weight is not None:
        output = constant_layer(units + filters, 3, output_weight, MAX_BIAS, width=4)
    convolution = QuantisedConvolution(constant_layer(5 * 128, filters, 127, MAX_BIAS), 5, 0)
    return QuantisedModel(spec.to_bytes(), output, hidden, 0, 1.0, ("a", "b", "c"), table, 6, convolution)


@pytest.mark.parametrize("weight", [-128, 127])
@pytest.mark.parametrize(("bits", "units", "filters"), [(384, 0, 128), (16640 - 256, 131, 128)])
def test_sums_at_the_ends_of_their_ranges(bits: int, units: int, filters: int, weight: int) -> None:
    """The empty text has all bits below zero, a full one the largest code sums and filters."""
    data = model_bytes(extreme(bits, units, filters, weight), {})
    empty, full, unknown = packed_scores(data, [b"", b"a " * MAX_WORDS, b"b"])
    if units:
        assert 127 * (units + filters) == MAX_INPUT_SUM - 3
        silent = 0 if bits * weight * 255 > MAX_BIAS else units * 127
        assert empty == [silent * weight * 255 + MAX_BIAS] * 3
        assert full == [(units + filters) * 127 * weight * 255 + MAX_BIAS] * 3 or weight > 0
        assert unknown == [(silent + filters * 127) * weight * 255 + MAX_BIAS] * 3
    else:
        assert bits + 127 * (128 + filters) == MAX_INPUT_SUM
        assert empty == [-bits * weight * 255 + MAX_BIAS] * 3
        assert abs(full[0] - (256 * 127 - bits) * weight * 255 - MAX_BIAS) <= 2 * bits * 128 * 255
        assert unknown[0] - filters * 127 * weight * 255 - MAX_BIAS in range(-bits * 128 * 255, bits * 128 * 255 + 1)


@pytest.mark.parametrize("weight", [-8, 7])
def test_weights_of_four_bits_have_room_for_every_unit_and_filter(weight: int) -> None:
    """The full text has the largest units and filters of all, the empty one no filters."""
    data = model_bytes(extreme(384, 256, 128, 127, weight), {})
    empty, full, unknown = packed_scores(data, [b"", b"a " * MAX_WORDS, b"b"])
    assert empty == [256 * 127 * weight * 255 + MAX_BIAS] * 3
    assert full == unknown == [(256 + 128) * 127 * weight * 255 + MAX_BIAS] * 3
    assert MAX_INPUT_SUM < (256 + 128) * 127


def test_a_layer_of_one_input_too_many_is_refused() -> None:
    parts = "64 bits, 128 dimensions of words, 132 hidden units and 128 filters"
    with pytest.raises(ConfigError, match=f"{parts} are too many inputs for a layer's sums; expected fewer units"):
        extreme(64, 132, 128, 1)


@pytest.mark.parametrize("window", [1, 2, 3, 5])
def test_the_order_of_words_reaches_the_filters(window: int) -> None:
    """A filter that wants one word before another finds it in one order alone, unless a window has one word."""
    shape = WordShape(dimensions=64, filters=16, window=window, shift=14)
    data = word_file(SPEC, KNOWN, shape, 1, units=4, shift=30)
    native = NativeModel(data)
    forth, back = native.scores(texts_of([b"my card", b"card my"])).tolist()
    assert (forth == back) == (window == 1)
    assert_same_scores(data, [b"my card", b"card my", b"my x card", b"x my card x"])


def test_closed_forms_of_code_sums() -> None:
    table = WordTable(
        np.array([4, 8], np.uint32), np.array([0, 1], np.uint8), np.array([[1] * 8, [1] * 4 + [-1] * 4], np.int8)
    )
    rows, offsets = np.array([0, 1, -1, 0]), np.array([0, 3, 3, 4])
    # s = (3, -1), q = 1 + 4: 3 / sqrt(5) and -1 / sqrt(5); nothing; 1 / sqrt(1)
    raw = table.raw_sums(rows, offsets)
    np.testing.assert_allclose(raw, [[3 / 5**0.5] * 4 + [-1 / 5**0.5] * 4, [0] * 8, [1] * 8], rtol=1e-6)
    assert table.sums(rows, offsets, 4).tolist() == [[21] * 4 + [-7] * 4, [0] * 8, [16] * 8]
    assert table.rows_of(np.array([8, 4, 12, 0], np.uint32)).tolist() == [1, 0, -1, -1]


def test_the_reference_reads_what_the_table_writes() -> None:
    table = table_of(SPEC, KNOWN, 24, 7)
    plain = reference_words.words_in(table.to_bytes(5))
    assert (plain.norm_shift, plain.dimensions) == (5, 24)
    expected = {
        int(f): (1 << int(c), code.tolist())
        for f, c, code in zip(table.fingerprints, table.classes, table.codes, strict=True)
    }
    assert plain.table == expected
    assert projection_of(SPEC.to_bytes()).seed == SPEC.seed
    assert MAX_BIAS == (1 << 30) - 1


def test_buffers_that_do_not_fit_are_not_written_outside() -> None:
    texts, section = texts_of([b"card my", b"a"]), SPEC.to_bytes()
    with pytest.raises(ValueError, match="places has 16 bytes, expected 3 rows of 8"):
        _core.word_fingerprints(section, texts.data, texts.offsets, 0, 2, np.zeros(2, np.int64), np.zeros(0, np.uint32))
    for places in ([0, 2, 99], [-1, 2, 3], [2, 0, -5], [0, 1, 2]):
        out = np.full(4, 7, dtype=np.uint32)
        _core.word_fingerprints(section, texts.data, texts.offsets, 0, 2, np.array(places, np.int64), out[:3])
        assert out[3] == 7
