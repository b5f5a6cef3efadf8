"""Graph attention network: h_i <- sum_j softmax_j(leaky_relu(a [W h_i, W h_j])) W h_j over neighbours and i itself.

Source: Velickovic et al. 2018; several heads side by side in every layer but the last, dropout on attention too.
Edge weights are not heeded. Time O(epochs layers (m + n h) heads h).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import GATConv

from projgraph.config import GatConfig, TrainerConfig
from projgraph.records import FloatArray, Progress, SoftLabels, TrainerTask
from projgraph.trainers.gnn.edge_index import edge_index
from projgraph.trainers.learn import Network, learn
from projgraph.trainers.sparse_inputs import InputLinear, Inputs


def gat(task: TrainerTask, config: TrainerConfig, seed: int, progress: Progress | None = None) -> SoftLabels:
    """A label distribution for every node.

    Args:
        task: graph, features and labels of n nodes; validation rows, if any, count the epochs.
        config: ``neural.gat`` (weight decay of all layers), epochs and patience.
        seed: of the start and of dropout.
        progress: called with one line before each stage.

    Raises:
        InputError, ConfigError: see ``learn``.
    """
    settings = config.neural.gat

    def build(features: FloatArray) -> tuple[Network, torch.optim.Optimizer]:
        network = Gat(task, features, settings)
        return network, torch.optim.Adam(network.parameters(), lr=settings.rate, weight_decay=settings.weight_decay)

    return learn("gat", build, task, config.neural, seed, progress)


class Gat(Network):
    """The network; its first layer multiplies sparse features by its weights before it attends."""

    def __init__(self, task: TrainerTask, features: FloatArray, settings: GatConfig) -> None:
        super().__init__()
        wide = settings.hidden * settings.heads
        inputs = [features.shape[1], *[wide] * (settings.layers - 1)]
        last = settings.layers - 1
        self.layers = nn.ModuleList(
            GATConv(
                size,
                task.n_classes if layer == last else settings.hidden,
                heads=1 if layer == last else settings.heads,
                dropout=settings.dropout,
                add_self_loops=False,
            )
            for layer, size in enumerate(inputs)
        )
        self.layers[0].lin = InputLinear(inputs[0], wide if last else task.n_classes, bias=False)
        self._inputs = Inputs(features, settings.dropout)
        self._edges = edge_index(task.graph, self_loops=True)
        self._dropout = settings.dropout

    def forward(self, rows: Tensor) -> Tensor:
        """(len(rows), c) logits of the given nodes."""
        hidden = self.layers[0](self._inputs(), self._edges)
        for layer in self.layers[1:]:
            hidden = nn.functional.dropout(nn.functional.elu(hidden), self._dropout, self.training)
            hidden = layer(hidden, self._edges)
        return hidden[rows]
