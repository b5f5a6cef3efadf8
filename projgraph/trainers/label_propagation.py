"""Label propagation: every node takes the mean of its neighbours' beliefs until beliefs are harmonic.

    F_i <- sum_j w_ij F_j / d_i                           unlabelled i
    F_i <- Y_i                                            labelled i, hard clamping
    F_i <- a sum_j w_ij F_j / d_i + (1 - a) Y_i           labelled i, soft clamping, a = smoothing

Beliefs start uniform. The hard fixed point is the harmonic function F_U = -L_UU^-1 L_UL Y with L = D - W; `laplace`
solves for the same beliefs, in fewer steps where labels are far. The scale of the weights does not matter.
Sources: Zhu & Ghahramani 2002, Zhu, Ghahramani & Lafferty 2003. Heeds clamping, smoothing (soft), class_masses,
tolerance, max_steps. Time O(m c) a step, memory O(m + n c).
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from projgraph.config import TrainerConfig
from projgraph.graph.csr import transition
from projgraph.records import FloatArray, Progress, SoftLabels, TrainerTask
from projgraph.trainers.checks import labelled_rows
from projgraph.trainers.convergence import iterate
from projgraph.trainers.distributions import soft_labels


def label_propagation(
    task: TrainerTask, config: TrainerConfig, seed: int, progress: Progress | None = None
) -> SoftLabels:
    """A label distribution for every node; uniform where no label reaches.

    Args:
        task: graph and labels of n nodes, each class labelled at least once; features are not used.
        config: see the module.
        seed: not used; nothing here is random.
        progress: called with one line that says how the steps ended.

    Raises:
        InputError: a class has no labelled row.
    """
    labelled, clamped = labelled_rows(task)
    classic = config.classic
    average: sparse.csr_array = transition(task.graph)
    share = classic.smoothing if classic.clamping == "soft" else 0.0
    start = np.full((task.graph.n_nodes, task.n_classes), 1.0 / task.n_classes, dtype=np.float32)
    start[labelled] = clamped
    # A labelled node without edges has only itself to hear.
    lonely = np.diff(task.graph.indptr)[labelled] == 0

    def step(beliefs: FloatArray) -> FloatArray:
        heard = average @ beliefs
        own = share * heard[labelled] + (1.0 - share) * clamped
        own[lonely] = clamped[lonely]
        heard[labelled] = own
        return np.asarray(heard, dtype=np.float32)

    beliefs = iterate(step, start, classic, "label_propagation", progress, task.states)
    return soft_labels(task, beliefs, classic)
