"""Calibrated beliefs and the threshold for no label, against closed forms and rows drawn from a known model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from projgraph.config import load_config
from projgraph.evaluate.calibration import fit_temperature, match_confidence, softmax
from projgraph.graph.csr import from_neighbours
from projgraph.records import UNLABELLED, Examples, SoftLabels, TrainerTask
from projgraph.trainers.registry import trainer
from projgraph.trust import _redrawn_temperature, belief_temperature, score_threshold, student_temperature, tempered


def test_tempered_beliefs_by_hand():
    beliefs = np.array([[0.8, 0.2], [0.5, 0.5], [1.0, 0.0]], dtype=np.float32)
    assert tempered(beliefs, 1.0) == pytest.approx(beliefs, abs=1e-6)
    assert tempered(beliefs, 0.5)[0] == pytest.approx([0.64 / 0.68, 0.04 / 0.68], abs=1e-6)
    assert tempered(beliefs, 2.0)[0] == pytest.approx([2 / 3, 1 / 3], abs=1e-6)
    assert tempered(beliefs, 3.0)[1] == pytest.approx([0.5, 0.5])


def test_where_every_row_has_a_label_these_are_made_most_likely():
    logits = np.random.default_rng(0).normal(size=(90, 3)).astype(np.float32)
    labels = np.random.default_rng(1).integers(0, 3, 90)
    certain = np.eye(3, dtype=np.float32)[labels]
    assert student_temperature(logits, certain, labels) == fit_temperature(logits, labels)
    assert student_temperature(logits, certain, labels + 5) == fit_temperature(logits, labels), "any number is a label"
    assert student_temperature(logits[:0], certain[:0], labels[:0]) == 1.0


@pytest.mark.parametrize("rows", [1, 3, 9])
def test_a_handful_of_rows_that_are_right_makes_no_certainty(rows):
    certain = np.eye(3, dtype=np.float32)[np.arange(rows) % 3]
    temperature = student_temperature(1.5 * certain, certain, np.arange(rows) % 3)
    # The likeliest share for the true class is what Platt's softening leaves it.
    assert softmax(1.5 * certain / temperature).max(axis=1) == pytest.approx(1 - 2 / 3 / (rows + 2), abs=1e-4)


def test_without_labels_a_student_is_as_sure_as_it_is_expected_to_be_right():
    logits = np.array([[3, 0, 0], [0, 3, 0], [0, 3, 0], [0, 0, 3]], dtype=np.float32)
    believed = np.array([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [1, 0, 0], [0, 0.1, 0.9]], dtype=np.float32)
    # Both say the first class of row 0; of row 1 they say different ones; row 2 has a label, and the student is wrong.
    labels = np.array([UNLABELLED, UNLABELLED, 0, UNLABELLED])
    expected = (0.7 + (0.5 + 0.3) / 2 + 0 + 0.9 + 1) / (4 + 2)
    found = student_temperature(logits, believed, labels)
    assert found == pytest.approx(match_confidence(logits, expected), rel=1e-5)
    assert softmax(logits / found).max(axis=1).mean() == pytest.approx(expected, abs=1e-5)


def test_a_share_of_rows_like_these_lies_below_the_threshold():
    logits = np.random.default_rng(0).normal(size=(1000, 4)).astype(np.float32)
    unit = 1e-3
    largest = logits.max(axis=1) / unit
    for share in (0.02, 0.05, 0.5):
        assert (largest < score_threshold(logits, share, unit)).mean() == pytest.approx(share, abs=1.5e-3)


def test_no_share_or_no_rows_is_no_threshold():
    logits = np.ones((5, 2), dtype=np.float32)
    assert score_threshold(logits, 0.0, 1.0) == 0
    assert score_threshold(logits[:0], 0.1, 1.0) == 0


def test_a_threshold_is_never_the_zero_that_means_none_and_fits_32_bits():
    assert score_threshold(np.zeros((9, 2), dtype=np.float32), 0.1, 1.0) == 1
    assert score_threshold(np.full((9, 2), 1e30, dtype=np.float32), 0.1, 1e-9) == 2**31 - 1
    assert score_threshold(np.full((9, 2), -1e30, dtype=np.float32), 0.1, 1e-9) == -(2**31 - 1)


@pytest.fixture
def labelled_task() -> tuple[TrainerTask, SoftLabels]:
    """Rows whose two-dimensional features say their class, but for every fourth, which says another."""
    random = np.random.default_rng(5)
    truth = np.arange(400) % 2
    shown = np.where(np.arange(400) % 8 >= 6, 1 - truth, truth)
    features = np.eye(2, dtype=np.float32)[shown] + random.normal(0, 0.05, (400, 2)).astype(np.float32)
    none = np.zeros(0, dtype=np.int64)
    graph = from_neighbours(none, none, none.astype(np.float32), 400)
    labels = np.where(np.arange(400) < 200, truth, UNLABELLED)
    return TrainerTask(graph, features, labels, 2), SoftLabels(np.full((400, 2), 0.5, np.float32), np.ones(400, bool))


def test_an_overconfident_trainer_is_cooled_where_many_labels_say_so(labelled_task):
    task, _ = labelled_task
    config = load_config(None, (), {"trainer.rounds": 3, "trust.left_out": 40})
    taught = trainer(config.trainer.name)(task, config.trainer, 0, None)
    lines: list[str] = []
    temperature = belief_temperature(task, taught, config, lines.append)
    # Self-training makes it all but certain, and a quarter of the rows are wrong.
    assert temperature > 1.2
    draws = [f"trainer: labels drawn anew from its own, draw {draw} of 2" for draw in (1, 2)]
    assert lines == [*draws, "trainer: labels left out, part 1 of 1"]


def test_fewer_labels_than_five_times_those_to_leave_out_are_all_kept(labelled_task):
    task, _ = labelled_task
    config = load_config(None, (), {"trust.left_out": 41})
    taught = trainer(config.trainer.name)(task, config.trainer, 0, None)
    lines: list[str] = []
    belief_temperature(task, taught, config, lines.append)
    assert [line.split(",")[0] for line in lines] == ["trainer: labels drawn anew from its own"] * 2


def test_draws_are_averaged(labelled_task):
    """The temperature of three draws is the geometric mean of what each says, none of which is cut off."""
    task, _ = labelled_task
    labels = task.labels.copy()
    labels[24:] = UNLABELLED
    few = TrainerTask(task.graph, task.features, labels, 2)
    first, config = load_config(None, (), {"trust.draws": 1}), load_config(None, (), {"trust.draws": 3})
    taught = trainer(config.trainer.name)(few, config.trainer, 0, None)
    say: list[str] = []
    one, mean = (belief_temperature(few, taught, each, say.append) for each in (first, config))
    parts = [_redrawn_temperature(few, taught, config, draw, say.append) for draw in range(3)]
    assert one == pytest.approx(1.28 * parts[0])
    assert mean == pytest.approx(1.28 * np.prod(parts) ** (1 / 3))
    assert len(set(parts)) > 1


def test_examples_are_as_true_of_the_answers_as_they_are_not_of_the_rows(labelled_task, monkeypatch):
    task, taught = labelled_task
    names = Examples(np.eye(2, dtype=np.float32), np.arange(2))
    asked: list[Examples | None] = []

    def spy(given: TrainerTask, config: object, seed: int, progress: object) -> SoftLabels:
        asked.append(given.examples)
        return SoftLabels(np.where(answers[:, None] == [0, 1], 0.7, 0.3).astype(np.float32), taught.reached)

    answers = np.random.default_rng(1).permuted(np.arange(400) % 5 == 0).astype(np.int64)
    said = SoftLabels(np.eye(2, dtype=np.float32)[answers ^ (np.arange(400) % 4 == 0)], taught.reached)
    monkeypatch.setattr("projgraph.trust.trainer", lambda name: spy)
    config = load_config(None, (), {"trust.draws": 2, "trust.left_out": 0})
    labels = np.where(np.arange(400) < 6, task.labels, UNLABELLED)
    alone, named = (
        belief_temperature(replace(task, labels=labels, examples=each), said, config, lambda line: None)
        for each in (None, names)
    )
    assert asked == [None, None, names, names]
    assert 0.4 < alone < named < 4
    assert named == pytest.approx(alone * (1 + 0.25 * 2 / 8))


def test_calibration_that_is_switched_off_or_has_nothing_to_ask_about_changes_nothing(labelled_task):
    task, taught = labelled_task
    off = load_config(None, (), {"trust.draws": 0})
    assert belief_temperature(task, taught, off, lambda line: None) == 1.0
    for labels in (np.full(400, UNLABELLED), np.arange(400) % 2):
        other = TrainerTask(task.graph, task.features, labels, 2)
        assert belief_temperature(other, taught, load_config(), lambda line: None) == 1.0


def test_with_one_label_a_class_the_labels_drawn_anew_decide(labelled_task):
    task, _ = labelled_task
    labels = np.full(400, UNLABELLED)
    labels[:2] = [0, 1]
    single, config = TrainerTask(task.graph, task.features, labels, 2), load_config()
    taught = trainer(config.trainer.name)(single, config.trainer, 0, None)
    lines: list[str] = []
    found = belief_temperature(single, taught, config, lines.append)
    # Answers that have nothing to do with the features: the second run is no better than chance.
    answers = np.random.default_rng(0).integers(0, 2, 400)
    chance = SoftLabels(np.eye(2, dtype=np.float32)[answers], np.ones(400, bool))
    assert found < belief_temperature(single, chance, config, lines.append) == 4.0
