"""The table of words, and what quantising makes of code sums and filters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from projgraph.errors import ConfigError, ModelFileError
from projgraph.native import NativeModel, project, word_fingerprints
from projgraph.pack.convolution import Convolution
from projgraph.pack.model import ProjectionModel
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.quantise import quantise
from projgraph.pack.vector import VectorSpec
from projgraph.pack.words import Sequences, WordTable
from projgraph.pack.write import model_bytes
from projgraph.records import Layer, Texts

SPEC = ProjectionSpec.for_text(bits=128)
VOCABULARY = [f"w{index}" for index in range(200)]


def table(count: int = 3, dimensions: int = 8) -> WordTable:
    codes = np.where(np.arange(count * dimensions).reshape(count, dimensions) % 3, 1, -1)
    return WordTable(4 * np.arange(count, dtype=np.uint32), np.zeros(count, np.uint8), codes.astype(np.int8))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fingerprints": np.array([0, 4, 4], np.uint32)}, "fingerprints repeat or descend; expected them strictly"),
        ({"fingerprints": np.array([8, 4, 12], np.uint32)}, "fingerprints repeat or descend"),
        ({"fingerprints": np.array([0, 4, 9], np.uint32)}, "fingerprints hold numbers that are no multiples of 4"),
        (
            {"fingerprints": np.array([0, 4, 8])},
            r"fingerprints is int64 of shape \(3,\); expected uint32 of 1",
        ),
        ({"classes": np.array([0, 1, 4], np.uint8)}, "classes hold 4; expected 0 to 3"),
        (
            {"classes": np.zeros(2, np.uint8)},
            r"classes is uint8 of shape \(2,\); expected uint8 .* a row for",
        ),
        ({"codes": np.zeros((3, 8), np.int8)}, "codes hold numbers other than -1 and \\+1; expected these alone"),
        ({"codes": np.ones((3, 12), np.int8)}, "a code has 12 numbers; expected a multiple of 8 from 8 to 128"),
        ({"codes": np.ones((3, 136), np.int8)}, "a code has 136 numbers; expected a multiple of 8 from 8 to 128"),
        ({"codes": np.ones(3, np.int8)}, r"codes is int8 of shape \(3,\); expected int8 of 2 dimensions"),
    ],
)
def test_wrong_tables_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"the word table cannot be used: .*{message}"):
        replace(table(), **change)


def test_a_table_without_words_is_refused() -> None:
    with pytest.raises(ConfigError, match="there are 0 words; expected 1 to 1048576"):
        WordTable(np.zeros(0, np.uint32), np.zeros(0, np.uint8), np.zeros((0, 8), np.int8))


def test_a_section_comes_back() -> None:
    found, norm_shift = WordTable.from_bytes(table(5, 16).to_bytes(6))
    assert norm_shift == 6
    assert found.codes.tolist() == table(5, 16).codes.tolist()
    with pytest.raises(ModelFileError, match="the section of words has 7 bytes; expected at least 8"):
        WordTable.from_bytes(b"1234567")


def random_texts(seed: int, rows: int) -> Texts:
    rng = np.random.default_rng(seed)
    return Texts.from_strings(" ".join(rng.choice(VOCABULARY, rng.integers(0, 15))) for _ in range(rows))


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def word_model(dimensions: int, filters: int, units: int, width: int = 3) -> ProjectionModel:
    rng = np.random.default_rng(0)
    found = np.unique(word_fingerprints(SPEC.to_bytes(), Texts.from_strings(VOCABULARY[:150]))[0])
    codes = (rng.integers(0, 2, (len(found), dimensions)) * 2 - 1).astype(np.int8)
    words = WordTable(found, rng.integers(0, 4, len(found)).astype(np.uint8), codes)
    convolution = Convolution(Layer(normal(1, width * dimensions, filters), normal(2, filters)), width)
    first = SPEC.n_bits + dimensions
    output = normal(3, (units or first) + filters, 9)
    output[len(output) - filters :] /= 30
    hidden = Layer(normal(4, first, units) / 10, normal(5, units)) if units else None
    layer, names = Layer(output, normal(6, 9)), tuple("abcdefghi")
    return ProjectionModel(SPEC.to_bytes(), layer, hidden, 1.3, names, words, convolution if filters else None)


def inputs_of(model: ProjectionModel, texts: Texts) -> tuple[np.ndarray, Sequences]:
    found, offsets = word_fingerprints(model.projection, texts)
    assert model.words is not None
    return project(model.projection, texts).values(), (model.words.rows_of(found), offsets)


def logits(model: ProjectionModel, texts: Texts) -> np.ndarray:
    values, sequences = inputs_of(model, texts)
    assert model.words is not None
    inputs = np.concatenate([values, model.words.raw_sums(*sequences)], axis=1).astype(np.float64)
    if model.hidden:
        inputs = np.maximum(inputs @ model.hidden.weights + model.hidden.bias, 0)
    if model.convolution:
        inputs = np.concatenate([inputs, model.convolution.activations(model.words, sequences)], axis=1)
    return (inputs @ model.output.weights + model.output.bias) / model.temperature


@pytest.mark.parametrize(("weight_bits", "agreement", "tolerance"), [(8, 0.95, 0.08), (4, 0.80, 0.2)])
@pytest.mark.parametrize("units", [0, 24])
@pytest.mark.parametrize("filters", [0, 20])
def test_logits_agree_with_float(
    weight_bits: int, agreement: float, tolerance: float, units: int, filters: int
) -> None:
    model = word_model(32, filters, units)
    values, sequences = inputs_of(model, random_texts(1, 300))
    packed = quantise(model, weight_bits, calibration=values, sequences=sequences)
    texts = random_texts(2, 500)
    values, sequences = inputs_of(model, texts)
    scores = packed.scores(values, sequences)
    np.testing.assert_array_equal(scores, NativeModel(model_bytes(packed, {})).scores(texts, threads=1))
    expected, found = logits(model, texts), scores * packed.scale
    assert np.mean(expected.argmax(axis=1) == found.argmax(axis=1)) > agreement
    assert np.sqrt(np.mean((expected - found) ** 2)) / expected.std() < tolerance


@pytest.mark.parametrize(("factor", "shifts"), [(0.001, {0}), (64.0, {5, 6})])
def test_the_norm_shift_follows_the_size_of_the_weights(factor: float, shifts: set[int]) -> None:
    """Small weights of the sums ask for coarse sums, so that they are not lost among the weights of the bits."""
    model = word_model(32, 0, 0)
    model.output.weights[SPEC.n_bits :] *= factor
    values, sequences = inputs_of(model, random_texts(1, 200))
    assert quantise(model, calibration=values, sequences=sequences).norm_shift in shifts


def test_filters_of_any_unit_are_rounded_alike() -> None:
    """What is one in float may be a thousand elsewhere, if the weights behind it are a thousandth."""
    model, texts = word_model(32, 20, 24), random_texts(1, 200)
    values, sequences = inputs_of(model, texts)
    assert model.convolution is not None
    layer = model.convolution.layer
    scaled = Convolution(Layer(layer.weights * 1024, layer.bias * 1024), model.convolution.width)
    output = Layer(model.output.weights.copy(), model.output.bias)
    output.weights[24:] /= 1024
    one = quantise(model, 4, calibration=values, sequences=sequences)
    other = quantise(replace(model, convolution=scaled, output=output), 4, calibration=values, sequences=sequences)
    np.testing.assert_array_equal(one.scores(values, sequences), other.scores(values, sequences))


def test_what_quantising_lacks_is_said() -> None:
    model = word_model(32, 20, 0)
    values, sequences = inputs_of(model, random_texts(1, 5))
    cases: list[tuple[ProjectionModel, dict[str, Any], str]] = [
        (model, {}, r"calibration is None; expected \(n, 128\) bits of training rows for the range of the code sums"),
        (model, {"calibration": values}, "sequences are of None rows; expected the words of the 5 rows of calibration"),
        (
            replace(model, words=None),
            {"calibration": values},
            "there is a convolution without words; expected their codes",
        ),
        (
            replace(model, projection=VectorSpec(1, 128, 3, 2).to_bytes()),
            {"calibration": values, "sequences": sequences},
            "there are words in a model of vectors; expected a projection of texts",
        ),
        (
            replace(model, convolution=Convolution(Layer(normal(1, 96, 20), normal(2, 20)), 6)),
            {"calibration": values, "sequences": sequences},
            "convolution.width is 6; expected 1 to 5 words",
        ),
        (
            replace(model, convolution=Convolution(Layer(normal(1, 64, 20), normal(2, 20)), 3)),
            {"calibration": values, "sequences": sequences},
            r"convolution.weights has shape \(64, 20\); expected \(96, 1 to 128\)",
        ),
    ]
    for given, options, message in cases:
        with pytest.raises(ConfigError, match=message):
            quantise(given, **options)
    packed = quantise(model, calibration=values, sequences=sequences)
    with pytest.raises(ConfigError, match="the model has word codes; expected the sequences of the texts' words too"):
        packed.scores(values)
