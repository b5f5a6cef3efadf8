"""What other programs read back is the graph."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pyarrow.parquet as pq
import pytest

from projgraph.errors import InputError, OutputError
from projgraph.graph.csr import to_csr
from projgraph.graph.export import edge_index, to_networkx, write_graphml, write_parquet
from projgraph.graph.given import given_graph
from projgraph.read.edges import read_edges

GRAPH = given_graph(([0, 1, 3], [1, 2, 0], [2.0, 0.5, 0.1]), n_nodes=5)
LABELS = ["a", None, 'ü "<&', "bad\x00\x1b", "a"]


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("indptr", "indices", "weights"))


def test_networkx_there_and_back():
    theirs = to_networkx(GRAPH, LABELS)
    assert sorted(theirs.edges(data="weight")) == [(0, 1, 2.0), (0, 3, pytest.approx(0.1)), (1, 2, 0.5)]
    assert list(theirs.nodes) == [0, 1, 2, 3, 4]
    assert [theirs.nodes[node].get("label") for node in theirs] == LABELS
    assert same(given_graph(theirs), GRAPH)


def test_graphml_there_and_back(tmp_path):
    size = write_graphml(tmp_path / "g.graphml", GRAPH, LABELS)
    assert size == (tmp_path / "g.graphml").stat().st_size
    theirs = nx.read_graphml(tmp_path / "g.graphml", node_type=int, force_multigraph=False)
    assert same(given_graph(theirs), GRAPH)
    assert [theirs.nodes[node].get("label") for node in theirs] == [*LABELS[:3], "bad\ufffd\ufffd", "a"]
    write_graphml(tmp_path / "again.graphml", GRAPH, LABELS)
    assert (tmp_path / "again.graphml").read_bytes() == (tmp_path / "g.graphml").read_bytes()


def test_parquet_there_and_back(tmp_path):
    write_parquet(tmp_path / "g.parquet", GRAPH, LABELS)
    rows = pq.read_table(tmp_path / "g.parquet").to_pylist()
    assert rows[1] == {
        "source": 0,
        "target": 3,
        "weight": pytest.approx(0.1),
        "source_label": "a",
        "target_label": "bad\x00\x1b",
    }
    assert len(rows) == GRAPH.n_edges
    assert same(given_graph(read_edges(tmp_path / "g.parquet", n_nodes=5)), GRAPH)
    write_parquet(tmp_path / "plain.parquet", GRAPH)
    assert pq.read_table(tmp_path / "plain.parquet").column_names == ["source", "target", "weight"]


def test_edge_index_there_and_back():
    edges, weights = edge_index(GRAPH)
    assert (edges.dtype, weights.dtype, edges.shape) == (np.int64, np.float32, (2, 6))
    assert weights.tolist() == to_csr(GRAPH).data.tolist()
    assert same(given_graph(edges, weights=weights, n_nodes=5, directed="error"), GRAPH)


def test_without_edges(tmp_path):
    empty = given_graph(([], []), n_nodes=2)
    assert to_networkx(empty).number_of_nodes() == 2
    assert edge_index(empty)[0].shape == (2, 0)
    write_parquet(tmp_path / "g.parquet", empty, ["a", "b"])
    assert same(given_graph(read_edges(tmp_path / "g.parquet", n_nodes=2)), empty)
    write_graphml(tmp_path / "g.graphml", empty)
    assert nx.read_graphml(tmp_path / "g.graphml").number_of_nodes() == 2


def test_errors(tmp_path):
    for write in (write_graphml, write_parquet):
        with pytest.raises(InputError, match="4 labels for 5 nodes; expected one a node, or None"):
            write(tmp_path / "g", GRAPH, ["a"] * 4)
        with pytest.raises(OutputError, match=r"the folder .* does not exist"):
            write(tmp_path / "none" / "g", GRAPH)
    assert not list(tmp_path.iterdir())
