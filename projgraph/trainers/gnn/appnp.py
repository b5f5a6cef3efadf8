"""Predict, then propagate: Z <- (1 - a) S Z + a MLP(X) for K steps, S = D^-1/2 (A + I) D^-1/2, softmax on top.

Source: Gasteiger, Bojchevski & Günnemann 2019 (APPNP), without dropout on edges. As K grows, Z tends to
a (I - (1 - a) S)^-1 MLP(X). Time O(epochs (K m c + n d h)).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch_geometric.nn import APPNP

from projgraph.config import AppnpConfig, TrainerConfig
from projgraph.graph.csr import self_looped
from projgraph.records import FloatArray, Progress, SoftLabels, TrainerTask
from projgraph.trainers.learn import Network, learn
from projgraph.trainers.sparse_inputs import InputLinear, Inputs, sparse_tensor


def appnp(task: TrainerTask, config: TrainerConfig, seed: int, progress: Progress | None = None) -> SoftLabels:
    """A label distribution for every node.

    Args:
        task: graph, features and labels of n nodes; validation rows, if any, count the epochs.
        config: ``neural.appnp``, epochs and patience.
        seed: of the start and of dropout.
        progress: called with one line before each stage.

    Raises:
        InputError, ConfigError: see ``learn``.
    """
    settings = config.neural.appnp

    def build(features: FloatArray) -> tuple[Network, torch.optim.Optimizer]:
        network = Appnp(task, features, settings)
        groups = [{"params": list(network.first.parameters()), "weight_decay": settings.weight_decay}]
        if len(network.others):
            groups.append({"params": list(network.others.parameters()), "weight_decay": 0.0})
        return network, torch.optim.Adam(groups, lr=settings.rate)

    return learn("appnp", build, task, config.neural, seed, progress)


class Appnp(Network):
    """The network: an MLP on each node alone, then propagation without weights."""

    def __init__(self, task: TrainerTask, features: FloatArray, settings: AppnpConfig) -> None:
        super().__init__()
        sizes = [features.shape[1], *[settings.hidden] * (settings.layers - 1), task.n_classes]
        self.first = InputLinear(sizes[0], sizes[1])
        self.others = nn.ModuleList(InputLinear(*pair) for pair in pairwise(sizes[1:]))
        self.propagate = APPNP(settings.steps, settings.teleport, normalize=False)
        self._inputs = Inputs(features, settings.dropout)
        self._adjacency = sparse_tensor(self_looped(task.graph))
        self._dropout = settings.dropout

    def forward(self, rows: Tensor) -> Tensor:
        """(len(rows), c) logits of the given nodes."""
        hidden = self.first(self._inputs())
        for layer in self.others:
            hidden = layer(nn.functional.dropout(hidden.relu(), self._dropout, self.training))
        propagated: Tensor = self.propagate(hidden, self._adjacency)
        return propagated[rows]
