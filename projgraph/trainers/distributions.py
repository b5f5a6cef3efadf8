"""From what a trainer leaves at each node to the label distribution it reports; it knows no trainer's equation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from projgraph.config import ClassicConfig
from projgraph.graph.csr import reached
from projgraph.records import UNLABELLED, FloatArray, SoftLabels, TrainerTask
from projgraph.trainers.checks import labelled_rows

_SMALLEST_MASS = 1e-9


def soft_labels(
    task: TrainerTask, beliefs: FloatArray, config: ClassicConfig, fallback: FloatArray | None = None
) -> SoftLabels:
    """Distributions of the nodes, labelled rows clamped where clamping is hard.

    Under ``class_masses = "labels"`` each class is then scaled so that its mass on the unlabelled reached rows is as
    the labels' frequencies, and rows are normalised again (class mass normalisation, Zhu, Ghahramani & Lafferty 2003,
    section 4).

    Args:
        task: graph and labels.
        beliefs: (n, c), zero or above; overwritten. A row is normalised, and one of zeros becomes uniform.
        config: clamping, class_masses.
        fallback: (n, c) distributions of the rows that no label reaches; uniform if None.
    """
    labelled, clamped = labelled_rows(task)
    joined = reached(task.graph, task.labels != UNLABELLED)
    beliefs[~joined] = 0.0 if fallback is None else fallback[~joined]
    _normalise(beliefs)
    if config.class_masses == "labels":
        free = joined.copy()
        free[labelled] = False
        _scale_masses(beliefs, clamped.mean(axis=0), free)
        _normalise(beliefs)
    if config.clamping == "hard":
        beliefs[labelled] = clamped
    return SoftLabels(beliefs, joined)


def _normalise(beliefs: FloatArray) -> None:
    total = beliefs.sum(axis=1, keepdims=True)
    silent = ~(total.ravel() > 0)
    beliefs[silent], total[silent] = 1.0, beliefs.shape[1]
    beliefs /= total


def _scale_masses(beliefs: FloatArray, frequencies: FloatArray, rows: NDArray[np.bool_]) -> None:
    mass = beliefs[rows].sum(axis=0, dtype=np.float64)
    if mass.sum() > 0:
        # A class that no row believes in has nothing to scale.
        ratios = np.where(mass > _SMALLEST_MASS * mass.sum(), frequencies * mass.sum() / np.maximum(mass, 1e-300), 1.0)
        beliefs[rows] *= ratios.astype(np.float32)
