"""What every trainer asks of its labels, whichever it is."""

from __future__ import annotations

import numpy as np
import pytest

from projgraph.config import TrainerConfig
from projgraph.errors import InputError
from projgraph.records import UNLABELLED, Graph, TrainerTask
from projgraph.trainers.checks import labelled_rows
from projgraph.trainers.registry import trainer

NAMES = (
    "correct_and_smooth",
    "label_propagation",
    "label_spreading",
    "laplace",
    "modified_adsorption",
    "poisson",
    "prior_smoothing",
)


def task(labels: list[int], n_classes: int) -> TrainerTask:
    empty = np.zeros(0, dtype=np.int32)
    graph = Graph(np.zeros(len(labels) + 1, dtype=np.int64), empty, empty.astype(np.float32))
    return TrainerTask(graph, np.ones((len(labels), 2), dtype=np.float32), np.array(labels), n_classes)


def test_rows_and_one_hot_labels():
    rows, clamped = labelled_rows(task([UNLABELLED, 1, UNLABELLED, 0, 1], 2))
    assert rows.tolist() == [1, 3, 4]
    assert clamped.tolist() == [[0, 1], [1, 0], [0, 1]]
    assert clamped.dtype == np.float32


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("labels", "n_classes", "missing"),
    [([0, UNLABELLED], 2, "1 of 2"), ([0, 2, UNLABELLED], 3, "1 of 3"), ([UNLABELLED] * 2, 4, "4 of 4")],
)
def test_a_class_without_a_label(name, labels, n_classes, missing):
    message = f"{missing} classes have no labelled row; label at least one row of each class"
    with pytest.raises(InputError, match=message):
        trainer(name)(task(labels, n_classes), TrainerConfig(), 0)
