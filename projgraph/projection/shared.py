"""One hidden layer for students of several tasks: a row is of one task, and its loss knows that task's classes alone.

Multitask learning with hard parameter sharing (Caruana 1997): the output layers of all tasks stand side by side, and
the softmax of a row runs over its own task's block.
"""

from __future__ import annotations

import numpy as np
import torch

from projgraph.projection.fit import Fit, Listener, Student, StudentTask, fit_twice
from projgraph.projection.straight_through import Tuning
from projgraph.projection.tune import tune_twice
from projgraph.records import IndexArray

_NEVER = -1e9
"""Added to the logit of another task's class: its probability is zero in float32, and no loss is NaN."""


class SharedFit(Fit):
    """One run of the optimiser over rows of several tasks.

    Args:
        task: all rows; its targets have the classes of all tasks, one task's after the other's.
        tasks: (n,) the task of each row.
        n_classes: (tasks,) of each task.
    """

    def __init__(self, task: StudentTask, tasks: IndexArray, n_classes: IndexArray) -> None:
        super().__init__(task)
        owners = np.repeat(np.arange(len(n_classes)), n_classes)
        foreign = owners[None, :] != np.arange(len(n_classes))[:, None]
        self._masks = torch.from_numpy(np.where(foreign, _NEVER, 0.0).astype(np.float32))
        self._tasks = torch.from_numpy(tasks)

    def _masked(self, logits: torch.Tensor, rows: IndexArray) -> torch.Tensor:
        return logits + self._masks[self._tasks[torch.from_numpy(rows)]]


def fit_shared(
    task: StudentTask,
    tasks: IndexArray,
    n_classes: IndexArray,
    listener: Listener | None = None,
    tuning: Tuning | None = None,
) -> Student:
    """Fit a hidden layer and the output layers of several tasks.

    Args:
        task: rows, targets and settings, as of `SharedFit`; no term of its loss runs along edges.
        tasks: (n,) the task of each row.
        n_classes: (tasks,) of each task.
        listener: called after every epoch of the first fit with its figures.
        tuning: with which both fits go on, weights of the hidden layer rounded or pruned; None for none.

    Raises:
        ConfigError: the loss is not finite at the end, or no term of the loss is on.
    """
    fits, student = fit_twice(lambda: SharedFit(task, tasks, n_classes), task, listener)
    return student if tuning is None else tune_twice(fits, student, tuning)
