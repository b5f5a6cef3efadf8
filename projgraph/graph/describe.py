"""What a graph looks like in figures: degrees, components, and what its edges know of labels; it changes nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import sparse

from projgraph.errors import InputError
from projgraph.graph.csr import to_csr
from projgraph.records import Graph, IndexArray


@dataclass(frozen=True)
class GraphDescription:
    """Figures of a graph; those of degrees and weights are None where there is no node or no edge.

    Attributes:
        nodes: nodes.
        edges: undirected edges.
        isolated: nodes without an edge.
        components: connected components, isolated nodes included.
        largest_component: nodes of the largest.
        degree_min: edges of the node with the fewest.
        degree_median: of the node in the middle.
        degree_max: of the node with the most.
        degree_mean: edges a node.
        weight_min: the smallest weight.
        weight_median: the weight in the middle.
        weight_max: the largest weight.
        labelled: nodes with a known label; None, as all below, where no labels were given.
        unreached: nodes that no path joins to a labelled one.
        known_edges: edges whose two ends have known labels.
        agreement: share of those whose ends have the same label; None without such edges.
        weighted_agreement: their share of the weight.
    """

    nodes: int
    edges: int
    isolated: int
    components: int
    largest_component: int
    degree_min: int | None
    degree_median: float | None
    degree_max: int | None
    degree_mean: float | None
    weight_min: float | None
    weight_median: float | None
    weight_max: float | None
    labelled: int | None = None
    unreached: int | None = None
    known_edges: int | None = None
    agreement: float | None = None
    weighted_agreement: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Every figure by its name."""
        return asdict(self)


def describe_graph(graph: Graph, labels: IndexArray | None = None) -> GraphDescription:
    """Count a graph: O(n + m).

    Args:
        graph: of n nodes.
        labels: (n,) class index of each node, or ``UNLABELLED``.

    Raises:
        InputError: not one label a node.
    """
    degrees = np.diff(graph.indptr)
    components, component = sparse.csgraph.connected_components(to_csr(graph), directed=False)
    some = len(graph.weights) > 0
    known: dict[str, int | float | None] = (
        {} if labels is None else _of_labels(graph, labels, component.astype(np.int64))
    )
    return GraphDescription(
        nodes=graph.n_nodes,
        edges=graph.n_edges,
        isolated=int(np.count_nonzero(degrees == 0)),
        components=int(components),
        largest_component=int(np.bincount(component).max(initial=0)),
        degree_min=int(degrees.min()) if len(degrees) else None,
        degree_median=float(np.median(degrees)) if len(degrees) else None,
        degree_max=int(degrees.max()) if len(degrees) else None,
        degree_mean=float(degrees.mean()) if len(degrees) else None,
        weight_min=float(graph.weights.min()) if some else None,
        weight_median=float(np.median(graph.weights)) if some else None,
        weight_max=float(graph.weights.max()) if some else None,
        **known,  # type: ignore[arg-type]
    )


def _of_labels(graph: Graph, labels: IndexArray, component: IndexArray) -> dict[str, int | float | None]:
    if labels.shape != (graph.n_nodes,):
        raise InputError(f"graph: labels of shape {labels.shape} for {graph.n_nodes:,} nodes; expected one a node")
    has_label = labels >= 0
    rows = graph.sources
    both = has_label[rows] & has_label[graph.indices]
    same = labels[rows[both]] == labels[graph.indices[both]]
    weights = graph.weights[both].astype(np.float64)
    return {
        "labelled": int(np.count_nonzero(has_label)),
        "unreached": int(np.count_nonzero(~np.isin(component, np.unique(component[has_label])))),
        "known_edges": int(np.count_nonzero(both)) // 2,
        "agreement": float(same.mean()) if len(same) else None,
        "weighted_agreement": float(weights[same].sum() / weights.sum()) if len(same) else None,
    }
