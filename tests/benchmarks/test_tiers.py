"""The random models that prices are fitted to have the shapes that they are counted by; the least pass counts."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from projgraph.native import NativeModel
from projgraph.pack.read import read_model
from projgraph.read import read_texts
from projgraph.records import Texts

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def tiers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("tiers")


@pytest.fixture
def texts(tiers: ModuleType) -> Texts:
    return Texts.from_strings(text for text in read_texts(tiers.SAMPLE) if len(text.split()) == tiers.WORDS)


def test_a_random_model_has_the_dimensions_of_its_case(tiers, texts, tmp_path):
    chosen = [case for _, case in tiers.tier_cases(classes=9)]
    assert [(case.words > 0, case.shape.filters > 0) for case in chosen] == [(0, 0), (1, 0), (1, 1)]
    for case in chosen:
        path = tmp_path / "model.pgb"
        path.write_bytes(tiers.random_model(case, texts))
        model, shape = read_model(path)[0], case.shape
        assert len(model.words or ()) == case.words
        assert (model.convolution.filters if model.convolution else 0) == shape.filters
        assert (model.output.weights.shape, model.hidden.weights.shape) == (shape.output, shape.hidden)
        assert model.hidden.weight_bits == case.weight_bits
        assert path.stat().st_size <= 256 * 1024
        assert len(set(NativeModel(path.read_bytes()).labels(texts).tolist())) > 1, "not one label for all"


def test_two_thirds_of_the_units_are_active_and_all_words_known(tiers, texts):
    rng = np.random.default_rng(0)
    layer = tiers.mostly_active(tiers.random_layer(rng, 2048, 128, 4), 216)
    rows = np.zeros((200, 2048), np.int8)
    for row in rows:
        row[rng.choice(2048, 216, replace=False)] = rng.choice([-1, 1], 216)
    assert (layer.sums(rows) > 0).mean() == pytest.approx(2 / 3, abs=0.03)
    case = next(case for case in tiers.cases() if case.words)
    projection = tiers.text_projection(case.shape.n_bits, case.config.projection, 0).to_bytes()
    table = tiers.random_words(rng, projection, texts, case.words, 8)
    assert len(table) == case.words
    assert (table.rows_of(tiers.word_fingerprints(projection, texts)[0]) >= 0).all()


@pytest.mark.parametrize(("weight_bits", "output_bits", "values"), [(4, 8, 16), (2, 4, 3), (1, 4, 2)])
def test_weights_of_a_random_model(tiers, texts, tmp_path, weight_bits, output_bits, values):
    case = tiers.Case(tiers.Shape(2048, 9, 128, 0, 0), weight_bits, 0, tiers.TrainConfig())
    path = tmp_path / "model.pgb"
    path.write_bytes(tiers.random_model(case, texts))
    model = read_model(path)[0]
    assert (model.hidden.weight_bits, model.output.weight_bits) == (weight_bits, output_bits)
    assert len(np.unique(model.hidden.weights)) == values


def test_the_least_of_the_passes_counts(tiers, texts, monkeypatch):
    times = iter([5.0, 7.0, 6.0, 4.0])
    monkeypatch.setattr(NativeModel, "time_calls", lambda self, rows, repeats: np.full((len(rows), 3), next(times)))
    case = next(tiers.cases())
    assert tiers.measure([case, case], texts, passes=2) == [5.0, 4.0]


def test_prices_are_of_the_portable_core(tiers, texts, monkeypatch):
    used = []

    def noted(self, rows, repeats):
        used.append(self.vectors)
        return np.ones((len(rows), 3))

    monkeypatch.setattr(NativeModel, "time_calls", noted)
    case = next(tiers.cases())
    tiers.measure([case], texts, passes=1)
    tiers.measure([case], texts, passes=1, vectors=None)
    assert used == [0, NativeModel(tiers.random_model(case, texts)).vectors]
