"""The graph as the convolutions take it: an edge index; it knows no feature."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from projgraph.records import Graph


def edge_index(graph: Graph, self_loops: bool = False) -> Tensor:
    """(2, m) source and target of every stored edge, then of every node to itself."""
    targets = graph.sources
    edges = np.stack([graph.indices.astype(np.int64), targets])
    if self_loops:
        edges = np.concatenate([edges, np.tile(np.arange(graph.n_nodes), (2, 1))], axis=1)
    return torch.from_numpy(edges)
