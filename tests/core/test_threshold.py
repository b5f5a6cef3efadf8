"""A model's threshold: the core, the numpy integers and the definition agree on which rows get no label."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from projgraph.errors import ConfigError
from projgraph.native import NativeModel, project
from projgraph.pack.format import THRESHOLD_MINOR
from projgraph.pack.projection import ProjectionSpec
from projgraph.pack.read import read_model
from projgraph.pack.write import model_bytes
from projgraph.records import Texts

from . import reference
from .reference_head import random_file

LINES = ["lock the door", "wake me at seven", "", "日本 card", "lamp on", "a a a a"]


@pytest.mark.parametrize("units", [0, 7])
def test_a_row_whose_largest_score_is_below_gets_no_label(units: int) -> None:
    texts = Texts.from_strings(LINES)
    model, facts = read_model(random_file(ProjectionSpec.for_text(bits=128), classes=9, units=units))
    scores = NativeModel(model_bytes(model, facts)).scores(texts)
    largest = scores.max(axis=1)
    for threshold in (int(largest.min()), int(largest.min()) + 1, int(largest.max()) + 1, -(2**31), 2**31 - 1, -1, 1):
        native = NativeModel(model_bytes(dataclasses.replace(model, threshold=threshold), facts))
        expected = [-1 if max(row) < threshold else reference.label(row) for row in scores.tolist()]
        assert native.threshold == threshold
        assert native.labels(texts).tolist() == expected
        assert [native.predict_one(text) for text in LINES] == expected
        assert native.scores(texts).tolist() == scores.tolist()
        values = project(model.projection, texts).values()
        assert dataclasses.replace(model, threshold=threshold).labels(values).tolist() == expected


def test_without_a_threshold_every_row_gets_a_label_however_low_its_scores() -> None:
    model, facts = read_model(random_file(ProjectionSpec.for_text(bits=128), classes=3))
    bias = np.full(3, -(2**24), dtype=np.int32)
    low = dataclasses.replace(model, output=dataclasses.replace(model.output, bias=bias))
    native = NativeModel(model_bytes(low, facts))
    texts = Texts.from_strings(LINES)
    assert native.threshold == 0
    assert native.scores(texts).max() < 0
    assert native.labels(texts).min() >= 0


def test_a_threshold_survives_the_file_and_asks_for_a_later_minor_version() -> None:
    model, facts = read_model(random_file(ProjectionSpec.for_text(bits=64), classes=3))
    plain, limited = (model_bytes(dataclasses.replace(model, threshold=value), facts) for value in (0, -77))
    assert read_model(limited)[0].threshold == -77
    assert (plain[6], limited[6]) == (0, THRESHOLD_MINOR)
    assert len(plain) == len(limited)


@pytest.mark.parametrize("threshold", [2**31, -(2**31) - 1])
def test_a_threshold_beyond_32_bits_is_refused(threshold: int) -> None:
    model, _ = read_model(random_file(ProjectionSpec.for_text(bits=64), classes=3))
    with pytest.raises(ConfigError, match=f"threshold is {threshold}; expected a 32-bit integer"):
        dataclasses.replace(model, threshold=threshold)
