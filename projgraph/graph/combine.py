"""Union and intersection of graphs over the same nodes; it knows nothing of where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from projgraph.errors import ConfigError, InputError
from projgraph.graph.csr import from_csr, to_csr
from projgraph.records import Graph

Both = Literal["maximum", "sum"]


def union(graphs: Sequence[Graph], both: Both = "maximum") -> Graph:
    """Every edge of any graph.

    Args:
        graphs: one or more, over the same nodes.
        both: what an edge of several graphs weighs: the largest of its weights, or their sum.

    Raises:
        InputError: no graph, or graphs of different numbers of nodes.
        ConfigError: another way to weigh.
    """
    if both not in ("maximum", "sum"):
        raise ConfigError(f"union of graphs: both={both!r}; expected 'maximum' or 'sum'")
    _check(graphs, "union")
    matrix: Any = to_csr(graphs[0])
    for graph in graphs[1:]:
        matrix = matrix.maximum(to_csr(graph)) if both == "maximum" else matrix + to_csr(graph)
    return from_csr(matrix)


def intersection(graphs: Sequence[Graph]) -> Graph:
    """The edges that all graphs have, each with the smallest of its weights.

    Raises:
        InputError: no graph, or graphs of different numbers of nodes.
    """
    _check(graphs, "intersection")
    matrix: Any = to_csr(graphs[0])
    for graph in graphs[1:]:
        matrix = matrix.minimum(to_csr(graph))
    return from_csr(matrix)


def _check(graphs: Sequence[Graph], what: str) -> None:
    if not graphs:
        raise InputError(f"{what} of graphs: none was given; expected one or more")
    counts = [graph.n_nodes for graph in graphs]
    if len(set(counts)) > 1:
        raise InputError(f"{what} of graphs: they have {', '.join(map(str, counts))} nodes; expected the same nodes")
