"""How often a model is right: accuracy, precision at k, macro F1, confusion and agreement; it knows no model.

Every measure works on plain arrays. ``decide`` turns scores into the two facts about a row that they need: the class
the model chose, and the rank at which the true class stands. Both break ties in favour of the lowest index, like the
C core. A true label is an index into the model's classes, or

* ``UNLABELLED`` (-1): the row has no label. It takes part in no measure.
* ``UNKNOWN`` (-2): the row has a label that the model does not know. The model cannot be right, so it counts as wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from projgraph.errors import InputError
from projgraph.records import UNLABELLED, IndexArray

UNKNOWN = -2
"""The label index of a row whose label is none of the model's classes."""

NOWHERE = np.iinfo(np.int64).max
"""The rank of a true class that is not among the model's: beyond every k, also one above the number of classes."""

Scores = NDArray[Any]
"""(n, c) integer scores, logits or probabilities: whatever grows with the model's belief."""


@dataclass(frozen=True)
class Decisions:
    """What a model said about n rows.

    Attributes:
        predicted: (n,) the class with the highest score.
        ranks: (n,) how many classes stand before the true one, 0 where the model is right; ``NOWHERE`` where the label
            is unknown or absent.
    """

    predicted: IndexArray
    ranks: IndexArray


@dataclass(frozen=True)
class ClassScore:
    """How one class fares.

    Attributes:
        name: the class.
        n: test rows of this class.
        precision: share of the rows given this class that are of it; 0 if there are none.
        recall: share of the rows of this class that were given it; 0 if there are none.
        f1: harmonic mean of the two.
    """

    name: str
    n: int
    precision: float
    recall: float
    f1: float


def align_labels(labels: IndexArray, classes: Sequence[str], model_classes: Sequence[str]) -> IndexArray:
    """Labels that index ``classes`` as labels that index ``model_classes``.

    Args:
        labels: (n,) index into ``classes``, or ``UNLABELLED``, or ``UNKNOWN``.
        classes: the names that the labels index.
        model_classes: the names that the result indexes.

    Returns:
        (n,) index into ``model_classes``; ``UNKNOWN`` where the name is not among them, ``UNLABELLED`` as it was.
    """
    places = {name: index for index, name in enumerate(model_classes)}
    table = np.array([places.get(name, UNKNOWN) for name in classes] + [UNKNOWN, UNLABELLED], dtype=np.int64)
    return table[labels]  # -1 and -2 reach the two entries at the end of the table


def decide(scores: Scores, labels: IndexArray) -> Decisions:
    """The chosen class and the rank of the true class, for (n, c) scores and (n,) labels.

    Raises:
        InputError: the shapes do not fit or a label is out of range.
    """
    if scores.ndim != 2 or len(scores) != len(labels) or scores.shape[1] == 0:
        raise InputError(f"scores of shape {scores.shape} for {len(labels)} labels; expected ({len(labels)}, classes)")
    n, n_classes = scores.shape
    if len(labels) and not UNKNOWN <= int(labels.min()) <= int(labels.max()) < n_classes:
        raise InputError(
            f"labels from {labels.min()} to {labels.max()} for {n_classes} classes; expected an index below "
            f"{n_classes}, {UNLABELLED} for no label, or {UNKNOWN} for a label the model does not know"
        )
    known = labels >= 0
    own = np.where(known, labels, 0)
    own_score = scores[np.arange(n), own][:, None]
    before = scores > own_score
    before |= (scores == own_score) & (np.arange(n_classes) < own[:, None])
    ranks = np.where(known, before.sum(axis=1), NOWHERE)
    return Decisions(np.argmax(scores, axis=1).astype(np.int64), ranks.astype(np.int64))


def accuracy(predicted: IndexArray, labels: IndexArray) -> float:
    """Share of the labelled rows whose class was predicted."""
    return float(np.mean(predicted[_scored(labels)] == labels[_scored(labels)]))


def precision_at(ranks: IndexArray, labels: IndexArray, k: int) -> float:
    """Share of the labelled rows whose class is among the k highest scores (P@k of a single-label task)."""
    return float(np.mean(ranks[_scored(labels)] < k))


def confusion_matrix(predicted: IndexArray, labels: IndexArray, n_classes: int) -> IndexArray:
    """(c, c) counts; entry [t, p] is the number of rows of class t that were given p.

    Rows whose label is unknown have no place in it.
    """
    known = labels >= 0
    cells = labels[known] * n_classes + predicted[known]
    return np.bincount(cells, minlength=n_classes * n_classes).reshape(n_classes, n_classes).astype(np.int64)


def class_scores(predicted: IndexArray, labels: IndexArray, classes: Sequence[str]) -> tuple[ClassScore, ...]:
    """Precision, recall and F1 of every class; a row with an unknown label is a false positive of its prediction."""
    n_classes = len(classes)
    given = np.bincount(predicted[_scored(labels)], minlength=n_classes)
    present = np.bincount(labels[labels >= 0], minlength=n_classes)
    right = np.bincount(labels[(labels >= 0) & (labels == predicted)], minlength=n_classes)
    precision = right / np.maximum(given, 1)
    recall = right / np.maximum(present, 1)
    f1 = 2 * right / np.maximum(given + present, 1)
    columns = zip(classes, present.tolist(), precision.tolist(), recall.tolist(), f1.tolist(), strict=True)
    return tuple(ClassScore(*column) for column in columns)


def macro_f1(predicted: IndexArray, labels: IndexArray, n_classes: int) -> float:
    """Mean F1 over the classes that occur among the true or the predicted labels.

    F1 of a class = 2 TP / (2 TP + FP + FN); a row with an unknown label is a false positive of its prediction.
    """
    scores = class_scores(predicted, labels, [""] * n_classes)
    given = np.bincount(predicted[_scored(labels)], minlength=n_classes)
    taking_part = [score.f1 for score, rows in zip(scores, given, strict=True) if score.n or rows]
    return float(np.mean(taking_part))


def agreement(predicted: IndexArray, trainer_labels: IndexArray) -> float | None:
    """Share of the rows on which the model says what the trainer said; None where the trainer said nothing."""
    said = trainer_labels != UNLABELLED
    return float(np.mean(predicted[said] == trainer_labels[said])) if said.any() else None


def _scored(labels: IndexArray) -> NDArray[np.bool_]:
    scored: NDArray[np.bool_] = labels != UNLABELLED
    if not scored.any():
        raise InputError(f"none of the {len(labels)} rows has a label; expected at least one to measure a model with")
    return scored
