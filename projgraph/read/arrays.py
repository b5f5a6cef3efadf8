"""Texts, matrices and labels as Python objects give them: lists, arrays, Series, tables; it knows no file."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

from projgraph.errors import InputError
from projgraph.pack.format import MAX_CLASSES
from projgraph.read.labels import NO_LABEL, typed_label
from projgraph.records import UNLABELLED, IndexArray, Texts

_TEXTS = "expected texts: a list, array or Series of str, or a table of one such column"
LABELS = (
    "expected one label a row, all of them strings, whole numbers or truth values, and -1, None, NaN or '' for none"
)


@dataclass(frozen=True)
class Labels:
    """What y says: (n,) class indices or ``UNLABELLED``, (c,) classes of their own type, and their names as text."""

    indices: IndexArray
    classes: NDArray[Any]
    names: tuple[str, ...]


def holds_numbers(X: Any) -> bool:
    """Whether X is meant as a matrix of numbers rather than as texts; it may still be neither."""
    if sparse.issparse(X):
        return True
    if isinstance(X, list | tuple):
        if any(isinstance(row, str) for row in X):
            return False
        first = X[0] if len(X) else ""
        while isinstance(first, list | tuple | np.ndarray) and len(first):
            first = first[0]
        return isinstance(first, numbers.Number | np.ndarray)
    if not hasattr(X, "__array__"):
        return False
    array = np.asarray(X)
    if array.dtype.kind != "O":
        return array.dtype.kind in "biufc" and array.ndim > 0
    if array.ndim != 2 or not array.size:
        return False
    return isinstance(array.flat[0], numbers.Number) or not (
        array.shape[1] == 1 or any(isinstance(value, str) for value in array.flat)
    )


def check_sparse(X: Any, name: str) -> None:
    """That the indices of a sparse matrix are within it, for scipy would read beyond its arrays.

    Raises:
        InputError: they are not.
    """
    is_matrix: bool = sparse.issparse(X)  # as a variable, for scipy's stubs know no fields of its base class
    if not is_matrix or X.ndim != 2:
        return
    try:
        if hasattr(X, "check_format"):
            X.check_format(full_check=True)
        elif X.format == "coo":
            for indices, length, axis in ((X.row, X.shape[0], "row"), (X.col, X.shape[1], "column")):
                if len(indices) and not 0 <= indices.min() <= indices.max() < length:
                    raise ValueError(f"{axis} indices from {indices.min()} to {indices.max()} for {length}")
    except (ValueError, IndexError, TypeError) as error:
        raise InputError(f"{name} is a damaged sparse matrix ({error}); build it again") from error


def texts_of(X: Any) -> Texts:
    """The texts of X, packed."""
    rows = _column(X, "X", _TEXTS)
    if not len(rows):
        raise InputError("X has 0 rows; expected at least one text")
    for row, text in enumerate(rows):
        if not isinstance(text, str):
            raise InputError(f"row {row} of X is {named(text)}; {_advice(text)}")
    return Texts.from_strings(rows)


def _advice(value: object) -> str:
    if isinstance(value, bytes):
        return "expected str: decode it, for example with value.decode('utf-8')"
    return "expected str: replace missing texts by ''" if _is_unlabelled(value) else _TEXTS


def labels_of(y: Any, n_rows: int) -> Labels:
    """The labels of y, checked before any work is done."""
    known, values = labelled_rows(y, n_rows)
    classes, inverse = np.unique(values, return_inverse=True)
    if not len(classes):
        raise InputError(f"y has no label in its {n_rows} rows; {LABELS}; at least one label of each class")
    if len(classes) == 1:
        raise InputError(
            f"y has one class, {classes[0].item()!r}, in its {len(known)} labelled rows; expected two classes or more"
        )
    if len(classes) > MAX_CLASSES:
        raise InputError(f"y has {len(classes):,} different labels; expected at most {MAX_CLASSES:,}")
    indices = np.full(n_rows, UNLABELLED, dtype=np.int64)
    indices[known] = inverse
    return Labels(indices, classes, tuple(_name(value) for value in classes.tolist()))


def labelled_rows(y: Any, n_rows: int) -> tuple[IndexArray, NDArray[Any]]:
    """The rows of y that have a label, and these labels as an array of one type."""
    if y is None:
        raise InputError("this estimator requires y to be passed, but the target y is None; " + LABELS)
    column = _column(y, "y", LABELS, warn=True)
    if len(column) != n_rows:
        raise InputError(
            f"X has {n_rows} rows and y {len(column)}: inconsistent numbers of samples; expected a label for each row"
        )
    known = np.flatnonzero([not _is_unlabelled(value) for value in column])
    values = [value.item() if isinstance(value, np.generic) else value for value in column[known]]
    return known, _of_one_type(values)


def _column(given: Any, name: str, expected: str, warn: bool = False) -> NDArray[np.object_]:
    """(n,) the objects of a list, array, Series or table of one column; ``warn`` of a table, as scikit-learn does."""
    listed = hasattr(given, "__len__") or hasattr(given, "__array__")
    if sparse.issparse(given) or not listed or isinstance(given, str | bytes | Mapping | Set):
        hint = f": wrap a single text in a list, [{name}]" if isinstance(given, str) else ""
        raise InputError(f"{name} is {named(given)}; {expected}{hint}")
    column: NDArray[np.object_] = np.asarray(given, dtype=object)
    if column.ndim == 2 and column.shape[1] == 1:
        if warn:
            warnings.warn(
                f"A column-vector {name} was passed when a 1d array was expected. Please change the shape of {name} "
                "to (n_samples,), for example using ravel().",
                DataConversionWarning,
                stacklevel=5,
            )
        column = column.ravel()
    if column.ndim != 1:
        raise InputError(f"{name} has the shape {column.shape}; {expected}")
    return column


def named(value: object) -> str:
    """How a message calls an object: small ones by type and value, arrays by type and shape."""
    if isinstance(value, str | bytes | numbers.Number) or value is None:
        return f"{type(value).__name__} {value!r:.40}"
    shape = getattr(value, "shape", None)
    return f"of type {type(value).__name__}" + (f" and shape {tuple(shape)}" if shape is not None else "")


def _is_unlabelled(value: object) -> bool:
    if isinstance(value, str):
        return value.strip() in NO_LABEL
    # By name, since pandas may not be installed, and comparing its NA gives no truth value.
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, numbers.Real) and (value == UNLABELLED or value != value)


def _of_one_type(values: list[Any]) -> NDArray[Any]:
    """Labels as an array of strings, of truth values, or of whole numbers."""
    if all(isinstance(value, str) for value in values):
        for name in set(values):
            _check_name(name)
        return np.asarray(values, dtype=np.str_)
    types = {type(value) for value in values}
    if not types <= {bool} and not types <= {int, float}:
        names = " and ".join(sorted(kind.__name__ for kind in types))
        raise InputError(f"y holds labels of type {names}; {LABELS}")
    for value in values:
        if isinstance(value, float) and not value.is_integer():
            raise InputError(f"Unknown label type: continuous. y holds {value!r}; {LABELS}")
    return np.asarray(values)


def _check_name(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(f"y holds the label {name!r}, which has no UTF-8 form; expected valid Unicode") from None
    if "\0" in name:
        raise InputError(f"y holds the label {name!r} with a NUL character; expected text without one")


def _name(value: str | float) -> str:
    """How the model file calls a class: strings as they are, other values as a reader would name them."""
    return value if isinstance(value, str) else typed_label(value) or str(value)
