"""GraphSAGE: h_i <- relu(W_1 h_i + W_2 mean of h_j over the neighbours j); edge weights are not heeded.

Source: Hamilton, Ying & Leskovec 2017, mean aggregator, every neighbour instead of a sample.
Time O(epochs (m + n h) d).
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch_geometric.nn import SAGEConv

from projgraph.config import NetworkConfig, TrainerConfig
from projgraph.graph.csr import to_csr
from projgraph.records import FloatArray, Graph, Progress, SoftLabels, TrainerTask
from projgraph.trainers.learn import Network, learn
from projgraph.trainers.sparse_inputs import sparse_tensor


def graphsage(task: TrainerTask, config: TrainerConfig, seed: int, progress: Progress | None = None) -> SoftLabels:
    """A label distribution for every node.

    Args:
        task: graph, features and labels of n nodes; validation rows, if any, count the epochs.
        config: ``neural.graphsage`` (weight decay of all layers), epochs and patience.
        seed: of the start and of dropout.
        progress: called with one line before each stage.

    Raises:
        InputError, ConfigError: see ``learn``.
    """
    settings = config.neural.graphsage

    def build(features: FloatArray) -> tuple[Network, torch.optim.Optimizer]:
        network = GraphSage(task, features, settings)
        return network, torch.optim.Adam(network.parameters(), lr=settings.rate, weight_decay=settings.weight_decay)

    return learn("graphsage", build, task, config.neural, seed, progress)


class GraphSage(Network):
    """The network; the mean over neighbours is one product with the row-normalised adjacency."""

    def __init__(self, task: TrainerTask, features: FloatArray, settings: NetworkConfig) -> None:
        super().__init__()
        sizes = [features.shape[1], *[settings.hidden] * (settings.layers - 1), task.n_classes]
        # The matrix divides by the degree already, so what is left to PyG is a sum.
        self.layers = nn.ModuleList(
            SAGEConv(sizes[layer], sizes[layer + 1], aggr="sum") for layer in range(settings.layers)
        )
        self._features = torch.from_numpy(np.ascontiguousarray(features))
        self._mean = sparse_tensor(neighbour_mean(task.graph))
        self._dropout = settings.dropout

    def forward(self, rows: Tensor) -> Tensor:
        """(len(rows), c) logits of the given nodes."""
        hidden = self._features
        for number, layer in enumerate(self.layers):
            hidden = hidden.relu() if number else hidden
            hidden = layer(nn.functional.dropout(hidden, self._dropout, self.training), self._mean)
        return hidden[rows]


def neighbour_mean(graph: Graph) -> sparse.csr_array:
    """1 / degree in every stored edge: a product with it is the mean over neighbours, zero where there are none."""
    adjacency = to_csr(graph)
    degree = np.diff(graph.indptr)
    return sparse.csr_array(
        (np.repeat(1.0 / np.maximum(degree, 1), degree).astype(np.float32), adjacency.indices, adjacency.indptr),
        shape=adjacency.shape,
    )
