"""Projections of vectors: the C core and the plain Python reference agree, and what is wrong with a row is said."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from projgraph import _core
from projgraph.errors import InputError
from projgraph.native import NativeModel, features, project, project_vectors, vector_sums
from projgraph.pack.format import MAX_BITS, Quantiser
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.vector import VectorSpec
from projgraph.records import Vectors

from . import reference
from .reference_head import model_of, random_file, texts_of, vector_projection_of

BRIEF = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEXT = ProjectionSpec.for_text(bits=64, additions=4)
SMALL = VectorSpec(16, 4, 7, 3)


@st.composite
def specs(draw: st.DrawFn, most_bits: int = 300) -> VectorSpec:
    bits = draw(st.integers(1, most_bits))
    edges = st.sampled_from([-(2**31), -1, 0, 1, 2**31 - 1])
    middles = st.lists(st.one_of(edges, st.integers(-3000, 3000)), min_size=bits, max_size=bits)
    thresholds = draw(st.one_of(st.none(), middles))
    return VectorSpec(
        functions=1,
        function_bits=bits,
        columns=draw(st.sampled_from([1, 2, 15, 16, 17, 255, 256, 257, 300])),
        additions=draw(st.one_of(st.integers(1, min(bits, 20)), st.just(min(bits, 100)))),
        scale=draw(st.sampled_from([1.0, 0.5, 64.0, float(np.float32(0.1)), float(np.float32(1e-30))])),
        thresholds=None if thresholds is None else np.array(thresholds, dtype=np.int32),
        seed=draw(st.integers(0, 2**64 - 1)),
        quantiser=draw(st.sampled_from(list(Quantiser))),
    )


def random_rows(spec: VectorSpec, seed: int, rows: int = 3) -> np.ndarray:
    """Small and whole, halves that round to even, far too large, and mostly zero."""
    rng = np.random.default_rng(seed)
    shape = (rows, spec.columns)
    kinds = [
        rng.integers(-3, 4, shape),
        rng.integers(-9, 10, shape) / 2,
        rng.normal(0, 1e6, shape),
        rng.random(shape) * (rng.random(shape) < 0.1),
    ]
    return kinds[seed % len(kinds)].astype(np.float32)


@BRIEF
@given(spec=specs(), seed=st.integers(0, 2**32 - 1))
def test_sums_and_bits_of_any_rows(spec: VectorSpec, seed: int) -> None:
    plain, rows = vector_projection_of(spec.to_bytes()), random_rows(spec, seed)
    integers = [reference.integers(plain, row) for row in rows.tolist()]
    expected = np.array([reference.vector_sums(plain, row) for row in integers])
    bits = np.array([reference.vector_bits(plain, row) for row in integers])
    for matrix in (rows, sparse.csr_array(rows)):
        np.testing.assert_array_equal(vector_sums(spec.to_bytes(), matrix), expected)
        found = project_vectors(spec.to_bytes(), matrix, threads=1)
        np.testing.assert_array_equal(found.values(), bits)
        assert not (found.positive & found.negative).any()


@BRIEF
@given(spec=specs(most_bits=130), seed=st.integers(0, 999), units=st.sampled_from([0, 5]))
def test_scores_and_labels_of_any_model(spec: VectorSpec, seed: int, units: int) -> None:
    data, rows = random_file(spec, seed, classes=4, units=units), random_rows(spec, seed)
    native, model = NativeModel(data), model_of(data)
    expected = [model.scores(row) for row in rows.tolist()]
    for matrix in (rows, sparse.csr_matrix(rows)):
        assert native.scores(matrix, threads=1).tolist() == expected
        assert native.labels(matrix).tolist() == [reference.label(scores) for scores in expected]
    assert (native.columns, native.value_scale) == (spec.columns, spec.scale)


def test_dense_additions_are_a_sign_for_every_bit() -> None:
    """As many additions as bits: every column is a Rademacher row."""
    spec = VectorSpec(1, 64, 500, 64)
    signs = vector_sums(spec.to_bytes(), np.eye(500))
    assert set(signs.ravel().tolist()) == {-1, 1}
    # Independent signs: no mean and no inner product beyond chance, 5 standard deviations of some 125,000 draws.
    assert abs(signs.mean()) < 5 / np.sqrt(signs.size)
    products = (signs @ signs.T)[np.triu_indices(500, 1)] / 8
    assert abs(products.mean()) < 5 / np.sqrt(len(products))
    assert products.var() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("additions", [1, 5, 16, 100])
def test_a_column_touches_each_part_once(additions: int) -> None:
    spec = VectorSpec(1, 100, 2000, additions)
    touched = vector_sums(spec.to_bytes(), 3 * sparse.eye_array(2000, format="csr"))
    assert set(np.unique(touched)) <= {-3, 0, 3}
    ends = [part * 100 // additions for part in range(additions + 1)]
    for start, end in pairwise(ends):
        assert ((touched[:, start:end] != 0).sum(axis=1) == 1).all()
    counts = (touched != 0).sum(axis=0)  # bits share the columns evenly: 5 standard deviations
    assert abs(counts - 20 * additions).max() <= 5 * np.sqrt(20 * additions)


def test_the_largest_sums_fit() -> None:
    """65,535 columns of -2^15 under one bit each way: below 2^31 in size."""
    spec = VectorSpec(1, 1, 65_535, 1, thresholds=np.array([-(2**31)], dtype=np.int32))
    signs = vector_sums(spec.to_bytes(), sparse.eye_array(65_535, format="csr")).ravel()
    for sign in (1, -1):
        values = np.where(signs == sign, -32768, 32767).astype(np.float32)[None]
        expected = int((values.astype(np.int64) * signs).sum())
        assert vector_sums(spec.to_bytes(), values).tolist() == [[expected]]
    assert expected > 2**31 - 65_535 * 2
    assert project_vectors(spec.to_bytes(), values).values().tolist() == [[1]]


def test_the_most_bits_and_additions() -> None:
    spec = VectorSpec(1, MAX_BITS, 3, MAX_BITS)
    expected = reference.vector_sums(vector_projection_of(spec.to_bytes()), [3, 0, -5])
    assert vector_sums(spec.to_bytes(), [[3.0, 0.0, -5.0]]).tolist() == [expected]


def test_many_threads_find_what_one_finds() -> None:
    rng = np.random.default_rng(0)
    rows = sparse.random_array((3000, 90), density=0.1, rng=rng, format="csr")
    spec = VectorSpec.for_rows(Vectors.from_matrix(rows), 200, thresholds="mean")
    native = NativeModel(random_file(spec, classes=6))
    np.testing.assert_array_equal(native.scores(rows, threads=5), native.scores(rows.toarray(), threads=1))
    np.testing.assert_array_equal(native.labels(rows, threads=3), native.scores(rows).argmax(axis=1))
    one, many = (project_vectors(spec.to_bytes(), rows, threads=threads) for threads in (1, 4))
    np.testing.assert_array_equal(one.values(), many.values())
    assert (native.time_calls(rows[:20], 3) > 0).all()
    assert native.time_calls(rows[:20].toarray(), 3).shape == (20, 3)


def test_texts_and_vectors_are_not_mistaken() -> None:
    of_vectors, of_texts = NativeModel(random_file(SMALL)), NativeModel(random_file(TEXT))
    rows, texts = np.ones((2, 7)), texts_of([b"card"])
    for call in (
        lambda: of_vectors.labels(texts),
        lambda: of_vectors.scores(texts),
        lambda: of_vectors.time_calls(texts, 1),
        lambda: of_vectors.predict_one("card"),
        lambda: project(SMALL.to_bytes(), texts),
        lambda: features(SMALL.to_bytes(), "card"),
    ):
        with pytest.raises(InputError, match="given texts; the model takes vectors of 7 columns"):
            call()
    for call in (lambda: of_texts.labels(rows), lambda: project_vectors(TEXT.to_bytes(), rows)):
        with pytest.raises(InputError, match="given vectors of 7 columns; the model takes texts"):
            call()
    with pytest.raises(InputError, match="given vectors of 6 columns; the model takes vectors of 7 columns"):
        of_vectors.scores(rows[:, :6])


def test_the_core_itself_refuses_the_other_kind() -> None:
    ones, offsets, out = np.ones(7, dtype=np.int16), np.array([0, 7], dtype=np.uint64), bytearray(8)
    with pytest.raises(_core.StatusError, match=r"PG_WANTS_VECTOR.*the model takes vectors, not texts"):
        _core.Model(random_file(SMALL)).labels(b"1234567", offsets, 0, 1, out)
    with pytest.raises(_core.StatusError, match=r"PG_WANTS_VECTOR"):
        _core.Model(random_file(SMALL)).predict("card")
    with pytest.raises(_core.StatusError, match=r"PG_WANTS_VECTOR"):
        _core.features(SMALL.to_bytes(), b"card")
    with pytest.raises(_core.StatusError, match=r"PG_WANTS_TEXT.*the model takes texts, not vectors"):
        _core.Model(random_file(TEXT)).vector_labels(ones, None, offsets, 0, 1, out)
    with pytest.raises(_core.StatusError, match=r"PG_WANTS_TEXT"):
        _core.vector_sums(TEXT.to_bytes(), ones, None, offsets, 0, 1, bytearray(256))


@pytest.mark.parametrize("columns", [[0, 2, 2], [2, 1, 3], [0, 1, 7], [0, 1, 2**32 - 1], [2**32 - 1, 0, 1]])
def test_columns_must_ascend_within_the_model(columns: list[int]) -> None:
    given = np.ones(3, dtype=np.int16), np.array(columns, dtype=np.uint32), np.array([0, 3], dtype=np.uint64)
    with pytest.raises(_core.StatusError, match="PG_BAD_VECTOR"):
        _core.Model(random_file(SMALL)).vector_labels(*given, 0, 1, bytearray(8))


def test_rows_that_are_too_long_are_refused() -> None:
    spec = VectorSpec(1, 8, 70_000, 1)
    with pytest.raises(
        InputError, match="dense vectors of 70000 columns; expected at most 65535: give them as a sparse"
    ):
        project_vectors(spec.to_bytes(), np.ones((1, 70_000)))
    rows = sparse.csr_array(np.ones((600, 1)) @ (np.arange(70_000)[None] == 0))
    rows = sparse.vstack([rows, np.ones((1, 70_000))], format="csr")
    message = (
        r"a vector of rows 512 to 600 cannot be used: a vector has more than 65,535 values.*\(PG_VECTOR_TOO_LONG\)"
    )
    with pytest.raises(InputError, match=message):
        project_vectors(spec.to_bytes(), rows, threads=1)


def test_buffers_of_vectors_are_checked() -> None:
    model = _core.Model(random_file(SMALL))
    values, offsets, out = np.ones(7, dtype=np.int16), np.array([0, 7], dtype=np.uint64), bytearray(8)
    with pytest.raises(ValueError, match="the offsets of vector 0 descend or leave the 7 values of data"):
        model.vector_labels(values, None, np.array([0, 8], dtype=np.uint64), 0, 1, out)
    with pytest.raises(ValueError, match="the offsets of vector 0 descend or leave the 7 values of data"):
        model.vector_time_calls(values, None, np.array([3, 2], dtype=np.uint64), 1, out)
    with pytest.raises(ValueError, match="columns has 8 bytes, expected 7 rows of 4"):
        model.vector_labels(values, np.zeros(2, dtype=np.uint32), offsets, 0, 1, out)
    with pytest.raises(ValueError, match="values has 13 bytes that do not begin and end with an item of 2"):
        model.vector_labels(bytes(13), None, offsets, 0, 1, out)
    with pytest.raises(ValueError, match="values has 14 bytes that do not begin"):
        model.vector_labels(memoryview(bytes(16))[1:15], None, offsets, 0, 1, out)
    with pytest.raises(IndexError, match="rows 0 to 2 of 1 vectors"):
        model.vector_scores(values, None, offsets, 0, 2, bytearray(20))
    with pytest.raises(ValueError, match="offsets has 4 bytes, expected 8 for every vector and 8 more"):
        model.vector_scores(values, None, bytes(4), 0, 0, out)
    with pytest.raises(ValueError, match="sums has 8 bytes, expected 1 rows of 256"):
        _core.vector_sums(SMALL.to_bytes(), values, None, offsets, 0, 1, out)
    with pytest.raises(_core.StatusError, match="PG_BAD_VECTOR"):  # six values of seven
        model.vector_labels(values, None, np.array([0, 6], dtype=np.uint64), 0, 1, out)


def test_zeros_are_as_good_as_none() -> None:
    rows = np.array([[0, 1.0, 0, -2, 0, 0, 3]])
    stored = sparse.csr_array((np.array([0.0, 1, 0, -2, 3]), np.array([0, 1, 2, 3, 6]), np.array([0, 5])), shape=(1, 7))
    expected = vector_sums(SMALL.to_bytes(), rows)
    np.testing.assert_array_equal(vector_sums(SMALL.to_bytes(), stored), expected)
    empty = sparse.csr_array((2, 7))
    assert not vector_sums(SMALL.to_bytes(), empty).any()
    assert (project_vectors(SMALL.to_bytes(), empty).values() == -1).all()
