"""The frozen records that stages exchange; they know no stage and no algorithm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from projgraph.errors import InputError

UNLABELLED = -1
"""The label index of a row without a label."""

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int64]
Fingerprints = NDArray[np.uint32]
"""Words as the core looks them up: multiples of 4."""

Progress = Callable[[str], None]
"""Called with one line before each stage of long work."""


@dataclass(frozen=True)
class Texts(Sequence[str]):
    """Many texts in one UTF-8 buffer, so that millions of rows cost their bytes and nothing more.

    Attributes:
        data: the UTF-8 bytes of all texts, one after the other. A lone surrogate of a Python string is kept as its
            three-byte form, which the core reads as invalid UTF-8.
        offsets: (n + 1,) byte positions; text i is ``data[offsets[i]:offsets[i + 1]]``.
    """

    data: bytes
    offsets: NDArray[np.uint64]

    @classmethod
    def from_strings(cls, strings: Iterable[str]) -> Texts:
        """Pack strings in order."""
        parts = [text.encode("utf-8", "surrogatepass") for text in strings]
        offsets = np.zeros(len(parts) + 1, dtype=np.uint64)
        np.cumsum([len(part) for part in parts], out=offsets[1:])
        return cls(b"".join(parts), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self._text(row) for row in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of {len(self)} texts")
        return self._text(index % len(self))

    def __iter__(self) -> Iterator[str]:
        return (self._text(row) for row in range(len(self)))

    def _text(self, row: int) -> str:
        start, end = int(self.offsets[row]), int(self.offsets[row + 1])
        return self.data[start:end].decode("utf-8", "surrogatepass")

    def select(self, rows: IndexArray) -> Texts:
        """The texts of the given rows, in that order."""
        starts, ends = self.offsets[:-1][rows], self.offsets[1:][rows]
        offsets = np.zeros(len(rows) + 1, dtype=np.uint64)
        np.cumsum(ends - starts, out=offsets[1:])
        parts = [self.data[int(start) : int(end)] for start, end in zip(starts, ends, strict=True)]
        return Texts(b"".join(parts), offsets)

    def concatenate(self, other: Texts) -> Texts:
        """These texts followed by the others."""
        shifted = other.offsets[1:] + self.offsets[-1]
        return Texts(self.data + other.data, np.concatenate([self.offsets, shifted]))


@dataclass(frozen=True)
class Vectors:
    """Many rows of numbers, dense or in compressed sparse rows, each with the same columns.

    Attributes:
        values: (n, n_columns) of a dense matrix, or the (m,) stored values of a sparse one; finite float32.
        n_columns: numbers in a row.
        columns: (m,) column of each stored value, ascending within a row; None of a dense matrix.
        indptr: (n + 1,) row starts in ``values`` and ``columns``; None of a dense matrix.
    """

    values: FloatArray
    n_columns: int
    columns: NDArray[np.int32] | None = None
    indptr: IndexArray | None = None

    @classmethod
    def from_matrix(cls, matrix: Any) -> Vectors:
        """A numpy array of two dimensions or a scipy matrix; entries of a sparse one that repeat are added.

        Raises:
            InputError: it has another shape, no row or column, or a value that is no finite float32 number.
        """
        sparse = hasattr(matrix, "tocsr")
        shape = tuple(matrix.shape) if hasattr(matrix, "shape") else np.shape(matrix)
        if len(shape) != 2 or 0 in shape:
            raise InputError(f"the matrix has the shape {shape}; expected (rows, columns), at least one of each")
        if not sparse:
            return cls(_finite(_as_floats(matrix)), shape[1])
        rows = matrix.tocsr()
        if not rows.has_canonical_format:
            rows = rows.copy()
            rows.sum_duplicates()
        columns = np.ascontiguousarray(rows.indices, dtype=np.int32)
        values = _finite(_as_floats(rows.data))
        return cls(values, shape[1], columns, np.asarray(rows.indptr, dtype=np.int64))

    @property
    def is_sparse(self) -> bool:
        """Whether only some values are stored."""
        return self.indptr is not None

    def __len__(self) -> int:
        return len(self.values) if self.indptr is None else len(self.indptr) - 1

    def select(self, rows: IndexArray) -> Vectors:
        """The given rows, in that order."""
        if self.indptr is None or self.columns is None:
            return Vectors(self.values[rows], self.n_columns)
        counts = np.diff(self.indptr)[rows]
        indptr = np.zeros(len(counts) + 1, dtype=np.int64)
        np.cumsum(counts, out=indptr[1:])
        places = np.arange(indptr[-1]) + np.repeat(self.indptr[:-1][rows] - indptr[:-1], counts)
        return Vectors(self.values[places], self.n_columns, self.columns[places], indptr)


def _as_floats(values: Any) -> FloatArray:
    try:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, which is refused by name
            return np.ascontiguousarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"the matrix does not hold numbers ({error}); expected finite float32 numbers") from error


def _finite(values: FloatArray) -> FloatArray:
    if not np.isfinite(values).all():
        wrong = values[~np.isfinite(values)][0]
        raise InputError(f"the matrix holds {wrong}; expected finite float32 numbers: NaN and infinity have no bits")
    return values


@dataclass(frozen=True)
class ReadCounts:
    """What a reader saw and a user should know: rows kept, labelled rows, empty texts, repeated texts."""

    rows: int = 0
    labelled: int = 0
    empty: int = 0
    duplicates: int = 0


@dataclass(frozen=True)
class Dataset:
    """Rows of text or of numbers, some of them labelled.

    Attributes:
        rows: the n texts or vectors.
        labels: (n,) index into ``classes``, or ``UNLABELLED``.
        classes: label names in sorted order.
        counts: what the reader saw.
    """

    rows: Texts | Vectors
    labels: IndexArray
    classes: tuple[str, ...]
    counts: ReadCounts = field(default_factory=ReadCounts)

    @property
    def texts(self) -> Texts:
        """The rows, where they are known to be texts, as those of every file are.

        Raises:
            InputError: they are vectors.
        """
        if isinstance(self.rows, Texts):
            return self.rows
        raise InputError(f"the {len(self.rows)} rows are vectors of {self.rows.n_columns} columns; expected texts")

    @property
    def all_labelled(self) -> bool:
        """Whether every row has a label, so that a graph has nothing to teach."""
        return bool((self.labels != UNLABELLED).all())

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, rows: IndexArray) -> Dataset:
        """The given rows, of all classes."""
        return replace(self, rows=self.rows.select(rows), labels=self.labels[rows])


@dataclass(frozen=True)
class Bits:
    """The projection nodes of n rows as packed bit planes (bit i of a row is bit i % 8 of byte i // 8).

    Attributes:
        positive: (n, ceil(n_bits / 8)) set where the projection's sum is above zero.
        negative: same shape, set where it is below zero; under the sign quantiser, the complement of ``positive``.
        n_bits: T x d.
    """

    positive: NDArray[np.uint8]
    negative: NDArray[np.uint8]
    n_bits: int

    def __len__(self) -> int:
        return len(self.positive)

    def select(self, rows: IndexArray) -> Bits:
        """The projection nodes of the given rows."""
        return Bits(self.positive[rows], self.negative[rows], self.n_bits)

    def concatenate(self, other: Bits) -> Bits:
        """These projection nodes followed by the others, of as many bits."""
        planes = ((self.positive, other.positive), (self.negative, other.negative))
        positive, negative = (np.concatenate(pair) for pair in planes)
        return Bits(positive, negative, self.n_bits)

    def values(self, dtype: type[np.generic] = np.int8) -> NDArray[Any]:
        """The bits as an (n, n_bits) array of -1, 0 and +1."""
        positive = np.unpackbits(self.positive, axis=1, count=self.n_bits, bitorder="little")
        negative = np.unpackbits(self.negative, axis=1, count=self.n_bits, bitorder="little")
        positive -= negative
        return positive.view(np.int8).astype(dtype, copy=False)


@dataclass(frozen=True)
class Graph:
    """An undirected weighted graph in CSR form, both directions of an edge stored, no self-loops.

    Attributes:
        indptr: (n + 1,) row starts.
        indices: (m,) neighbour of each stored edge, ascending within a row.
        weights: (m,) positive edge weights.
    """

    indptr: IndexArray
    indices: NDArray[np.int32]
    weights: FloatArray

    @property
    def n_nodes(self) -> int:
        """Rows that the graph joins."""
        return len(self.indptr) - 1

    @property
    def n_edges(self) -> int:
        """Undirected edges."""
        return len(self.indices) // 2

    @property
    def sources(self) -> IndexArray:
        """(m,) node that each stored edge starts from."""
        return np.repeat(np.arange(self.n_nodes, dtype=np.int64), np.diff(self.indptr))


@dataclass(frozen=True)
class GraphBuild:
    """A graph of nearest neighbours and how well it was searched for.

    Attributes:
        graph: of n nodes.
        recall: share of the true neighbours that were found, measured on a sample of rows; 1 of an exact search.
        method: the search that was used, such as "flat" or "hnsw".
    """

    graph: Graph
    recall: float
    method: str


MIN_WEIGHT, MAX_WEIGHT = 2.0**-126, 2.0**96
"""Edge weights: a smaller one is no edge, a larger one is refused, so that in float32 neither the inverse of a node's
degree nor the sum of 2^31 edges is infinite."""


@dataclass(frozen=True)
class EdgeList:
    """Edges as a file gives them, in its order: directed, perhaps repeated, not yet a graph.

    Attributes:
        sources: (m,) node of each edge, from 0.
        targets: (m,) the node it leads to.
        weights: (m,) from 0 to ``MAX_WEIGHT``; 1 where the file has none.
        n_nodes: nodes, with or without edges.
        names: (n_nodes,) what the file calls each node; None where it numbers them.
    """

    sources: IndexArray
    targets: IndexArray
    weights: FloatArray
    n_nodes: int
    names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class SoftLabels:
    """A label distribution for every node.

    Attributes:
        probabilities: (n, c), rows sum to one.
        reached: (n,) False where no label can reach the node along edges.
    """

    probabilities: FloatArray
    reached: NDArray[np.bool_]

    @property
    def labels(self) -> IndexArray:
        """(n,) the most probable class; the lowest index wins a tie."""
        return np.asarray(np.argmax(self.probabilities, axis=1), dtype=np.int64)

    @property
    def confidence(self) -> FloatArray:
        """(n,) the probability of that class."""
        return np.asarray(self.probabilities.max(axis=1))


@dataclass(frozen=True)
class SparseSoftLabels:
    """The most probable labels of every node, for classes too many to hold in full.

    Attributes:
        indices: (n, m) class indices, most probable first; -1 fills a row that knows fewer than m.
        probabilities: (n, m) their probabilities, 0 beside -1; what is missing to one belongs to the classes left out.
        n_classes: c.
        reached: (n,) False where no label can reach the node along edges.
    """

    indices: NDArray[np.int32]
    probabilities: FloatArray
    n_classes: int
    reached: NDArray[np.bool_]

    def dense(self) -> SoftLabels:
        """All c probabilities; what a row is missing to one is spread evenly over the classes it left out."""
        known = self.indices >= 0
        n_left_out = self.n_classes - known.sum(axis=1)
        rest = np.maximum(1.0 - self.probabilities.sum(axis=1, dtype=np.float64), 0.0) / np.maximum(n_left_out, 1)
        full = np.repeat(rest.astype(np.float32)[:, None], self.n_classes, axis=1)
        rows, columns = np.nonzero(known)
        full[rows, self.indices[rows, columns]] = self.probabilities[rows, columns]
        return SoftLabels(full / full.sum(axis=1, keepdims=True), self.reached)


class StateKeeper(Protocol):
    """Where long work keeps its state so that it goes on after a kill, see `projgraph.checkpoint.Checkpoints`."""

    def load(self, name: str) -> Mapping[str, NDArray[Any]] | None:
        """The state last kept under a name, None where there is none."""

    def keep(self, name: str, state: Callable[[], Mapping[str, NDArray[Any]]]) -> None:
        """Keep a state, unless one was kept a short while ago."""


@dataclass(frozen=True)
class Examples:
    """Descriptions that stand for a class and are no nodes of the graph, such as those of the labels' names.

    Attributes:
        features: (e, d) rows as those of the nodes.
        labels: (e,) class index.
    """

    features: FloatArray
    labels: IndexArray


@dataclass(frozen=True)
class TrainerTask:
    """What a trainer is given: nodes, some of them labelled.

    Attributes:
        graph: of n nodes.
        features: (n, d) rows, finite; None where only the edges are known.
        labels: (n,) class index, or ``UNLABELLED``.
        n_classes: c.
        validation: (n,) class index of rows that may count epochs but teach nothing, ``UNLABELLED`` elsewhere; None
            where no labels are to spare.
        states: where an iterative trainer keeps its state; None where it need not survive a kill.
        examples: what a regression on the features may learn beside the labelled nodes; None for nothing.
    """

    graph: Graph
    features: FloatArray | None
    labels: IndexArray
    n_classes: int
    validation: IndexArray | None = None
    states: StateKeeper | None = None
    examples: Examples | None = None


@dataclass(frozen=True)
class Layer:
    """One dense layer in float: (inputs, outputs) weights and (outputs,) bias."""

    weights: FloatArray
    bias: FloatArray
