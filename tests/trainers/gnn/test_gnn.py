"""The graph neural networks against closed forms, under permutation, on two cliques, and on input they must refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse

from projgraph.config import NetworkConfig, TrainerConfig, load_config
from projgraph.errors import ConfigError, InputError
from projgraph.graph.csr import from_csr, self_looped, to_csr
from projgraph.records import UNLABELLED, Graph, TrainerTask
from projgraph.trainers.registry import trainer

pytestmark = pytest.mark.usefixtures("one_thread")

NETWORKS = ("gcn", "graphsage", "gat", "appnp", "gcnii", "sign", "neural_graph_machine")
ALL = (*NETWORKS, "feature_smoothing")


def two_cliques() -> TrainerTask:
    """Two cliques of five joined by one edge, a node alone; features that tell the cliques apart but little."""
    dense = np.zeros((11, 11), dtype=np.float32)
    dense[:5, :5] = dense[5:10, 5:10] = 1.0
    dense[4, 5] = dense[5, 4] = 0.5
    np.fill_diagonal(dense, 0.0)
    features = np.random.default_rng(0).normal(size=(11, 6)).astype(np.float32)
    features[:5, 0] += 2.0
    features[5:10, 0] -= 2.0
    labels = np.full(11, UNLABELLED, dtype=np.int64)
    labels[[0, 9]] = 0, 1
    return TrainerTask(from_csr(sparse.csr_array(dense)), features, labels, 2)


def settings(**values: object) -> TrainerConfig:
    given = [f"trainer.{name.replace('__', '.')}={value}" for name, value in values.items()]
    return load_config(None, ["trainer.neural.epochs=40", "trainer.neural.gcnii.layers=4", *given]).trainer


def dense_propagation(graph: Graph) -> np.ndarray:
    looped = to_csr(graph).toarray().astype(np.float64) + np.eye(graph.n_nodes)
    root = looped.sum(axis=1) ** -0.5
    return root[:, None] * looped * root[None, :]


def all_rows(task: TrainerTask) -> torch.Tensor:
    return torch.arange(task.graph.n_nodes)


def test_propagation_is_symmetric_normalisation_with_self_loops() -> None:
    graph = two_cliques().graph
    np.testing.assert_allclose(self_looped(graph).toarray(), dense_propagation(graph), rtol=1e-6)


def test_one_gcn_layer_is_its_closed_form() -> None:
    from projgraph.trainers.gnn.gcn import Gcn

    task = two_cliques()
    torch.manual_seed(0)
    network = Gcn(task, task.features, NetworkConfig(layers=1)).eval()
    weights = network.layers[0].lin.weight.detach().numpy()
    expected = dense_propagation(task.graph) @ task.features @ weights
    np.testing.assert_allclose(network(all_rows(task)).detach().numpy(), expected, rtol=1e-4, atol=1e-6)


def test_two_gcn_layers_on_sparse_features_are_their_closed_form() -> None:
    from projgraph.trainers.gnn.gcn import Gcn

    task = two_cliques()
    features = np.eye(11, dtype=np.float32)  # sparse enough to be held as CSR
    torch.manual_seed(0)
    network = Gcn(task, features, NetworkConfig(hidden=4)).eval()
    spread = dense_propagation(task.graph)
    first = network.layers[0].lin.weight.detach().numpy()
    second = network.layers[1].lin.weight.detach().numpy().T
    expected = spread @ np.maximum(spread @ first, 0.0) @ second
    np.testing.assert_allclose(network(all_rows(task)).detach().numpy(), expected, rtol=1e-4, atol=1e-6)


def test_appnp_tends_to_its_closed_form() -> None:
    from projgraph.config import AppnpConfig
    from projgraph.trainers.gnn.appnp import Appnp

    task = two_cliques()
    torch.manual_seed(0)
    network = Appnp(task, task.features, AppnpConfig(steps=300, teleport=0.1, layers=1)).eval()
    own = task.features @ network.first.weight.detach().numpy()
    expected = 0.1 * np.linalg.solve(np.eye(11) - 0.9 * dense_propagation(task.graph), own)
    np.testing.assert_allclose(network(all_rows(task)).detach().numpy(), expected, rtol=1e-3, atol=1e-5)


def test_gcnii_layer_is_its_closed_form() -> None:
    from projgraph.config import GcniiConfig
    from projgraph.trainers.gnn.gcnii import Gcnii

    task = two_cliques()
    torch.manual_seed(0)
    network = Gcnii(task, task.features, GcniiConfig(layers=1, hidden=3, residual=0.1, identity=0.5)).eval()
    start = np.maximum(task.features @ network.first.weight.detach().numpy(), 0.0)
    mixed = 0.9 * dense_propagation(task.graph) @ start + 0.1 * start
    share = np.log(0.5 / 1 + 1)
    hidden = np.maximum((1 - share) * mixed + share * mixed @ network.layers[0].weight1.detach().numpy(), 0.0)
    expected = hidden @ network.last.weight.detach().numpy()
    np.testing.assert_allclose(network(all_rows(task)).detach().numpy(), expected, rtol=1e-3, atol=1e-5)


def test_sage_layer_takes_the_mean_of_neighbours() -> None:
    from projgraph.trainers.gnn.graphsage import GraphSage

    task = two_cliques()
    network = GraphSage(task, task.features, NetworkConfig(layers=1)).eval()
    layer = network.layers[0]
    adjacency = to_csr(task.graph).toarray() > 0
    mean = adjacency @ task.features / np.maximum(adjacency.sum(axis=1, keepdims=True), 1)
    expected = mean @ layer.lin_l.weight.detach().numpy().T + layer.lin_l.bias.detach().numpy()
    expected += task.features @ layer.lin_r.weight.detach().numpy().T
    np.testing.assert_allclose(network(all_rows(task)).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_gat_with_silent_attention_is_the_mean_over_neighbours_and_itself() -> None:
    from projgraph.config import GatConfig
    from projgraph.trainers.gnn.gat import Gat

    task = two_cliques()
    network = Gat(task, task.features, GatConfig(layers=1)).eval()
    layer = network.layers[0]
    torch.nn.init.zeros_(layer.att_src)
    torch.nn.init.zeros_(layer.att_dst)
    looped = (to_csr(task.graph).toarray() > 0) + np.eye(11)
    expected = looped / looped.sum(axis=1, keepdims=True) @ task.features @ layer.lin.weight.detach().numpy()
    np.testing.assert_allclose(network(all_rows(task)).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_sign_hops_are_powers() -> None:
    from projgraph.trainers.gnn.sign import powers

    task = two_cliques()
    spread = dense_propagation(task.graph)
    for hop, made in enumerate(powers(task.graph, task.features, 3)):
        expected = np.linalg.matrix_power(spread, hop) @ task.features
        np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-5)


def test_smoothed_features_tend_to_personalised_pagerank() -> None:
    from projgraph.trainers.feature_smoothing import smoothed

    task = two_cliques()
    expected = 0.2 * np.linalg.solve(np.eye(11) - 0.8 * dense_propagation(task.graph), task.features)
    made = smoothed(self_looped(task.graph), task.features, 0.2, 300)
    np.testing.assert_allclose(made, expected, rtol=1e-3, atol=1e-5)


def test_neural_graph_machine_penalty_is_the_weighted_squared_distance() -> None:
    from projgraph.config import MachineConfig
    from projgraph.trainers.neural_graph_machine import Machine

    one_edge = from_csr(sparse.csr_array(np.array([[0.0, 0.5], [0.5, 0.0]], dtype=np.float32)))
    features = np.array([[1.0, 0.0], [0.0, 2.0]], dtype=np.float32)
    task = TrainerTask(one_edge, features, np.array([0, UNLABELLED]), 1)
    network = Machine(task, features, MachineConfig(hidden=3, mixed_edges=4.0)).eval()
    hidden = np.maximum(features @ network.layers[0].weight.detach().numpy(), 0.0)
    assert float(network.penalty().detach()) == pytest.approx(
        4.0 * 0.5 * ((hidden[0] - hidden[1]) ** 2).sum(), rel=1e-5
    )
    silent = Machine(task, features, MachineConfig(mixed_edges=0.0))
    assert float(silent.penalty()) == 0.0


@pytest.mark.parametrize("name", ALL)
def test_two_cliques_are_learned_and_distributions_are_whole(name: str) -> None:
    found = trainer(name)(two_cliques(), settings(), 0)
    inner = [0, 1, 2, 3, 6, 7, 8, 9]  # the ends of the bridge belong to both where edge weights are not heeded
    assert found.labels[inner].tolist() == [0] * 4 + [1] * 4
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0, rtol=1e-5)
    assert found.reached.tolist() == [True] * 10 + [False]


@pytest.mark.parametrize("name", ALL)
def test_same_seed_same_bytes_and_the_callers_random_state_stays(name: str) -> None:
    before = torch.random.get_rng_state()
    one, other = (trainer(name)(two_cliques(), settings(), 5).probabilities.tobytes() for _ in range(2))
    assert one == other
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", ["gcn", "graphsage", "gat", "appnp", "gcnii", "sign", "feature_smoothing"])
def test_permuted_nodes_give_permuted_distributions(name: str) -> None:
    task = two_cliques()
    order = np.random.default_rng(1).permutation(11)
    permuted = TrainerTask(
        from_csr(to_csr(task.graph)[order][:, order]), task.features[order], task.labels[order], task.n_classes
    )
    quiet = settings(**{} if name == "feature_smoothing" else {f"neural__{name}__dropout": 0.0, "neural__epochs": 10})
    found, moved = (trainer(name)(one, quiet, 0).probabilities for one in (task, permuted))
    np.testing.assert_allclose(moved, found[order], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_missing_features_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"the trainer {name} needs features; give them"):
        trainer(name)(replace(two_cliques(), features=None), settings(), 0)


@pytest.mark.parametrize("name", ALL)
def test_class_without_a_label_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="1 of 3 classes have no labelled row"):
        trainer(name)(replace(two_cliques(), n_classes=3), settings(), 0)


def test_features_that_are_not_finite_or_do_not_fit_are_refused() -> None:
    task = two_cliques()
    wrong = task.features.copy()
    wrong[3, 2] = np.nan
    with pytest.raises(InputError, match="a feature is not finite"):
        trainer("gcn")(replace(task, features=wrong), settings(), 0)
    with pytest.raises(InputError, match="the graph has 11 nodes, features have 10 rows"):
        trainer("gcn")(replace(task, features=task.features[:10]), settings(), 0)


def test_divergence_is_named() -> None:
    huge = replace(two_cliques(), features=two_cliques().features * np.float32(1e38))
    with pytest.raises(ConfigError, match="sign diverged in epoch 1; lower its learning rate"):
        trainer("sign")(huge, settings(), 0)


def test_validation_ends_the_fit_early_and_its_best_epoch_counts() -> None:
    task = two_cliques()
    validation = np.full(11, UNLABELLED, dtype=np.int64)
    validation[[2, 7]] = 0, 1
    lines: list[str] = []
    patient = settings(neural__epochs=1000, neural__patience=3, neural__gcn__rate=0.5)
    found = trainer("gcn")(replace(task, validation=validation), patient, 0, lines.append)
    assert found.labels[[2, 7]].tolist() == [0, 1]
    assert len(lines) < 10


def test_progress_comes_ten_times() -> None:
    lines: list[str] = []
    trainer("sign")(two_cliques(), settings(), 0, lines.append)
    assert len(lines) == 10
    assert lines[-1].startswith("trainer: sign, epoch 40 of 40, loss ")
