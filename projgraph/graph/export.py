"""Graphs for other programs: networkx, GraphML, Parquet, the arrays of PyG; it knows no label but as a word."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from projgraph.atomic import atomic_write
from projgraph.errors import InputError
from projgraph.records import FloatArray, Graph, IndexArray

_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def edge_index(graph: Graph) -> tuple[IndexArray, FloatArray]:
    """PyG's ``edge_index``, (2, m) with both directions of every edge, and ``edge_weight``, (m,).

    ``Data(edge_index=torch.from_numpy(edges), edge_weight=torch.from_numpy(weights), num_nodes=graph.n_nodes)``.
    """
    rows = graph.sources
    return np.stack([rows, graph.indices.astype(np.int64)]), graph.weights.copy()


def to_networkx(graph: Graph, labels: Sequence[str | None] | None = None) -> Any:
    """A `networkx.Graph` of nodes 0 to n - 1, edges with ``weight``, and nodes with ``label`` where one is known.

    Raises:
        InputError: not one label a node.
    """
    import networkx as nx

    _check_labels(graph, labels)
    result = nx.Graph()
    result.add_nodes_from(range(graph.n_nodes))
    for node, label in enumerate(labels or ()):
        if label is not None:
            result.nodes[node]["label"] = label
    sources, targets, weights = _each_once(graph)
    result.add_weighted_edges_from(zip(sources.tolist(), targets.tolist(), weights.tolist(), strict=True))
    return result


def write_graphml(path: str | os.PathLike[str], graph: Graph, labels: Sequence[str | None] | None = None) -> int:
    """Write GraphML, which Gephi, yEd and igraph read; returns the bytes. Characters that XML lacks become U+FFFD.

    Raises:
        InputError: not one label a node.
        OutputError: the file cannot be written; what stood there before is untouched.
    """
    from networkx.readwrite.graphml import write_graphml_xml

    clean = None if labels is None else [None if label is None else _NOT_XML.sub("\ufffd", label) for label in labels]
    content = to_networkx(graph, clean)

    def write(file: BinaryIO) -> None:
        write_graphml_xml(content, file, encoding="utf-8")

    return atomic_write(path, write)


def write_parquet(path: str | os.PathLike[str], graph: Graph, labels: Sequence[str | None] | None = None) -> int:
    """Write each edge once as a row of source, target and weight; returns the bytes.

    Args:
        path: the file. `read.edges` reads it back; nodes without edges, which no row names, need their number there.
        graph: what to write.
        labels: of the n nodes, None where unknown; they become columns ``source_label`` and ``target_label``.

    Raises:
        InputError: not one label a node.
        OutputError: the file cannot be written; what stood there before is untouched.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check_labels(graph, labels)
    sources, targets, weights = _each_once(graph)
    columns = {"source": pa.array(sources), "target": pa.array(targets), "weight": pa.array(weights)}
    if labels is not None:
        words = pa.array(list(labels), type=pa.string()).dictionary_encode()
        columns |= {"source_label": words.take(columns["source"]), "target_label": words.take(columns["target"])}
    table = pa.table(columns)
    return atomic_write(path, lambda file: pq.write_table(table, file, compression="zstd"))


def _each_once(graph: Graph) -> tuple[IndexArray, IndexArray, NDArray[np.float32]]:
    (sources, targets), weights = edge_index(graph)
    once = sources < targets
    return sources[once], targets[once], weights[once]


def _check_labels(graph: Graph, labels: Sequence[str | None] | None) -> None:
    if labels is not None and len(labels) != graph.n_nodes:
        raise InputError(f"graph: {len(labels):,} labels for {graph.n_nodes:,} nodes; expected one a node, or None")
