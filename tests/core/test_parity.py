"""The C core and the plain Python reference agree on any text, any bytes, any projection and any head."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projgraph.native import NativeModel, features, project
from projgraph.pack.format import FamilyKind, Quantiser
from projgraph.pack.projection import Family, ProjectionSpec
from projgraph.pack.rows import FORMATS

from . import reference
from .reference_head import constant_layer, file_of, model_of, natives_of, projection_of, random_file, texts_of

BRIEF = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

PIECES = (
    *("a", "B", "7", " ", "  ", "\0", "\t", "\n", "'", "’", "ʼ", "-", ".", "_", "\u00ad", "\u200d", "\ufe0f", "\ufffd"),
    *("card", "don't", "İ", "ẞ", "ǅ", "Σ", "é", "e\u0301", "\u0301", "日本", "カ", "ひ", "한글", "สวัสดี", "ລາວ", "ខ្មែរ"),
    *("🙂", "👩‍🚀", "🇩🇪", "𝒳", "𐐀", "\U00020000", "\U000e0100", "\U000e01ef", "\ue000", "\U0010ffff", "\u0378"),
    *("\ud800", "\udfff", "العربية", "Ω", "½", "²", "٣", "\u2028", "\u3000", "、", "€"),
)
WELL_FORMED = "61 6361726420 20 27 00 c3a9 e697a5 f09f9982 cc81 e28099 d8a7 ed9fbf f48fbfbf"
ILL_FORMED = "80 bf c0 c1 c3 e0 e080 e09fbf e697 ed eda080 efbf f0 f080 f08fbfbf f09f f09f99 f4908080 f5 f8888080 fe ff"
BYTES = tuple(bytes.fromhex(sequence) for sequence in (WELL_FORMED.split() + ILL_FORMED.split()))


def repeated(pieces: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Pieces, some of them many times, so that texts outgrow what the core reads at a time."""
    times = st.one_of(st.just(1), st.integers(1, 60))
    return st.lists(st.builds(lambda piece, count: piece * count, pieces, times), max_size=12).map(b"".join)


characters = st.one_of(st.sampled_from(PIECES), st.integers(0, 0x10FFFF).map(chr))
unicode_bytes = repeated(characters.map(lambda text: text.encode("utf-8", "surrogatepass")))
raw_bytes = st.one_of(repeated(st.one_of(st.sampled_from(BYTES), st.binary(max_size=3))), st.binary(max_size=200))
rows = st.one_of(unicode_bytes, raw_bytes)


@st.composite
def specs(draw: st.DrawFn, most_bits: int = 700) -> ProjectionSpec:
    additions = draw(st.integers(1, 16))
    word, character = (sorted(draw(st.tuples(st.integers(1, top), st.integers(1, top)))) for top in (4, 8))
    return ProjectionSpec.for_text(
        bits=draw(st.integers(2 * additions, most_bits)),
        word_share=draw(st.sampled_from([0.0, 0.1, 0.5, 0.8, 1.0])),
        additions=additions,
        seed=draw(st.integers(0, 2**64 - 1)),
        quantiser=draw(st.sampled_from(list(Quantiser))),
        word_ngrams=(word[0], word[1]),
        character_ngrams=(character[0], character[1]),
        seen_slots_log2=draw(st.integers(0, 10)),
    )


FOUR_FAMILIES = ProjectionSpec(
    functions=1,
    function_bits=1001,
    families=(
        Family(FamilyKind.CHARACTER, 1, 8, 5, 700, 300),
        Family(FamilyKind.WORD, 2, 3, 16, 0, 160),
        Family(FamilyKind.CHARACTER, 8, 8, 1, 163, 1),
        Family(FamilyKind.WORD, 4, 4, 3, 171, 333),
    ),
    seed=2**64 - 1,
    seen_slots_log2=3,
)
WEIGHTS = sorted(FORMATS)
DEFAULT = ProjectionSpec.for_text()


def assert_same_bits(spec: ProjectionSpec, texts: list[bytes]) -> None:
    found = project(spec.to_bytes(), texts_of(texts), threads=1)
    expected = [reference.bits(projection_of(spec.to_bytes()), text) for text in texts]
    np.testing.assert_array_equal(found.values(), np.array(expected, dtype=np.int8).reshape(len(texts), spec.n_bits))
    assert not (found.positive & found.negative).any()


def assert_same_scores(data: bytes, texts: list[bytes]) -> None:
    model = model_of(data)
    expected = [model.scores(text) for text in texts]
    for native in natives_of(data):
        assert native.scores(texts_of(texts), threads=1).tolist() == expected
        assert native.labels(texts_of(texts), threads=1).tolist() == [reference.label(scores) for scores in expected]


@BRIEF
@given(spec=specs(), text=unicode_bytes)
def test_features_of_any_text(spec: ProjectionSpec, text: bytes) -> None:
    expected = reference.features(projection_of(spec.to_bytes()), text)
    assert features(spec.to_bytes(), text.decode("utf-8", "surrogatepass")) == expected


@BRIEF
@given(spec=specs(), texts=st.lists(rows, max_size=4))
def test_bits_of_any_bytes(spec: ProjectionSpec, texts: list[bytes]) -> None:
    assert_same_bits(spec, texts)


def test_every_pair_of_byte_sequences() -> None:
    """Drawn bytes seldom meet a rare sequence where it matters: here each stands before and after each other."""
    spec = ProjectionSpec.for_text(bits=256, character_ngrams=(1, 3), seen_slots_log2=0)
    assert_same_bits(spec, [b"x" + one + other + b"y" for one in BYTES for other in BYTES])


@BRIEF
@given(texts=st.lists(rows, min_size=1, max_size=2))
def test_four_families_with_gaps_between_their_blocks(texts: list[bytes]) -> None:
    assert_same_bits(FOUR_FAMILIES, texts)


@BRIEF
@given(
    spec=specs(most_bits=300),
    texts=st.lists(rows, min_size=1, max_size=3),
    seed=st.integers(0, 2**32 - 1),
    classes=st.integers(1, 40),
    width=st.sampled_from(WEIGHTS),
    units=st.sampled_from([0, 0, 1, 7, 16, 33]),
    hidden_width=st.sampled_from(WEIGHTS),
    shift=st.integers(0, 30),
)
def test_scores_and_labels_of_any_model(
    spec: ProjectionSpec,
    texts: list[bytes],
    seed: int,
    classes: int,
    width: int,
    units: int,
    hidden_width: int,
    shift: int,
) -> None:
    assert_same_scores(random_file(spec, seed, classes, width, units, hidden_width, shift), texts)


@BRIEF
@given(text=st.lists(characters, max_size=40).map("".join), units=st.sampled_from([0, 6]), seed=st.integers(0, 99))
def test_one_string_at_a_time(text: str, units: int, seed: int) -> None:
    data = random_file(ProjectionSpec.for_text(bits=128, seed=seed), seed=seed, classes=9, units=units)
    expected = model_of(data).scores(text.encode("utf-8", "surrogatepass"))
    for native in natives_of(data):
        assert native.predict_one(text) == reference.label(expected)
        assert native.answer(text) == list(native.answers((text,))) == [native.classes[reference.label(expected)]]


@pytest.mark.parametrize("width", WEIGHTS)
@pytest.mark.parametrize("classes", [1, 2, 7, 9, 31, 32, 33, 63, 64, 65, 77, 127, 129, 150, 255, 256])
def test_rows_of_weights_around_a_vector(classes: int, width: int) -> None:
    assert_same_scores(
        random_file(ProjectionSpec.for_text(bits=512), classes, classes, width),
        [b"", b"where is my card", "日本語 text".encode() * 9],
    )


@pytest.mark.parametrize("width", WEIGHTS)
@pytest.mark.parametrize("units", [63, 65, 256])
def test_hidden_units_times_rows_of_any_weights(units: int, width: int) -> None:
    """More values than are taken at a time, of every size from 0 to 127."""
    data = random_file(ProjectionSpec.for_text(bits=512), units, 77, width, units, 4, shift=8)
    assert_same_scores(data, [b"", b"where is my card", "日本語 text".encode() * 9])


@pytest.mark.parametrize("piece", ["a", "日", " ", "!", "'", "ab", "a!", "日a", "\ud800", "é\u0301"])
def test_every_position_relative_to_a_chunk(piece: str) -> None:
    encoded = piece.encode("utf-8", "surrogatepass")
    spec = ProjectionSpec.for_text(bits=128, word_ngrams=(1, 4), character_ngrams=(1, 8), seen_slots_log2=0)
    for length in (*range(27, 35), *range(120, 133), *range(250, 259)):
        for text in (b"x" * length + encoded * 12, b"x " * (length // 2) + b"y" * (length % 2) + encoded * 12):
            expected = reference.features(projection_of(spec.to_bytes()), text)
            assert features(spec.to_bytes(), text.decode("utf-8", "surrogatepass")) == expected, (length, text)


def test_a_tie_goes_to_the_lowest_index() -> None:
    layer = constant_layer(64, 40, weight=3, bias=0)
    layer.bias[[17, 33, 39]] = 9
    for native in natives_of(file_of(ProjectionSpec.for_text(bits=64), layer)):
        assert native.labels(texts_of([b"a card", b""])).tolist() == [17, 17]
        assert native.predict_one("a card") == 17
    assert [reference.label(scores) for scores in ([3, 7, 7], [7, 7, 7], [-1, -2, -1])] == [1, 0, 0]


@pytest.mark.parametrize("units", [0, 16])
def test_many_threads_find_what_one_call_at_a_time_finds(units: int) -> None:
    data = random_file(DEFAULT, classes=11, units=units)
    native = NativeModel(data)
    strings = [f"row {row} {PIECES[row % len(PIECES)]} card {row * row % 97}" for row in range(3000)]
    texts = texts_of([text.encode("utf-8", "surrogatepass") for text in strings])
    scores, labels, bits = (
        native.scores(texts, threads=5),
        native.labels(texts, threads=5),
        project(DEFAULT.to_bytes(), texts, 5),
    )
    np.testing.assert_array_equal(scores, native.scores(texts, threads=1))
    np.testing.assert_array_equal(bits.values(), project(DEFAULT.to_bytes(), texts, 1).values())
    assert labels.tolist() == [native.predict_one(text) for text in strings]
    np.testing.assert_array_equal(labels, scores.argmax(axis=1))
    some = range(0, 3000, 131)
    model = model_of(data)
    expected = [model.scores(strings[row].encode("utf-8", "surrogatepass")) for row in some]
    assert scores[some].tolist() == expected


def test_a_mapped_file_scores_as_its_bytes(tmp_path: Path) -> None:
    data = random_file(DEFAULT, classes=7)
    path = tmp_path / "model.pgb"
    path.write_bytes(data)
    texts = texts_of([piece.encode("utf-8", "surrogatepass") for piece in PIECES])
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        native = NativeModel(mapped)
        scores = native.scores(texts)
        native.close()
    np.testing.assert_array_equal(scores, NativeModel(data).scores(texts))
    assert len(np.unique(scores, axis=0)) > 10
