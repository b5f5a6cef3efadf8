"""The scikit-learn face on matrices and on precomputed graphs: what a user of LabelSpreading would hand over."""

from __future__ import annotations

import csv
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import kneighbors_graph
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import LabelSpreading
from threadpoolctl import threadpool_limits

import projgraph
from projgraph import ProjectionClassifier
from projgraph.errors import ConfigError, InputError
from projgraph.native import NativeModel
from projgraph.pack.read import read_model
from projgraph.pack.vector import VectorSpec, read_projection

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "home_intents" / "train.csv"
CLASSES = ("alarm_set", "door_lock", "music_play")
QUICK = {"student.epochs": 6, "student.min_steps": 40, "student.held_out": 0, "projection.bits": 512}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """The matrices here are tiny: threads only wait for each other, on a busy machine for most of the time."""
    with threadpool_limits(1):
        yield


def make(**parameters) -> ProjectionClassifier:
    return ProjectionClassifier(**{"budget": "16KB", "settings": QUICK} | parameters)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        found = [(row["text"], row["label"]) for row in csv.DictReader(file) if row["label"] in CLASSES]
    return [text for name in CLASSES for text in [text for text, label in found if label == name][:20]]


@pytest.fixture(scope="module")
def labels() -> list[str]:
    return [name for name in CLASSES for _ in range(20)]


@pytest.fixture(scope="module")
def few(labels) -> list[str]:
    """Every second label of the rows, and "" elsewhere."""
    return [label if row % 2 == 0 else "" for row, label in enumerate(labels)]


@pytest.fixture(scope="module")
def tfidf(texts) -> sparse.csr_matrix:
    return TfidfVectorizer(ngram_range=(1, 2)).fit_transform(texts)


@pytest.fixture(scope="module")
def taught(tfidf, few) -> ProjectionClassifier:
    """Fitted on a sparse matrix with labelled and unlabelled rows."""
    return make().fit(tfidf, few)


@pytest.fixture(scope="module")
def moons() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, every label, and five labels a class with -1 elsewhere."""
    X, y = make_moons(300, noise=0.08, random_state=0)
    known = np.concatenate([np.flatnonzero(y == label)[:5] for label in (0, 1)])
    hidden = np.full(len(y), -1)
    hidden[known] = y[known]
    return X, y, hidden


# Matrices


def test_a_sparse_matrix_with_string_labels(taught, tfidf, labels, few):
    assert taught.classes_.tolist() == list(CLASSES)
    assert taught.n_features_in_ == tfidf.shape[1]
    assert taught.label_distributions_.shape == (60, 3)
    np.testing.assert_allclose(taught.label_distributions_.sum(axis=1), 1, atol=1e-5)
    given = np.array(few) != ""
    np.testing.assert_array_equal(taught.transduction_[given], np.array(few)[given])
    assert (taught.transduction_ == labels).mean() >= 0.9
    probabilities = taught.predict_proba(tfidf)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_array_equal(taught.classes_[probabilities.argmax(axis=1)], taught.predict(tfidf))
    assert taught.score(tfidf, labels) >= 0.9


def test_sparse_rows_are_learned_as_ternary_bits_and_dense_ones_with_thresholds(taught, tfidf, few, labels):
    projection = read_projection(read_model(taught._model_bytes)[0].projection)
    assert isinstance(projection, VectorSpec)
    assert (projection.thresholds, projection.quantiser.name, projection.columns) == (None, "TERNARY", tfidf.shape[1])
    dense = make().fit(tfidf.toarray(), few)
    projection = read_projection(read_model(dense._model_bytes)[0].projection)
    assert isinstance(projection, VectorSpec)
    assert (projection.thresholds.shape, projection.quantiser.name) == ((512,), "SIGN")
    assert dense.score(tfidf.toarray(), labels) >= 0.8


@pytest.mark.parametrize(
    "container",
    [
        sparse.csr_array,
        sparse.csc_matrix,
        sparse.coo_array,
        sparse.lil_matrix,
        lambda X: X.astype(np.float64),
        lambda X: sparse.csr_matrix((X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64)), X.shape),
        lambda X: X.toarray(),
        lambda X: np.asfortranarray(X.toarray()),
        lambda X: X.toarray().tolist(),
        lambda X: X.toarray().astype(object),
        lambda X: pd.DataFrame(X.toarray()),
    ],
    ids=["csr", "csc", "coo", "lil", "float64", "int64", "dense", "columns first", "lists", "objects", "DataFrame"],
)
def test_every_container_of_numbers_predicts_the_same(taught, tfidf, container):
    X = container(tfidf)
    np.testing.assert_array_equal(taught.predict_proba(X), taught.predict_proba(tfidf))
    np.testing.assert_array_equal(taught.predict(X), taught.predict(tfidf))


def test_the_same_seed_gives_the_same_bytes_from_every_sparse_format(taught, tfidf, few):
    for container in (sparse.csr_array, sparse.coo_matrix):
        assert clone(taught).fit(container(tfidf), few)._model_bytes == taught._model_bytes
    assert make(random_state=1).fit(tfidf, few)._model_bytes != taught._model_bytes


def test_two_moons_with_whole_number_labels(moons):
    X, y, hidden = moons
    model = make(settings=QUICK | {"graph.metric": "euclidean", "trainer.name": "label_spreading"}).fit(X, hidden)
    assert model.classes_.tolist() == [0, 1]
    assert (model.transduction_ == y).mean() >= 0.97
    assert model.score(X, y) >= 0.95


def test_a_saved_model_of_vectors_predicts_the_same(taught, tfidf, tmp_path):
    size = taught.save(tmp_path / "model.pgb")
    assert size == (tmp_path / "model.pgb").stat().st_size <= 16 * 1024
    with projgraph.load(tmp_path / "model.pgb") as model:
        assert model.classes == CLASSES
        for X in (tfidf, tfidf.toarray()):
            assert model.predict(X) == taught.predict(tfidf).tolist()
            np.testing.assert_array_equal(model.predict_proba(X), taught.predict_proba(tfidf))
        with pytest.raises(
            InputError, match=f"given texts; the model takes vectors of {tfidf.shape[1]} columns: give a matrix"
        ):
            model.predict("wake me at seven")
        with pytest.raises(InputError, match="given vectors of 3 columns; the model takes vectors of"):
            model.predict(np.ones((2, 3)))
    copied = pickle.loads(pickle.dumps(taught))
    np.testing.assert_array_equal(copied.predict_proba(tfidf), taught.predict_proba(tfidf))


def test_a_pipeline_of_texts_through_tfidf(texts, labels):
    scores = cross_val_score(make_pipeline(TfidfVectorizer(), make()), texts, labels, cv=2)
    assert scores.min() >= 0.6


def test_names_of_columns_are_kept_and_compared(moons):
    X, _, hidden = moons
    table = pd.DataFrame(X, columns=["left", "right"])
    model = make().fit(table, hidden)
    assert model.feature_names_in_.tolist() == ["left", "right"]
    with pytest.raises(InputError, match="The feature names should match those that were passed during fit"):
        model.predict(table[["right", "left"]])
    model.fit(X, hidden)
    assert not hasattr(model, "feature_names_in_")


def test_another_kind_of_rows_may_be_fitted_anew(tfidf, texts, few, taught):
    model = make().fit(texts, few)
    assert (model.n_features_in_, NativeModel(model._model_bytes).columns) == (1, 0)
    model.fit(tfidf, few)
    assert model._model_bytes == taught._model_bytes
    assert model.n_features_in_ == tfidf.shape[1]
    assert model.fit(texts, few).n_features_in_ == 1


def test_a_failed_fit_leaves_the_fitted_model_alone(taught, tfidf, few):
    model = clone(taught).fit(tfidf, few)
    mixed = pd.DataFrame(np.eye(60)[:, :2], columns=["left", 1])
    for wrong, y in (
        (mixed, few),
        (np.ones((60, 2)), [None] * 60),
        (np.ones((59, 2)), few),
        (np.full((60, 2), np.nan), few),
    ):
        with pytest.raises(InputError):
            model.fit(wrong, y)
        assert model.n_features_in_ == tfidf.shape[1]
        np.testing.assert_array_equal(model.predict(tfidf), taught.predict(tfidf))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (["wake me", "at seven"], r"X is of type list; vectors were fitted: expected a matrix of \d+ columns"),
        ("wake me", r"X is str 'wake me'; vectors were fitted"),
        (pd.Series(["wake me"]), r"X is of type Series and shape \(1,\); vectors were fitted"),
        (None, "X is NoneType None; vectors were fitted"),
        (np.ones((2, 3)), r"X has 3 features, but ProjectionClassifier is expecting \d+ features as input"),
        (sparse.csr_array(np.eye(3)), r"X has 3 features, but ProjectionClassifier is expecting"),
        (np.ones(3), "Expected 2D array, got 1D array instead"),
        (np.ones((2, 3, 4)), "Found array with dim 3"),
        (np.ones((0, 3)), r"Found array with 0 sample\(s\)"),
        (np.ones((3, 0)), r"Found array with 0 feature\(s\)"),
        ([[1.0, 2.0], [3.0]], "inhomogeneous"),
        (np.ones((2, 3)) * 1j, "Complex data not supported"),
    ],
)
def test_wrong_matrices_are_refused(taught, X, message):
    for use in (taught.predict, taught.predict_proba, lambda X: taught.score(X, [0, 1])):
        with pytest.raises(InputError, match=message):
            use(X)


@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "infinity"), (1e300, "too large")])
def test_values_without_bits_are_refused(taught, tfidf, few, value, name):
    dense, stored = tfidf.toarray(), tfidf.astype(np.float64)
    dense[3, 4] = stored.data[5] = value
    for X in (dense, stored):
        for use in (taught.predict, taught.predict_proba, lambda X: make().fit(X, few)):
            with pytest.raises(InputError, match=name):
                use(X)


# Precomputed graphs


def adjacency_of(X: np.ndarray) -> sparse.csr_matrix:
    near = kneighbors_graph(X, 8)
    return near.maximum(near.T)


def spreading(X, y, alpha: float) -> LabelSpreading:
    """scikit-learn's own on the same adjacency; its kernel is asked for the graph of X with itself."""
    return LabelSpreading(kernel=lambda left, right: X, alpha=alpha, max_iter=3000, tol=1e-13).fit(
        np.zeros((len(y), 1)), y
    )


@pytest.mark.parametrize("alpha", [0.2, 0.9])
@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.coo_array, lambda X: X.toarray()])
def test_a_precomputed_graph_spreads_as_scikit_learns(moons, alpha, container):
    X, y, hidden = moons
    adjacency = adjacency_of(X)
    settings = {
        "trainer.classic.smoothing": alpha,
        "trainer.classic.clamping": "soft",
        "trainer.classic.tolerance": 1e-12,
    }
    model = make(graph="precomputed", settings=settings).fit(container(adjacency), hidden)
    peer = spreading(adjacency, hidden, alpha)
    np.testing.assert_allclose(model.label_distributions_, peer.label_distributions_, atol=1e-5)
    np.testing.assert_array_equal(model.transduction_, peer.transduction_)
    np.testing.assert_array_equal(model.classes_, peer.classes_)
    assert model.n_features_in_ == len(X)
    assert (model.transduction_ == y).mean() >= 0.9


def test_labels_reach_rows_where_beliefs_begin_below_the_tolerance(moons):
    """At smoothing 0.2 a belief falls by some 50 an edge, and soon below 1e-5: scikit-learn's labels all the same."""
    X, _, hidden = moons
    adjacency = adjacency_of(X)
    model = make(graph="precomputed", settings={"trainer.classic.smoothing": 0.2}).fit(adjacency, hidden)
    assert (model.label_distributions_.max(axis=1) > 0.51).all()
    np.testing.assert_array_equal(model.transduction_, spreading(adjacency, hidden, 0.2).transduction_)


def test_a_graph_of_names(moons):
    """String labels, a row that no edge joins, and the labels of a chain by its closed form."""
    weights = np.zeros((5, 5))
    weights[[0, 1, 2], [1, 2, 3]] = 1.0
    model = make(graph="precomputed", settings={}).fit(sparse.csr_array(weights), ["left", None, "", "right", np.nan])
    assert model.classes_.tolist() == ["left", "right"]
    assert model.transduction_[:4].tolist() == ["left", "left", "right", "right"]
    assert model.label_distributions_[4].tolist() == [0.5, 0.5]
    spread = 0.9 * np.array([[0, 0.5**0.5, 0, 0], [0.5**0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5**0.5], [0, 0, 0.5**0.5, 0]])
    expected = np.linalg.inv(np.eye(4) - spread)[:, [0, 3]]
    expected /= expected.sum(axis=1, keepdims=True)
    expected[[0, 3]] = np.eye(2)  # hard clamping
    np.testing.assert_allclose(model.label_distributions_[:4], expected, atol=1e-4)


def test_the_larger_direction_counts_and_loops_do_not(moons):
    X, _, hidden = moons
    one_way = kneighbors_graph(X, 8)
    expected = make(graph="precomputed", settings={}).fit(adjacency_of(X), hidden).label_distributions_
    for given in (one_way, one_way.T, one_way + 3 * sparse.eye_array(len(X), format="csr")):
        found = make(graph="precomputed", settings={}).fit(given, hidden).label_distributions_
        np.testing.assert_array_equal(found, expected)


def test_a_graph_leaves_no_model(moons, tmp_path):
    X, y, hidden = moons
    model = make().fit(X, hidden).set_params(graph="precomputed", settings={}).fit(adjacency_of(X), hidden)
    for call in (
        lambda: model.predict(X),
        lambda: model.predict_proba(X),
        lambda: model.score(X, y),
        lambda: model.save(tmp_path / "model.pgb"),
    ):
        with pytest.raises(InputError, match=r"a graph of 300 nodes was fitted, which leaves no model .*fit texts or"):
            call()
    assert list(tmp_path.iterdir()) == []
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.transduction_, model.transduction_)
    with pytest.raises(NotFittedError):
        clone(model).predict(X)


@pytest.mark.parametrize("name", ["label_propagation", "laplace", "poisson", "modified_adsorption"])
def test_every_trainer_of_edges_alone_takes_a_graph(moons, name):
    X, y, hidden = moons
    model = make(graph="precomputed", settings={"trainer": {"name": name}}).fit(adjacency_of(X), hidden)
    assert (model.transduction_ == y).mean() >= 0.9


@pytest.mark.parametrize("settings", [{"trainer.name": "gcn"}, {"trainer": {"name": "prior_smoothing"}}])
def test_a_trainer_of_features_refuses_a_graph(moons, settings):
    X, _, hidden = moons
    message = r"trainer.name is '\w+', which needs features; .* expected one of expander, label_propagation, "
    with pytest.raises(ConfigError, match=message):
        make(graph="precomputed", settings=settings).fit(adjacency_of(X), hidden)


def edited(row: int, column: int, value: float) -> np.ndarray:
    weights = np.array([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]])
    weights[row, column] = value
    return weights


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (edited(0, 1, np.nan), "Input X contains NaN"),
        (edited(0, 1, np.inf), "Input X contains infinity or a value too large"),
        (edited(0, 1, 1e300), "Input X contains infinity or a value too large"),
        (edited(2, 1, -0.5), r"weight -0\.5 at .*; expected no negative weight"),
        (np.ones((3, 4)), r"X has the shape \(3, 4\); graph='precomputed' expects an adjacency, \(n, n\) edge weights"),
        (np.ones((3, 0)), r"Found array with 0 feature\(s\)"),
        (np.ones((0, 0)), r"Found array with 0 sample\(s\)"),
        (np.ones(3), "Expected 2D array, got 1D array"),
        (["a", "b", "c"], r"X is of type list; graph='precomputed' expects an adjacency"),
        (None, r"X is NoneType None; graph='precomputed' expects an adjacency"),
    ],
)
def test_wrong_graphs_are_refused(X, message):
    sparse_too = [sparse.csr_array(X)] if isinstance(X, np.ndarray) and X.ndim == 2 and X.size else []
    for given in (X, *sparse_too):
        with pytest.raises(InputError, match=message):
            make(graph="precomputed", settings={}).fit(given, ["a", "b", None])


def test_labels_of_a_graph_are_checked():
    for y, message in ((["a", "b"], "X has 3 rows and y 2"), (["a", "a", None], "y has one class, 'a'")):
        with pytest.raises(InputError, match=message):
            make(graph="precomputed", settings={}).fit(edited(0, 1, 1.0), y)


def test_a_graph_without_edges_leaves_its_rows_undecided():
    model = make(graph="precomputed", settings={}).fit(sparse.csr_array((3, 3)), ["a", "b", None])
    np.testing.assert_array_equal(model.label_distributions_, [[1, 0], [0, 1], [0.5, 0.5]])


def broken(kind: str) -> Any:
    matrix = sparse.random_array((12, 12), density=0.3, rng=0, format="csr")
    if kind == "row starts":
        matrix.indptr[3] = 10**6
    elif kind == "column":
        matrix.indices[0] = -7
    elif kind == "csc":
        matrix = matrix.tocsc()
        matrix.indices[0] = 10**6
    else:
        matrix = matrix.tocoo()
        matrix.coords[0][0] = -1
    return matrix


@pytest.mark.parametrize("graph", ["knn", "precomputed"])
@pytest.mark.parametrize("kind", ["row starts", "column", "csc", "coo"])
def test_a_damaged_sparse_matrix_is_refused_before_scipy_reads_beyond_it(kind: str, graph: Any) -> None:
    with pytest.raises(InputError, match=r"X is a damaged sparse matrix .*; build it again"):
        ProjectionClassifier(graph=graph).fit(broken(kind), [0, 1] * 6)


def test_a_whole_number_beyond_any_float_is_refused() -> None:
    with pytest.raises(InputError, match="too large"):
        ProjectionClassifier().fit(np.array([[10**400, 1], [2, 3]], dtype=object), [0, 1])
