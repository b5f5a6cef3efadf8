"""Nearest rows by faiss, exactly or nearly, with the recall measured on a sample; it knows no weight and no graph.

- flat: exhaustive, O(n^2 d) time; the answer.
- hnsw: a navigable small world (Malkov & Yashunin 2016), about O(n log n d); built on one thread, or the same rows
  would give another index each time.
- ivf: cells of k-means, of which each row asks the nearest few, O(n^1.5 d).

``auto`` takes flat up to `EXACT_ROWS` rows or where nearly every neighbour is asked for, else hnsw. The nearly exact
ones look harder until a sample of rows finds the asked share of its true neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from projgraph.errors import ConfigError
from projgraph.records import FloatArray, IndexArray

Metric = Literal["cosine", "euclidean"]
Method = Literal["auto", "flat", "hnsw", "ivf"]
METRICS: tuple[Metric, ...] = ("cosine", "euclidean")
METHODS: tuple[Method, ...] = ("auto", "flat", "hnsw", "ivf")

EXACT_ROWS = 60_000
"""Above this many rows exhaustive search on two cores takes longer than building and asking HNSW."""

_NEARLY_ALL = 0.995
"""A recall above this is asked of exhaustive search at once."""
_SAMPLE = 1000
"""Rows that the recall is measured on."""
_DOUBLINGS = 5
_HNSW_LINKS = 24
_HNSW_BUILD = 80
_HNSW_SEARCH = 96
_IVF_PROBES = 8
_IVF_ROUNDS, _IVF_SAMPLE = 8, 50
"""Of k-means, and rows a cell that it looks at. With faiss's 25 and 256 rows 100,000 clustered rows of 64 dimensions
took 13.7 s of a processor, with these 7.6 s, at recalls of 0.992 and 0.996; 60,000 images 8 s at 0.98."""
_BLOCK = 8192


@dataclass(frozen=True)
class Neighbours:
    """What a search found.

    Attributes:
        squared: (n, k) squared distances, ascending.
        found: (n, k) rows, the asking row usually first; -1 where nothing was found.
        recall: share of the true neighbours found, on a sample; 1 of a flat search.
        method: flat, hnsw or ivf.
    """

    squared: FloatArray
    found: IndexArray
    recall: float
    method: str


def nearest(
    rows: FloatArray, count: int, metric: Metric, *, method: Method = "auto", recall: float = 0.95, seed: int = 0
) -> Neighbours:
    """The nearest rows of every row, itself among them.

    Args:
        rows: (n, d) float32, contiguous; of length one for cosine.
        count: rows to find, at most n.
        metric: how faiss compares; squared distances either way, of unit rows ``2 - 2 cos``.
        method: the search.
        recall: share of the true neighbours that a sample of rows should find.
        seed: of the sample.

    Raises:
        ConfigError: an unknown metric or method, or a recall outside 0 to 1.
    """
    if metric not in METRICS or method not in METHODS:
        raise ConfigError(
            f"nearest rows: metric={metric!r}, method={method!r}; expected one of {', '.join(METRICS)}, "
            f"and of {', '.join(METHODS)}"
        )
    if not 0 < recall <= 1:
        raise ConfigError(f"nearest rows: recall={recall}; expected a share above 0, at most 1")
    if method == "auto":
        method = "flat" if len(rows) <= EXACT_ROWS or recall > _NEARLY_ALL else "hnsw"
    index = _index(rows, metric, method)
    measured = 1.0 if method == "flat" else _look_harder(index, rows, count, metric, method, recall, seed)
    squared, found = _ask(index, rows, count, metric)
    if metric == "euclidean":
        squared = _recomputed(rows, found, squared)
    return Neighbours(squared, found, measured, method)


def _index(rows: FloatArray, metric: Metric, method: str) -> Any:
    import faiss

    kind = _faiss_metric(metric)
    index: Any
    if method == "hnsw":
        index = faiss.IndexHNSWFlat(rows.shape[1], _HNSW_LINKS, kind)
        index.hnsw.efConstruction = _HNSW_BUILD
        index.hnsw.efSearch = _HNSW_SEARCH
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)
        try:
            index.add(rows)
        finally:
            faiss.omp_set_num_threads(threads)
        return index
    index = faiss.IndexFlat(rows.shape[1], kind)
    if method == "ivf":
        cells = max(1, min(int(4 * len(rows) ** 0.5), len(rows) // 40))
        index = faiss.IndexIVFFlat(index, rows.shape[1], cells, kind)
        index.cp.min_points_per_centroid = 1
        index.cp.niter, index.cp.max_points_per_centroid = _IVF_ROUNDS, _IVF_SAMPLE
        index.nprobe = min(_IVF_PROBES, cells)
        index.train(rows)
    index.add(rows)
    return index


def _look_harder(
    index: Any, rows: FloatArray, count: int, metric: Metric, method: str, recall: float, seed: int
) -> float:
    """Double the effort of a search until the sample finds enough; returns what it found."""
    sample = np.sort(np.random.default_rng(seed).choice(len(rows), min(len(rows), _SAMPLE), replace=False))
    exact = _exact(rows, rows[sample], count, metric)[:, -1]
    # Whatever is as near as the last true neighbour is one, or ties would count against the search.
    limit = exact + 1e-5 * np.maximum(np.abs(exact), 1e-3)
    for doubling in range(_DOUBLINGS + 1):
        squared, found = _ask(index, rows[sample], count, metric)
        true = (found >= 0) & (found != sample[:, None]) & (squared <= limit[:, None])
        measured = min(float(true.sum()) / (len(sample) * max(count - 1, 1)), 1.0)
        if measured >= recall or doubling == _DOUBLINGS:
            break
        if method == "hnsw":
            index.hnsw.efSearch *= 2
        else:
            index.nprobe = min(2 * index.nprobe, index.nlist)
    return measured


def _exact(rows: FloatArray, sample: FloatArray, count: int, metric: Metric) -> FloatArray:
    """(s, k) squared distances of the sample's true neighbours, without another copy of the rows."""
    import faiss

    return _squared(faiss.knn(sample, rows, count, _faiss_metric(metric))[0], metric)


def _ask(index: Any, rows: FloatArray, count: int, metric: Metric) -> tuple[FloatArray, IndexArray]:
    """(m, k) squared distances and rows of the nearest of m rows."""
    blocks = [index.search(rows[start : start + _BLOCK], count) for start in range(0, len(rows), _BLOCK)]
    values = np.concatenate([block[0] for block in blocks])
    found = np.concatenate([block[1] for block in blocks])
    return _squared(values, metric), found


def _faiss_metric(metric: Metric) -> int:
    import faiss

    return int(faiss.METRIC_INNER_PRODUCT if metric == "cosine" else faiss.METRIC_L2)


def _squared(values: FloatArray, metric: Metric) -> FloatArray:
    """Squared distances of what faiss returns: of cosines between unit rows 2 - 2 cos, rounding errors above 1 cut."""
    return np.asarray(2 - 2 * np.minimum(values, 1.0) if metric == "cosine" else values)


def _recomputed(rows: FloatArray, found: IndexArray, squared: NDArray[np.float32]) -> FloatArray:
    """Squared distances as sums of squares: faiss takes a difference of large numbers, which loses the small ones."""
    exact = squared.copy()
    block = max(1, (1 << 22) // max(found.shape[1] * rows.shape[1], 1))
    for start in range(0, len(found), block):
        part = slice(start, start + block)
        difference = rows[found[part]] - rows[part, None, :]
        exact[part] = np.where(found[part] >= 0, np.einsum("nkd,nkd->nk", difference, difference), squared[part])
    return exact
