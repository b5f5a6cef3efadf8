"""How far a model is to be believed: calibrated beliefs, a student as sure as it is right, a threshold for no label."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from projgraph.config import TrainConfig
from projgraph.evaluate.calibration import TemperaturePrior, fit_temperature, match_confidence
from projgraph.records import UNLABELLED, FloatArray, IndexArray, Progress, SoftLabels, TrainerTask
from projgraph.trainers.leave_out import leave_out
from projgraph.trainers.registry import trainer

FOLDS = 5
"""Parts that the labels of a class are dealt into: a trainer that sees four fifths of them is almost the same."""

_SMALLEST = 1e-9

_HARDER = 1.28
"""The best temperature over that of the redrawn labels, whose truth is smoother on the graph than the real one. On the
hidden training rows of fourteen sets, three draws each, its median was 1.29, 1.25 and 1.29 at 1, 5 and 10 labels a
class."""
_HARDER_BY_EXAMPLES = 0.25
"""And so much more where examples are all there is. Half of what is learnt are examples with one label a class: median
1.46 on hidden training rows (BANKING77, HWU64, CLINC150, ATIS, NLU corpora, SNIPS, two draws each); a sixth of it with
five labels: 1.27, SNIPS not run. Draws without the examples fit the first three better, but a trainer may fail there:
ATIS."""
_DEVIATION = 0.2
"""Of the logarithm of that ratio."""
_USUAL = (0.4, 4.0)
"""Beyond these the redrawn labels say that the trainer fails on them, not how sure it is."""


def belief_temperature(task: TrainerTask, taught: SoftLabels, config: TrainConfig, progress: Progress) -> float:
    """The T that makes the trainer's beliefs, each to the power 1 / T and normalised, as sure as they are right.

    Held-out rows of the student are judged by the trainer's beliefs, since few of them have a label; so its error in
    sureness would become the student's. Two things tell of it. As in a parametric bootstrap (Efron & Tibshirani 1993,
    section 6.5) the trainer's own answers are taken for the truth, as many labels as were given are drawn from them,
    and T is fitted to what a further run makes of these; several draws are averaged. And where there are hundreds of
    labels the trainer is asked about some without seeing them; labels are often drawn evenly from classes that are not
    even, so a row counts by the ratio of its class's share of the beliefs to its share of the labels. The first is the
    centre of a prior, the second the likelihood: fewer labels left out only added noise, see `benchmarks/LOG.md`.

    The answers follow the task's examples more than the truth does, and the more the greater their share of what the
    first regression learns; T grows by that.

    Args:
        task: what the trainer was given.
        taught: what it made of that, of the same n rows.
        config: the settings; ``trust.draws`` and ``trust.left_out`` say how much is asked.
        progress: called with one line before each run of the trainer.

    Returns:
        T; 1 where ``config.trust.draws`` is 0, no row has a label or none is without one.
    """
    rows = int((task.labels != UNLABELLED).sum())
    if not config.trust.draws or not rows or rows == len(task.labels):
        return 1.0
    redrawn = [_redrawn_temperature(task, taught, config, draw, progress) for draw in range(config.trust.draws)]
    examples = 0 if task.examples is None else len(task.examples.labels)
    harder = _HARDER * (1 + _HARDER_BY_EXAMPLES * examples / (examples + rows))
    centre = float(np.clip(harder * np.exp(np.log(redrawn).mean()), *_USUAL))
    if not config.trust.left_out or rows < FOLDS * config.trust.left_out:
        return centre
    seen = leave_out(task, trainer(config.trainer.name), config.trainer, config.seed, FOLDS, 1, progress)
    labels = task.labels[seen.rows]
    shares = np.bincount(labels, minlength=task.n_classes) / max(len(labels), 1)
    weights = taught.probabilities.mean(axis=0)[labels] / shares[labels]
    return fit_temperature(_logits(seen.probabilities), labels, weights, TemperaturePrior(centre, _DEVIATION))


def _redrawn_temperature(
    task: TrainerTask, taught: SoftLabels, config: TrainConfig, draw: int, progress: Progress
) -> float:
    """The T of the beliefs that labels drawn from the trainer's answers lead to, with these answers for the truth."""
    progress(f"trainer: labels drawn anew from its own, draw {draw + 1} of {config.trust.draws}")
    given = task.labels != UNLABELLED
    answers = np.where(given, task.labels, taught.probabilities.argmax(axis=1))
    random = np.random.default_rng((config.seed, draw))
    labels = np.full(len(answers), UNLABELLED, dtype=task.labels.dtype)
    for index, wanted in enumerate(np.bincount(task.labels[given], minlength=task.n_classes)):
        found = np.flatnonzero((answers == index) & ~given)
        # A class that the trainer hardly finds keeps given labels.
        choices = found if len(found) > wanted else np.flatnonzero(answers == index)
        labels[random.choice(choices, wanted, replace=False)] = index
    again = trainer(config.trainer.name)(replace(task, labels=labels, states=None), config.trainer, config.seed, None)
    rest = np.flatnonzero(labels == UNLABELLED)
    return fit_temperature(_logits(again.probabilities[rest]), answers[rest])


def tempered(probabilities: FloatArray, temperature: float) -> FloatArray:
    """(n, c) distributions to the power 1 / temperature, normalised."""
    logits = _logits(probabilities) / temperature
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float32)


def student_temperature(logits: FloatArray, believed: FloatArray, labels: IndexArray) -> float:
    """The T that makes a student as sure as it is right on n rows that it was not fitted on.

    Where each has a label, T makes the labels most likely, softened as `fit_temperature` says. Where one has none, the
    trainer's beliefs are no labels: fitted to them a student is as unsure as both together, since they err apart. There
    its mean confidence is set to the share of rows that it is expected to get right. A row on which student and trainer
    say the same is right as often as the trainer believes; where they differ either is right as often as the other, by
    half of what the trainer gives both. On a split of the training rows of twelve sets of texts, 5 labels a class, the
    mean calibration error fell from 6.8 to 5.6 % (`benchmarks/LOG.md`).

    Args:
        logits: (n, c) the student's.
        believed: (n, c) the trainer's distributions, as sure as they are right; those of a label are its own.
        labels: (n,) ``UNLABELLED`` or any other number.

    Returns:
        T; 1 without a row.
    """
    unlabelled = labels == UNLABELLED
    if not unlabelled.any():
        return fit_temperature(logits, believed.argmax(axis=1))
    rows, own = np.arange(len(labels)), logits.argmax(axis=1)
    expected = believed[rows, own].astype(np.float64)
    differs = unlabelled & (own != believed.argmax(axis=1))
    expected[differs] = (expected[differs] + believed[differs].max(axis=1)) / 2
    # As if one row more were right and one wrong, like Platt's labels: a handful of sure rows makes no certainty.
    return match_confidence(logits, float((expected.sum() + 1) / (len(expected) + 2)))


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
    """Their logarithms, finite where a probability is zero."""
    return np.asarray(np.log(np.maximum(probabilities, _SMALLEST)), dtype=np.float32)
