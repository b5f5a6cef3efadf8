"""EXPANDER: propagation where a node remembers its few most probable labels, for classes too many to hold in full.

Ravi & Diao 2016, "Large Scale Distributed Semi-Supervised Learning Using Streaming Approximation". It minimises

    mu1 sum_seeds |f_v - y_v|^2 + mu2 sum_edges w_uv |f_u - f_v|^2 + mu3 sum_v |f_v - 1/c|^2

by Jacobi steps, each of which keeps the ``top`` most probable labels t of every node:

    f_v <- top((mu1 [v is a seed] y_v + mu2 sum_u w_uv f_u + mu3 / c) / (mu1 [v is a seed] + mu2 degree_v + mu3))

What a list is missing to one is spread evenly over the c - t labels it leaves out, so that with t = c nothing is lost
and the steps end at the minimum itself. Time O(steps m t), memory O(n t + m); the classes cost one array a thread.
"""

from __future__ import annotations

import numpy as np

from projgraph.config import TrainerConfig
from projgraph.errors import InputError
from projgraph.graph.csr import reached
from projgraph.kernels.propagate import Edges, TopLabels
from projgraph.records import UNLABELLED, Progress, SoftLabels, SparseSoftLabels, TrainerTask

_STEPS_BETWEEN_LINES = 10


def expander(task: TrainerTask, config: TrainerConfig, seed: int, progress: Progress | None = None) -> SoftLabels:
    """A label distribution for every node, in full: `expand` for those who have the memory, O(n c).

    Args:
        task: graph and labels of n nodes; features are not used.
        config: ``classic.top``, ``seed_pull``, ``edge_pull``, ``uniform_pull``, ``tolerance`` and ``max_steps``.
        seed: not used; nothing here is random.
        progress: called with one line now and then.

    Raises:
        InputError: no row has a label, or a label is no class.
    """
    return expand(task, config, progress).dense()


def expand(
    task: TrainerTask, config: TrainerConfig, progress: Progress | None = None, threads: int = 0
) -> SparseSoftLabels:
    """The most probable labels of every node.

    Args:
        task: graph and labels of n nodes; features are not used.
        config: as `expander` takes it.
        progress: called with one line now and then.
        threads: 0 for all processors; their number changes no byte.

    Returns:
        (n, min(top, c)) labels; of two equally probable ones the lower index comes first, and stays. A node that no
        label reaches has an empty list: all classes alike.

    Raises:
        InputError: no row has a label, or a label is no class.
    """
    settings, graph, n_classes = config.classic, task.graph, task.n_classes
    given = task.labels[task.labels != UNLABELLED]
    if not len(given):
        raise InputError("the trainer expander needs labels and no row has one; label at least one row of each class")
    if given.min() < 0 or given.max() >= n_classes:
        raise InputError(f"labels run from {given.min()} to {given.max()}; expected class indices 0 to {n_classes - 1}")
    seeds = task.labels.astype(np.int32)
    edges = Edges(graph.indptr, graph.indices, graph.weights)
    pulls = settings.seed_pull, settings.edge_pull, settings.uniform_pull
    now = TopLabels.of(seeds, min(settings.top, n_classes), n_classes)
    spare = now.empty_like()
    say = progress or (lambda _: None)
    for step in range(1, settings.max_steps + 1):
        change = edges.expand(now, seeds, pulls, spare, threads)
        now, spare = spare, now
        if step % _STEPS_BETWEEN_LINES == 0 or change <= settings.tolerance:
            say(f"trainer: step {step}, largest change {change:.1e}")
        if change <= settings.tolerance:
            break
    else:
        say(f"trainer: not converged after {settings.max_steps} steps, largest change {change:.1e}")
    return SparseSoftLabels(now.labels, now.probabilities, n_classes, reached(graph, seeds != UNLABELLED))
