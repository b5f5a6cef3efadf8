"""Planetoid's pickles (``ind.NAME.x`` and siblings) as graph, features, labels and fixed split; no code is executed.

A pickle can call anything, so this reader lets one call nothing: every class it may name is replaced by a stand-in that
only records its arguments, and the arrays are built here from what was recorded, after checks.
Source: Yang, Cohen & Salakhutdinov 2016, github.com/kimiyoung/planetoid.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from projgraph.errors import InputError
from projgraph.records import UNLABELLED, FloatArray, Graph, IndexArray

_VALIDATION_ROWS = 500
_KINDS = {"f4", "f8", "i4", "i8", "b1", "u1", "i1"}
_LARGEST = 1 << 30


@dataclass(frozen=True)
class Planetoid:
    """A citation graph with its fixed split.

    Attributes:
        graph: of n nodes, every edge of weight one; citations of a node by itself are left out.
        features: (n, d) bag of words, rows sum to one; a row without words stays zero.
        labels: (n,) class index; ``UNLABELLED`` for a node that the files name in no label.
        n_classes: c.
        train: the labelled rows, 20 a class.
        validation: the 500 rows after them.
        test: the 1,000 test rows, ascending.
    """

    graph: Graph
    features: FloatArray
    labels: IndexArray
    n_classes: int
    train: IndexArray
    validation: IndexArray
    test: IndexArray

    def labels_of(self, rows: IndexArray) -> IndexArray:
        """(n,) the labels of the given rows, ``UNLABELLED`` elsewhere."""
        shown = np.full(len(self.labels), UNLABELLED, dtype=np.int64)
        shown[rows] = self.labels[rows]
        return shown


def read_planetoid(folder: str | Path, name: str) -> Planetoid:
    """Read the eight files ``ind.NAME.{x,y,tx,ty,allx,ally,graph,test.index}`` of a folder.

    Citeseer's test range has nodes that no test row describes: they get zero features and no label, and keep edges.

    Raises:
        InputError: a file is missing, is no pickle of plain arrays, or the files do not fit together.
    """
    files = {part: Path(folder) / f"ind.{name}.{part}" for part in ("allx", "tx", "ally", "ty", "y", "graph")}
    known, unknown = _matrix(files["allx"]), _matrix(files["tx"])
    known_labels, unknown_labels = _one_hot(files["ally"]), _one_hot(files["ty"])
    test = _test_rows(Path(folder) / f"ind.{name}.test.index")
    n_train, first = len(_one_hot(files["y"])), known.shape[0]
    problems = [
        problem
        for wrong, problem in (
            (known.shape[1] != unknown.shape[1], f"allx has {known.shape[1]} columns, tx {unknown.shape[1]}"),
            (first != len(known_labels), f"allx has {first} rows, ally {len(known_labels)}"),
            (unknown.shape[0] != len(unknown_labels), f"tx has {unknown.shape[0]} rows, ty {len(unknown_labels)}"),
            (unknown.shape[0] != len(test), f"tx has {unknown.shape[0]} rows, test.index {len(test)}"),
            (known_labels.shape[1] != unknown_labels.shape[1], "ally and ty differ in classes"),
            (len(test) > 0 and test.min() != first, f"test.index starts at {test.min()}, after {first} rows of allx"),
            (n_train > first, f"y has {n_train} rows, allx only {first}"),
        )
        if wrong
    ]
    if problems:
        raise InputError(f"{folder}: the files of {name} do not fit together: {'; '.join(problems)}")
    n_nodes = int(test.max()) + 1
    spread = sparse.csr_array((np.ones(len(test)), (test - first, np.arange(len(test)))), (n_nodes - first, len(test)))
    features = sparse.vstack([known, spread @ unknown]).toarray().astype(np.float32)
    features /= np.maximum(features.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    labels = np.full(n_nodes, UNLABELLED, dtype=np.int64)
    labels[:first], labels[test] = _classes(known_labels), _classes(unknown_labels)
    train = np.arange(n_train)
    validation = np.arange(n_train, min(n_train + _VALIDATION_ROWS, first))
    graph = _graph(files["graph"], n_nodes)
    return Planetoid(graph, features, labels, known_labels.shape[1], train, validation, np.sort(test))


def _classes(one_hot: NDArray[Any]) -> IndexArray:
    return np.where(one_hot.any(axis=1), one_hot.argmax(axis=1), UNLABELLED).astype(np.int64)


def _test_rows(path: Path) -> IndexArray:
    try:
        rows = np.array([int(line) for line in _bytes(path).split()], dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{path}: expected one row number a line: {error}") from error
    if len(rows) == 0 or rows.min() < 0 or rows.max() >= _LARGEST or len(np.unique(rows)) != len(rows):
        raise InputError(f"{path}: expected row numbers from 0 to {_LARGEST - 1}, each once, at least one")
    return rows


def _graph(path: Path, n_nodes: int) -> Graph:
    found = _unpickled(path)
    if not isinstance(found, dict) or not all(type(k) is int and isinstance(v, list) for k, v in found.items()):
        raise InputError(f"{path}: expected a dictionary from a node to the list of its neighbours")
    if not all(type(node) is int for neighbours in found.values() for node in neighbours):
        raise InputError(f"{path}: a neighbour is not an integer; expected node numbers")
    pairs = [(node, other) for node, neighbours in found.items() for other in neighbours]
    if any(not 0 <= node < n_nodes for pair in pairs for node in pair) or any(node >= n_nodes for node in found):
        raise InputError(f"{path}: a node is out of range; expected 0 to {n_nodes - 1}")
    ends = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    ends = ends[ends[:, 0] != ends[:, 1]]
    rows, columns = np.concatenate([ends, ends[:, ::-1]]).T
    adjacency = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(n_nodes, n_nodes))
    adjacency.sum_duplicates()
    adjacency.sort_indices()
    weights = np.ones(adjacency.nnz, dtype=np.float32)
    return Graph(adjacency.indptr.astype(np.int64), adjacency.indices.astype(np.int32), weights)


def _one_hot(path: Path) -> NDArray[Any]:
    found = _unpickled(path)
    array = found.array(path) if isinstance(found, _Array) else None
    if array is None or array.ndim != 2 or array.shape[1] < 1 or not np.isin(array, (0, 1)).all():
        raise InputError(f"{path}: expected a matrix of zeros and ones, a column a class")
    if (array.sum(axis=1) > 1).any():
        raise InputError(f"{path}: a row has more than one class; expected at most one")
    return array


def _matrix(path: Path) -> sparse.csr_array:
    found = _unpickled(path)
    if not isinstance(found, _Sparse):
        raise InputError(f"{path}: expected a scipy CSR matrix")
    parts = [found.state.get(key) for key in ("data", "indices", "indptr")]
    shape = found.state.get("_shape", found.state.get("shape"))
    sized = isinstance(shape, tuple) and len(shape) == 2 and all(type(side) is int for side in shape)
    if not sized or not all(isinstance(part, _Array) for part in parts):
        raise InputError(f"{path}: the CSR matrix lacks its arrays or its shape")
    data, indices, indptr = (part.array(path) for part in parts if isinstance(part, _Array))
    try:
        matrix = sparse.csr_array((data.astype(np.float64), indices, indptr), shape=shape)
        matrix.check_format(full_check=True)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{path}: is no CSR matrix: {error}") from error
    if not np.isfinite(data).all() or (data < 0).any():
        raise InputError(f"{path}: a feature is negative or not finite; expected counts of words")
    return matrix


class _Dtype:
    """Stands for numpy.dtype."""

    def __init__(self, kind: Any = b"", *_: Any) -> None:
        self.kind, self.order = _text(kind), "<"

    def __setstate__(self, state: Any) -> None:
        self.order = _text(state[1])


class _Array:
    """Stands for numpy.ndarray; remembers its shape, kind and bytes."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self, path: Path) -> NDArray[Any]:
        """The array, once its description is seen to fit its bytes."""
        try:
            _, shape, dtype, fortran, data = self.state
            data = data.encode("latin-1") if isinstance(data, str) else data
            kind, order = dtype.kind, dtype.order.replace("|", "<").replace("=", "<")
            sized = all(type(side) is int and side >= 0 for side in shape)
            if not sized or kind not in _KINDS or len(data) != math.prod(shape) * int(kind[1]):
                raise ValueError(f"shape {shape}, type {kind}, {len(data)} bytes")
            return np.frombuffer(data, dtype=order + kind).reshape(shape, order="F" if fortran else "C")
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise InputError(f"{path}: an array cannot be read: {error}; expected plain numbers") from error


class _Sparse:
    """Stands for a scipy.sparse CSR matrix."""

    def __init__(self, *_: Any) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.state = {_text(key): value for key, value in dict(state).items()}


def _new_array(*_: Any) -> _Array:
    return _Array()


def _new_dictionary(*_: Any) -> dict[Any, Any]:
    return {}


def _latin(text: Any, *_: Any) -> bytes:
    return str(text).encode("latin-1")


_STAND_INS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _new_array,
    ("numpy._core.multiarray", "_reconstruct"): _new_array,
    ("scipy.sparse.csr", "csr_matrix"): _Sparse,
    ("scipy.sparse._csr", "csr_matrix"): _Sparse,
    ("collections", "defaultdict"): _new_dictionary,
    ("builtins", "list"): list,
    ("__builtin__", "list"): list,
    ("_codecs", "encode"): _latin,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no Planetoid file needs")
        return _STAND_INS[module, name]


def _unpickled(path: Path) -> Any:
    try:
        return _Unpickler(BytesIO(_bytes(path)), encoding="bytes").load()
    # A hostile pickle can raise nearly anything from the stand-ins it was given.
    except Exception as error:
        raise InputError(f"{path}: is not a pickle of plain arrays: {error}") from error


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path}: has more than {_LARGEST} bytes; expected a Planetoid file")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; expected a Planetoid file") from error


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
