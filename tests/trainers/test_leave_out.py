"""Labels left out: every one once, none seen by the trainer that is asked about it, a class never without one."""

from __future__ import annotations

import numpy as np
import pytest

from projgraph.config import TrainerConfig
from projgraph.errors import ConfigError
from projgraph.graph.csr import from_neighbours
from projgraph.records import UNLABELLED, Progress, SoftLabels, TrainerTask
from projgraph.trainers.leave_out import deal, leave_out

LABELS = np.array([0, 0, 0, 1, 1, UNLABELLED, 2, 0, 0, 1, UNLABELLED])


def task() -> TrainerTask:
    none = np.zeros(0, dtype=np.int64)
    return TrainerTask(from_neighbours(none, none, none.astype(np.float32), len(LABELS)), None, LABELS, 3)


class Spy:
    """A trainer that says how many labels of each class it saw, and keeps them."""

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def __call__(
        self, task: TrainerTask, config: TrainerConfig, seed: int, progress: Progress | None = None
    ) -> SoftLabels:
        self.seen.append(task.labels)
        counts = np.bincount(task.labels[task.labels >= 0], minlength=3).astype(np.float32)
        return SoftLabels(np.tile(counts / counts.sum(), (len(task.labels), 1)), np.ones(len(task.labels), np.bool_))


@pytest.mark.parametrize("folds", [2, 3, 5, 9])
def test_every_label_is_left_out_once_and_a_class_keeps_one(folds):
    spy = Spy()
    found = leave_out(task(), spy, TrainerConfig(), 4, folds)
    # The only label of class 2 cannot be left out.
    assert found.rows.tolist() == [0, 1, 2, 3, 4, 7, 8, 9]
    assert len(spy.seen) == min(folds, 5)
    hidden = [np.flatnonzero((labels == UNLABELLED) & (LABELS != UNLABELLED)) for labels in spy.seen]
    assert sorted(np.concatenate(hidden).tolist()) == found.rows.tolist()
    for labels in spy.seen:
        assert set(labels[labels >= 0].tolist()) == {0, 1, 2}
        known = labels >= 0
        assert (labels[known] == LABELS[known]).all()


def test_what_is_said_of_a_row_is_said_without_its_label():
    found = leave_out(task(), Spy(), TrainerConfig(), 0, 5)
    # Five folds of one label of class 0, three of which hold one of class 1: 4 of 7 or 4 of 8 seen are of class 0.
    assert sorted(set(found.probabilities[:, 0].tolist())) == pytest.approx([0.5, 4 / 7])
    assert found.probabilities.sum(axis=1) == pytest.approx(np.ones(8))


def test_fewer_runs_ask_about_the_first_folds_alone():
    fold_of = deal(LABELS, 3, seed=7)
    found = leave_out(task(), Spy(), TrainerConfig(), 7, 3, runs=1)
    assert found.rows.tolist() == np.flatnonzero(fold_of == 0).tolist()


def test_the_same_seed_deals_the_same_folds_and_another_one_others():
    labels = np.repeat(np.arange(4), 20)
    assert (deal(labels, 5, 1) == deal(labels, 5, 1)).all()
    assert (deal(labels, 5, 1) != deal(labels, 5, 2)).any()
    assert [np.bincount(deal(labels, 5, 1)[labels == name]).tolist() for name in range(4)] == [[4] * 5] * 4


def test_single_labels_are_asked_nothing():
    alone = np.array([0, 1, 2, UNLABELLED])
    graph = from_neighbours(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32), 4)
    spy = Spy()
    found = leave_out(TrainerTask(graph, None, alone, 3), spy, TrainerConfig(), 0, 5)
    assert found.rows.tolist() == []
    assert found.probabilities.shape == (0, 3)
    assert spy.seen == []


def test_one_fold_is_refused():
    with pytest.raises(ConfigError, match="folds is 1; expected 2 or more"):
        deal(LABELS, 1, 0)
