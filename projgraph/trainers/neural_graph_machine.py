"""Neural graph machine: an MLP whose hidden units are drawn together along edges; after training it needs no edge.

    loss = CE(labelled rows) + sum over drawn edges of a_type w_uv |h(u) - h(v)|^2 / edges drawn

where h is the last hidden layer and the type of an edge is labelled-labelled, labelled-unlabelled or
unlabelled-unlabelled. Source: Bui, Ravi & Ramavajjala 2018. A step costs O(batch d h), whatever the graph.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from projgraph.config import MachineConfig, TrainerConfig
from projgraph.records import UNLABELLED, FloatArray, Progress, SoftLabels, TrainerTask
from projgraph.trainers.learn import Network, learn
from projgraph.trainers.sparse_inputs import InputLinear


def neural_graph_machine(
    task: TrainerTask, config: TrainerConfig, seed: int, progress: Progress | None = None
) -> SoftLabels:
    """A label distribution for every node.

    Args:
        task: graph, features and labels of n nodes; validation rows, if any, count the epochs.
        config: ``neural.machine`` (weight decay of all layers), epochs and patience.
        seed: of the start, of dropout, of the order of rows and of the drawn edges.
        progress: called with one line before each stage.

    Raises:
        InputError, ConfigError: see ``learn``.
    """
    settings = config.neural.machine

    def build(features: FloatArray) -> tuple[Network, torch.optim.Optimizer]:
        network = Machine(task, features, settings)
        return network, torch.optim.Adam(network.parameters(), lr=settings.rate, weight_decay=settings.weight_decay)

    return learn("neural_graph_machine", build, task, config.neural, seed, progress, settings.batch)


class Machine(Network):
    """The MLP and the edges that it draws."""

    row_wise = True

    def __init__(self, task: TrainerTask, features: FloatArray, settings: MachineConfig) -> None:
        super().__init__()
        sizes = [features.shape[1], *[settings.hidden] * (settings.layers - 1)]
        self.layers = nn.ModuleList(InputLinear(*pair) for pair in pairwise(sizes))
        self.last = InputLinear(sizes[-1], task.n_classes)
        self._features = torch.from_numpy(np.ascontiguousarray(features))
        self._dropout, self._batch = settings.dropout, settings.batch
        graph, labelled = task.graph, task.labels != UNLABELLED
        starts = graph.sources
        types = labelled[starts].astype(np.int64) + labelled[graph.indices]
        shares = np.array([settings.unlabelled_edges, settings.mixed_edges, settings.labelled_edges], dtype=np.float32)
        # Each undirected edge once; an edge of weight zero is never drawn.
        kept = np.flatnonzero((starts < graph.indices) & (shares[types] > 0))
        self._starts, self._ends = (
            torch.from_numpy(starts[kept]),
            torch.from_numpy(graph.indices[kept].astype(np.int64)),
        )
        self._weights = torch.from_numpy(graph.weights[kept] * shares[types[kept]])

    def forward(self, rows: Tensor) -> Tensor:
        """(len(rows), c) logits of the given nodes."""
        logits: Tensor = self.last(nn.functional.dropout(self._hidden(rows), self._dropout, self.training))
        return logits

    def penalty(self) -> Tensor:
        """The mean weighted squared distance over drawn edges."""
        if not len(self._weights):
            return torch.zeros(())
        drawn = torch.randint(len(self._weights), (self._batch,))
        distance = (self._hidden(self._starts[drawn]) - self._hidden(self._ends[drawn])).square().sum(dim=1)
        return (self._weights[drawn] * distance).mean()

    def _hidden(self, rows: Tensor) -> Tensor:
        hidden = self._features[rows]
        for layer in self.layers:
            hidden = layer(nn.functional.dropout(hidden, self._dropout, self.training)).relu()
        return hidden
