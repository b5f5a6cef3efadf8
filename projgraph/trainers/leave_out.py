"""What a trainer says of labelled rows whose label it is not shown: cross-validation on a graph; it knows no trainer.

The labelled rows of each class are dealt into folds in a random order; for each fold the trainer sees the labels of the
others. A class keeps a label at least, so one with a single label is never asked about. Source: cross-validation as
Stone 1974; out-of-sample label distributions for finding wrong labels as Northcutt, Jiang & Chuang 2021 ("Confident
Learning").
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from projgraph.config import TrainerConfig
from projgraph.errors import ConfigError
from projgraph.records import UNLABELLED, FloatArray, IndexArray, Progress, TrainerTask
from projgraph.trainers.registry import Trainer


@dataclass(frozen=True)
class LeftOut:
    """What the trainer says of m labelled rows without their own label.

    Attributes:
        rows: (m,) row numbers, ascending.
        probabilities: (m, c) the trainer's distributions of them.
    """

    rows: IndexArray
    probabilities: FloatArray


def leave_out(
    task: TrainerTask,
    teach: Trainer,
    config: TrainerConfig,
    seed: int,
    folds: int,
    runs: int | None = None,
    progress: Progress | None = None,
) -> LeftOut:
    """Ask a trainer about labelled rows whose label is hidden.

    Args:
        task: graph, features and labels of n nodes.
        teach: the trainer.
        config: its settings.
        seed: of the folds, and the trainer's own.
        folds: parts that the labelled rows of a class are dealt into, 2 or more.
        runs: only the first so many folds are asked about; None asks about all.
        progress: called with one line before each run.

    Returns:
        The rows in order; none where every class has a single label.

    Raises:
        ConfigError: fewer than two folds.
        InputError: what the trainer refuses.
    """
    fold_of = deal(task.labels, folds, seed)
    said: list[FloatArray] = []
    rows: list[IndexArray] = []
    runs = min(int(fold_of.max(initial=-1)) + 1, folds if runs is None else runs)
    for fold in range(runs):
        if progress:
            progress(f"trainer: labels left out, part {fold + 1} of {runs}")
        hidden = np.flatnonzero(fold_of == fold)
        labels = task.labels.copy()
        labels[hidden] = UNLABELLED
        rows.append(hidden)
        # A state kept by a run with all labels would give their answer away.
        taught = teach(replace(task, labels=labels, states=None), config, seed, None)
        said.append(taught.probabilities[hidden])
    if not rows:
        return LeftOut(np.zeros(0, dtype=np.int64), np.zeros((0, task.n_classes), dtype=np.float32))
    every = np.concatenate(rows)
    order = np.argsort(every, kind="stable")
    return LeftOut(every[order], np.concatenate(said)[order])


def deal(labels: IndexArray, folds: int, seed: int) -> IndexArray:
    """(n,) the fold of each labelled row; -1 for rows without a label and for the only one of a class.

    A class of m labels has floor or ceil(m / folds) of them in each fold, so with two folds or more one is always left.

    Raises:
        ConfigError: fewer than two folds.
    """
    if folds < 2:
        raise ConfigError(f"folds is {folds}; expected 2 or more, since a class must keep a label")
    random = np.random.default_rng(seed)
    fold_of = np.full(len(labels), -1, dtype=np.int64)
    for index in range(int(labels.max(initial=-1)) + 1):
        rows = np.flatnonzero(labels == index)
        if len(rows) > 1:
            fold_of[random.permutation(rows)] = np.arange(len(rows)) % folds
    return fold_of
