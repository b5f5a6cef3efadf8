"""PyG's Data of a graph: the graph comes back, features and labels by value, and other rows are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from projgraph.errors import InputError, OutputError
from projgraph.graph.given import given_graph
from projgraph.trainers.gnn.data import to_data, write_data

GRAPH = given_graph(([0, 1, 3], [1, 2, 0], [2.0, 0.5, 0.1]), n_nodes=5)


def test_there_and_back():
    features = np.arange(10.0).reshape(5, 2)
    data = to_data(GRAPH, features, np.array([1, -1, 0, 0, -1]))
    assert data.num_nodes == 5
    assert data.is_undirected()
    assert data.edge_index.tolist() == [[0, 0, 1, 1, 2, 3], [1, 3, 0, 2, 1, 0]]
    assert data.edge_weight.tolist() == pytest.approx([2.0, 0.1, 2.0, 0.5, 0.5, 0.1])
    assert (data.x.dtype, data.y.dtype) == (torch.float32, torch.int64)
    assert np.array_equal(data.x, features)
    assert data.y.tolist() == [1, -1, 0, 0, -1]
    back = given_graph(data.edge_index.numpy(), weights=data.edge_weight.numpy(), n_nodes=5, directed="error")
    assert all(np.array_equal(getattr(back, name), getattr(GRAPH, name)) for name in ("indptr", "indices", "weights"))


def test_nothing_is_shared():
    features = np.ones((5, 2), dtype=np.float32)
    data = to_data(GRAPH, features)
    data.x.zero_()
    data.edge_weight.zero_()
    assert features.all()
    assert GRAPH.weights.all()
    assert "y" not in data


def test_other_rows():
    with pytest.raises(InputError, match=r"features of shape \(4, 2\) for 5 nodes"):
        to_data(GRAPH, np.zeros((4, 2)))
    with pytest.raises(InputError, match=r"labels of shape \(6,\) for 5 nodes; expected one a node"):
        to_data(GRAPH, labels=np.zeros(6, dtype=np.int64))


def test_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match="does not exist"):
        write_data(tmp_path / "none" / "g.pt", to_data(GRAPH))
