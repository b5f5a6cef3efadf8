"""The C core takes what is written and finds the same integers as numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projgraph.native import NativeModel, project
from projgraph.pack.quantised import QuantisedModel
from projgraph.pack.write import model_bytes
from projgraph.records import Texts

MakeModel = Callable[..., QuantisedModel]
TEXTS = Texts.from_strings(
    ["", "where is my card", "Where's my CARD?!", "日本語 text, mixed", "\ud800 lone", "a " * 500, "🙂 naïve façade"]
)


def check(model: QuantisedModel, texts: Texts) -> None:
    native = NativeModel(model_bytes(model, {"run": 7, "data": "ü"}))
    assert tuple(native.classes) == model.classes
    assert native.n_bits == model.n_bits
    assert native.scale == model.scale
    assert native.provenance == {"run": 7, "data": "ü"}
    expected = model.scores(project(model.projection, texts).values())
    found = native.scores(texts)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(native.labels(texts), expected.argmax(axis=1))


@pytest.mark.parametrize("weight_bits", [8, 4])
@pytest.mark.parametrize("classes", [1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 150])
def test_scores_are_the_same_for_every_width_of_a_row(make_model: MakeModel, classes: int, weight_bits: int) -> None:
    check(make_model(seed=classes, bits=256, classes=classes, weight_bits=weight_bits), TEXTS)


@pytest.mark.parametrize("units", [1, 15, 16, 33, 64, 256])
@pytest.mark.parametrize("hidden_weight_bits", [8, 4])
@pytest.mark.parametrize("weight_bits", [8, 4])
def test_hidden_scores_are_the_same(
    make_model: MakeModel, units: int, weight_bits: int, hidden_weight_bits: int
) -> None:
    check(make_model(units, 512, 9, weight_bits, units, hidden_weight_bits, 3), TEXTS)


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 1 << 30),
    bits=st.integers(4, 300),
    classes=st.integers(1, 70),
    units=st.sampled_from([0, 0, 1, 7, 40]),
    weight_bits=st.sampled_from([8, 4]),
    hidden_weight_bits=st.sampled_from([8, 4]),
    families=st.integers(1, 4),
    texts=st.lists(st.text(max_size=60), min_size=1, max_size=4),
)
def test_any_model_and_text_score_the_same(
    make_model: MakeModel,
    seed: int,
    bits: int,
    classes: int,
    units: int,
    weight_bits: int,
    hidden_weight_bits: int,
    families: int,
    texts: list[str],
) -> None:
    model = make_model(seed, bits, classes, weight_bits, units, hidden_weight_bits, families)
    check(model, Texts.from_strings(texts))
