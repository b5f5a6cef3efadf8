"""Poisson learning: labels are sources of a flow through the graph, and a node takes the class whose flow it feels.

    L u = sum_j (Y_j - mean Y) delta_j over labelled j,  sum_i d_i u_i = 0        L = D - W, preconditioned CG

Where Laplace learning of very few labels is a constant with spikes, this keeps its shape. A row of u sums to zero; its
positive part, normalised, is the distribution: how far each class is felt above its mean. The scale of the weights
does not matter. The equation has a solution only where sources sum to zero, so the mean is taken in each connected
component by itself; one whose labels are all of a class is of that class, and one without labels is uniform. Labelled
rows may change; hard clamping reports them as given. ``class_masses = "labels"`` is the paper's correction to a class
prior. Source: Calder, Cook, Thorpe & Slepcev 2020. Heeds clamping, class_masses, tolerance (of the residual, relative
to the right-hand side), max_steps. Time O(m c) a step, memory O(m + n c).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from projgraph.config import TrainerConfig
from projgraph.graph.csr import to_csr
from projgraph.records import FloatArray, Progress, SoftLabels, TrainerTask
from projgraph.trainers.checks import labelled_rows
from projgraph.trainers.conjugate_gradients import conjugate_gradients
from projgraph.trainers.distributions import soft_labels


def poisson(task: TrainerTask, config: TrainerConfig, seed: int, progress: Progress | None = None) -> SoftLabels:
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
    _, component = sparse.csgraph.connected_components(to_csr(task.graph), directed=False)
    home = component[labelled]
    count = np.bincount(home, minlength=component.max() + 1)
    mean = np.asarray(_sums(home, len(count)) @ clamped / np.maximum(count, 1)[:, None], dtype=np.float32)
    potential = _solve(task, config, clamped - mean[home], labelled, component, progress)
    np.maximum(potential, 0.0, out=potential)
    flat = ~(potential.max(axis=1) > 0)
    potential[flat] = mean[component[flat]]
    return soft_labels(task, potential, config.classic)


def _solve(
    task: TrainerTask,
    config: TrainerConfig,
    excess: FloatArray,
    labelled: NDArray[np.int64],
    component: NDArray[np.int32],
    progress: Progress | None,
) -> FloatArray:
    """(n, c) u, of degree-weighted mean zero in every component; zero where there is no edge or no source."""
    adjacency = to_csr(task.graph).astype(np.float64)
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    source = np.zeros((task.graph.n_nodes, task.n_classes), dtype=np.float32)
    source[labelled] = excess
    driven = np.zeros(component.max() + 1, dtype=np.bool_)
    driven[component[labelled[np.abs(excess).max(axis=1) > 1e-6]]] = True
    free = np.flatnonzero(driven[component])
    potential = np.zeros_like(source)
    if len(free):
        matrix = sparse.csr_array(sparse.diags_array(degree[free]) - adjacency[free][:, free])
        solved = conjugate_gradients(matrix, source[free], config.classic, "poisson", progress)
        members = _sums(component[free], len(driven))
        weight = members @ degree[free]
        shift = (members @ (degree[free, None] * solved)) / np.maximum(weight, 1e-300)[:, None]
        potential[free] = solved - shift[component[free]].astype(np.float32)
    return potential


def _sums(group: NDArray[np.int32], n_groups: int) -> sparse.csr_array:
    """(groups, rows) matrix that adds up the rows of each group."""
    shape = (n_groups, len(group))
    return sparse.csr_array((np.ones(len(group)), (group, np.arange(len(group)))), shape=shape)
