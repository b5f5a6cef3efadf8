"""How far a model is to be believed: beliefs calibrated on labels left out, a threshold for giving no label at all."""

from __future__ import annotations

import numpy as np

from projgraph.config import TrainConfig
from projgraph.evaluate.calibration import fit_temperature
from projgraph.records import UNLABELLED, FloatArray, Progress, SoftLabels, TrainerTask
from projgraph.trainers.leave_out import leave_out
from projgraph.trainers.registry import trainer

FOLDS = 5
"""Parts that the labels of a class are dealt into: a trainer that sees four fifths of them is almost the same."""

_SMALLEST = 1e-9


def belief_temperature(task: TrainerTask, taught: SoftLabels, config: TrainConfig, progress: Progress) -> float:
    """The T that makes the trainer's beliefs, each to the power 1 / T and normalised, as sure as they are right.

    Held-out rows of the student are judged by the trainer's beliefs, since few of them have a label; so its error in
    sureness would become the student's. The trainer is asked about labelled rows whose label it is not shown, and T is
    fitted to their labels. Labels are often drawn evenly from classes that are not even: a row counts by the ratio of
    its class's share of the beliefs to its share of the labels.

    Returns:
        T; 1 where no class has a label to leave out.
    """
    rows = int((task.labels != UNLABELLED).sum())
    runs = min(FOLDS, -(-config.trust.left_out * FOLDS // max(rows, 1)))
    if not runs:
        return 1.0
    seen = leave_out(task, trainer(config.trainer.name), config.trainer, config.seed, FOLDS, runs, progress)
    if not len(seen.rows):
        return 1.0
    labels = task.labels[seen.rows]
    shares = np.bincount(labels, minlength=task.n_classes) / len(labels)
    weights = taught.probabilities.mean(axis=0)[labels] / shares[labels]
    return fit_temperature(_logits(seen.probabilities), labels, weights)


def tempered(probabilities: FloatArray, temperature: float) -> FloatArray:
    """(n, c) distributions to the power 1 / temperature, normalised."""
    logits = _logits(probabilities) / temperature
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float32)


def score_threshold(logits: FloatArray, share: float, unit: float) -> int:
    """The integer score below which a model gives no label, so that a share of rows like these goes without.

    The largest logit alone is the signal. CLINC150's out-of-scope validation rows against its validation rows, AUROC of
    the largest logit, the energy log sum exp (which needs exponentials), the largest probability and the margin: 0.964,
    0.966, 0.942 and 0.910 with all labels, 0.937, 0.933, 0.925 and 0.852 with 5 labels a class.

    Args:
        logits: (n, c) of rows that the model was not fitted on.
        share: of them that are given up; 0 gives up none.
        unit: what an integer score of 1 is worth as a logit.

    Returns:
        The threshold, never 0 since the file's 0 says that there is none; 0 where the share is 0 or there are no rows.
    """
    if share <= 0 or not len(logits):
        return 0
    lowest = float(np.quantile(logits.max(axis=1).astype(np.float64), share))
    limit = float(np.iinfo(np.int32).max)
    return round(np.clip(lowest / unit, -limit, limit)) or 1


def _logits(probabilities: FloatArray) -> FloatArray:
    return np.asarray(np.log(np.maximum(probabilities, _SMALLEST)), dtype=np.float32)
