"""Foreign rows: clusters whose likeness is known, the number of labels that it takes, and what never counts as one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from projgraph.graph.knn import build_knn
from projgraph.records import UNLABELLED, TrainerTask
from projgraph.trainers import foreign
from projgraph.trainers.foreign import foreign_rows

OWN, OTHERS, CLASSES = 300, 200, 5


def mixed_task(labels_a_class: int, frequent: float = 0.2, others: int = OTHERS) -> TrainerTask:
    """Rows of five classes that share a direction, one class as frequent as said, and rows that share none of it."""
    random = np.random.default_rng(3)
    share = np.array([frequent] + [(1 - frequent) / (CLASSES - 1)] * (CLASSES - 1))
    truth = np.concatenate([np.arange(CLASSES).repeat(labels_a_class), random.choice(CLASSES, OWN, p=share)])
    features = random.normal(0, 0.02, (len(truth) + others, 12)).astype(np.float32)
    features[: len(truth), 0] += 1
    features[np.arange(len(truth)), 1 + truth] += 1
    features[np.arange(len(truth), len(features)), random.integers(8, 12, others)] += 1
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    labels = np.full(len(features), UNLABELLED, dtype=np.int64)
    labels[: CLASSES * labels_a_class] = truth[: CLASSES * labels_a_class]
    return TrainerTask(build_knn(features, 8, seed=0).graph, features, labels, CLASSES)


@pytest.mark.parametrize("frequent", [0.2, 0.9])
@pytest.mark.parametrize("labels_a_class", [2, 10])
def test_rows_that_share_nothing_with_the_labelled_are_foreign(labels_a_class: int, frequent: float) -> None:
    found = foreign_rows(mixed_task(labels_a_class, frequent), 0)
    own = OWN + CLASSES * labels_a_class
    assert found[own:].all()
    assert not found[:own].any()


def test_rows_of_one_matter_are_all_kept_however_far_their_label() -> None:
    assert not foreign_rows(mixed_task(2, 0.9, others=0), 0).any()


def test_less_than_nine_labels_are_too_few_to_say() -> None:
    task = mixed_task(2)
    given = np.flatnonzero(task.labels != UNLABELLED)
    for kept, expected in ((8, 0), (9, OTHERS)):
        labels = task.labels.copy()
        labels[given[kept:]] = UNLABELLED
        assert foreign_rows(replace(task, labels=labels), 0).sum() == expected


def test_without_features_labels_or_a_second_class_nothing_is_foreign() -> None:
    task = mixed_task(10)
    one = np.where(task.labels == UNLABELLED, UNLABELLED, 0)
    for changed in (replace(task, features=None), replace(task, labels=one), replace(task, labels=one * 0 - 1)):
        assert not foreign_rows(changed, 0).any()


def test_a_labelled_row_is_never_foreign_nor_are_those_like_it() -> None:
    task = mixed_task(10)
    assert task.features is not None
    labels = task.labels.copy()
    labels[-1] = 0
    found = foreign_rows(replace(task, labels=labels), 0)
    like_it = task.features[-OTHERS:].argmax(axis=1) == task.features[-1].argmax()
    np.testing.assert_array_equal(found[-OTHERS:], ~like_it)


def test_drawn_labelled_rows_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    task = mixed_task(10)
    monkeypatch.setattr(foreign, "_MOST_LABELLED", 20)
    monkeypatch.setattr(foreign, "_BLOCK", 7)
    drawn = foreign_rows(task, 0)
    np.testing.assert_array_equal(drawn, foreign_rows(task, 0))
    assert drawn.sum() == OTHERS
