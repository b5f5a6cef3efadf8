"""What the core's work is counted to be, against what the core does, and what the prices make of it."""

from __future__ import annotations

import numpy as np
import pytest

from projgraph import native
from projgraph.bits import text_projection
from projgraph.config import ProjectionConfig, TrainConfig
from projgraph.cost import PICOSECONDS, WORDS, predicted_nanoseconds, steps
from projgraph.pack.quantised import Shape
from projgraph.read import read_texts
from projgraph.records import Texts

from .conftest import HOME_INTENTS

PLAIN = TrainConfig().projection
LINEAR, HIDDEN = Shape(2048, 77, None, 0, 0), Shape(2048, 77, 128, 0, 0)


@pytest.fixture(scope="module")
def texts() -> Texts:
    rows = read_texts(HOME_INTENTS / "train.csv")
    return Texts.from_strings(text for text in rows if len(text.split()) == WORDS)


def chosen(**settings: object) -> ProjectionConfig:
    return ProjectionConfig.model_validate(settings)


def test_steps_of_a_linear_head_counted_by_hand():
    # 12 words and 11 pairs; 11 times 4, 3 and 2 n-grams of 3, 4 and 5 characters; two additions of each.
    words, characters = 4 * 46 * 1024 // (4 * 1024 + 3 * 46), 4 * 198 * 1024 // (4 * 1024 + 3 * 198)
    expected = dict.fromkeys(PICOSECONDS, 0) | {"text": 1, "feature": 23 + 99, "touch": 23 + 99, "block": 4}
    expected |= {"row": words + characters, "row_vector": 3 * (words + characters), "layer_vector": 3}
    assert steps(LINEAR, 8, PLAIN) == expected
    halved = expected | {"row_vector": 2 * (words + characters), "layer_vector": 4}
    assert steps(LINEAR, 4, PLAIN) == halved


def test_steps_of_words_and_filters_counted_by_hand():
    counted = steps(Shape(2048, 77, 128, 64, 96), 4, PLAIN, known_words=7000)
    bits = steps(HIDDEN, 4, PLAIN)
    assert {kind: counted[kind] - bits[kind] for kind in counted if counted[kind] != bits[kind]} == {
        "value": 64 + 96,
        "nibble_multiple": 64 * 2,  # 128 units of 4 bits are two vectors
        "byte_multiple": 96 * 3,
        "code": 12 * 64,
        "probe": 12 * 13,
        "filter_row": 12 * 3 * 32 + 3 * 64,
        "filter_vector": 3 * (12 * 3 * 32 + 3 * 64),
    }


@pytest.mark.parametrize(("weight_bits", "parts"), [(2, 2), (1, 1)])
def test_steps_of_rows_of_bits_counted_by_hand(weight_bits, parts):
    # 256 units are 32 bytes of either half; the rows of 64 sums are counted for each of eight bits, half of them set.
    counted = steps(Shape(2048, 77, 256, 64, 0), weight_bits, PLAIN, known_words=5000)
    assert counted["counted_row"] == counted["row"] + 4 * 64
    assert counted["turned"] == (2 + 8) * parts
    wider = steps(Shape(2048, 1000, None, 0, 0), weight_bits, chosen(quantiser="sign"))
    assert wider["counted_row"] == 2048 * (2 * parts)  # 125 or 250 bytes
    assert wider["turned"] == 2 * 5 * parts * 4  # 1,024 rows on either side, 252 at a time


@pytest.mark.parametrize("additions", [1, 2, 4])
@pytest.mark.parametrize("bits", [1024, 2048, 4096])
def test_rows_are_about_the_bits_that_texts_set(texts, bits, additions):
    settings = chosen(additions=additions)
    values = native.project(text_projection(bits, settings, 0).to_bytes(), texts).values()
    rows = steps(Shape(bits, 9, None, 0, 0), 8, settings)["row"]
    assert rows == pytest.approx(np.median((values != 0).sum(axis=1)), rel=0.1)


def test_every_bit_has_a_row_under_the_quantiser_of_signs():
    assert steps(LINEAR, 8, chosen(quantiser="sign"))["row"] == 2048


@pytest.mark.parametrize("ngrams", [((1, 1), (3, 3)), ((1, 2), (3, 5)), ((2, 3), (2, 6))])
def test_features_are_about_those_of_texts(texts, ngrams):
    settings = chosen(word_ngrams=ngrams[0], character_ngrams=ngrams[1])
    projection = text_projection(2048, settings, 0).to_bytes()
    found = [len(native.features(projection, text)) for text in texts]
    assert steps(LINEAR, 8, settings)["feature"] == pytest.approx(np.median(found), rel=0.1)


def test_a_family_without_bits_costs_nothing():
    words, characters = (steps(LINEAR, 8, chosen(word_share=share)) for share in (1.0, 0.0))
    assert (words["feature"], characters["feature"]) == (23, 99)
    assert words["row"] == 4 * 46 * 2048 // (4 * 2048 + 3 * 46)


def test_the_time_is_the_sum_of_the_prices():
    counted = steps(HIDDEN, 4, PLAIN)
    total = sum(PICOSECONDS[kind] * count for kind, count in counted.items())
    assert total / 1000 <= predicted_nanoseconds(HIDDEN, 4, PLAIN) < total / 1000 + 1
    assert set(counted) == set(PICOSECONDS)
    assert all(price > 0 for price in PICOSECONDS.values())


def test_more_of_anything_takes_longer():
    less = predicted_nanoseconds(Shape(2048, 77, 96, 64, 64), 4, PLAIN, 3000)
    more = [
        predicted_nanoseconds(Shape(4096, 77, 96, 64, 64), 4, PLAIN, 3000),
        predicted_nanoseconds(Shape(2048, 177, 96, 64, 64), 4, PLAIN, 3000),
        predicted_nanoseconds(Shape(2048, 77, 128, 64, 64), 4, PLAIN, 3000),
        predicted_nanoseconds(Shape(2048, 77, 96, 128, 64), 4, PLAIN, 3000),
        predicted_nanoseconds(Shape(2048, 77, 96, 64, 65), 4, PLAIN, 3000),
        predicted_nanoseconds(Shape(2048, 77, 96, 64, 64), 8, PLAIN, 3000),
        predicted_nanoseconds(Shape(2048, 77, 96, 64, 64), 4, PLAIN, 5000),
        predicted_nanoseconds(Shape(2048, 77, 96, 64, 64), 4, chosen(words={"width": 4}), 3000),
        predicted_nanoseconds(Shape(2048, 77, 96, 64, 64), 4, chosen(additions=4), 3000),
    ]
    assert min(more) > less


def test_the_three_tiers_of_a_model_are_well_apart():
    """Measured on the reference machine: 2.5, 3.5 and 8.1 microseconds for 77 classes (`benchmarks/tiers.py`)."""
    tiers = [
        (Shape(3072, 77, 128, 0, 0), 0),
        (Shape(2048, 77, 128, 64, 0), 8000),
        (Shape(2048, 77, 128, 64, 128), 6500),
    ]
    assert [predicted_nanoseconds(shape, 4, PLAIN, words) for shape, words in tiers] == [2441, 3454, 7795]
