"""The scikit-learn face of a training: texts and labels in, a fitted classifier out; it knows how no stage works."""

from __future__ import annotations

import copy
import numbers
import os
import sys
import warnings
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from projgraph.atomic import atomic_write
from projgraph.config import TrainConfig, load_config, parse_bytes
from projgraph.errors import ConfigError, InputError
from projgraph.native import NativeModel
from projgraph.pack.format import MAX_CLASSES
from projgraph.read.labels import NO_LABEL, typed_label
from projgraph.records import UNLABELLED, Dataset, FloatArray, IndexArray, ReadCounts, Texts
from projgraph.runtime import Model

_SEEDS = 1 << 32
_OWN_PARAMETERS = {"seed": "random_state", "budget": "budget", "encoder": "encoder"}
"""Settings that are parameters of the classifier, and what they are called there."""

_TEXTS = (
    "expected texts: a list, array or Series of str, or a table of one such column "
    "(matrices of numbers and precomputed graphs are not accepted)"
)
_LABELS = (
    "expected one label a row, all of them strings, whole numbers or truth values, and -1, None, NaN or '' for none"
)


class ProjectionClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A text classifier that learns from few labels and many texts and is at most ``budget`` bytes large.

    A graph over all rows teaches the unlabelled ones, a small integer model learns from all of them, and predictions
    come from the C core that a device runs. ``fit`` is what `projgraph train` does: the same rows, settings and seed
    give the same model bytes.

    Args:
        budget: bytes of the model at most, as a number or as text such as ``"64KB"``.
        encoder: a sentence-transformers model, by name or folder, that describes texts while training; None for none.
        settings: further settings by dotted name, such as ``{"student.epochs": 20}``; see `projgraph.config`.
        random_state: seed of every random draw, 0 to 2**32 - 1; None or a RandomState draws one at each fit.
        verbose: write a line before each stage to standard error.

    Attributes:
        classes_: (c,) the labels in sorted order and their own type; columns of probabilities follow it.
        transduction_: (n,) label of every training row, of the type of ``classes_``.
        label_distributions_: (n, c) what the graph taught of every training row; rows sum to one.
        n_features_in_: 1, the text.

    Example:
        >>> model = ProjectionClassifier(budget="64KB").fit(texts, labels)  # doctest: +SKIP
        >>> model.predict(["wake me at seven"])  # doctest: +SKIP
        array(['alarm_set'], dtype='<U12')
    """

    def __init__(
        self,
        *,
        budget: int | str = "256KB",
        encoder: str | os.PathLike[str] | None = None,
        settings: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        verbose: bool = False,
    ) -> None:
        self.budget = budget
        self.encoder = encoder
        self.settings = settings
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> Self:
        """Train on labelled and unlabelled texts.

        Args:
            X: n texts: a list, array or Series of str, or a table of one such column.
            y: n labels: strings, whole numbers or truth values. -1, None, NaN, pandas.NA and "" mean unlabelled, and
                so do the texts that these become beside strings and in files ("-1", "nan", "None", "null").

        Raises:
            InputError: X is no text, y does not fit it, or fewer than two classes have labels.
            ConfigError: a parameter or setting is unknown or out of range; every wrong setting is listed.
            BudgetError: no model fits the budget; the message names the smallest that works.
        """
        # Imported here: torch and faiss take seconds, and a classifier that was unpickled to predict needs neither.
        from projgraph import pipeline
        from projgraph.pack.write import model_bytes
        from projgraph.provenance import describe_training

        config = self._config()
        texts = _texts(X)
        labels = _labels(y, len(texts))
        counts = ReadCounts(len(texts), int(np.count_nonzero(labels.indices != UNLABELLED)))
        dataset = Dataset(texts, labels.indices, labels.names, counts)
        trained = pipeline.train(dataset, config, self._say)
        self._model_bytes = model_bytes(trained.model, describe_training(dataset, config))
        self._model = _open(self._model_bytes)
        self.classes_ = labels.classes
        self.label_distributions_: FloatArray = trained.taught.probabilities
        self.transduction_ = self.classes_[trained.taught.labels]
        self.n_features_in_ = 1
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,) the label of each of n texts, of the type of ``classes_``.

        Raises:
            NotFittedError: before fit.
            InputError: X is no text.
        """
        check_is_fitted(self)
        return self._predicted(_texts(X))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """(n, c) the probability of each class for each of n texts; the largest of a row is what ``predict`` gives.

        Raises:
            NotFittedError: before fit.
            InputError: X is no text.
        """
        check_is_fitted(self)
        return self._model.predict_proba(list(_texts(X)))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of labelled rows that ``predict`` gets right; rows without a label are left out.

        Args:
            X: n texts.
            y: n labels, as for ``fit``.
            sample_weight: (n,) weights of the rows, None for equal ones.

        Raises:
            NotFittedError: before fit.
            InputError: X is no text, y does not fit it, or no row has a label.
        """
        check_is_fitted(self)
        texts = _texts(X)
        known, values = _labelled(y, len(texts))
        if not len(known):
            raise InputError(f"y has no label in its {len(texts)} rows; {_LABELS}; at least one label to score by")
        right = self._predicted(texts)[known].astype(object) == values.astype(object)
        return float(np.average(right, weights=None if sample_weight is None else np.asarray(sample_weight)[known]))

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write the `.pgb` file that `projgraph.load`, the command line and devices run; returns its bytes.

        Labels that are no strings are written as text, 3 as "3".

        Raises:
            NotFittedError: before fit.
            OutputError: the file cannot be written; what stood there before is untouched.
        """
        check_is_fitted(self)
        return atomic_write(path, self._model_bytes)

    def _predicted(self, texts: Texts) -> NDArray[Any]:
        labels: NDArray[Any] = self.classes_[self._model.native.labels(texts)]
        return labels

    def _config(self) -> TrainConfig:
        if not isinstance(self.settings, Mapping | None):
            raise ConfigError(
                f"settings is {type(self.settings).__name__}; expected a dictionary by dotted name, "
                "such as {'student.epochs': 20}"
            )
        given = copy.deepcopy(dict(self.settings or {}))
        for name, parameter in _OWN_PARAMETERS.items():
            if name in given:
                raise ConfigError(f"settings holds {name!r}; give it as the parameter {parameter} instead")
        given["budget"] = parse_bytes(self.budget) if isinstance(self.budget, str) else self.budget
        given["encoder"] = None if self.encoder is None else os.fspath(self.encoder)
        given["seed"] = _seed(self.random_state)
        return load_config(given=given)

    def _say(self, line: str) -> None:
        if self.verbose:
            sys.stderr.write(line + "\n")

    def __getstate__(self) -> dict[str, Any]:
        """The state without the opened model, which lives in the core; its bytes are enough."""
        state = dict(super().__getstate__())
        state.pop("_model", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_model_bytes" in state:
            self._model = _open(self._model_bytes)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.target_tags.one_d_labels = True
        return tags


@dataclass(frozen=True)
class _Labels:
    """What y says: (n,) class indices or ``UNLABELLED``, (c,) classes of their own type, and their names as text."""

    indices: IndexArray
    classes: NDArray[Any]
    names: tuple[str, ...]


def _open(data: bytes) -> Model:
    return Model(NativeModel(data), "a fitted ProjectionClassifier")


def _seed(random_state: Any) -> int:
    """The seed itself, so that the command line gives the same model for it, or one drawn from a generator."""
    if not isinstance(random_state, numbers.Integral):
        return int(check_random_state(random_state).randint(_SEEDS, dtype=np.int64))
    seed = int(random_state)
    if not 0 <= seed < _SEEDS:
        raise ConfigError(f"random_state is {seed}; expected 0 to 2**32 - 1, a RandomState or None")
    return seed


def _texts(X: Any) -> Texts:
    """The texts of X, packed."""
    rows = _column(X, "X", _TEXTS)
    if not len(rows):
        raise InputError("X has 0 rows; expected at least one text")
    for row, text in enumerate(rows):
        if not isinstance(text, str):
            raise InputError(f"row {row} of X is {_named(text)}; {_advice(text)}")
    return Texts.from_strings(rows)


def _advice(value: object) -> str:
    if isinstance(value, bytes):
        return "expected str: decode it, for example with value.decode('utf-8')"
    return "expected str: replace missing texts by ''" if _is_unlabelled(value) else _TEXTS


def _labels(y: Any, n_rows: int) -> _Labels:
    """The labels of y, checked before any work is done."""
    known, values = _labelled(y, n_rows)
    classes, inverse = np.unique(values, return_inverse=True)
    if not len(classes):
        raise InputError(f"y has no label in its {n_rows} rows; {_LABELS}; at least one label of each class")
    if len(classes) == 1:
        raise InputError(
            f"y has one class, {classes[0].item()!r}, in its {len(known)} labelled rows; expected two classes or more"
        )
    if len(classes) > MAX_CLASSES:
        raise InputError(f"y has {len(classes):,} different labels; expected at most {MAX_CLASSES:,}")
    indices = np.full(n_rows, UNLABELLED, dtype=np.int64)
    indices[known] = inverse
    return _Labels(indices, classes, tuple(_name(value) for value in classes.tolist()))


def _labelled(y: Any, n_rows: int) -> tuple[IndexArray, NDArray[Any]]:
    """The rows of y that have a label, and these labels as an array of one type."""
    if y is None:
        raise InputError("this estimator requires y to be passed, but the target y is None; " + _LABELS)
    column = _column(y, "y", _LABELS, warn=True)
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
        raise InputError(f"{name} is {_named(given)}; {expected}{hint}")
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


def _named(value: object) -> str:
    """How a message calls a value of the wrong type."""
    if isinstance(value, str | bytes | numbers.Number) or value is None:
        return f"{type(value).__name__} {value!r:.40}"
    return f"of type {type(value).__name__}"


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
        raise InputError(f"y holds labels of type {names}; {_LABELS}")
    for value in values:
        if isinstance(value, float) and not value.is_integer():
            raise InputError(f"Unknown label type: continuous. y holds {value!r}; {_LABELS}")
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
