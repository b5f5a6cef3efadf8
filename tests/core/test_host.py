"""The host's vectors give the portable core's integers, whatever the texts and the model, and leave nothing behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projgraph.native import NativeModel, word_fingerprints
from projgraph.pack.convolution import QuantisedConvolution
from projgraph.pack.format import MAX_BIAS, Quantiser
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.read import parse_model
from projgraph.pack.rows import FORMATS
from projgraph.pack.words import WordTable
from projgraph.pack.write import model_bytes

from .reference_head import WordShape, constant_layer, natives_of, random_file, texts_of, word_file
from .test_golden import TEXTS as GOLDEN
from .test_parity import rows

SPEC = ProjectionSpec.for_text(bits=2048)
INFO = Path("/proc/cpuinfo")
FLAGS = set(INFO.read_text().split()) if INFO.exists() else set()
NEEDED = {
    256: {"avx2", "bmi1", "bmi2", "popcnt"},
    512: {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vbmi", "avx512_vbmi2", "avx512_vnni", "bmi2"},
}
BRIEF = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def widest() -> int:
    """Bits of the most that this machine has; 0 without any."""
    return max((width for width, needed in NEEDED.items() if needed <= FLAGS), default=0)


def random_texts(count: int, seed: int = 0) -> list[bytes]:
    """Words of a few letters, some of them again and again, between pieces that are no words, or not even UTF-8."""
    rng = np.random.default_rng(seed)
    words = ["".join(map(chr, rng.integers(97, 123, rng.integers(1, 12)))) for _ in range(200)]
    pieces = [
        *(word.encode() for word in words),
        "é日".encode(),
        b"'",
        b"?!",
        b"  ",
        b"\0",
        b"\xff\xfe",
        b"\xf0\x9f\x99",
    ]
    return [b" ".join(pieces[i] for i in rng.integers(0, len(pieces), rng.integers(0, 90))) for _ in range(count)]


TEXTS = [b"", *GOLDEN, *random_texts(200), b"x" * 100_000, b" ".join(b"%d" % i for i in range(20_000))]


def assert_same(data: bytes, texts: list[bytes]) -> None:
    """Of the portable core and of vectors of every width: scores of texts in this order and in another, and labels."""
    portable, *others = natives_of(data)
    scores, labels = (call(texts_of(texts), threads=1) for call in (portable.scores, portable.labels))
    backwards = texts_of(texts[::-1])
    for other in others:
        np.testing.assert_array_equal(other.scores(texts_of(texts), threads=1), scores)
        np.testing.assert_array_equal(other.scores(backwards, threads=1)[::-1], scores)
        np.testing.assert_array_equal(other.labels(backwards, threads=1)[::-1], labels)


@pytest.mark.parametrize("vectors", sorted(NEEDED))
def test_this_processors_vectors_answer(vectors: int) -> None:
    if not NEEDED[vectors] <= FLAGS:
        pytest.skip(f"no vectors of {vectors} bits on this machine: {sorted(NEEDED[vectors] - FLAGS)}")
    data = random_file(SPEC, classes=77, units=128, hidden_width=4)
    assert NativeModel(data, vectors=vectors).vectors == vectors
    assert NativeModel(data).vectors == widest()
    assert NativeModel(data, vectors=0).vectors == 0


@pytest.mark.parametrize(
    ("classes", "units", "width", "hidden_width"),
    [(1, 0, 8, 8), (77, 128, 8, 4), (16, 33, 4, 8), (129, 0, 4, 4), (200, 256, 8, 8), (17, 127, 4, 4), (300, 1, 8, 4)],
)
def test_layers_around_a_block_of_outputs(classes: int, units: int, width: int, hidden_width: int) -> None:
    assert_same(random_file(SPEC, 1, classes, width, units, hidden_width), TEXTS)


@pytest.mark.parametrize("kind", sorted(FORMATS))
@pytest.mark.parametrize("outputs", [1, 7, 9, 77, 150, 255, 256])
@pytest.mark.parametrize("dimensions", [0, 64])
def test_any_format_of_weights(dimensions: int, outputs: int, kind: int) -> None:
    """Of an output layer and of a hidden one, with values of words behind the bits and without."""
    linear, hidden = (outputs, kind), (9, 4, outputs, kind)
    shape = WordShape(dimensions=dimensions, norm_shift=5)
    for layers in (linear, hidden):
        if dimensions:
            data = word_file(SPEC, TEXTS[5:90], shape, outputs, *layers)
        else:
            data = random_file(SPEC, outputs, *layers)
        assert NativeModel(data).vectors == widest()
        assert_same(data, TEXTS[:80])


@pytest.mark.parametrize("weight", [-128, -8, -1, 1, 7, 127])
@pytest.mark.parametrize("code", [-1, 1])
def test_the_largest_weights_and_values_of_any_width(code: int, weight: int) -> None:
    """All units and all sums of codes at their ends, under one weight, and a text under which no word is known."""
    width = 8 if abs(weight) > 8 else 4 if abs(weight) > 1 else 2
    table = WordTable(
        word_fingerprints(SPEC.to_bytes(), texts_of([b"a"]))[0],
        np.full(1, 3, np.uint8),
        np.full((1, 128), code, np.int8),
    )
    hidden = constant_layer(2048 + 128, 256, weight, MAX_BIAS // 2, width)
    output = constant_layer(256, 77, weight, -MAX_BIAS // 2, width)
    classes = tuple(f"{index:03d}" for index in range(77))
    model = QuantisedModel(SPEC.to_bytes(), output, hidden, 0, 1.0, classes, table, 6)
    data = model_bytes(model, {})
    assert_same(data, [b"", b"a", b"a " * 4096, b"b", *TEXTS[:30]])
    scores = NativeModel(data).scores(texts_of([b"a"]))
    assert scores.tolist() == [[256 * 127 * weight * 255 - MAX_BIAS // 2 - 1] * 77]


@pytest.mark.parametrize("quantiser", list(Quantiser))
@pytest.mark.parametrize("additions", [1, 2, 3, 4, 6, 16])
def test_any_number_of_additions(additions: int, quantiser: Quantiser) -> None:
    """Under the quantiser of signs every bit has a row: more than 16 bits of a sum hold."""
    spec = ProjectionSpec.for_text(bits=5000, additions=additions, quantiser=quantiser, seed=additions)
    for width in (8, 4, 2, 1):
        assert_same(random_file(spec, 2, 33, width), TEXTS[:60])


@pytest.mark.parametrize("dimensions", [8, 64, 72, 128])
@pytest.mark.parametrize("units", [0, 40])
def test_codes_of_words(dimensions: int, units: int) -> None:
    shape = WordShape(dimensions=dimensions, norm_shift=4)
    assert_same(word_file(SPEC, TEXTS[5:90], shape, 3, 77, 8, units, hidden_width=4), TEXTS)


@pytest.mark.parametrize("window", [1, 2, 3, 5])
@pytest.mark.parametrize("filters", [1, 31, 33, 128])
@pytest.mark.parametrize(("dimensions", "units"), [(8, 0), (64, 256), (72, 40), (128, 0)])
def test_convolutions(dimensions: int, units: int, filters: int, window: int) -> None:
    """Texts of no word, of fewer words than a window has, and of words that the table knows and does not know."""
    shape = WordShape(dimensions, filters, window, norm_shift=4, shift=9)
    data = word_file(SPEC, TEXTS[5:90], shape, window, 77, 4, units, hidden_width=2)
    assert NativeModel(data).vectors == widest()
    assert_same(data, TEXTS[:120])


@pytest.mark.parametrize(("weight", "code"), [(-128, 1), (127, 1), (-128, -1), (127, -1)])
def test_the_largest_windows_of_words(weight: int, code: int) -> None:
    """Every word weighs eight, and five places of 128 signs all add up."""
    known = word_fingerprints(SPEC.to_bytes(), texts_of([b"a"]))[0]
    table = WordTable(known, np.full(1, 3, np.uint8), np.full((1, 128), code, np.int8))
    convolution = QuantisedConvolution(constant_layer(5 * 128, 128, weight, MAX_BIAS), 5, 23)
    output = constant_layer(2048 + 128 + 128, 9, 1, 0, 4)
    model = QuantisedModel(SPEC.to_bytes(), output, None, 0, 1.0, tuple("abcdefghi"), table, 6, convolution)
    assert_same(model_bytes(model, {}), [b"", b"a", b"b", b"a b a", b"a " * 5, b"a " * 4096, *TEXTS[:20]])


def test_a_table_whose_words_stand_close_together() -> None:
    """Fingerprints with the same upper bits as those of the texts' words, thousands of them."""
    parsed, _ = parse_model(word_file(SPEC, TEXTS[5:90], WordShape(dimensions=64), 4, 9))
    known = np.unique(word_fingerprints(SPEC.to_bytes(), texts_of(TEXTS[5:90]))[0])
    near = np.unique((known[:40, None] + 4 * np.arange(-60, 60, dtype=np.int64)).ravel() % 2**32)
    found = np.union1d(known, near).astype(np.uint32)
    rng = np.random.default_rng(0)
    codes = (2 * rng.integers(0, 2, (len(found), 64)) - 1).astype(np.int8)
    crowded = replace(parsed, words=WordTable(found, rng.integers(0, 4, len(found)).astype(np.uint8), codes))
    assert_same(model_bytes(crowded, {}), TEXTS)


@pytest.mark.parametrize("seen_slots_log2", [0, 1, 5, 12])
def test_repeat_filters_of_any_size(seen_slots_log2: int) -> None:
    spec = ProjectionSpec.for_text(
        bits=300, seen_slots_log2=seen_slots_log2, word_ngrams=(1, 4), character_ngrams=(2, 8)
    )
    assert_same(random_file(spec), TEXTS)


def test_what_the_vectors_do_not_take_is_the_portable_cores() -> None:
    data = random_file(ProjectionSpec.for_text(bits=64, seen_slots_log2=13))
    assert [native.vectors for native in natives_of(data)] == [0]
    assert NativeModel(data).vectors == 0


@BRIEF
@given(texts=st.lists(rows, min_size=1, max_size=6), seed=st.integers(0, 99))
def test_any_bytes(texts: list[bytes], seed: int) -> None:
    known = [b"card a B 7 don't", "日本 한글".encode()]
    assert_same(word_file(SPEC, known, WordShape(dimensions=64), seed, 20, 8, 32, hidden_width=4), texts)


def test_threads_share_a_model() -> None:
    """Several at once, on a model that calls with the GIL use meanwhile."""
    data = word_file(SPEC, TEXTS[5:90], WordShape(dimensions=64), 5, 77, 8, 128, hidden_width=4)
    texts = tuple(text.decode("utf-8", "replace") for text in TEXTS[:200]) * 5
    expected = NativeModel(data, vectors=0).answers(texts, threads=1)
    for native in natives_of(data):
        with ThreadPoolExecutor(2) as pool:
            found = [pool.submit(native.answers, texts, 1) for _ in range(6)]
            assert [name for text in texts[:200] for name in native.answer(text)] == expected[:200]
            assert all(each.result() == expected for each in found)
        assert native.answers(texts) == expected
