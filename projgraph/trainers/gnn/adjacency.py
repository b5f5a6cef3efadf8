"""The graph as the convolutions take it: normalised with self-loops, or as an edge index; it knows no feature."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from projgraph.graph.csr import from_csr, normalised, to_csr
from projgraph.records import Graph


def propagation(graph: Graph) -> sparse.csr_array:
    """D^-1/2 (W + I) D^-1/2 with D the row sums of W + I (Kipf & Welling 2017); every node has at least itself."""
    return normalised(from_csr(to_csr(graph) + sparse.eye_array(graph.n_nodes, dtype=np.float32, format="csr")))


def edge_index(graph: Graph, self_loops: bool = False) -> Tensor:
    """(2, m) source and target of every stored edge, then of every node to itself."""
    targets = np.repeat(np.arange(graph.n_nodes), np.diff(graph.indptr))
    edges = np.stack([graph.indices.astype(np.int64), targets])
    if self_loops:
        edges = np.concatenate([edges, np.tile(np.arange(graph.n_nodes), (2, 1))], axis=1)
    return torch.from_numpy(edges)
