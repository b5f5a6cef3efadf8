"""Propagation steps over a graph's edges, dense or by the most probable labels; it knows no trainer and no convergence.

Each row is summed by one thread over its edges in stored order, so threads and instructions change no byte. A dense
step takes O(m c) time and no memory beside its arrays; a step of the top t labels O(m t) and 8 c bytes a thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from projgraph import _kernels
from projgraph.errors import ConfigError
from projgraph.kernels.paths import chosen_threads, in_threads

_ROWS_PER_TASK = 512
_TASKS_PER_THREAD = 8

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class TopLabels:
    """The t most probable of c labels of n nodes.

    Attributes:
        labels: (n, t) int32, most probable first, the smaller label of equals first; -1 where there is none.
        probabilities: (n, t) float32, 0 beside -1.
        rest: (n,) float32, the probability of each label that the row leaves out.
        n_classes: c.
    """

    labels: NDArray[np.int32]
    probabilities: Floats
    rest: Floats
    n_classes: int

    @classmethod
    def of(cls, seeds: NDArray[np.int32], top: int, n_classes: int) -> TopLabels:
        """Certainty for the seeds, which are -1 where no label is given; all labels alike elsewhere."""
        labels = np.full((len(seeds), top), -1, dtype=np.int32)
        labels[:, 0] = seeds
        probabilities = np.zeros(labels.shape, dtype=np.float32)
        probabilities[:, 0] = seeds >= 0
        return cls(labels, probabilities, np.where(seeds >= 0, 0, np.float32(1 / n_classes)), n_classes)

    def empty_like(self) -> TopLabels:
        """Room for as many."""
        labels, probabilities, rest = self.labels, self.probabilities, self.rest
        return TopLabels(np.empty_like(labels), np.empty_like(probabilities), np.empty_like(rest), self.n_classes)


class Edges:
    """The edges of n nodes, checked once for all steps.

    Args:
        starts: (n + 1,) row starts, as ``indptr`` of a CSR matrix.
        ends: (m,) the other node of each edge.
        weights: (m,).

    Raises:
        ConfigError: naming what is wrong with them.
    """

    def __init__(self, starts: NDArray[Any], ends: NDArray[Any], weights: NDArray[Any]) -> None:
        what = "propagation: "
        if len(starts) < 1 or starts[0] != 0 or starts[-1] != len(ends) or (np.diff(starts) < 0).any():
            raise ConfigError(f"{what}row starts must ascend from 0 to the {len(ends)} edges; check the CSR arrays")
        if len(weights) != len(ends):
            raise ConfigError(f"{what}{len(weights)} weights for {len(ends)} edges; expected one weight an edge")
        self.n_nodes = len(starts) - 1
        if len(ends) and not (ends.min() >= 0 and ends.max() < self.n_nodes <= 2**31):
            raise ConfigError(
                f"{what}an edge ends at {ends.min()} or {ends.max()}; expected nodes 0 to {self.n_nodes - 1}"
            )
        self._arrays = (
            np.ascontiguousarray(starts, dtype=np.int64),
            np.ascontiguousarray(ends, dtype=np.int32),
            np.ascontiguousarray(weights, dtype=np.float32),
            self.n_nodes,
            len(ends),
        )

    def propagate(
        self, beliefs: Floats, share: Floats | float, anchor: Floats, out: Floats | None = None, threads: int = 0
    ) -> Floats:
        """``share * (W @ beliefs) + (1 - share) * anchor``.

        Args:
            beliefs: (n, c) float32, contiguous.
            share: (n,) what each node takes from its neighbours, or one number for all.
            anchor: (n, c) float32, contiguous.
            out: (n, c) float32 for the result, apart from ``beliefs``; None for a new array.
            threads: 0 for all processors.

        Raises:
            ConfigError: an array has another shape, type or layout, or ``out`` overlaps what is read.
        """
        n, out = self.n_nodes, np.empty_like(beliefs) if out is None else out
        shape = (n, beliefs.shape[1]) if beliefs.ndim == 2 else (n, -1)
        for name, array in (("beliefs", beliefs), ("anchor", anchor), ("out", out)):
            if array.shape != shape or array.dtype != np.float32 or not array.flags.c_contiguous:
                raise ConfigError(
                    f"propagation: {name} is {array.dtype} of shape {array.shape}; expected contiguous float32, "
                    f"({n}, classes)"
                )
        if np.may_share_memory(out, beliefs) or np.may_share_memory(out, anchor):
            raise ConfigError("propagation: out overlaps beliefs or anchor; pass an array of its own")
        shares = np.ascontiguousarray(np.broadcast_to(np.asarray(share, dtype=np.float32), (n,)))

        def rows(part: slice) -> None:
            _kernels.propagate(*self._arrays, beliefs, shares, anchor, shape[1], part.start, part.stop, out)

        threads = chosen_threads(threads)
        in_threads(rows, self._parts(threads), threads)
        return out

    def expand(
        self,
        before: TopLabels,
        seeds: NDArray[np.int32],
        pulls: tuple[float, float, float],
        out: TopLabels,
        threads: int = 0,
    ) -> float:
        """The top labels of ``(p0 seed + p1 W @ before + p2 / c) / (p0 [seed] + p1 degree + p2)``, rows summing to one.

        Args:
            before: of n nodes.
            seeds: (n,) int32, the label given to a node or -1.
            pulls: of seeds, edges and equal probabilities, none negative; a node that nothing pulls stays even.
            out: room for the result, apart from ``before``.
            threads: 0 for all processors.

        Returns:
            The largest change of a probability.

        Raises:
            ConfigError: the arrays are not of n nodes and one top, or a seed is no class.
        """
        top, c = before.labels.shape[-1], before.n_classes
        for lists in (before, out):
            if lists.labels.shape != (self.n_nodes, top) or lists.n_classes != c:
                raise ConfigError(
                    f"propagation: lists of {lists.labels.shape} for {lists.n_classes} classes; expected "
                    f"({self.n_nodes}, {top}) for {c}"
                )
        if len(seeds) != self.n_nodes or seeds.dtype != np.int32 or (len(seeds) and seeds.max() >= c):
            raise ConfigError(f"propagation: seeds must be {self.n_nodes} int32 below {c}, -1 where no label is given")
        changes: list[float] = []

        def rows(part: slice) -> None:
            arrays = before.labels, before.probabilities, before.rest
            room = out.labels, out.probabilities, out.rest, np.empty(2 * c, dtype=np.float32)
            first, last = part.start, part.stop
            changes.append(_kernels.expand(*self._arrays, *arrays, top, c, seeds, *pulls, first, last, *room))

        threads = chosen_threads(threads)
        in_threads(rows, self._parts(threads), threads)
        return max(changes, default=0.0)

    def _parts(self, threads: int) -> list[slice]:
        step = max(_ROWS_PER_TASK, -(-self.n_nodes // (_TASKS_PER_THREAD * threads)))
        return [slice(start, min(start + step, self.n_nodes)) for start in range(0, self.n_nodes, step)]
