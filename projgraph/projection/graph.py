"""The projection graph: trainer nodes linked to their projection nodes, and these to each other by Hamming distance.

Source: Ravi 2017, section 6 and figure 3. Rows with identical bits share one projection node (the collapse), so that
copies of a text do not crowd out the neighbours of its node. An edge between projection nodes weighs 1 - H / (T d),
where H counts a bit against its opposite as 1 and against zero as 1/2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from projgraph.errors import InputError
from projgraph.graph.csr import from_neighbours, to_csr
from projgraph.graph.hamming import hamming_graph
from projgraph.records import UNLABELLED, Bits, FloatArray, Graph, IndexArray, Layer


@dataclass(frozen=True)
class ProjectionGraph:
    """Trainer graph, links and projection nodes.

    Attributes:
        trainer: the trainer graph of n nodes.
        links: (n,) the projection node of each trainer node; nodes are numbered as their first row appears.
        bits: the m distinct projection nodes.
        hamming: the edges between them, weighted 1 - H / (T d).
    """

    trainer: Graph
    links: IndexArray
    bits: Bits
    hamming: Graph

    @property
    def n_projection_nodes(self) -> int:
        """m, at most the number of trainer nodes."""
        return len(self.bits)

    def first_rows(self) -> IndexArray:
        """(m,) the first trainer node that is linked to each projection node."""
        return np.asarray(np.unique(self.links, return_index=True)[1], dtype=np.int64)

    def hamming_of_rows(self) -> Graph:
        """The Hamming edges as the graph loss walks them, over the n trainer nodes.

        Every node has the edges of its projection node, each ending at the first row of the other one: all rows of a
        projection node have the same bits, so it does not matter at which of them an edge ends.
        """
        # Row i is the adjacency row of links[i], its columns moved to first rows.
        adjacency = to_csr(self.hamming)[self.links].tocoo()
        columns = self.first_rows()[adjacency.coords[1]]
        rows = adjacency.coords[0].astype(np.int64)
        return from_neighbours(rows, columns, adjacency.data, self.trainer.n_nodes)


@dataclass(frozen=True)
class ProjectionGraphFigures:
    """What a projection graph is like.

    Attributes:
        nodes: trainer nodes, as many as links.
        projection_nodes: distinct ones.
        trainer_edges: undirected.
        hamming_edges: undirected.
        link_agreement: chance that two labelled rows of one projection node, drawn with replacement, have one label,
            the mean over projection nodes with a labelled row.
        trainer_agreement: share of the trainer edges between labelled nodes whose ends have one label.
        hamming_agreement: chance that a labelled row of one end and one of the other have one label, the mean over
            Hamming edges with labelled rows on both ends.

    An agreement is None where no edge or node can tell.
    """

    nodes: int
    projection_nodes: int
    trainer_edges: int
    hamming_edges: int
    link_agreement: float | None
    trainer_agreement: float | None
    hamming_agreement: float | None


def projection_graph(graph: Graph, bits: Bits, neighbours: int) -> ProjectionGraph:
    """Link every trainer node to its projection node and join these to their nearest ones.

    Args:
        graph: the trainer graph of n nodes.
        bits: of the same n nodes.
        neighbours: Hamming edges that each projection node asks for, itself not counted.

    Raises:
        InputError: graph and bits do not have as many nodes.
        ConfigError: for neighbours below one.
    """
    if graph.n_nodes != len(bits):
        raise InputError(
            f"projection graph: {graph.n_nodes} trainer nodes and {len(bits)} rows of bits; expected the same rows"
        )
    links, firsts = _collapse(bits)
    distinct = bits.select(firsts)
    return ProjectionGraph(graph, links, distinct, hamming_graph(distinct, neighbours))


def learned_bits(bits: Bits, hidden: Layer) -> Bits:
    """The signs of a student's hidden sums as projection nodes: one bit a unit, set where the unit fires.

    Args:
        bits: n rows that the layer reads.
        hidden: (n_bits, units) weights and (units,) bias.
    """
    fires = np.concatenate(
        [
            bits.select(block).values(np.float32) @ hidden.weights + hidden.bias > 0
            for block in np.array_split(np.arange(len(bits)), max(-(-len(bits) // 4096), 1))
        ]
    )
    positive, negative = (np.packbits(plane, axis=1, bitorder="little") for plane in (fires, ~fires))
    return Bits(positive, negative, fires.shape[1])


def describe_projection_graph(graph: ProjectionGraph, labels: IndexArray) -> ProjectionGraphFigures:
    """Counts, and how far labels agree along links and edges.

    Args:
        graph: of n trainer nodes.
        labels: (n,) class index, or ``UNLABELLED``.

    Raises:
        InputError: there is not one label entry for each node.
    """
    if len(labels) != len(graph.links):
        raise InputError(f"projection graph: {len(labels)} labels for {len(graph.links)} nodes; expected one for each")
    shares = _label_shares(graph, labels)
    known = np.diff(shares.indptr) > 0
    within = np.asarray(shares.multiply(shares).sum(axis=1)).ravel()[known]
    rows, columns = _ends(graph.trainer)
    told = (labels[rows] != UNLABELLED) & (labels[columns] != UNLABELLED)
    agree = labels[rows[told]] == labels[columns[told]]
    rows, columns = _ends(graph.hamming)
    told = known[rows] & known[columns]
    across = np.asarray(shares[rows[told]].multiply(shares[columns[told]]).sum(axis=1)).ravel()
    return ProjectionGraphFigures(
        nodes=graph.trainer.n_nodes,
        projection_nodes=graph.n_projection_nodes,
        trainer_edges=graph.trainer.n_edges,
        hamming_edges=graph.hamming.n_edges,
        link_agreement=float(within.mean()) if len(within) else None,
        trainer_agreement=float(agree.mean()) if len(agree) else None,
        hamming_agreement=float(across.mean()) if len(across) else None,
    )


def to_networkx(graph: ProjectionGraph, rows: IndexArray | None = None) -> Any:
    """A networkx graph of both layers, for drawing.

    Nodes are ``("trainer", i)`` and ``("projection", p)`` with the attribute ``kind``, a projection node with its
    ``rows`` (how many trainer nodes share it) too; edges have ``kind`` ("trainer", "link" or "hamming") and ``weight``,
    a link's being 1.

    Args:
        graph: of n trainer nodes.
        rows: the trainer nodes to draw, with their projection nodes and the edges among all these; None draws all.

    Raises:
        InputError: a row is not one of the n.
    """
    import networkx

    n_nodes = len(graph.links)
    chosen = np.arange(n_nodes) if rows is None else np.unique(rows)
    if len(chosen) and not 0 <= chosen[0] <= chosen[-1] < n_nodes:
        raise InputError(f"drawing: rows from {chosen[0]} to {chosen[-1]}; expected rows of 0 to {n_nodes - 1}")
    linked = np.unique(graph.links[chosen])
    shared = np.bincount(graph.links, minlength=graph.n_projection_nodes)
    drawn = networkx.Graph()
    drawn.add_nodes_from((("trainer", int(row)), {"kind": "trainer"}) for row in chosen)
    drawn.add_nodes_from((("projection", int(p)), {"kind": "projection", "rows": int(shared[p])}) for p in linked)
    for row in chosen:
        drawn.add_edge(("trainer", int(row)), ("projection", int(graph.links[row])), kind="link", weight=1.0)
    for kind, node, edges, kept in (
        ("trainer", "trainer", graph.trainer, chosen),
        ("hamming", "projection", graph.hamming, linked),
    ):
        among = to_csr(edges)[kept][:, kept].tocoo()
        for one, other, weight in zip(*among.coords, among.data, strict=True):
            if one < other:
                drawn.add_edge((node, int(kept[one])), (node, int(kept[other])), kind=kind, weight=float(weight))
    return drawn


def _collapse(bits: Bits) -> tuple[IndexArray, IndexArray]:
    """(n,) projection node of each row and (m,) first row of each, numbered by first appearance."""
    planes = np.ascontiguousarray(np.hstack([bits.positive, bits.negative]))
    if not len(planes):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    keys = planes.view(np.dtype((np.void, planes.shape[1]))).ravel()
    _, firsts, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(firsts)
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.arange(len(order))
    return number[inverse.ravel()], firsts[order].astype(np.int64)


def _label_shares(graph: ProjectionGraph, labels: IndexArray) -> sparse.csr_array:
    """(m, c) label distribution of the labelled rows of each projection node; an empty row where none is."""
    told = np.flatnonzero(labels != UNLABELLED)
    shape = (graph.n_projection_nodes, int(labels.max(initial=0)) + 1)
    counts = sparse.csr_array((np.ones(len(told)), (graph.links[told], labels[told])), shape=shape)
    counts.sum_duplicates()
    totals: FloatArray = np.asarray(counts.sum(axis=1)).ravel()
    return sparse.csr_array(
        (counts.data / np.repeat(totals, np.diff(counts.indptr)), counts.indices, counts.indptr), shape=shape
    )


def _ends(graph: Graph) -> tuple[IndexArray, IndexArray]:
    """Both ends of every undirected edge, each edge once."""
    rows = graph.sources
    once = rows < graph.indices
    return rows[once], graph.indices[once].astype(np.int64)
