"""Features smoothed over edges, a regression on the few labels, its predictions smoothed over edges: no deep learning.

    H = row_normalise(smooth(X, a)), P = logistic regression of the labels on H, F = smooth(P, b), labelled rows clamped
    repeat `rounds` times: fit the regression to F^2, rows weighted by max F; F = smooth(its prediction, b)

with smooth(X, a) = Z_K, Z_0 = X, Z_k = (1 - a) S Z_(k-1) + a X, S = D^-1/2 (W + I) D^-1/2: personalised PageRank.
Sources: Wu et al. 2019 (SGC: propagation before the regression), Gasteiger et al. 2019 (personalised PageRank of
predictions), Scudder 1965 (self-training). Time O(K m (d + c) + rounds n d c), memory O(n d).
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from projgraph.config import TrainerConfig
from projgraph.graph.csr import reached, self_looped
from projgraph.records import UNLABELLED, FloatArray, Progress, SoftLabels, TrainerTask
from projgraph.trainers.learn import checked_features
from projgraph.trainers.prior import fit_prior, predict_prior

_TARGET_POWER = 2


def feature_smoothing(
    task: TrainerTask, config: TrainerConfig, seed: int, progress: Progress | None = None
) -> SoftLabels:
    """A label distribution for every node.

    Args:
        task: graph, features and labels of n nodes; each class has at least one labelled row.
        config: ``feature_smoothing``.
        seed: not used; nothing here is random.
        progress: called with one line before each stage.

    Raises:
        InputError: no features, features that are not finite, or a class without a labelled row.
    """
    features, settings = checked_features("feature_smoothing", task), config.feature_smoothing
    say = progress or (lambda _: None)
    labelled = np.flatnonzero(task.labels != UNLABELLED)
    clamped = np.eye(task.n_classes, dtype=np.float32)[task.labels[labelled]]
    spread = self_looped(task.graph)
    say("trainer: features over edges")
    smooth = _unit_rows(smoothed(spread, _unit_rows(features), settings.feature_teleport, settings.steps))
    say("trainer: prior on the labelled rows")
    ones = np.ones(len(labelled), dtype=np.float32)
    coefficients = fit_prior(smooth[labelled], clamped, ones, settings.penalty)
    for number in range(settings.rounds + 1):
        beliefs = smoothed(spread, predict_prior(smooth, coefficients), settings.label_teleport, settings.steps)
        beliefs /= beliefs.sum(axis=1, keepdims=True)
        beliefs[labelled] = clamped
        if number < settings.rounds:
            say(f"trainer: self-training round {number + 1} of {settings.rounds}")
            targets = beliefs**_TARGET_POWER
            targets /= targets.sum(axis=1, keepdims=True)
            coefficients = fit_prior(smooth, targets, beliefs.max(axis=1), settings.later_penalty, start=coefficients)
    return SoftLabels(beliefs, reached(task.graph, task.labels != UNLABELLED))


def smoothed(spread: sparse.csr_array, values: FloatArray, teleport: float, steps: int) -> FloatArray:
    """(n, d) personalised PageRank of values; tends to teleport (I - (1 - teleport) S)^-1 values."""
    anchor = teleport * values
    for _ in range(steps):
        values = (1.0 - teleport) * (spread @ values) + anchor
    return np.asarray(values, dtype=np.float32)


def _unit_rows(features: FloatArray) -> FloatArray:
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(norms, np.finfo(np.float32).tiny), dtype=np.float32)
