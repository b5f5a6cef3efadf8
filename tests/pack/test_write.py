from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projgraph.errors import ConfigError, OutputError
from projgraph.pack.format import ALIGNMENT, MAGIC, ROW_PADDING
from projgraph.pack.layer import QuantisedLayer
from projgraph.pack.quantised import QuantisedModel, Shape
from projgraph.pack.read import read_model
from projgraph.pack.rows import pack_weights
from projgraph.pack.sections import read_table
from projgraph.pack.write import model_bytes, predicted_size, provenance_bytes, write_model

MakeModel = Callable[..., QuantisedModel]

DIMENSIONS = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 1 << 30),
        "bits": st.integers(4, 200),
        "classes": st.integers(1, 40),
        "weight_bits": st.sampled_from([8, 4, 2, 1]),
        "units": st.integers(0, 20),
        "hidden_weight_bits": st.sampled_from([8, 4, 2, 1]),
        "families": st.integers(1, 4),
    }
)
WORD_DIMENSIONS = st.fixed_dictionaries(
    {
        "words": st.integers(1, 20),
        "dimensions": st.sampled_from([8, 40, 128]),
        "filters": st.sampled_from([0, 1, 7, 33]),
        "width": st.integers(1, 5),
    }
)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=5,
)


def assert_same(one: QuantisedModel, other: QuantisedModel) -> None:
    assert (one.projection, one.hidden_shift, one.scale, one.classes) == (
        other.projection,
        other.hidden_shift,
        other.scale,
        other.classes,
    )
    for mine, theirs in ((one.output, other.output), (one.hidden, other.hidden)):
        assert (mine is None) == (theirs is None)
        if mine and theirs:
            assert mine.weight_bits == theirs.weight_bits
            for name in ("weights", "multipliers", "bias"):
                left, right = getattr(mine, name), getattr(theirs, name)
                assert left.dtype == right.dtype
                np.testing.assert_array_equal(left, right)


@settings(deadline=None)
@given(dimensions=DIMENSIONS, provenance=st.dictionaries(st.text(), JSON_VALUES, max_size=4))
def test_any_model_survives_its_bytes(
    make_model: MakeModel, dimensions: dict[str, int], provenance: dict[str, Any]
) -> None:
    model = make_model(**dimensions)
    data = model_bytes(model, provenance)
    again, found = read_model(data)
    assert found == provenance
    assert_same(again, model)
    assert model_bytes(again, found) == data  # the same model, the same bytes
    values = np.random.default_rng(0).integers(-1, 2, (5, model.n_bits)).astype(np.int8)
    np.testing.assert_array_equal(again.scores(values), model.scores(values))


@settings(deadline=None)
@given(dimensions=DIMENSIONS)
def test_the_predicted_size_is_the_real_one(make_model: MakeModel, dimensions: dict[str, int]) -> None:
    model = make_model(**dimensions)
    provenance = {"run": "r" * dimensions["classes"]}
    predicted = size_of(model, dimensions, provenance_length=len(provenance_bytes(provenance)))
    assert predicted == len(model_bytes(model, provenance))


@settings(deadline=None)
@given(dimensions=DIMENSIONS, of_words=WORD_DIMENSIONS)
def test_the_predicted_size_of_words_and_filters_is_the_real_one(
    make_model: MakeModel, dimensions: dict[str, int], of_words: dict[str, int]
) -> None:
    model = make_model(**dimensions, **of_words)
    assert model.words is not None
    predicted = size_of(model, dimensions, words=len(model.words), width=of_words["width"])
    assert predicted == len(model_bytes(model, {}))


def size_of(model: QuantisedModel, dimensions: dict[str, int], **given: int) -> int:
    """The predicted size from the dimensions of a model alone."""
    shape = Shape(
        dimensions["bits"], dimensions["classes"], dimensions["units"] or None, model.dimensions, model.filters
    )
    weight_bits = dimensions["weight_bits"], dimensions["hidden_weight_bits"]
    label_bytes = sum(len(name.encode()) for name in model.classes)
    return predicted_size(shape, label_bytes, *weight_bits, families=dimensions["families"], **given)


@settings(deadline=None)
@given(dimensions=DIMENSIONS, of_words=WORD_DIMENSIONS)
def test_words_and_filters_come_back_bit_by_bit(
    make_model: MakeModel, dimensions: dict[str, int], of_words: dict[str, int]
) -> None:
    model = make_model(**dimensions, **of_words)
    data = model_bytes(model, {})
    found, _ = read_model(data)
    assert_same(found, model)
    assert found.words is not None
    assert model.words is not None
    for part in ("fingerprints", "classes", "codes"):
        np.testing.assert_array_equal(getattr(found.words, part), getattr(model.words, part))
    assert (found.norm_shift, found.filters) == (model.norm_shift, of_words["filters"])
    if found.convolution and model.convolution:
        assert (found.convolution.width, found.convolution.shift) == (model.convolution.width, model.convolution.shift)
        np.testing.assert_array_equal(found.convolution.layer.weights, model.convolution.layer.weights)
    assert model_bytes(found, {}) == data


def test_the_minor_version_is_the_lowest_that_describes_a_model(make_model: MakeModel) -> None:
    minors = [model_bytes(make_model(words=words), {})[6] for words in (0, 3)]
    assert minors == [0, 2]


def test_the_size_of_a_model_of_clinc150() -> None:
    header_and_table, projection, head = 32 + 7 * 16, 48, 16
    weights, bias, multipliers = 2048 * 75 + 32, 600 + 8, 150 + 10  # with their padding
    labels, provenance = 4 + 4 * 151 + 1800 + 8, 100
    size = header_and_table + projection + head + weights + bias + multipliers + labels + provenance
    assert predicted_size(Shape(2048, 150, None, 0, 0), 1800, 4, provenance_length=100) == size


def test_the_layout_is_aligned_and_tight(make_model: MakeModel) -> None:
    data = model_bytes(make_model(units=3), {"a": 1})
    assert data[:4] == MAGIC
    assert int.from_bytes(data[8:12], "little") == len(data)
    assert int.from_bytes(data[12:16], "little") == zlib.crc32(data[16:])
    entries = read_table(data)
    assert [entry.name for entry in entries][:3] == ["PROJECTION", "HEAD", "WEIGHTS"]
    for before, after in pairwise(entries):
        assert after.offset % ALIGNMENT == 0
        assert 0 <= after.offset - before.end < ALIGNMENT
    assert entries[-1].end == len(data)


def test_four_bit_rows_hold_two_halves() -> None:
    weights = np.array([[1, 2, 3, 4, 5], [-1, -8, 7, -2, 0]], np.int8)
    layer = QuantisedLayer(weights, np.ones(5, np.uint8), np.zeros(5, np.int32), 4)
    assert pack_weights(layer) == bytes([0x41, 0x52, 0x03, 0xEF, 0x08, 0x07]) + bytes(ROW_PADDING)
    assert pack_weights(replace(layer, weight_bits=8)) == weights.tobytes() + bytes(ROW_PADDING)
    turned = replace(layer, weight_bits=8, weights=np.asfortranarray(weights))
    assert pack_weights(turned) == weights.tobytes() + bytes(ROW_PADDING)


def test_rows_are_padded_for_vector_loads(make_model: MakeModel) -> None:
    data = model_bytes(make_model(classes=3, bits=8), {})
    entry = next(entry for entry in read_table(data) if entry.name == "WEIGHTS")
    assert entry.length == 8 * 3 + ROW_PADDING
    assert data[entry.end - ROW_PADDING : entry.end] == bytes(ROW_PADDING)


def test_the_order_of_provenance_keys_does_not_matter(make_model: MakeModel) -> None:
    assert model_bytes(make_model(), {"b": 1, "a": 2}) == model_bytes(make_model(), {"a": 2, "b": 1})


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, b"bytes", object()])
def test_provenance_without_json_form_is_refused(make_model: MakeModel, value: object) -> None:
    with pytest.raises(ConfigError, match=r"the provenance has no JSON form: .*; expected a dictionary of JSON values"):
        model_bytes(make_model(), {"key": value})


def test_files_are_written_whole_or_not_at_all(make_model: MakeModel, tmp_path: Path) -> None:
    path = tmp_path / "model.pgb"
    assert write_model(path, make_model(), {"run": 1}) == path.stat().st_size
    before = path.read_bytes()
    with pytest.raises(OutputError, match="it is a folder"):
        write_model(tmp_path, make_model(), {})
    with pytest.raises(ConfigError):
        write_model(path, make_model(), {"key": object()})
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.pgb"]
    model, provenance = read_model(path)
    assert_same(model, make_model())
    assert provenance == {"run": 1}
