"""The projection section of vectors: there and back, measured on rows, and refused where a reader must."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from scipy import sparse

from projgraph.errors import ConfigError, ModelFileError
from projgraph.native import NativeModel, project_vectors, vector_sums
from projgraph.pack.format import Quantiser
from projgraph.pack.inspect import describe, render
from projgraph.pack.layer import QuantisedLayer
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.read import parse_model
from projgraph.pack.vector import VectorSpec, read_projection, scale_for
from projgraph.pack.write import model_bytes
from projgraph.records import Vectors

THRESHOLDS = np.arange(-3, 5, dtype=np.int32)
SPEC = VectorSpec(2, 4, 100, 3, 0.5, THRESHOLDS, seed=2**64 - 1, quantiser=Quantiser.TERNARY)


def same(one: VectorSpec, other: VectorSpec) -> bool:
    return one.to_bytes() == other.to_bytes()


@pytest.mark.parametrize("spec", [SPEC, VectorSpec(1, 7, 1 << 24, 7)])
def test_there_and_back(spec: VectorSpec) -> None:
    section = spec.to_bytes()
    again = read_projection(section)
    assert isinstance(again, VectorSpec)
    assert same(again, spec)
    assert (again.columns, again.additions, again.scale, again.seed, again.quantiser) == (
        *(spec.columns, spec.additions, spec.scale, spec.seed, spec.quantiser),
    )
    assert isinstance(read_projection(ProjectionSpec.for_text().to_bytes()), ProjectionSpec)


def test_the_layout_in_bytes() -> None:
    expected = struct.pack("<QHHBBBBIfHBBI8i", 2**64 - 1, 2, 4, 1, 0, 0, 1, 100, 0.5, 3, 1, 0, 0, *range(-3, 5))
    assert SPEC.to_bytes() == expected


@pytest.mark.parametrize(
    ("offset", "code", "value", "message"),
    [
        (8, "H", 0, "has 64 bytes; expected 32"),
        (10, "H", 0, "has 64 bytes; expected 32"),
        (12, "B", 2, r"quantiser is 2; expected 0 \(sign\) or 1 \(ternary\)"),
        (13, "B", 1, "families, seen_slots_log2 or a reserved field .* is not zero"),
        (14, "B", 1, "families, seen_slots_log2 or a reserved field .* is not zero"),
        (15, "B", 2, r"input is 2; expected 0 \(text\) or 1 \(vector\): read it with a newer projgraph"),
        (15, "B", 0, "has 64 bytes; expected 16 for 0 families"),
        (16, "I", 0, "columns is 0; expected an integer from 1 to 16777216"),
        (16, "I", (1 << 24) + 1, "columns is 16777217; expected an integer from 1 to 16777216"),
        (20, "f", 0.0, "scale is 0.0; expected a positive normal float32 number"),
        (20, "f", -1.0, "scale is -1.0; expected"),
        (20, "f", float("nan"), "scale is nan; expected"),
        (20, "f", float("inf"), "scale is inf; expected"),
        (20, "I", 1, "scale is 1.4.*e-45; expected"),
        (24, "H", 0, "additions is 0; expected an integer from 1 to the number of bits, 8"),
        (24, "H", 9, "additions is 9; expected an integer from 1 to the number of bits, 8"),
        (26, "B", 0, "has 64 bytes; expected 32"),
        (26, "B", 2, "thresholds is 2; expected 0 or 1"),
        (27, "B", 1, "a reserved field of a projection of vectors is not zero"),
        (28, "I", 1, "a reserved field of a projection of vectors is not zero"),
    ],
)
def test_hostile_fields_are_named_and_the_core_refuses_them_too(
    offset: int, code: str, value: float, message: str
) -> None:
    section = bytearray(SPEC.to_bytes())
    struct.pack_into("<" + code, section, offset, value)
    with pytest.raises(ModelFileError, match=message):
        read_projection(bytes(section))
    with pytest.raises(ModelFileError, match=r"the projection cannot be used: .* \(PG_"):
        project_vectors(bytes(section), np.ones((1, 100)))


def test_every_length_but_the_right_one_is_refused() -> None:
    section = SPEC.to_bytes()
    for end in range(16, len(section)):
        with pytest.raises(ModelFileError, match=f"has {end} bytes; expected"):
            read_projection(section[:end])
        with pytest.raises(ModelFileError, match="PG_BAD_PROJECTION"):
            project_vectors(section[:end], np.ones((1, 100)))
    with pytest.raises(ModelFileError, match="has 65 bytes; expected 64"):
        read_projection(section + b"\0")


def test_every_wrong_setting_is_listed() -> None:
    with pytest.raises(ConfigError) as caught:
        VectorSpec(1, 8, 0, 9, 0.1, THRESHOLDS.astype(np.int64), seed=-1)
    for part in (
        "seed is -1",
        "columns is 0",
        "additions is 9; expected an integer from 1 to the number of bits, 8",
        "scale is 0.1; expected a positive normal float32",
        "thresholds are int64 of shape (8,); expected int32 of shape (8,)",
    ):
        assert part in str(caught.value)
    with pytest.raises(ConfigError, match="functions x function_bits is 32768 bits; expected at most 16384"):
        VectorSpec(2, 16384, 1, 1)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([0, 255], 1.0),
        ([-32767, 5], 1.0),
        ([0, 0], 1.0),
        ([0.5, -1], 4096.0),
        ([0.999], 8192.0),
        ([40000], 1 / 8),
        ([1e30], 2.0**-87),
        ([1e-45], 2.0**127),
        ([3e38], 2.0**-115),
    ],
)
def test_the_scale_keeps_whole_numbers_and_leaves_room(values: list[float], scale: float) -> None:
    found = scale_for(np.array(values, dtype=np.float32))
    assert found == scale
    assert max(map(abs, values)) * found <= 32767


def test_thresholds_at_the_mean_of_the_sums() -> None:
    rows = np.random.default_rng(0).integers(0, 256, (5000, 12)).astype(np.float32)
    spec = VectorSpec.for_rows(Vectors.from_matrix(rows), 64, 4, seed=3, thresholds="mean")
    assert (spec.scale, spec.quantiser, spec.functions) == (1.0, Quantiser.SIGN, 64)
    np.testing.assert_array_equal(spec.thresholds, np.rint(vector_sums(spec.to_bytes(), rows).mean(axis=0)))


def test_spread_thresholds_are_quantiles_of_the_sums() -> None:
    rows = np.random.default_rng(0).normal(size=(3000, 2)).astype(np.float32)
    spec = VectorSpec.for_rows(Vectors.from_matrix(rows), 128)
    assert spec.thresholds is not None
    assert spec.additions == 64  # half of the bits at most
    above = (project_vectors(spec.to_bytes(), rows).values() > 0).mean(axis=0)
    touched = vector_sums(spec.to_bytes(), rows).any(axis=0)
    expected = 0.9 - 0.8 * (np.arange(128) * (np.sqrt(5) - 1) / 2 % 1)
    np.testing.assert_allclose(above[touched], expected[touched], atol=0.002)
    same = VectorSpec.for_rows(Vectors.from_matrix(rows), 128)
    assert same.to_bytes() == spec.to_bytes()
    many = Vectors.from_matrix(np.tile(rows, (3, 1)))  # a sample of them
    one, again = (VectorSpec.for_rows(many, 128).thresholds for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - spec.thresholds).max() < 0.1 * np.ptp(vector_sums(spec.to_bytes(), rows))


@pytest.mark.parametrize(
    ("columns", "bits", "additions"), [(784, 2048, 16), (4, 2048, 1024), (1433, 2048, 9), (30_000, 2048, 2), (1, 1, 1)]
)
def test_six_columns_add_to_a_bit(columns: int, bits: int, additions: int) -> None:
    rows = Vectors.from_matrix(sparse.csr_array((2, columns)))
    assert VectorSpec.for_rows(rows, bits).additions == additions


def test_sparse_rows_are_ternary_around_zero() -> None:
    rows = Vectors.from_matrix(sparse.csr_array(np.eye(9)))
    spec = VectorSpec.for_rows(rows, 60, 5)
    assert (spec.thresholds, spec.quantiser, spec.columns) == (None, Quantiser.TERNARY, 9)
    assert VectorSpec.for_rows(rows, 60, 5, thresholds="spread", quantiser=Quantiser.SIGN).thresholds is not None
    assert VectorSpec.for_rows(Vectors.from_matrix(np.eye(9)), 60, 5, thresholds="zero").thresholds is None
    with pytest.raises(ConfigError, match="functions is 7; expected a divisor of bits, 60"):
        VectorSpec.for_rows(rows, 60, 5, functions=7)


def vector_model(spec: VectorSpec) -> bytes:
    layer = QuantisedLayer(
        np.random.default_rng(0).integers(-128, 128, (spec.n_bits, 2)).astype(np.int8),
        np.ones(2, dtype=np.uint8),
        np.zeros(2, dtype=np.int32),
        8,
    )
    return model_bytes(QuantisedModel(spec.to_bytes(), layer, None, 0, 1.0, ("no", "yes")), {})


def test_only_a_model_of_vectors_has_the_newer_minor_version() -> None:
    data = vector_model(SPEC)
    assert struct.unpack_from("<HH", data, 4) == (1, 1)
    model, _ = parse_model(data)
    assert model.projection == SPEC.to_bytes()
    assert NativeModel(data).columns == 100


def test_inspect_shows_the_fields_and_the_thresholds() -> None:
    account = describe(vector_model(SPEC))
    fields = {row["field"]: row for row in account["sections"][0]["fields"]}
    assert fields["input"]["value"] == 1
    assert fields["input"]["meaning"] == "an InputKind value: VECTOR"
    found = {name: fields[f"vector.{name}"]["value"] for name in ("columns", "scale", "additions", "thresholds")}
    assert found == {"columns": 100, "scale": 0.5, "additions": 3, "thresholds": 1}
    row = fields["vector.all_thresholds"]
    assert (row["bytes"], row["value"]) == (32, "-3 to 4")
    assert sum(row["bytes"] for row in account["sections"][0]["fields"]) == account["sections"][0]["length"]
    render(account)
