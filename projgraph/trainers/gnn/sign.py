"""Scalable inception graph network: an MLP over [X, S X, ..., S^K X], S = D^-1/2 (A + I) D^-1/2, powers made once.

Each power has a layer of its own, prelu, and one layer on top of all. After the powers are made no edge is needed, so
a step costs its batch whatever the graph. Source: Frasca et al. 2020. Memory O(K n d), a step O(batch K d h).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from projgraph.config import SignConfig, TrainerConfig
from projgraph.graph.csr import self_looped
from projgraph.records import FloatArray, Graph, Progress, SoftLabels, TrainerTask
from projgraph.trainers.learn import Network, learn
from projgraph.trainers.sparse_inputs import InputLinear


def sign(task: TrainerTask, config: TrainerConfig, seed: int, progress: Progress | None = None) -> SoftLabels:
    """A label distribution for every node.

    Args:
        task: graph, features and labels of n nodes; validation rows, if any, count the epochs.
        config: ``neural.sign`` (weight decay of all layers), epochs and patience.
        seed: of the start, of dropout and of the order of rows.
        progress: called with one line before each stage.

    Raises:
        InputError, ConfigError: see ``learn``.
    """
    settings = config.neural.sign

    def build(features: FloatArray) -> tuple[Network, torch.optim.Optimizer]:
        network = Sign(powers(task.graph, features, settings.hops), task.n_classes, settings)
        return network, torch.optim.Adam(network.parameters(), lr=settings.rate, weight_decay=settings.weight_decay)

    return learn("sign", build, task, config.neural, seed, progress, settings.batch)


def powers(graph: Graph, features: FloatArray, hops: int) -> list[FloatArray]:
    """[X, S X, ..., S^hops X], (n, d) each."""
    spread = self_looped(graph)
    made = [np.ascontiguousarray(features, dtype=np.float32)]
    for _ in range(hops):
        made.append(np.asarray(spread @ made[-1]))
    return made


class Sign(Network):
    """The network over powers made beforehand."""

    row_wise = True

    def __init__(self, made: list[FloatArray], n_classes: int, settings: SignConfig) -> None:
        super().__init__()
        self.hops = nn.ModuleList(InputLinear(power.shape[1], settings.hidden) for power in made)
        self.activation = nn.PReLU()
        self.last = InputLinear(settings.hidden * len(made), n_classes)
        self._powers = [torch.from_numpy(power) for power in made]
        self._dropout = settings.dropout

    def forward(self, rows: Tensor) -> Tensor:
        """(len(rows), c) logits of the given nodes."""
        hidden = torch.cat(
            [
                layer(nn.functional.dropout(power[rows], self._dropout, self.training))
                for layer, power in zip(self.hops, self._powers, strict=True)
            ],
            dim=1,
        )
        logits: Tensor = self.last(nn.functional.dropout(self.activation(hidden), self._dropout, self.training))
        return logits
