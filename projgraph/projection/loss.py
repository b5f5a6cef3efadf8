"""The graph loss of the projection model; it knows logits, targets and pairs of rows, not where they come from.

Source: Ravi 2017, equation 1 and section 6. With h_i the student's distribution of row i and D the cross-entropy,

    L = distil * mean_i c_i D(t_i, h_i) + gold * mean_{i labelled} D(y_i, h_i)
      + edges * mean_(i,j) JS(h_i, h_j) over trainer edges + hamming * mean_(i,j) JS(h_i, h_j) over Hamming edges

where t_i is the trainer's distribution, c_i its confidence, and edges are drawn in proportion to their weight. The
Jensen-Shannon divergence stands for D between two moving distributions: it is symmetric and bounded by log 2.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from projgraph.config import LossConfig
from projgraph.errors import ConfigError
from projgraph.records import Graph, IndexArray


def distillation(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted cross-entropy to soft targets: (b, c) logits, (b, c) targets, (b,) weights -> scalar."""
    entropy = -(targets * torch.log_softmax(logits, dim=1)).sum(dim=1)
    return (weights * entropy).sum() / weights.sum().clamp_min(1e-12)


def gold(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy over the labelled rows of a batch; 0 when there is none. A label below 0 means unlabelled."""
    labelled = labels >= 0
    if not bool(labelled.any()):
        return logits.sum() * 0.0
    return torch.nn.functional.cross_entropy(logits[labelled], labels[labelled])


def edge_consistency(logits: torch.Tensor, neighbour_logits: torch.Tensor, joined: torch.Tensor) -> torch.Tensor:
    """Mean Jensen-Shannon divergence (nats) over the pairs where ``joined`` (b,) is True; 0 when there is none."""
    if not bool(joined.any()):
        return logits.sum() * 0.0
    one, other = torch.log_softmax(logits[joined], dim=1), torch.log_softmax(neighbour_logits[joined], dim=1)
    middle = torch.logsumexp(torch.stack([one, other]), dim=0) - np.log(2.0)
    sides = (one.exp() * (one - middle)).sum(dim=1) + (other.exp() * (other - middle)).sum(dim=1)
    mean: torch.Tensor = sides.mean()
    return 0.5 * mean


def weighted_sum(terms: Mapping[str, torch.Tensor], weights: LossConfig) -> torch.Tensor:
    """The loss: every term times the weight of its name; a term of weight zero is left out, not multiplied by zero.

    So a network that only such terms know gets no gradient at all, and no weight decay with it.

    Raises:
        ConfigError: no term is left.
    """
    scaled = [getattr(weights, name) * term for name, term in terms.items() if getattr(weights, name) > 0]
    if not scaled:
        raise ConfigError(
            f"no term of the loss is on: of {', '.join(terms)}, which this data has, every weight is zero; "
            "raise student.loss.distil or student.loss.gold"
        )
    total: torch.Tensor = sum(scaled[1:], start=scaled[0])
    return total


class EdgeSampler:
    """Draws one neighbour of a row in proportion to the edge weights, in O(log m) a row."""

    def __init__(self, graph: Graph) -> None:
        self._indptr = graph.indptr
        self._indices = graph.indices
        self._cumulative = np.concatenate([[0.0], np.cumsum(graph.weights, dtype=np.float64)])

    def draw(self, rows: IndexArray, generator: np.random.Generator) -> tuple[IndexArray, NDArray[np.bool_]]:
        """(b,) a neighbour of each row, the row itself where it has none, and (b,) whether it has one."""
        start, end = self._indptr[rows], self._indptr[rows + 1]
        low, high = self._cumulative[start], self._cumulative[end]
        drawn = low + generator.random(len(rows)) * (high - low)
        position = np.searchsorted(self._cumulative, drawn, side="right") - 1
        joined = high > low
        position = np.where(joined, np.clip(position, start, end - 1), 0)
        neighbours = rows.copy()
        neighbours[joined] = self._indices[position[joined]]
        return neighbours, joined
