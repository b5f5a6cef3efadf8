"""Poisson learning: labels are sources of a flow through the graph, and a node takes the class whose flow it feels.

    L u = sum_j (Y_j - mean Y) delta_j over labelled j,  sum_i d_i u_i = 0        L = D - W, preconditioned CG

Where Laplace learning of very few labels is a constant with spikes, this keeps its shape. The paper takes the largest
u_ic; here the distribution is softmax(u_i / rms), rms the degree-weighted root mean square of u, so that the scale of
the weights does not matter. The equation has a solution only where sources sum to zero, so the mean of Y and rms are
taken in each connected component by itself, among the classes labelled there; a component without labels is uniform.
Labelled rows may change; hard clamping reports them as given. ``class_masses = "labels"`` corrects to the labels' class
frequencies. Source: Calder, Cook, Thorpe & Slepcev 2020. Heeds clamping, class_masses, tolerance (of the residual,
relative to the right-hand side), max_steps. Time O(m c) a step, memory O(m + n c).
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
    adjacency = to_csr(task.graph).astype(np.float64)
    count, component = sparse.csgraph.connected_components(adjacency, directed=False)
    n_components, even = int(count), np.ones(len(labelled), dtype=np.float64)
    mean = _means(component[labelled], even, clamped, n_components)
    source = np.zeros((task.graph.n_nodes, task.n_classes), dtype=np.float32)
    source[labelled] = clamped - mean[component[labelled]]
    # Only where labels differ does anything flow; elsewhere the system has nothing to say, or no diagonal.
    flowing = np.count_nonzero(mean, axis=1) > 1
    free = np.flatnonzero(flowing[component])
    if len(free):
        degree = np.asarray(adjacency.sum(axis=1)).ravel()[free]
        matrix = sparse.csr_array(sparse.diags_array(degree) - adjacency[free][:, free])
        potential = conjugate_gradients(matrix, source[free], config.classic, "poisson", progress, task.states)
        home = component[free]
        potential -= _means(home, degree, potential, n_components)[home]
        square = np.square(potential).sum(axis=1, keepdims=True) / np.count_nonzero(mean, axis=1)[home, None]
        source[free] = potential / np.sqrt(_means(home, degree, square, n_components))[home]
    return soft_labels(task, _softmax(source, mean > 0, component), config.classic)


def _softmax(potential: FloatArray, present: NDArray[np.bool_], component: NDArray[np.int32]) -> FloatArray:
    """Rows of exp(potential) over the classes present in the row's component; zeros where there are none."""
    potential[~present[component]] = -np.inf
    top = potential.max(axis=1, keepdims=True)
    top[~np.isfinite(top)] = 0.0
    potential -= top
    return np.exp(potential, out=potential)


def _means(group: NDArray[np.int32], weights: NDArray[np.float64], values: FloatArray, n_groups: int) -> FloatArray:
    """(groups, c) weighted means of the (rows, c) values in each group; zeros in one without rows."""
    shape = (n_groups, len(group))
    members = sparse.csr_array((weights, (group, np.arange(len(group)))), shape=shape)
    total: NDArray[np.float64] = np.bincount(group, weights, minlength=n_groups)[:, None]
    return np.asarray((members @ values) / np.where(total > 0, total, 1.0), dtype=np.float32)
