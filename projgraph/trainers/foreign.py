"""Foreign rows: those unlike every labelled row, which would teach the trainer wrong class frequencies.

A row is compared with the labelled rows by the largest cosine, and this is averaged along edges, since foreign rows lie
among foreign ones. The measure is how like the labelled rows of one class are to those of all others: rows of the same
matter, however frequent their class and however far its few labels, are hardly ever less like them than that.

    s_i = max_l x_i x_l, of labelled rows over those of other classes        s <- s / 2 + W s / 2, rows of W normalised
    foreign where s_i < the lower quartile of the labelled rows' own s before it was averaged

A quartile of few is uncertain, so the lower end of its confidence interval counts (Conover 1999, section 3.2), and with
less than nine labelled rows none is foreign. Time O(n l d + steps m), memory O(n) beside a block of cosines.

BANKING77's and CLINC150's training texts in one graph, 1 to 10 labels for each class of the first: 79 to 84 % of the
second are foreign, 1 to 2 % of the first. Where all texts are of one matter (these, ATIS, SwDA, skewed parts of them,
their classes merged to two or five, 25 draws each): 0.2 % in the mean, 8 % at the most.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from projgraph.graph.csr import transition
from projgraph.records import UNLABELLED, FloatArray, TrainerTask

_QUARTILE = 0.25
_ONE_SIDED = 1.645
"""Standard deviations below a mean that one of twenty normal values lies."""
_STEPS = 30
"""Averages along edges; each halves what a row keeps of its own likeness."""
_MOST_LABELLED = 2000
"""Labelled rows that the others are compared with; drawn where there are more."""
_BLOCK = 4096


def foreign_rows(task: TrainerTask, seed: int) -> NDArray[np.bool_]:
    """(n,) True for unlabelled rows that look foreign to the labelled ones.

    Args:
        task: graph, labels and features of unit norm; without features no row is foreign.
        seed: of the labelled rows that are drawn.
    """
    given = task.labels != UNLABELLED
    labelled = np.flatnonzero(given)
    if len(labelled) > _MOST_LABELLED:
        labelled = np.sort(np.random.default_rng(seed).choice(labelled, _MOST_LABELLED, replace=False))
    level = _QUARTILE - _ONE_SIDED * np.sqrt(_QUARTILE * (1 - _QUARTILE) / max(len(labelled), 1))
    if level <= 0 or task.features is None or len(np.unique(task.labels[labelled])) < 2:
        return np.zeros(len(task.labels), dtype=np.bool_)
    likeness = _likeness(task.features, labelled)
    own = task.features[labelled] @ task.features[labelled].T
    own[task.labels[labelled][:, None] == task.labels[labelled]] = -1.0
    likeness[labelled] = own.max(axis=1)
    least = np.quantile(likeness[labelled], level)
    spread = transition(task.graph)
    lonely = np.diff(task.graph.indptr) == 0
    for _ in range(_STEPS):
        likeness = np.where(lonely, likeness, 0.5 * (likeness + spread @ likeness))
    return np.asarray((likeness < least) & ~given)


def _likeness(features: FloatArray, labelled: NDArray[np.int64]) -> FloatArray:
    """(n,) the largest cosine of every row with a labelled one."""
    others = features[labelled].T
    blocks = [(features[at : at + _BLOCK] @ others).max(axis=1) for at in range(0, len(features), _BLOCK)]
    return np.concatenate(blocks)
