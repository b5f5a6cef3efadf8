"""Nearest-neighbour graph of projection nodes by Hamming distance; it knows packed bits, not what a bit means.

An edge weighs ``1 - H / (2 T d)``: H counts differing bits over both planes, so that a bit next to its opposite is at
distance 2 and next to zero at distance 1 (Ravi 2017, section 6, writes 1 - H / d for two-valued bits). Where no value
is zero, as under the sign quantiser, the planes are each other's complement: one is searched, and H is twice what it
differs by, so the weight is Ravi's. Exact search: n^2 / 2 distances of T d bits a plane, see `kernels.hamming`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from projgraph.errors import ConfigError
from projgraph.graph.duplicates import find_copies, spread_over_copies
from projgraph.graph.hamming_index import approximate_neighbours
from projgraph.kernels.hamming import Found, HammingNeighbours
from projgraph.records import Bits, Graph, Progress, StateKeeper

Method = Literal["auto", "exact", "ivf", "hnsw", "multihash"]

EXACT_WORK = 2.4e15
"""Rows x rows x searched bits that `auto` still searches exactly: 1.5 million rows of 512 ternary bits, some minutes on
two cores with AVX-512. A constant, not a measurement, so that every machine builds the same graph."""

_STATE = "hamming_neighbours"


@dataclass(frozen=True)
class HammingGraph:
    """A graph and how it was found.

    Attributes:
        graph: of the n nodes.
        method: the search that was used, never ``auto``.
        recall: the share of exact neighbours that were found: 1 for exact search, else measured on a sample of rows.
    """

    graph: Graph
    method: Method
    recall: float


def hamming_graph(bits: Bits, neighbours: int, method: Method = "auto", mutual: bool = False) -> Graph:
    """The graph alone of `hamming_search`."""
    return hamming_search(bits, neighbours, method, mutual=mutual).graph


def hamming_search(
    bits: Bits,
    neighbours: int,
    method: Method = "auto",
    recall: float = 0.95,
    mutual: bool = False,
    seed: int = 0,
    threads: int = 0,
    states: StateKeeper | None = None,
    progress: Progress | None = None,
) -> HammingGraph:
    """Join every projection node to its nearest other ones, symmetrised by maximum.

    Nodes with the same bits count once: each is joined to ``neighbours`` different ones (one copy of each, in turn) and
    to its own copies by a ring of weight 1. Equally near nodes: the one that stands first.

    Args:
        bits: the n projection nodes.
        neighbours: edges each node asks for, itself and its copies not counted.
        method: ``exact``, one of faiss' indices, or ``auto``: exact up to `EXACT_WORK` or where ``recall`` is 1, ivf
            above.
        recall: that an index must reach on a sample of rows, above 0 and at most 1.
        mutual: keep an edge only where both ends ask for it.
        seed: of the sample.
        threads: 0 for all processors; the graph does not depend on it.
        states: where exact search keeps its state, None where it need not survive a kill.
        progress: called with one line for about every tenth of an exact search.

    Raises:
        ConfigError: listing every wrong setting.
    """
    _check(neighbours, method, recall, threads)
    packed, planes = _searched(bits)
    copies = find_copies(packed)
    distinct = packed[copies.firsts] if copies.any else packed
    used = _chosen(method, recall, distinct)
    if used == "exact":
        found, reached = _exact(distinct, neighbours, threads, states, progress), 1.0
    else:
        found, reached = approximate_neighbours(distinct, neighbours, used, recall, seed, threads)
    there = found[1] >= 0
    rows = np.repeat(np.arange(len(distinct)), there.sum(axis=1))
    # By a table of doubles, so that a weight is the closest float32 to the formula.
    weights = (1.0 - np.arange(packed.shape[1] * 8 + 1) / (planes * bits.n_bits)).astype(np.float32)[found[0][there]]
    graph = spread_over_copies(copies, rows, found[1][there].astype(np.int64), weights, mutual)
    return HammingGraph(graph, used, reached)


def _check(neighbours: int, method: Method, recall: float, threads: int) -> None:
    problems = []
    if neighbours < 1:
        problems.append(f"neighbours={neighbours}; expected one or more")
    if method not in get_args(Method):
        problems.append(f"method={method!r}; expected one of {', '.join(get_args(Method))}")
    if not 0 < recall <= 1:
        problems.append(f"recall={recall}; expected above 0, at most 1")
    if threads < 0:
        problems.append(f"threads={threads}; expected 0 for all processors, or a number of threads")
    if problems:
        raise ConfigError("hamming graph: " + "; ".join(problems))


def _searched(bits: Bits) -> tuple[NDArray[np.uint8], int]:
    """The planes that tell nodes apart, side by side, and how many they are."""
    every = np.packbits(np.ones(bits.n_bits, dtype=np.uint8), bitorder="little")
    if len(bits) and all(
        np.array_equal(bits.positive[start : start + 4096] ^ every, bits.negative[start : start + 4096])
        for start in range(0, len(bits), 4096)
    ):
        return np.ascontiguousarray(bits.positive), 1
    return np.hstack([bits.positive, bits.negative]), 2


def _chosen(method: Method, recall: float, packed: NDArray[np.uint8]) -> Literal["exact", "ivf", "hnsw", "multihash"]:
    if method != "auto":
        return method
    return "exact" if recall == 1 or len(packed) ** 2 * packed.shape[1] * 8 <= EXACT_WORK else "ivf"


def _exact(
    packed: NDArray[np.uint8], count: int, threads: int, states: StateKeeper | None, progress: Progress | None
) -> Found:
    search = HammingNeighbours(packed, count)
    kept = states.load(_STATE) if states else None
    if kept is not None:
        search.resume(kept["keys"], int(kept["done"]))
    tenth = max(1, search.rounds // 10)
    while search.done < search.rounds:
        if progress and search.rounds > 10 and search.done % tenth == 0:
            progress(f"hamming neighbours: {search.done / search.rounds:.0%} of {len(packed):,} rows compared")
        search.run(1, threads)
        if states:
            states.keep(_STATE, lambda: {"keys": search.keys, "done": np.array(search.done)})
    return search.found()
