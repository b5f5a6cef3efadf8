"""A graph as PyTorch Geometric's `Data`, and as a file of its tensors; it trains nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import torch
from torch_geometric.data import Data

from projgraph.atomic import atomic_write
from projgraph.errors import InputError
from projgraph.graph.export import edge_index
from projgraph.records import FloatArray, Graph, IndexArray


def to_data(graph: Graph, features: FloatArray | None = None, labels: IndexArray | None = None) -> Data:
    """`Data` with ``num_nodes``, ``edge_index`` (2, m), both directions of every edge, and ``edge_weight`` (m,).

    Its arrays are copies. `graph.given.given_graph` makes the graph of ``edge_index`` and ``edge_weight`` again.

    Args:
        graph: of n nodes.
        features: (n, d), which become ``x``, float32.
        labels: (n,) class index or ``UNLABELLED``, which become ``y``; -1 stays -1.

    Raises:
        InputError: not one row of features, or one label, for each node.
    """
    if features is not None and (features.ndim != 2 or len(features) != graph.n_nodes):
        raise InputError(f"Data: features of shape {features.shape} for {graph.n_nodes:,} nodes; expected (n, d)")
    if labels is not None and labels.shape != (graph.n_nodes,):
        raise InputError(f"Data: labels of shape {labels.shape} for {graph.n_nodes:,} nodes; expected one a node")
    edges, weights = edge_index(graph)
    data = Data(edge_index=torch.from_numpy(edges), edge_weight=torch.from_numpy(weights), num_nodes=graph.n_nodes)
    if features is not None:
        data.x = torch.from_numpy(np.array(features, dtype=np.float32))
    if labels is not None:
        data.y = torch.from_numpy(np.array(labels, dtype=np.int64))
    return data


def write_data(path: str | os.PathLike[str], data: Data, classes: Sequence[str] = ()) -> int:
    """Write the tensors of a `Data`, and the class names under ``classes`` where there are any; returns the bytes.

    ``Data.from_dict(torch.load(path))`` reads it: a dictionary, since that loads without running code from the file.

    Raises:
        OutputError: the file cannot be written; what stood there before is untouched.
    """
    content = data.to_dict() | ({"classes": list(classes)} if classes else {})
    return atomic_write(path, lambda file: torch.save(content, file))
