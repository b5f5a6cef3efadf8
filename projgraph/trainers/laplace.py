"""Laplace learning: the harmonic extension of the labels, solved by preconditioned conjugate gradients.

    minimise  1/2 sum_ij w_ij |F_i - F_j|^2   with F = Y on labelled rows          L_UU F_U = W_UL Y,  L = D - W

Soft clamping adds ``sum_i d_i (1 - a) / a |F_i - Y_i|^2`` over labelled rows instead, a = smoothing, whose solution is
the soft fixed point of `label_propagation`. The scale of the weights does not matter.
Source: Zhu, Ghahramani & Lafferty 2003. Heeds clamping, smoothing (soft), class_masses, tolerance (of the residual,
relative to the right-hand side), max_steps. Time O(m c) a step, memory O(m + n c).
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from projgraph.config import TrainerConfig
from projgraph.graph.csr import reached, to_csr
from projgraph.records import UNLABELLED, Progress, SoftLabels, TrainerTask
from projgraph.trainers.checks import labelled_rows
from projgraph.trainers.conjugate_gradients import conjugate_gradients
from projgraph.trainers.distributions import soft_labels


def laplace(task: TrainerTask, config: TrainerConfig, seed: int, progress: Progress | None = None) -> SoftLabels:
    """A label distribution for every node; uniform where no label reaches.

    Args:
        task: graph and labels of n nodes, each class labelled at least once; features are not used.
        config: see the module.
        seed: not used; nothing here is random.
        progress: called with one line that says how the solver ended.

    Raises:
        InputError: a class has no labelled row.
    """
    labelled, clamped = labelled_rows(task)
    classic = config.classic
    adjacency = to_csr(task.graph).astype(np.float64)
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    seeds = task.labels != UNLABELLED
    beliefs = np.zeros((task.graph.n_nodes, task.n_classes), dtype=np.float32)
    beliefs[labelled] = clamped
    # Where no label reaches, the Laplacian is singular and there is nothing to extend.
    if classic.clamping == "soft" and classic.smoothing > 0:
        pull = np.where(seeds, degree * (1.0 - classic.smoothing) / classic.smoothing, 0.0)
        free = np.flatnonzero(reached(task.graph, seeds) & (degree > 0))
        right = pull[free, None] * beliefs[free]
    else:
        pull = np.zeros_like(degree)
        free = np.flatnonzero(reached(task.graph, seeds) & ~seeds)
        right = adjacency[free][:, labelled] @ clamped.astype(np.float64)
    if len(free):
        matrix = sparse.csr_array(sparse.diags_array((degree + pull)[free]) - adjacency[free][:, free])
        beliefs[free] = conjugate_gradients(matrix, right, classic, "laplace", progress, task.states)
    np.maximum(beliefs, 0.0, out=beliefs)
    return soft_labels(task, beliefs, classic)
