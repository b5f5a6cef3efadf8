"""The measures on a real packed model, from text to bits to scores."""

import numpy as np
import pytest

from projgraph import native
from projgraph.evaluate import bit_use, evaluate
from projgraph.pack.model import ProjectionModel
from projgraph.pack.projection import Family, FamilyKind, ProjectionSpec
from projgraph.pack.quantise import quantise
from projgraph.pack.write import model_bytes
from projgraph.records import Layer, Texts

WORDS = {"cold": "snow ice frost winter", "hot": "sun desert summer fire", "wet": "rain sea river flood"}


@pytest.fixture(scope="module")
def trained():
    """Two hundred texts of three classes, their labels, and a least-squares model of half of them."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 200)
    sets = [words.split() for words in WORDS.values()]
    texts = Texts.from_strings([" ".join(random.choice(sets[label], 3)) for label in labels])
    spec = ProjectionSpec(8, 16, (Family(FamilyKind.WORD, 1, 2, 4, 0, 128),), seed=3)
    bits = native.project(spec.to_bytes(), texts)
    values = bits.values(np.float64)
    weights = np.linalg.lstsq(values[:100], np.eye(3)[labels[:100]] * 4, rcond=None)[0].astype(np.float32)
    layer = Layer(weights, np.zeros(3, dtype=np.float32))
    model = quantise(ProjectionModel(spec.to_bytes(), layer, None, 1.0, tuple(WORDS)))
    return texts, labels, bits, model_bytes(model, {})


def test_a_packed_model_is_measured_by_its_own_scores(trained):
    texts, labels, _, packed = trained
    model = native.NativeModel(packed)
    result = evaluate(model, texts, labels, list(WORDS), model_bytes=len(packed))
    assert result.accuracy == np.mean(model.labels(texts) == labels) > 0.95
    assert result.accuracy <= result.p_at_3 == 1.0
    assert result.confusion.sum() == 200
    assert 0 < result.latency_p50_us <= result.latency_p99_us < 10_000
    assert len(result.slow) == 10
    assert [row.microseconds for row in result.slow] == sorted((row.microseconds for row in result.slow), reverse=True)


def test_labels_in_another_order_and_of_fewer_classes_are_measured_alike(trained):
    texts, labels, _, packed = trained
    model = native.NativeModel(packed)
    straight = evaluate(model, texts, labels, ["cold", "hot", "wet"])
    turned = evaluate(model, texts, 2 - labels, ["wet", "hot", "cold"])
    assert np.array_equal(straight.confusion, turned.confusion)
    assert straight.ece == turned.ece


def test_use_of_real_bits(trained):
    _, _, bits, _ = trained
    use = bit_use(bits)
    values = bits.values()
    assert np.allclose(use.non_zero, (values != 0).mean(axis=0))
    assert np.allclose(use.positive, (values > 0).mean(axis=0))
