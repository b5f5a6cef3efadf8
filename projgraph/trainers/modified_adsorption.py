"""Modified adsorption: random walks that inject their own label, go on, or give up into a dummy label.

A walk at node i injects, continues or abandons with probabilities that follow from the entropy H_i of its step to a
neighbour, with c_i = log 2 / log(2 + exp H_i), s_i = (1 - c_i) sqrt(H_i) at labelled nodes and 0 at others:

    z_i = max(c_i + s_i, 1)       p_inject = s_i / z_i       p_continue = c_i / z_i       p_abandon = 1 - both

    M_i  = mu1 p_inject_i + mu2 sum_j V_ij + mu3            V_ij = w_ij (p_continue_i + p_continue_j)
    Q_i <- (mu1 p_inject_i Y_i + mu2 sum_j V_ij Q_j + mu3 p_abandon_i R) / M_i

by Jacobi's iteration, whose system is strictly diagonally dominant. Q and Y have a column more than classes; R is the
dummy label alone. What the dummy holds of a node at the end is knowledge abstained from, and is spread evenly over the
classes: it lowers confidence and changes no winner. A labelled node with one neighbour has H = 0 and, as the paper has
it, injects nothing; hard clamping still reports its label.

Scaling all weights by s is scaling mu2 by s: unlike in the other trainers, the scale of the weights matters.
Source: Talukdar & Crammer 2009. Heeds injection (mu1), agreement (mu2), abandonment (mu3), clamping, class_masses,
tolerance, max_steps. Time O(m c) a step, memory O(m + n c).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from projgraph.config import TrainerConfig
from projgraph.graph.csr import to_csr, transition
from projgraph.records import UNLABELLED, FloatArray, Graph, Progress, SoftLabels, TrainerTask
from projgraph.trainers.checks import labelled_rows
from projgraph.trainers.convergence import iterate
from projgraph.trainers.distributions import soft_labels

_BETA = 2.0


def modified_adsorption(
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
    inject, go_on, abandon = _walk(task.graph, task.labels != UNLABELLED)
    links = to_csr(task.graph).astype(np.float64)
    rows = task.graph.sources
    links.data = classic.agreement * links.data * (go_on[rows] + go_on[task.graph.indices])
    scale = 1.0 / (classic.injection * inject + np.asarray(links.sum(axis=1)).ravel() + classic.abandonment)
    links.data *= scale[rows]
    links = links.astype(np.float32)
    source = (classic.injection * inject * scale).astype(np.float32)[labelled, None] * clamped
    dummy = (classic.abandonment * abandon * scale).astype(np.float32)

    def step(beliefs: FloatArray) -> FloatArray:
        stepped: FloatArray = links @ beliefs
        stepped[labelled, :-1] += source
        stepped[:, -1] += dummy
        return stepped

    start = np.zeros((task.graph.n_nodes, task.n_classes + 1), dtype=np.float32)
    start[labelled, :-1] = clamped
    beliefs = iterate(step, start, classic, "modified_adsorption", progress, task.states)
    known = beliefs[:, :-1] + beliefs[:, -1:] / np.float32(task.n_classes)
    return soft_labels(task, known, classic)


def _walk(
    graph: Graph, seeds: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(n,) probabilities to inject, to continue and to abandon."""
    step: sparse.csr_array = transition(graph).astype(np.float64)
    surprise = sparse.csr_array((-step.data * np.log(step.data), step.indices, step.indptr), shape=step.shape)
    entropy = np.maximum(np.asarray(surprise.sum(axis=1)).ravel(), 0.0)
    go_on = np.log(_BETA) / np.log(_BETA + np.exp(entropy))
    inject = np.where(seeds, (1.0 - go_on) * np.sqrt(entropy), 0.0)
    total = np.maximum(go_on + inject, 1.0)
    inject, go_on = inject / total, go_on / total
    return inject, go_on, np.maximum(1.0 - inject - go_on, 0.0)
