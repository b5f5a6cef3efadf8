"""The default trainer against closed forms on graphs small enough to solve, and its invariants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from projgraph.config import TrainerConfig
from projgraph.errors import InputError
from projgraph.graph.csr import from_csr, normalised, to_csr
from projgraph.graph.knn import knn_graph
from projgraph.records import UNLABELLED, Examples, Graph, Progress, SoftLabels, TrainerTask
from projgraph.trainers.class_prior import estimate_class_prior, reweigh, shrink
from projgraph.trainers.prior import FEW_LABELS_L2, fit_prior, predict_prior
from projgraph.trainers.prior_smoothing import edge_agreement, prior_smoothing

pytestmark = pytest.mark.usefixtures("one_thread")


def graph_of(n_nodes: int, edges: dict[tuple[int, int], float]) -> Graph:
    dense = np.zeros((n_nodes, n_nodes), dtype=np.float32)
    for (one, other), weight in edges.items():
        dense[one, other] = dense[other, one] = weight
    return from_csr(sparse.csr_array(dense))


def ring(n_nodes: int, weight: float = 1.0) -> Graph:
    return graph_of(n_nodes, {(node, (node + 1) % n_nodes): weight for node in range(n_nodes)})


def labels_of(n_nodes: int, given: dict[int, int]) -> np.ndarray:
    labels = np.full(n_nodes, UNLABELLED, dtype=np.int64)
    for node, label in given.items():
        labels[node] = label
    return labels


def silent(n_nodes: int) -> np.ndarray:
    """Features that tell nothing, so that the prior of every node is the labels' frequencies."""
    return np.zeros((n_nodes, 2), dtype=np.float32)


def taught(
    graph: Graph,
    features: np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    config: TrainerConfig,
    progress: Progress | None = None,
) -> SoftLabels:
    return prior_smoothing(TrainerTask(graph, features, labels, n_classes), config, 0, progress)


def spreading(**changes: float) -> TrainerConfig:
    """Plain spreading with clamping: no self-training, no pull to the class prior, until nothing moves."""
    return TrainerConfig.model_validate({"rounds": 0, "balance": 0.0, "steps": 1000, **changes})


def fixed_point(graph: Graph, prior: np.ndarray, labels: np.ndarray, smoothing: float) -> np.ndarray:
    """F_U = (I - a S_UU)^-1 (a S_UL Y + (1 - a) P_U), which keeps row sums where S has row sums of one."""
    weights = to_csr(graph).toarray().astype(np.float64)
    root = np.sqrt(weights.sum(axis=1))
    spread = weights / root[:, None] / root[None, :]
    known = labels != UNLABELLED
    beliefs = np.zeros_like(prior, dtype=np.float64)
    beliefs[known] = np.eye(prior.shape[1])[labels[known]]
    own = smoothing * spread[np.ix_(~known, known)] @ beliefs[known] + (1 - smoothing) * prior[~known]
    beliefs[~known] = np.linalg.solve(np.eye((~known).sum()) - smoothing * spread[np.ix_(~known, ~known)], own)
    return beliefs


def test_normalised_by_hand():
    # Degrees 2, 3, 1 and 0.
    graph = graph_of(4, {(0, 1): 2.0, (1, 2): 1.0})
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 0] = 2 / np.sqrt(2 * 3)
    expected[1, 2] = expected[2, 1] = 1 / np.sqrt(3 * 1)
    np.testing.assert_allclose(normalised(graph).toarray(), expected, rtol=1e-6)
    assert np.abs(np.linalg.eigvalsh(normalised(graph).toarray())).max() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("label_trust", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("given", [{0: 0, 3: 1}, {0: 0, 1: 0, 5: 1}, {0: 0, 2: 1, 4: 2, 5: 2}])
def test_equals_the_fixed_point_on_a_ring(label_trust, given):
    graph, labels = ring(9), labels_of(9, given)
    frequencies = np.bincount(list(given.values())) / len(given)
    smoothing = 1 / (1 + label_trust * (len(given) / len(frequencies)) ** 1.5)
    soft = taught(graph, silent(9), labels, len(frequencies), spreading(label_trust=label_trust))
    expected = fixed_point(graph, np.tile(frequencies, (9, 1)), labels, smoothing)
    np.testing.assert_allclose(soft.probabilities, expected, atol=1e-3)


def test_nothing_but_the_graph_is_linear_between_two_labels():
    # Without a prior the beliefs on a chain are harmonic, and a chain between two labels is a ring folded.
    soft = taught(ring(8), silent(8), labels_of(8, {0: 0, 4: 1}), 2, spreading(label_trust=0))
    np.testing.assert_allclose(soft.probabilities[:, 1], [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25], atol=1e-5)


def test_no_step_left_to_make_on_an_uneven_graph():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(30, 4)).astype(np.float32)
    graph = knn_graph(features, 4, 0.5)
    labels = labels_of(30, {0: 0, 1: 1, 2: 2})
    config = spreading(label_trust=0.5)
    soft = taught(graph, silent(30), labels, 3, config)
    step = 2 / 3 * (normalised(graph) @ soft.probabilities) + 1 / 3 * np.full((30, 3), 1 / 3)
    step /= step.sum(axis=1, keepdims=True)
    step[:3] = np.eye(3)
    np.testing.assert_allclose(soft.probabilities, step, atol=1e-3)


@pytest.fixture(scope="module")
def clusters():
    """Sixty rows in three clusters, two labels each."""
    generator = np.random.default_rng(1)
    truth = np.repeat(np.arange(3), 20)
    features = (2 * np.eye(3)[truth] + generator.normal(scale=0.45, size=(60, 3))).astype(np.float32)
    labels = np.full(60, UNLABELLED, dtype=np.int64)
    labels[[0, 1, 20, 21, 40, 41]] = [0, 0, 1, 1, 2, 2]
    return knn_graph(features, 5, 0.5), features, labels, truth


def test_clusters_get_their_labels(clusters):
    graph, features, labels, truth = clusters
    soft = taught(graph, features, labels, 3, TrainerConfig())
    assert soft.labels.tolist() == truth.tolist()
    np.testing.assert_allclose(soft.probabilities.sum(axis=1), 1, rtol=1e-5)
    assert soft.probabilities.min() >= 0
    assert soft.probabilities.dtype == np.float32
    known = labels != UNLABELLED
    assert np.array_equal(soft.probabilities[known], np.eye(3)[labels[known]]), "given labels are kept as they are"


def test_permuting_the_nodes_permutes_the_result(clusters):
    graph, features, labels, _ = clusters
    order = np.random.default_rng(2).permutation(60)
    shuffled = from_csr(sparse.csr_array(to_csr(graph).toarray()[np.ix_(order, order)]))
    config = TrainerConfig(rounds=1)
    plain = taught(graph, features, labels, 3, config)
    permuted = taught(shuffled, features[order], labels[order], 3, config)
    np.testing.assert_allclose(permuted.probabilities, plain.probabilities[order], atol=2e-3)
    assert np.array_equal(permuted.reached, plain.reached[order])


def test_renaming_the_classes_permutes_the_columns(clusters):
    graph, features, labels, _ = clusters
    renamed = np.where(labels == UNLABELLED, UNLABELLED, (labels + 1) % 3)
    config = TrainerConfig(rounds=1)
    plain = taught(graph, features, labels, 3, config).probabilities
    np.testing.assert_allclose(
        taught(graph, features, renamed, 3, config).probabilities[:, [1, 2, 0]],
        plain,
        atol=2e-3,
    )


@pytest.mark.parametrize("factor", [1e-3, 250.0])
def test_the_scale_of_the_weights_does_not_matter(clusters, factor):
    graph, features, labels, _ = clusters
    config = TrainerConfig(rounds=1)
    plain = taught(graph, features, labels, 3, config)
    scaled = Graph(graph.indptr, graph.indices, graph.weights * np.float32(factor))
    np.testing.assert_allclose(
        taught(scaled, features, labels, 3, config).probabilities,
        plain.probabilities,
        atol=2e-3,
    )


def test_same_input_same_bits(clusters):
    graph, features, labels, _ = clusters
    first, second = (taught(graph, features, labels, 3, TrainerConfig()).probabilities for _ in range(2))
    assert np.array_equal(first, second)


def test_a_node_without_edges_keeps_its_prior():
    graph = graph_of(5, {(0, 2): 1.0, (1, 3): 1.0})
    labels = labels_of(5, {0: 0, 1: 1})
    features = np.array([[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]], dtype=np.float32)
    alone = taught(graph, features, labels, 2, spreading())
    unjoined = taught(graph_of(5, {}), features, labels, 2, spreading())
    np.testing.assert_allclose(alone.probabilities[4], unjoined.probabilities[4], atol=1e-6)
    np.testing.assert_allclose(unjoined.probabilities[4], unjoined.probabilities[2], atol=1e-6)
    assert alone.probabilities[4, 0] > 0.9, "it looks like the row of class 0"
    assert alone.reached.tolist() == [True, True, True, True, False]
    assert unjoined.reached.tolist() == [True, True, False, False, False]


def test_a_node_without_edges_where_only_the_graph_counts():
    graph, labels = graph_of(3, {(0, 1): 1.0}), labels_of(3, {0: 0, 1: 1})
    soft = taught(graph, silent(3), labels, 2, spreading(label_trust=0))
    np.testing.assert_allclose(soft.probabilities[2], [0.5, 0.5], atol=1e-3)


def test_unreached_nodes_are_told_and_still_labelled():
    graph = graph_of(6, {(0, 1): 1.0, (2, 3): 1.0, (4, 5): 1.0})
    soft = taught(graph, silent(6), labels_of(6, {0: 0, 2: 1, 3: 1}), 2, TrainerConfig())
    assert soft.reached.tolist() == [True, True, True, True, False, False]
    np.testing.assert_allclose(soft.probabilities.sum(axis=1), 1, rtol=1e-5)


def test_balance_pulls_the_masses_to_the_class_prior():
    # One node of class 1 holds a star of eight: the graph alone gives it everything.
    edges = {(1, node): 1.0 for node in range(2, 10)} | {(0, 2): 0.2}
    graph, labels = graph_of(10, edges), labels_of(10, {0: 0, 1: 1})
    masses = [
        taught(graph, silent(10), labels, 2, spreading(balance=balance, label_trust=0.05)).probabilities[:, 0].mean()
        for balance in (0.0, 0.3, 0.9)
    ]
    assert masses[0] < 0.3, masses
    assert masses[0] < masses[1] < masses[2] < 0.55, "the class prior is one half"


def test_the_class_prior_is_that_of_the_rows_without_a_label():
    features = np.array([[1, 0], [0, 1]] * 4 + [[0.2, 0.8], [0.4, 0.6], [0.5, 0.5]], dtype=np.float32)
    labels = labels_of(len(features), {row: row % 2 for row in range(8)})
    # No edges, so the prior alone speaks.
    found = taught(graph_of(len(features), {}), features, labels, 2, spreading(prior_strength=0.2)).probabilities[8:]
    even = np.full(2, 0.5, dtype=np.float32)
    regression = fit_prior(features[:8], np.eye(2, dtype=np.float32)[labels[:8]], np.ones(8, np.float32), FEW_LABELS_L2)
    posteriors = predict_prior(features[8:], regression)
    # Four labels a class, and half of eight labelled rows beside three others.
    class_prior = shrink(estimate_class_prior(posteriors, even, 0.2 / 4 + 0.5 * 8 / 3), even, 0.1)
    np.testing.assert_allclose(found, reweigh(posteriors, class_prior / even), atol=1e-5)
    assert found[-1, 1] > 0.51, "between the two, but the other rows are of class 1"


def test_examples_are_learnt_with_the_labels_and_are_no_nodes():
    features = np.array([[1, 0], [0, 1], [0.9, 0.3], [0.2, 0.8], [0.5, 0.6]], dtype=np.float32)
    labels = labels_of(5, {0: 0, 1: 1})
    names = Examples(np.array([[0.6, 0.7], [0.1, 0.9]], dtype=np.float32), np.array([0, 1]))
    task = TrainerTask(graph_of(5, {}), features, labels, 2, examples=names)
    # No edges, so the prior alone speaks.
    found = prior_smoothing(task, spreading(), 0).probabilities
    learnt = np.vstack([features[:2], names.features])
    classes = np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]
    posteriors = predict_prior(features, fit_prior(learnt, classes, np.ones(4, np.float32), FEW_LABELS_L2))
    even = np.full(2, 0.5, dtype=np.float32)
    class_prior = shrink(estimate_class_prior(posteriors[2:], even, 0.5 / 1 + 0.5 * 2 / 3), even, 0.1)
    np.testing.assert_allclose(found[2:], reweigh(posteriors, class_prior / even)[2:], atol=1e-5)
    np.testing.assert_array_equal(found[:2], np.eye(2))
    alone = prior_smoothing(replace(task, examples=None), spreading(), 0).probabilities
    assert found[4, 0] > alone[4, 0] + 0.1, "nearer to the name of class 0 than to its labelled row"


def test_edge_agreement_is_the_kappa_of_classes_at_both_ends():
    graph = graph_of(6, {(0, 1): 1.0, (1, 2): 3.0, (2, 3): 1.0, (3, 4): 1.0})
    said = np.eye(2, dtype=np.float32)
    # Three of four edges join alike; by chance (4 / 6)^2 + (2 / 6)^2 = 5 / 9 would.
    assert edge_agreement(graph, said[[0, 0, 0, 1, 1, 0]]) == pytest.approx((3 / 4 - 5 / 9) / (4 / 9))
    assert edge_agreement(graph, said[[0, 1, 0, 1, 0, 1]]) == 0, "never alike is no less than by chance"
    assert edge_agreement(graph, said[[0] * 6]) == 0
    assert edge_agreement(graph_of(2, {}), said) == 0
    assert edge_agreement(graph_of(4, {(0, 1): 1.0, (2, 3): 1.0}), said[[0, 0, 1, 1]]) == 1


def test_progress_names_every_round(clusters):
    graph, features, labels, _ = clusters
    lines: list[str] = []
    taught(graph, features, labels, 3, TrainerConfig(rounds=2), lines.append)
    assert len(lines) == 3
    assert all(line.startswith("trainer: ") for line in lines)
    assert lines[1:] == ["trainer: self-training round 1 of 2", "trainer: self-training round 2 of 2"]


@pytest.mark.parametrize(("given", "missing"), [({0: 0}, "1 of 2"), ({0: 0, 1: 2}, "1 of 3"), ({}, "4 of 4")])
def test_a_class_without_a_label(given, missing):
    n_classes = int(missing[-1])
    with pytest.raises(
        InputError, match=f"{missing} classes have no labelled row; label at least one row of each class"
    ):
        taught(ring(4), silent(4), labels_of(4, given), n_classes, TrainerConfig())
