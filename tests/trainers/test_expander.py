"""EXPANDER against the linear system it solves where no label is left out, and its invariants where some are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from projgraph.config import TrainerConfig
from projgraph.errors import InputError
from projgraph.graph.csr import from_csr, to_csr
from projgraph.records import UNLABELLED, Graph, TrainerTask
from projgraph.trainers.expander import expand, expander
from projgraph.trainers.registry import trainer


def config_of(**classic: float) -> TrainerConfig:
    return TrainerConfig.model_validate({"classic": {"tolerance": 1e-7, **classic}})


def random_graph(n: int, seed: int, density: float = 0.1) -> Graph:
    random = np.random.default_rng(seed)
    dense = np.triu(np.where(random.random((n, n)) < density, random.random((n, n)), 0), 1).astype(np.float32)
    return from_csr(sparse.csr_array(dense + dense.T))


def task_of(n: int = 60, classes: int = 5, seed: int = 0) -> TrainerTask:
    random = np.random.default_rng(seed)
    labels = np.where(random.random(n) < 0.3, random.integers(0, classes, n), UNLABELLED)
    labels[0] = 0
    return TrainerTask(random_graph(n, seed), None, labels, classes)


def minimum(task: TrainerTask, config: TrainerConfig) -> np.ndarray:
    """(mu1 [seed] + mu2 (D - W) + mu3) F = mu1 Y + mu3 / c."""
    weights = to_csr(task.graph).toarray().astype(np.float64)
    settings, known = config.classic, task.labels != UNLABELLED
    own = np.zeros((len(known), task.n_classes))
    own[known, task.labels[known]] = settings.seed_pull
    laplacian = np.diag(weights.sum(axis=1)) - weights
    left = np.diag(settings.seed_pull * known + settings.uniform_pull) + settings.edge_pull * laplacian
    return np.linalg.solve(left, own + settings.uniform_pull / task.n_classes)


@pytest.mark.parametrize("pulls", [{}, {"seed_pull": 3.0, "edge_pull": 2.0, "uniform_pull": 0.5}])
@pytest.mark.parametrize("top", [5, 8])
def test_with_room_for_every_class_it_is_the_minimum(top: int, pulls: dict[str, float]):
    task, config = task_of(), config_of(top=top, **pulls)
    found = expander(task, config, 0)
    np.testing.assert_allclose(found.probabilities, minimum(task, config), atol=2e-5)
    assert trainer("expander") is expander


def test_the_more_labels_the_closer_to_the_minimum():
    task = task_of(200, 40)
    found, exact = expand(task, config_of(top=8)), minimum(task, config_of())
    assert found.indices.shape == found.probabilities.shape == (200, 8)
    assert (found.indices.dtype, found.probabilities.dtype) == (np.int32, np.float32)
    assert (np.diff(found.probabilities, axis=1) <= 0).all()
    errors = [np.abs(expander(task, config_of(top=top), 0).probabilities - exact).max() for top in (1, 8, 16, 40)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 2e-5
    assert np.mean(found.indices[:, 0] == exact.argmax(axis=1)) > 0.8
    np.testing.assert_allclose(found.dense().probabilities.sum(axis=1), 1, atol=1e-5)
    assert np.array_equal(found.indices, expand(task, config_of(top=8), threads=2).indices)


def test_nodes_in_another_order_find_the_same():
    task = task_of(80, 12)
    order = np.random.default_rng(5).permutation(80)
    shuffled = from_csr(sparse.csr_array(to_csr(task.graph).toarray()[np.ix_(order, order)]))
    one = expander(task, config_of(top=4), 0).probabilities
    other = expander(TrainerTask(shuffled, None, task.labels[order], 12), config_of(top=4), 0).probabilities
    np.testing.assert_allclose(other, one[order], atol=1e-5)


def test_a_node_without_a_path_to_a_label_knows_nothing():
    # 0 - 1, 2 - 3 and 4 alone; only 0 has a label.
    dense = np.zeros((5, 5), dtype=np.float32)
    dense[0, 1] = dense[1, 0] = dense[2, 3] = dense[3, 2] = 1
    labels = np.array([1, -1, -1, -1, -1])
    task = TrainerTask(from_csr(sparse.csr_array(dense)), None, labels, 4)
    for uniform in (0.0, 0.1):
        found = expand(task, config_of(top=2, uniform_pull=uniform))
        assert found.reached.tolist() == [True, True, False, False, False]
        assert found.indices.tolist() == [[1, -1], [1, -1], [-1, -1], [-1, -1], [-1, -1]]
        np.testing.assert_allclose(found.dense().probabilities[2:], 0.25)


def test_a_tie_goes_to_the_lower_class():
    # A path 0 - 1 - 2 whose ends bear classes 2 and 1.
    dense = np.zeros((3, 3), dtype=np.float32)
    dense[0, 1] = dense[1, 0] = dense[1, 2] = dense[2, 1] = 1
    found = expand(TrainerTask(from_csr(sparse.csr_array(dense)), None, np.array([2, -1, 1]), 3), config_of(top=1))
    assert found.indices[:, 0].tolist() == [2, 1, 1]


def test_steps_are_counted_and_told():
    task, lines = task_of(), []
    expand(task, config_of(max_steps=3), lines.append)
    assert len(lines) == 1
    assert lines[0].startswith("trainer: not converged after 3 steps, largest change ")
    lines.clear()
    expand(task, config_of(tolerance=1e-3), lines.append)
    assert lines[-1].startswith("trainer: step ")


def test_labels_that_cannot_be():
    graph = random_graph(4, 0, 0.9)
    with pytest.raises(InputError, match="expander needs labels and no row has one; label at least one row"):
        expand(TrainerTask(graph, None, np.full(4, UNLABELLED), 2), config_of())
    with pytest.raises(InputError, match="labels run from 0 to 2; expected class indices 0 to 1"):
        expand(TrainerTask(graph, None, np.array([0, 2, -1, -1]), 2), config_of())
