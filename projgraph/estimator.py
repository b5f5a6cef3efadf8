"""The scikit-learn face of a training: rows and labels in, a fitted classifier out; it knows how no stage works."""

from __future__ import annotations

import copy
import numbers
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from projgraph.atomic import atomic_write
from projgraph.config import TrainConfig, load_config
from projgraph.errors import ConfigError, InputError
from projgraph.native import NativeModel
from projgraph.read.arrays import LABELS, Labels, check_sparse, holds_numbers, labelled_rows, labels_of, named, texts_of
from projgraph.records import UNLABELLED, Dataset, FloatArray, ReadCounts, SoftLabels, Texts, TrainerTask, Vectors
from projgraph.runtime import Model

_SEEDS = 1 << 32
_OWN_PARAMETERS = {"seed": "random_state", "budget": "budget", "encoder": "encoder"}
"""Settings that are parameters of the classifier, and what they are called there."""

_EDGES_TRAINER = "label_spreading"
"""The trainer of a precomputed graph, where the settings name none: the default one needs features."""


class ProjectionClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of texts or of vectors that learns from few labels and many rows and is at most ``budget`` large.

    A graph over all rows teaches the unlabelled ones, a small integer model learns from all of them, and predictions
    come from the C core that a device runs. ``fit`` is what `projgraph train` does: the same rows, settings and seed
    give the same model bytes. On a precomputed graph only the first half is done: the rows that are there get labels.

    Args:
        budget: bytes of the model at most, as a number or as text such as ``"64KB"``; behind a comma the predicted time
            of a text of 12 words at most, such as ``"256KB,5us"``.
        encoder: a sentence-transformers model, by name or folder, that describes texts while training; None for none.
        graph: ``"knn"`` joins every row to its nearest ones; ``"precomputed"`` takes X as an adjacency, (n, n) edge
            weights of zero or more, dense or sparse; where the two directions of an edge differ the larger counts.
        settings: further settings by dotted name, such as ``{"student.epochs": 20}``; see `projgraph.config`.
        random_state: seed of every random draw, 0 to 2**32 - 1; None or a RandomState draws one at each fit.
        verbose: write a line before each stage to standard error.

    Attributes:
        classes_: (c,) the labels in sorted order and their own type; columns of probabilities follow it.
        transduction_: (n,) label of every training row, of the type of ``classes_``.
        label_distributions_: (n, c) what the graph taught of every training row; rows sum to one. All classes are
            alike, and the first is the label, where a text is unlike every labelled one (`trust.foreign`).
        n_features_in_: columns of a matrix; 1, the text, where rows are texts.
        feature_names_in_: names of the columns, where X was a table of numbers that has them.

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
        graph: Literal["knn", "precomputed"] = "knn",
        settings: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        verbose: bool = False,
    ) -> None:
        self.budget = budget
        self.encoder = encoder
        self.graph = graph
        self.settings = settings
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> Self:
        """Train on labelled and unlabelled rows.

        Args:
            X: n texts, as a list, array or Series of str, or a table of one such column; or an (n, columns) matrix of
                numbers, dense or sparse; or the adjacency of a precomputed graph.
            y: n labels: strings, whole numbers or truth values. -1, None, NaN, pandas.NA and "" mean unlabelled, and
                so do the texts that these become beside strings and in files ("-1", "nan", "None", "null").

        Raises:
            InputError: X is none of these, y does not fit it, or fewer than two classes have labels.
            ConfigError: a parameter or setting is unknown or out of range; every wrong setting is listed.
            BudgetError: no model fits the budget; the message names the smallest that works.
        """
        config = self._config()
        if self.graph == "precomputed":
            return self._fit_graph(X, y, config)
        # Imported here: torch and faiss take seconds, and a classifier that was unpickled to predict needs neither.
        from projgraph import pipeline
        from projgraph.pack.write import model_bytes
        from projgraph.provenance import describe_training

        rows = Vectors.from_matrix(self._matrix(X)) if holds_numbers(X) else texts_of(X)
        labels = labels_of(y, len(rows))
        counts = ReadCounts(len(rows), int(np.count_nonzero(labels.indices != UNLABELLED)))
        dataset = Dataset(rows, labels.indices, labels.names, counts)
        trained = pipeline.train(dataset, config, self._say)
        if trained.plan.left_out:
            warnings.warn(trained.plan.left_out, UserWarning, stacklevel=2)
        if isinstance(rows, Vectors):
            self._keep_columns(X)
        else:
            self.n_features_in_ = 1
            self._forget("feature_names_in_")
        self._model_bytes = model_bytes(trained.model, describe_training(dataset, config, trained.temperature))
        self._model = _open(self._model_bytes)
        return self._taught(trained.taught, labels)

    def _fit_graph(self, X: Any, y: Any, config: TrainConfig) -> Self:
        """The labels of a graph's nodes, without a model: there is nothing to project."""
        from projgraph.graph.given import given_graph
        from projgraph.trainers.registry import EDGES_ALONE, trainer

        if not holds_numbers(X):
            raise InputError(f"X is {named(X)}; graph='precomputed' expects an adjacency, (n, n) edge weights")
        adjacency = self._matrix(X)
        rows, columns = adjacency.shape
        if rows != columns:
            raise InputError(
                f"X has the shape {adjacency.shape}; graph='precomputed' expects an adjacency, (n, n) edge weights, "
                "dense or sparse: leave graph out to classify texts or a matrix of features"
            )
        name = config.trainer.name if "name" in config.trainer.model_fields_set else _EDGES_TRAINER
        if name not in EDGES_ALONE:
            raise ConfigError(
                f"trainer.name is {name!r}, which needs features; a precomputed graph has none: expected one of "
                f"{', '.join(sorted(EDGES_ALONE))}"
            )
        labels = labels_of(y, rows)
        graph = given_graph(adjacency, progress=self._say)
        task = TrainerTask(graph, np.zeros((rows, 0), dtype=np.float32), labels.indices, len(labels.classes))
        taught = trainer(name)(task, config.trainer, config.seed, self._say)
        self._keep_columns(X)
        self._forget("_model", "_model_bytes")
        return self._taught(taught, labels)

    def _forget(self, *attributes: str) -> None:
        """What an earlier fit of another kind of rows left."""
        for name in attributes:
            if hasattr(self, name):
                delattr(self, name)

    def _taught(self, taught: SoftLabels, labels: Labels) -> Self:
        self.classes_ = labels.classes
        self.label_distributions_: FloatArray = taught.probabilities
        self.transduction_ = self.classes_[taught.labels]
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,) the label of each of n rows, of the type of ``classes_``.

        Raises:
            NotFittedError: before fit.
            InputError: X is not of the kind that was fitted, or that was a graph, which leaves no model.
        """
        rows = self._rows(X)
        return self._predicted(rows)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """(n, c) the probability of each class for each of n rows; the largest of a row is what ``predict`` gives.

        Raises:
            NotFittedError, InputError: as ``predict``.
        """
        rows = self._rows(X)
        return self._model.probabilities(rows)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of labelled rows that ``predict`` gets right; rows without a label are left out.

        Args:
            X: n rows.
            y: n labels, as for ``fit``.
            sample_weight: (n,) weights of the rows, None for equal ones.

        Raises:
            NotFittedError: before fit.
            InputError: as ``predict``, or y does not fit X, or no row has a label.
        """
        rows = self._rows(X)
        known, values = labelled_rows(y, len(rows))
        if not len(known):
            raise InputError(f"y has no label in its {len(rows)} rows; {LABELS}; at least one label to score by")
        right = self._predicted(rows)[known].astype(object) == values.astype(object)
        return float(np.average(right, weights=None if sample_weight is None else np.asarray(sample_weight)[known]))

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write the `.pgb` file that `projgraph.load`, the command line and devices run; returns its bytes.

        Labels that are no strings are written as text, 3 as "3".

        Raises:
            NotFittedError: before fit.
            InputError: a graph was fitted, which leaves no model.
            OutputError: the file cannot be written; what stood there before is untouched.
        """
        self._check_model()
        return atomic_write(path, self._model_bytes)

    def _check_model(self) -> None:
        check_is_fitted(self)
        if not hasattr(self, "_model"):
            raise InputError(
                f"a graph of {self.n_features_in_} nodes was fitted, which leaves no model for other rows or files; "
                "the nodes' labels are in transduction_ and label_distributions_; to classify new rows fit texts or a "
                "matrix of features, with graph='knn'"
            )

    def _rows(self, X: Any) -> Texts | Vectors:
        """The rows of X, of the kind that was fitted."""
        self._check_model()
        columns = self._model.native.columns
        numbers = holds_numbers(X)
        if not columns:
            if numbers:
                raise InputError(f"X holds numbers, {named(X)}; texts were fitted: expected texts")
            return texts_of(X)
        if not numbers:
            raise InputError(f"X is {named(X)}; vectors were fitted: expected a matrix of {columns} columns of numbers")
        matrix = self._matrix(X)
        with _input_errors():
            validate_data(self, X, reset=False, skip_check_array=True)
        return Vectors.from_matrix(matrix)

    def _matrix(self, X: Any) -> Any:
        """A matrix of numbers as scikit-learn checks one; what it converts in C must be sound before."""
        check_sparse(X, "X")
        with (
            _input_errors(),
            np.errstate(over="ignore"),
        ):  # a value too large becomes infinite, which is refused by name
            return check_array(X, accept_sparse="csr", dtype=np.float32, estimator=self, input_name="X")

    def _keep_columns(self, X: Any) -> None:
        """The number and the names of columns, once a fit has come to its end: one that fails changes nothing."""
        with _input_errors():
            validate_data(self, X, reset=True, skip_check_array=True)

    def _predicted(self, rows: Texts | Vectors) -> NDArray[Any]:
        native = self._model.native
        # An estimator always answers, as scikit-learn expects, whatever threshold the model has.
        found = native.scores(rows).argmax(axis=1) if native.threshold else native.labels(rows)
        labels: NDArray[Any] = self.classes_[found]
        return labels

    def _config(self) -> TrainConfig:
        if not isinstance(self.settings, Mapping | None):
            raise ConfigError(
                f"settings is {type(self.settings).__name__}; expected a dictionary by dotted name, "
                "such as {'student.epochs': 20}"
            )
        if not isinstance(self.graph, str) or self.graph not in ("knn", "precomputed"):
            raise ConfigError(f"graph is {self.graph!r}; expected 'knn' or 'precomputed'")
        if not isinstance(self.encoder, str | os.PathLike | None):
            raise ConfigError(f"encoder is {named(self.encoder)}; expected a name, a folder or None")
        given = copy.deepcopy(dict(self.settings or {}))
        for name in given:
            if not isinstance(name, str):
                raise ConfigError(f"settings holds the name {name!r}; expected dotted names such as 'student.epochs'")
        for name, parameter in _OWN_PARAMETERS.items():
            if name in given:
                raise ConfigError(f"settings holds {name!r}; give it as the parameter {parameter} instead")
        given["budget"] = self.budget
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
        tags.input_tags.sparse = True
        tags.input_tags.pairwise = tags.input_tags.positive_only = self.graph == "precomputed"
        # Texts come in one dimension all the same; a classifier that says so is checked on numbers in one, too.
        tags.input_tags.one_d_array = False
        tags.target_tags.one_d_labels = True
        return tags


@contextmanager
def _input_errors() -> Iterator[None]:
    """What scikit-learn says of a matrix, as this library's error, which is a ValueError too."""
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(str(error)) from error


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
