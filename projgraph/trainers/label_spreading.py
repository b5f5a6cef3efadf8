"""Label spreading: beliefs flow along the normalised graph and are pulled back to where they began.

    F <- a S F + (1 - a) Y        S = D^-1/2 W D^-1/2, a = smoothing        limit (1 - a) (I - a S)^-1 Y

reported as rows normalised to one. Labelled rows may change under the equation; hard clamping reports them as given.
The scale of the weights does not matter. Source: Zhou, Bousquet, Lal, Weston & Schölkopf 2004. Heeds smoothing,
clamping, class_masses, tolerance, max_steps. Time O(m c) a step, memory O(m + n c).
"""

from __future__ import annotations

import numpy as np

from projgraph.config import TrainerConfig
from projgraph.graph.csr import normalised
from projgraph.records import FloatArray, Progress, SoftLabels, TrainerTask
from projgraph.trainers.checks import labelled_rows
from projgraph.trainers.convergence import iterate
from projgraph.trainers.distributions import soft_labels


def label_spreading(
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
    spread = normalised(task.graph)
    anchor = np.float32(1.0 - classic.smoothing) * clamped

    def step(beliefs: FloatArray) -> FloatArray:
        stepped: FloatArray = spread @ beliefs
        stepped *= np.float32(classic.smoothing)
        stepped[labelled] += anchor
        return stepped

    start = np.zeros((task.graph.n_nodes, task.n_classes), dtype=np.float32)
    start[labelled] = clamped
    beliefs = iterate(step, start, classic, "label_spreading", progress, task.states)
    return soft_labels(task, beliefs, classic)
