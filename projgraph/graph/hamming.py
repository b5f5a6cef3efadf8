"""Nearest-neighbour graph of packed bits by Hamming distance; it knows faiss' binary index, not what a bit means.

An edge weighs ``1 - H / (2 T d)``: H counts differing bits over both planes, so that a bit next to its opposite is at
distance 2 and next to zero at distance 1 (Ravi 2017, section 6, writes 1 - H / d for two-valued bits). Exhaustive
search: O(n^2 T d / 64) popcounts, O(n T d / 4) bytes.
"""

from __future__ import annotations

import numpy as np

from projgraph.errors import ConfigError
from projgraph.graph.csr import first_others, from_neighbours
from projgraph.records import Bits, Graph


def hamming_graph(bits: Bits, neighbours: int) -> Graph:
    """Join every projection node to its nearest ones, symmetrised by maximum.

    Args:
        bits: the n projection nodes.
        neighbours: edges each node asks for, itself not counted.

    Raises:
        ConfigError: for neighbours below one.
    """
    if neighbours < 1:
        raise ConfigError(f"hamming graph: neighbours={neighbours}; expected one or more")
    import faiss

    planes = np.ascontiguousarray(np.hstack([bits.positive, bits.negative]))
    count = min(neighbours + 1, len(bits))
    index = faiss.IndexBinaryFlat(planes.shape[1] * 8)
    index.add(planes)
    distances, found = index.search(planes, count)
    kept = first_others(found, neighbours)
    rows = np.broadcast_to(np.arange(len(bits))[:, None], found.shape)[kept]
    weights = (1.0 - distances[kept] / (2 * bits.n_bits)).astype(np.float32)
    return from_neighbours(rows, found[kept], weights, len(bits))
