"""Graph convolutional network: H <- relu(S H W), S = D^-1/2 (A + I) D^-1/2, softmax on top.

Source: Kipf & Welling 2017, with dropout and weight decay on the first layer. Time O(epochs layers (m + n h) h).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import GCNConv

from projgraph.config import NetworkConfig, TrainerConfig
from projgraph.graph.csr import self_looped
from projgraph.records import FloatArray, Progress, SoftLabels, TrainerTask
from projgraph.trainers.learn import Network, learn
from projgraph.trainers.sparse_inputs import InputLinear, Inputs, sparse_tensor


def gcn(task: TrainerTask, config: TrainerConfig, seed: int, progress: Progress | None = None) -> SoftLabels:
    """A label distribution for every node.

    Args:
        task: graph, features and labels of n nodes; validation rows, if any, count the epochs.
        config: ``neural.gcn``, epochs and patience.
        seed: of the start and of dropout.
        progress: called with one line before each stage.

    Raises:
        InputError, ConfigError: see ``learn``.
    """
    settings = config.neural.gcn

    def build(features: FloatArray) -> tuple[Network, torch.optim.Optimizer]:
        network = Gcn(task, features, settings)
        first, *others = network.layers
        groups = [
            {"params": first.parameters(), "weight_decay": settings.weight_decay},
            {"params": [parameter for layer in others for parameter in layer.parameters()], "weight_decay": 0.0},
        ]
        return network, torch.optim.Adam([group for group in groups if group["params"]], lr=settings.rate)

    return learn("gcn", build, task, config.neural, seed, progress)


class Gcn(Network):
    """The network; its first layer multiplies sparse features by its weights before it propagates."""

    def __init__(self, task: TrainerTask, features: FloatArray, settings: NetworkConfig) -> None:
        super().__init__()
        sizes = [features.shape[1], *[settings.hidden] * (settings.layers - 1), task.n_classes]
        self.layers = nn.ModuleList(
            GCNConv(sizes[layer], sizes[layer + 1], normalize=False) for layer in range(settings.layers)
        )
        self.layers[0].lin = InputLinear(sizes[0], sizes[1], bias=False)
        self._inputs = Inputs(features, settings.dropout)
        self._adjacency = sparse_tensor(self_looped(task.graph))
        self._dropout = settings.dropout

    def forward(self, rows: Tensor) -> Tensor:
        """(len(rows), c) logits of the given nodes."""
        hidden = self.layers[0](self._inputs(), self._adjacency)
        for layer in self.layers[1:]:
            hidden = nn.functional.dropout(hidden.relu(), self._dropout, self.training)
            hidden = layer(hidden, self._adjacency)
        return hidden[rows]
