"""Correct and smooth: spread the errors that a base prediction makes on the labels, then spread the mended beliefs.

    E = Y - Z on labelled rows, 0 elsewhere      E* = (1 - b) (I - b S)^-1 E                              (correct)
    Z_i <- Z_i + sigma E*_i / |E*_i|_1           sigma = mean |E_j|_1 over labelled rows                  (autoscale)
    G_i = Y_i labelled, Z_i elsewhere            F  = (1 - a) (I - a S)^-1 G                              (smooth)

with S = D^-1/2 W D^-1/2, b = correction and a = smoothing. Z is logistic regression on the features of labelled rows
and examples, or uniform where there are none. What is below zero in F is cut, and rows are normalised. A row that no
label reaches keeps its base prediction. The scale of the weights does not matter. Source: Huang, He, Singh, Lim &
Benson 2021. Heeds correction, smoothing, clamping, class_masses, tolerance, max_steps. Time O(m c) a step, memory O(m +
n (c + d)).
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from projgraph.config import ClassicConfig, TrainerConfig
from projgraph.graph.csr import normalised
from projgraph.records import FloatArray, IndexArray, Progress, SoftLabels, TrainerTask
from projgraph.trainers.checks import labelled_rows
from projgraph.trainers.convergence import iterate
from projgraph.trainers.distributions import soft_labels
from projgraph.trainers.prior import fit_few_labels


def correct_and_smooth(
    task: TrainerTask, config: TrainerConfig, seed: int, progress: Progress | None = None
) -> SoftLabels:
    """A label distribution for every node; the base prediction where no label reaches.

    Args:
        task: graph, labels and, if there are any, features of n nodes; each class is labelled at least once.
        config: see the module.
        seed: not used; nothing here is random.
        progress: called with one line that says how the steps of each half ended.

    Raises:
        InputError: a class has no labelled row.
    """
    labelled, clamped = labelled_rows(task)
    classic = config.classic
    base = _base(task, labelled, clamped)
    spread = normalised(task.graph)
    error = np.zeros_like(base)
    error[labelled] = clamped - base[labelled]
    sigma = np.float32(np.abs(error[labelled]).sum(axis=1).mean())
    spread_error = _spread(spread, error, classic.correction, "correct", task, classic, progress)
    size = np.abs(spread_error).sum(axis=1, keepdims=True)
    mended = base + sigma * np.divide(spread_error, size, out=np.zeros_like(error), where=size > 0)
    mended[labelled] = clamped
    smooth = _spread(spread, mended, classic.smoothing, "smooth", task, classic, progress)
    return soft_labels(task, np.maximum(smooth, 0.0, out=smooth), classic, fallback=base)


def _base(task: TrainerTask, labelled: IndexArray, clamped: FloatArray) -> FloatArray:
    if task.features is None:
        return np.full((task.graph.n_nodes, task.n_classes), 1.0 / task.n_classes, dtype=np.float32)
    return fit_few_labels(task, labelled, clamped)[1]


def _spread(
    spread: sparse.csr_array,
    source: FloatArray,
    share: float,
    half: str,
    task: TrainerTask,
    classic: ClassicConfig,
    progress: Progress | None,
) -> FloatArray:
    """(1 - share) (I - share S)^-1 source."""
    anchor = np.float32(1.0 - share) * source

    def step(beliefs: FloatArray) -> FloatArray:
        stepped: FloatArray = spread @ beliefs
        stepped *= np.float32(share)
        stepped += anchor
        return stepped

    return iterate(step, source, classic, f"correct_and_smooth ({half})", progress, task.states)
