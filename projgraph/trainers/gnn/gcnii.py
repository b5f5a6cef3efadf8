"""Deep GCN with initial residual and identity mapping, from layer H_0 = relu(X W_0) on:

    H_l <- relu(((1 - a) S H_(l-1) + a H_0) ((1 - b_l) I + b_l W_l)), b_l = log(lambda / l + 1)

with S = D^-1/2 (A + I) D^-1/2 and a dense layer on top. Source: Chen et al. 2020 (GCNII).
Time O(epochs layers (m + n h) h), memory O(layers n h).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import GCN2Conv

from projgraph.config import GcniiConfig, TrainerConfig
from projgraph.graph.csr import self_looped
from projgraph.records import FloatArray, Progress, SoftLabels, TrainerTask
from projgraph.trainers.learn import Network, learn
from projgraph.trainers.sparse_inputs import InputLinear, Inputs, sparse_tensor


def gcnii(task: TrainerTask, config: TrainerConfig, seed: int, progress: Progress | None = None) -> SoftLabels:
    """A label distribution for every node.

    Args:
        task: graph, features and labels of n nodes; validation rows, if any, count the epochs.
        config: ``neural.gcnii``, epochs and patience.
        seed: of the start and of dropout.
        progress: called with one line before each stage.

    Raises:
        InputError, ConfigError: see ``learn``.
    """
    settings = config.neural.gcnii

    def build(features: FloatArray) -> tuple[Network, torch.optim.Optimizer]:
        network = Gcnii(task, features, settings)
        ends = [*network.first.parameters(), *network.last.parameters()]
        groups = [
            {"params": list(network.layers.parameters()), "weight_decay": settings.layer_decay},
            {"params": ends, "weight_decay": settings.weight_decay},
        ]
        return network, torch.optim.Adam(groups, lr=settings.rate)

    return learn("gcnii", build, task, config.neural, seed, progress)


class Gcnii(Network):
    """The network."""

    def __init__(self, task: TrainerTask, features: FloatArray, settings: GcniiConfig) -> None:
        super().__init__()
        self.first = InputLinear(features.shape[1], settings.hidden)
        self.layers = nn.ModuleList(
            GCN2Conv(settings.hidden, settings.residual, settings.identity, layer + 1, normalize=False)
            for layer in range(settings.layers)
        )
        self.last = InputLinear(settings.hidden, task.n_classes)
        self._inputs = Inputs(features, settings.dropout)
        self._adjacency = sparse_tensor(self_looped(task.graph))
        self._dropout = settings.dropout

    def forward(self, rows: Tensor) -> Tensor:
        """(len(rows), c) logits of the given nodes."""
        start = hidden = self.first(self._inputs()).relu()
        for layer in self.layers:
            hidden = nn.functional.dropout(hidden, self._dropout, self.training)
            hidden = layer(hidden, start, self._adjacency).relu()
        logits: Tensor = self.last(nn.functional.dropout(hidden, self._dropout, self.training))
        return logits[rows]
