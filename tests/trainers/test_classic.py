"""The classical propagation trainers against their closed forms, scikit-learn and GraphLearning."""

from __future__ import annotations

import importlib.util
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.semi_supervised import LabelPropagation, LabelSpreading

from projgraph.config import TrainerConfig
from projgraph.graph.csr import from_csr, to_csr
from projgraph.graph.knn import knn_graph
from projgraph.records import UNLABELLED, Graph, TrainerTask
from projgraph.trainers.prior import FEW_LABELS_L2, fit_prior, predict_prior
from projgraph.trainers.registry import trainer

pytestmark = pytest.mark.usefixtures("one_thread")

TIGHT = {"tolerance": 1e-8, "max_steps": 20_000}


def classic(**settings) -> TrainerConfig:
    return TrainerConfig.model_validate({"classic": {**TIGHT, **settings}})


def labels_of(n_nodes: int, given: dict[int, int]) -> np.ndarray:
    labels = np.full(n_nodes, UNLABELLED, dtype=np.int64)
    labels[list(given)] = list(given.values())
    return labels


def taught(name: str, graph: Graph, labels, features=None, progress=None, **settings):
    known = np.asarray(labels)
    return trainer(name)(TrainerTask(graph, features, known, known.max() + 1), classic(**settings), 0, progress)


def dense(graph: Graph) -> np.ndarray:
    return to_csr(graph).toarray().astype(np.float64)


def spread_of(graph: Graph) -> np.ndarray:
    weights = dense(graph)
    root = np.sqrt(weights.sum(axis=1))
    return weights / root[:, None] / root[None, :]


def one_hot(labels) -> np.ndarray:
    return np.eye(labels.max() + 1)[labels] * (labels != UNLABELLED)[:, None]


def rows_to_one(values) -> np.ndarray:
    return values / values.sum(axis=1, keepdims=True)


def harmonic(graph: Graph, labels, smoothing: float = 0.0) -> np.ndarray:
    """F = P_k F + (1 - k) Y with k_i = smoothing on labelled rows and 1 elsewhere."""
    weights = dense(graph)
    share = np.where(labels == UNLABELLED, 1.0, smoothing)[:, None]
    average = weights / weights.sum(axis=1, keepdims=True)
    return np.linalg.solve(np.eye(len(labels)) - share * average, (1 - share) * one_hot(labels))


@pytest.fixture(scope="module")
def cloud():
    """Forty rows of three overlapping clusters, a connected uneven graph of them, and five labels."""
    generator = np.random.default_rng(3)
    truth = np.repeat(np.arange(3), [14, 14, 12])
    features = (1.3 * np.eye(4)[truth] + generator.normal(scale=0.5, size=(40, 4))).astype(np.float32)
    graph = knn_graph(features, 6, 0.5)
    assert sparse.csgraph.connected_components(to_csr(graph))[0] == 1
    return graph, features, labels_of(40, {0: 0, 1: 0, 15: 1, 30: 2, 39: 2})


# Closed forms


@pytest.mark.parametrize("name", ["label_propagation", "laplace"])
def test_harmonic_by_dense_solution(cloud, name):
    graph, _, labels = cloud
    soft = taught(name, graph, labels)
    np.testing.assert_allclose(soft.probabilities, harmonic(graph, labels), atol=1e-5)


@pytest.mark.parametrize("name", ["label_propagation", "laplace"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3, 0.95])
def test_soft_clamping_by_dense_solution(cloud, name, smoothing):
    graph, _, labels = cloud
    soft = taught(name, graph, labels, clamping="soft", smoothing=smoothing)
    np.testing.assert_allclose(soft.probabilities, harmonic(graph, labels, smoothing), atol=2e-5)


@pytest.mark.parametrize("name", ["label_propagation", "laplace"])
def test_harmonic_is_linear_on_a_chain(name):
    chain = from_csr(sparse.csr_array(sparse.diags_array([np.ones(4), np.ones(4)], offsets=[-1, 1]), dtype=np.float32))
    soft = taught(name, chain, labels_of(5, {0: 0, 4: 1}))
    np.testing.assert_allclose(soft.probabilities[:, 1], [0, 0.25, 0.5, 0.75, 1], atol=1e-6)


@pytest.mark.parametrize("name", ["label_propagation", "laplace"])
def test_class_masses_by_hand(cloud, name):
    graph, _, labels = cloud
    free = labels == UNLABELLED
    expected = harmonic(graph, labels)
    expected[free] *= np.array([0.4, 0.2, 0.4]) / expected[free].mean(axis=0)
    soft = taught(name, graph, labels, class_masses="labels")
    np.testing.assert_allclose(soft.probabilities, rows_to_one(expected), atol=2e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.5, 0.99])
def test_label_spreading_by_dense_solution(cloud, smoothing):
    graph, _, labels = cloud
    flow = np.linalg.solve(np.eye(40) - smoothing * spread_of(graph), one_hot(labels))
    flow[flow.sum(axis=1) == 0] = 1
    soft = taught("label_spreading", graph, labels, clamping="soft", smoothing=smoothing)
    np.testing.assert_allclose(soft.probabilities, rows_to_one(flow), atol=3e-5)
    hard = taught("label_spreading", graph, labels, smoothing=smoothing)
    free = labels == UNLABELLED
    assert np.array_equal(hard.probabilities[free], soft.probabilities[free])


def potential(graph: Graph, labels) -> np.ndarray:
    weights = dense(graph)
    degree = weights.sum(axis=1)
    source = one_hot(labels)
    known = labels != UNLABELLED
    source[known] -= source[known].mean(axis=0)
    solved = np.linalg.pinv(np.diag(degree) - weights) @ source
    return solved - degree @ solved / degree.sum()


def felt(values, degree) -> np.ndarray:
    """Softmax of the potential over its degree-weighted root mean square."""
    return rows_to_one(np.exp(values / np.sqrt(degree @ (values**2).mean(axis=1) / degree.sum())))


def test_poisson_by_pseudo_inverse(cloud):
    graph, _, labels = cloud
    expected = felt(potential(graph, labels), dense(graph).sum(axis=1))
    soft = taught("poisson", graph, labels, clamping="soft")
    np.testing.assert_allclose(soft.probabilities, rows_to_one(expected), atol=2e-5)
    prior = np.array([0.4, 0.2, 0.4])
    free = labels == UNLABELLED
    expected[free] *= prior / expected[free].mean(axis=0)
    scaled = taught("poisson", graph, labels, class_masses="labels")
    np.testing.assert_allclose(scaled.probabilities[free], rows_to_one(expected)[free], atol=3e-5)


def test_poisson_in_every_component_by_itself(cloud):
    """A second component with labels of one class alone, and a third without labels, change nothing in the first."""
    graph, _, labels = cloud
    pair = np.array([[0, 1], [1, 0]], dtype=np.float32)
    joined = from_csr(sparse.csr_array(sparse.block_diag([to_csr(graph), pair, pair, np.zeros((1, 1))])))
    more = np.concatenate([labels, [2, UNLABELLED, UNLABELLED, UNLABELLED, UNLABELLED]])
    soft = taught("poisson", joined, more)
    np.testing.assert_allclose(soft.probabilities[:40], taught("poisson", graph, labels).probabilities, atol=1e-5)
    np.testing.assert_allclose(soft.probabilities[40:42], [[0, 0, 1]] * 2, atol=1e-6)
    np.testing.assert_allclose(soft.probabilities[42:], 1 / 3, atol=1e-6)
    assert soft.reached.tolist() == [True] * 42 + [False] * 3


def adsorbed(graph: Graph, labels, injection: float, agreement: float, abandonment: float) -> np.ndarray:
    """The equations of the paper, node by node, as one linear system."""
    weights = dense(graph)
    n_nodes, n_classes = len(labels), labels.max() + 1
    inject, go_on, abandon = np.zeros((3, n_nodes))
    for node in range(n_nodes):
        step = weights[node][weights[node] > 0] / weights[node].sum()
        entropy = -(step * np.log(step)).sum()
        c = np.log(2) / np.log(2 + np.exp(entropy))
        d = (1 - c) * np.sqrt(entropy) if labels[node] != UNLABELLED else 0.0
        z = max(c + d, 1)
        inject[node], go_on[node], abandon[node] = d / z, c / z, 1 - c / z - d / z
    links = agreement * weights * (go_on[:, None] + go_on[None, :])
    right = np.zeros((n_nodes, n_classes + 1))
    right[:, :-1] = injection * inject[:, None] * one_hot(labels)
    right[:, -1] = abandonment * abandon
    return np.linalg.solve(np.diag(injection * inject + links.sum(axis=1) + abandonment) - links, right)


@pytest.mark.parametrize("mu", [(1.0, 1.0, 0.01), (1.0, 0.01, 0.01), (2.0, 0.5, 3.0)])
def test_modified_adsorption_by_dense_solution(cloud, mu):
    graph, _, labels = cloud
    expected = adsorbed(graph, labels, *mu)
    settings = dict(zip(("injection", "agreement", "abandonment"), mu, strict=True))
    soft = taught("modified_adsorption", graph, labels, clamping="soft", **settings)
    known = rows_to_one(expected[:, :-1] + expected[:, -1:] / 3)
    np.testing.assert_allclose(soft.probabilities, known, atol=3e-5)


def test_abandonment_lowers_confidence(cloud):
    graph, _, labels = cloud
    free = labels == UNLABELLED
    confidence = [
        taught("modified_adsorption", graph, labels, abandonment=mu3).confidence[free].mean()
        for mu3 in (1e-4, 1e-1, 10, 1e4)
    ]
    assert confidence == sorted(confidence, reverse=True), confidence
    assert confidence[-1] == pytest.approx(1 / 3, abs=0.01)


def corrected(graph: Graph, labels, base, correction: float, smoothing: float) -> np.ndarray:
    spread, known = spread_of(graph), labels != UNLABELLED
    error = np.where(known[:, None], one_hot(labels) - base, 0)
    sigma = np.abs(error[known]).sum(axis=1).mean()
    flow = np.linalg.solve(np.eye(len(labels)) - correction * spread, error)
    size = np.abs(flow).sum(axis=1, keepdims=True)
    mended = base + np.divide(sigma * flow, size, out=np.zeros_like(flow), where=size > 0)
    mended[known] = one_hot(labels)[known]
    smooth = np.linalg.solve(np.eye(len(labels)) - smoothing * spread, mended)
    return rows_to_one(np.maximum(smooth, 0))


@pytest.mark.parametrize("shares", [(0.9, 0.9), (0.3, 0.8), (0.8, 0.0)])
@pytest.mark.parametrize("described", [True, False])
def test_correct_and_smooth_by_dense_solution(cloud, shares, described):
    graph, features, labels = cloud
    base = np.full((40, 3), 1 / 3)
    if described:
        known = labels != UNLABELLED
        targets = one_hot(labels)[known].astype(np.float32)
        ones = np.ones(len(targets), dtype=np.float32)
        base = predict_prior(features, fit_prior(features[known], targets, ones, FEW_LABELS_L2))
    soft = taught(
        "correct_and_smooth",
        graph,
        labels,
        features if described else None,
        clamping="soft",
        correction=shares[0],
        smoothing=shares[1],
    )
    np.testing.assert_allclose(soft.probabilities, corrected(graph, labels, base, *shares), atol=1e-4)


# Peers


@pytest.fixture(scope="module")
def plain():
    """A larger graph on which the peers run too."""
    generator = np.random.default_rng(5)
    truth = generator.integers(0, 4, size=300)
    features = (1.5 * np.eye(6)[truth] + generator.normal(scale=0.6, size=(300, 6))).astype(np.float32)
    labels = np.full(300, UNLABELLED, dtype=np.int64)
    for label in range(4):
        labels[np.flatnonzero(truth == label)[: label + 1]] = label
    graph = knn_graph(features, 10, 0.5)
    assert sparse.csgraph.connected_components(to_csr(graph))[0] == 1
    return graph, labels, np.arange(300.0)[:, None]


def test_equals_scikit_learn_label_propagation(plain):
    graph, labels, rows = plain
    peer = LabelPropagation(kernel=lambda x, y: dense(graph), tol=1e-10, max_iter=20_000).fit(rows, labels)
    soft = taught("label_propagation", graph, labels)
    np.testing.assert_allclose(soft.probabilities, peer.label_distributions_, atol=1e-4)
    assert np.array_equal(soft.labels, peer.transduction_)


@pytest.mark.parametrize("smoothing", [0.2, 0.9])
def test_equals_scikit_learn_label_spreading(plain, smoothing):
    graph, labels, rows = plain
    peer = LabelSpreading(kernel=lambda x, y: dense(graph), alpha=smoothing, tol=1e-10, max_iter=20_000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer.fit(rows, labels)
    soft = taught("label_spreading", graph, labels, clamping="soft", smoothing=smoothing)
    np.testing.assert_allclose(soft.probabilities, peer.label_distributions_, atol=1e-4)


@pytest.mark.skipif(importlib.util.find_spec("graphlearning") is None, reason="graphlearning is not installed")
@pytest.mark.parametrize(("name", "settings"), [("laplace", {"tol": 1e-10}), ("poisson", {"tol": 1e-10})])
def test_equals_graphlearning(plain, name, settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import graphlearning

        graph, labels, _ = plain
        known = np.flatnonzero(labels != UNLABELLED)
        model = getattr(graphlearning.ssl, name)(sparse.csr_matrix(to_csr(graph).astype(np.float64)), **settings)
        values = np.asarray(model.fit(known, labels[known]))
    soft = taught(name, graph, labels, clamping="hard" if name == "laplace" else "soft")
    if name == "poisson":
        degree = dense(graph).sum(axis=1)
        values = felt(values - degree @ values / degree.sum(), degree)
    np.testing.assert_allclose(soft.probabilities, rows_to_one(values), atol=1e-4)


# Invariants of all

ALL = ["label_propagation", "label_spreading", "modified_adsorption", "laplace", "poisson", "correct_and_smooth"]


def close(one, other, name: str) -> None:
    """The logistic regression under correct_and_smooth is a search of its own, and ends a little elsewhere."""
    np.testing.assert_allclose(one, other, atol=2e-3 if name == "correct_and_smooth" else 3e-5)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("clamping", ["hard", "soft"])
@pytest.mark.parametrize("class_masses", ["free", "labels"])
def test_rows_are_distributions(cloud, name, clamping, class_masses):
    graph, features, labels = cloud
    soft = taught(name, graph, labels, features, clamping=clamping, class_masses=class_masses)
    assert soft.probabilities.dtype == np.float32
    assert soft.probabilities.shape == (40, 3)
    assert soft.probabilities.min() >= 0
    np.testing.assert_allclose(soft.probabilities.sum(axis=1), 1, rtol=1e-5)
    known = labels != UNLABELLED
    if clamping == "hard":
        assert np.array_equal(soft.probabilities[known], np.eye(3)[labels[known]])
    else:
        assert soft.probabilities[known].max() < 1, "none is quite sure of its label"


@pytest.mark.parametrize("name", ALL)
def test_permuting_the_nodes_permutes_the_result(cloud, name):
    graph, features, labels = cloud
    order = np.random.default_rng(2).permutation(40)
    shuffled = from_csr(sparse.csr_array(to_csr(graph).toarray()[np.ix_(order, order)]))
    plain = taught(name, graph, labels, features).probabilities
    close(taught(name, shuffled, labels[order], features[order]).probabilities, plain[order], name)


@pytest.mark.parametrize("name", ALL)
def test_renaming_the_classes_permutes_the_columns(cloud, name):
    graph, features, labels = cloud
    renamed = np.where(labels == UNLABELLED, UNLABELLED, (labels + 1) % 3)
    plain = taught(name, graph, labels, features).probabilities
    close(taught(name, graph, renamed, features).probabilities[:, [1, 2, 0]], plain, name)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("factor", [1e-3, 250.0])
def test_the_scale_of_the_weights(cloud, name, factor):
    graph, features, labels = cloud
    scaled = Graph(graph.indptr, graph.indices, graph.weights * np.float32(factor))
    # Modified adsorption weighs edges against labels, so that scale is its agreement; the others do not see it.
    agreement = factor if name == "modified_adsorption" else 1.0
    plain = taught(name, graph, labels, features, agreement=agreement).probabilities
    close(taught(name, scaled, labels, features).probabilities, plain, name)


@pytest.mark.parametrize("name", ALL)
def test_unreached_and_isolated_nodes(name):
    # Nodes 0-2 are a triangle with labels, 3-4 a pair without, 5 stands alone, 6 stands alone with a label.
    weights = np.zeros((7, 7), dtype=np.float32)
    for one, other in [(0, 1), (1, 2), (0, 2), (3, 4)]:
        weights[one, other] = weights[other, one] = 1
    soft = taught(name, from_csr(sparse.csr_array(weights)), labels_of(7, {0: 0, 1: 1, 6: 1}))
    np.testing.assert_allclose(soft.probabilities[3:6], 0.5)
    assert soft.reached.tolist() == [True, True, True, False, False, False, True]
    np.testing.assert_allclose(soft.probabilities[[0, 1, 6]], [[1, 0], [0, 1], [0, 1]])
    np.testing.assert_allclose(soft.probabilities[2], [0.5, 0.5], atol=1e-5)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("clamping", ["hard", "soft"])
def test_a_graph_without_edges(name, clamping):
    empty = from_csr(sparse.csr_array((3, 3), dtype=np.float32))
    soft = taught(name, empty, labels_of(3, {0: 0, 2: 1}), clamping=clamping)
    np.testing.assert_allclose(soft.probabilities[1], [0.5, 0.5])
    assert soft.reached.tolist() == [True, False, True]
    # Without an edge a walk of modified adsorption has no entropy, and so injects nothing.
    injects = clamping == "hard" or name != "modified_adsorption"
    np.testing.assert_allclose(soft.probabilities[[0, 2]], np.eye(2) if injects else np.full((2, 2), 0.5))


def test_correct_and_smooth_keeps_the_base_prediction_of_unreached_rows(cloud):
    graph, features, labels = cloud
    padded = from_csr(sparse.csr_array(sparse.block_diag([to_csr(graph), np.zeros((1, 1))])))
    alone = np.vstack([features, features[15]])
    soft = taught("correct_and_smooth", padded, np.append(labels, UNLABELLED), alone)
    assert not soft.reached[40]
    assert soft.probabilities[40, 1] > 0.9, "its features are those of a labelled row of class 1"


@pytest.mark.parametrize("name", ALL)
def test_convergence_is_reported(cloud, name):
    graph, features, labels = cloud
    lines: list[str] = []
    taught(name, graph, labels, features, lines.append)
    assert lines
    assert all(line.startswith(f"trainer: {name}") for line in lines)
    assert all(" converged after " in line for line in lines), lines
    lines.clear()
    taught(name, graph, labels, features, lines.append, max_steps=2)
    assert all(f"trainer: {name}" in line and "stopped at max_steps=2 with a change of" in line for line in lines)
    assert all("raise trainer.classic.max_steps or trainer.classic.tolerance" in line for line in lines)


@pytest.mark.parametrize("name", ALL)
def test_same_input_same_bits(cloud, name):
    graph, features, labels = cloud
    kept = graph.weights.copy(), features.copy(), labels.copy()
    first, second = (taught(name, graph, labels, features).probabilities for _ in range(2))
    assert np.array_equal(first, second)
    for before, after in zip(kept, (graph.weights, features, labels), strict=True):
        assert np.array_equal(before, after), "what was given is left as it was"
