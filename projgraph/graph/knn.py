"""Nearest-neighbour graph of feature rows by cosine or Euclidean distance; it knows rows, not what a row means.

Edges join each row to its ``neighbours`` nearest other rows, equal rows not counted (`graph.duplicates` says how those
are joined), weighted as `graph.weights` says and symmetrised by maximum. `graph.search` finds them, exactly or nearly.
"""

from __future__ import annotations

import numpy as np

from projgraph.errors import ConfigError
from projgraph.graph.csr import first_others
from projgraph.graph.duplicates import Copies, find_copies, spread_over_copies
from projgraph.graph.rows import centred_rows, check_finite, unit_rows
from projgraph.graph.search import METRICS, Method, Metric, Neighbours, nearest
from projgraph.graph.weights import Weight, chosen_weight, edge_weights, gaussian_weights, local_scales
from projgraph.records import FloatArray, Graph, GraphBuild, IndexArray

_ROUNDING = 1 << 16
"""Unit rows that are equal when rounded to this part differ by less than float32 can tell of their cosine."""


def knn_graph(features: FloatArray, neighbours: int, temperature: float) -> Graph:
    """Join every row to its nearest rows by cosine, weighted ``exp((cos - 1) / temperature)``; see `build_knn`."""
    return build_knn(features, neighbours, temperature).graph


def build_knn(
    features: FloatArray,
    neighbours: int,
    temperature: float = 0.1,
    *,
    metric: Metric = "cosine",
    weight: Weight = "auto",
    mutual: bool = False,
    method: Method = "auto",
    recall: float = 0.95,
    seed: int = 0,
) -> GraphBuild:
    """Join every row to its nearest rows.

    Args:
        features: (n, d) float32; by cosine a row of zeros gets no edge.
        neighbours: edges each row asks for, itself and its copies not counted; fewer where there are fewer other rows.
        temperature: of the exponential weight, above zero.
        metric: how rows are compared.
        weight: of an edge, as in `graph.weights`.
        mutual: keep an edge only where both ends ask for it; otherwise where either does.
        method: of the search, as in `graph.search`.
        recall: share of the true neighbours that a near search aims for, above 0, at most 1.
        seed: of the sample that recall is measured on.

    Raises:
        ConfigError: a setting out of range or unknown, or features that are not finite.
    """
    if neighbours < 1 or not temperature > 0:
        raise ConfigError(f"knn graph: neighbours={neighbours}, temperature={temperature}; both must be above zero")
    if metric not in METRICS:
        raise ConfigError(f"knn graph: metric={metric!r}; expected one of {', '.join(METRICS)}")
    weight = chosen_weight(weight, metric, temperature)
    check_finite(features, "knn graph")
    scale = 1.0
    if metric == "cosine":
        described, rows = unit_rows(features)
        copies = find_copies(np.rint(rows * _ROUNDING).astype(np.int32))
    else:
        described, (rows, scale) = np.arange(len(features)), centred_rows(features)
        copies = find_copies(features)
    count = min(neighbours, max(len(copies.firsts) - 1, 0))
    distinct = rows[copies.firsts] if copies.any else rows
    # Without another row to find there still may be copies to join.
    near = nearest(distinct, count + 1, metric, method=method, recall=recall, seed=seed) if count else _NOTHING
    among = _joined(near, copies, count, weight, temperature / scale**2, mutual)
    return GraphBuild(_placed(among, described, len(features)), near.recall, near.method)


_NOTHING = Neighbours(np.zeros((0, 1), np.float32), np.zeros((0, 1), np.int64), 1.0, "flat")


def _joined(near: Neighbours, copies: Copies, count: int, weight: Weight, temperature: float, mutual: bool) -> Graph:
    """The graph of all rows that were searched, from what was found for the distinct ones."""
    kept = first_others(near.found, count)
    askers, place = np.nonzero(kept)
    found, squared = near.found[askers, place], near.squared[askers, place]
    if weight == "gaussian":
        weights = gaussian_weights(squared, local_scales(near.squared, kept), askers, found)
    else:
        weights = edge_weights(squared, weight, temperature)
    return spread_over_copies(copies, askers, found, weights, mutual)


def _placed(graph: Graph, described: IndexArray, n_nodes: int) -> Graph:
    """The same edges among n nodes, of which those that were not searched have none."""
    degrees = np.zeros(n_nodes + 1, dtype=np.int64)
    degrees[described + 1] = np.diff(graph.indptr)
    return Graph(np.cumsum(degrees), described[graph.indices].astype(np.int32), graph.weights)
