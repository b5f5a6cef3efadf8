"""What every trainer asks of its task before it starts, and the labelled rows it then works with."""

from __future__ import annotations

import numpy as np

from projgraph.errors import InputError
from projgraph.records import UNLABELLED, FloatArray, IndexArray, TrainerTask


def labelled_rows(task: TrainerTask) -> tuple[IndexArray, FloatArray]:
    """The l labelled rows and their labels.

    Returns:
        (l,) row numbers, ascending, and (l, c) one-hot labels.

    Raises:
        InputError: a class has no labelled row.
    """
    labelled = np.flatnonzero(task.labels != UNLABELLED)
    given = task.labels[labelled]
    missing = task.n_classes - len(np.unique(given))
    if missing:
        raise InputError(
            f"{missing} of {task.n_classes} classes have no labelled row; label at least one row of each class"
        )
    return labelled, np.eye(task.n_classes, dtype=np.float32)[given]
