"""The scikit-learn face on text: labels of any type, wrong input, repeatability, pickling, model selection."""

from __future__ import annotations

import copy
import csv
import io
import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone, is_classifier
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from threadpoolctl import threadpool_limits

import projgraph
from projgraph import ProjectionClassifier
from projgraph.config import load_config
from projgraph.errors import BudgetError, ConfigError, InputError, OutputError
from projgraph.job import TrainJob, run_training

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "home_intents" / "train.csv"
CLASSES = ("alarm_set", "door_lock", "music_play")
QUICK = {
    "student.epochs": 6,
    "student.min_steps": 40,
    "trainer.rounds": 0,
    "features.min_texts": 1000,
    "features.lsa_dimensions": 16,
}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """The matrices here are tiny: threads only wait for each other, on a busy machine for most of the time."""
    with threadpool_limits(1):
        yield


def make(**parameters) -> ProjectionClassifier:
    return ProjectionClassifier(**{"budget": "8KB", "settings": QUICK} | parameters)


@pytest.fixture(scope="module")
def rows() -> tuple[list[str], list[str]]:
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        found = [(row["text"], row["label"]) for row in csv.DictReader(file) if row["label"] in CLASSES]
    per_class = {name: [text for text, label in found if label == name][:20] for name in CLASSES}
    return [text for texts in per_class.values() for text in texts], [name for name in CLASSES for _ in range(20)]


@pytest.fixture(scope="module")
def few(rows) -> list[str]:
    """Every second label of the rows, and "" elsewhere."""
    return [label if row % 2 == 0 else "" for row, label in enumerate(rows[1])]


@pytest.fixture(scope="module")
def taught(rows, few) -> ProjectionClassifier:
    """Fitted on labelled and unlabelled rows."""
    return make().fit(rows[0], few)


def numbered(labels: list[str]) -> list[int]:
    return [CLASSES.index(label) if label else -1 for label in labels]


# What a fit gives


def test_fitted_attributes(taught, rows, few):
    n = len(rows[0])
    assert taught.classes_.tolist() == list(CLASSES)
    assert taught.label_distributions_.shape == (n, 3)
    np.testing.assert_allclose(taught.label_distributions_.sum(axis=1), 1, atol=1e-5)
    assert taught.transduction_.tolist() == [CLASSES[index] for index in taught.label_distributions_.argmax(axis=1)]
    given = np.array(few) != ""
    np.testing.assert_array_equal(taught.transduction_[given], np.array(few)[given])
    hidden = taught.transduction_[~given] == np.array(rows[1])[~given]
    assert hidden.mean() >= 0.8
    assert taught.n_features_in_ == 1


def test_probabilities_follow_classes_and_agree_with_predictions(taught, rows):
    probabilities = taught.predict_proba(rows[0])
    assert probabilities.shape == (60, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_array_equal(taught.classes_[probabilities.argmax(axis=1)], taught.predict(rows[0]))
    assert taught.score(*rows) >= 0.9


def test_texts_without_any_feature_are_classified_all_the_same(taught):
    texts = ["", "   ", "\0", "\ud800", "🙂" * 500]
    probabilities = taught.predict_proba(texts)
    np.testing.assert_array_equal(taught.classes_[probabilities.argmax(axis=1)], taught.predict(texts))


def test_a_prediction_depends_on_its_own_text_alone(taught, rows):
    texts = rows[0] * 10
    whole = taught.predict_proba(texts)
    one_by_one = np.concatenate([taught.predict_proba([text]) for text in texts])
    np.testing.assert_array_equal(one_by_one, whole)
    order = np.random.default_rng(0).permutation(len(texts))
    np.testing.assert_array_equal(taught.predict([texts[row] for row in order]), taught.predict(texts)[order])


# What the unlabelled rows are called


@pytest.mark.parametrize(
    ("none", "container"),
    [
        (-1, list),
        (None, list),
        (float("nan"), list),
        ("", list),
        ("  ", list),
        (pd.NA, list),
        (np.float64("nan"), pd.Series),
        (None, pd.Series),
        (None, pd.Categorical),
        (pd.NA, lambda labels: pd.array(labels, dtype="string")),
        (-1, np.array),  # numpy writes "-1"
        (float("nan"), np.array),  # numpy writes "nan"
        (None, lambda labels: np.array(labels, dtype=object)),
        (-1.0, lambda labels: np.array(labels, dtype=object)),
    ],
)
def test_every_marker_of_unlabelled_gives_the_same_model(taught, rows, few, none, container):
    y = container([label or none for label in few])
    again = make().fit(rows[0], y)
    assert again.classes_.tolist() == list(CLASSES)
    assert again._model_bytes == taught._model_bytes
    np.testing.assert_array_equal(again.transduction_, taught.transduction_)


@pytest.mark.parametrize(
    ("y_of", "classes"),
    [
        (lambda few: numbered(few), [0, 1, 2]),
        (lambda few: np.array(numbered(few), dtype=np.int8), [0, 1, 2]),
        (lambda few: [10 * index if index >= 0 else None for index in numbered(few)], [0, 10, 20]),
        (lambda few: [index + 9 if index >= 0 else pd.NA for index in numbered(few)], [9, 10, 11]),
        (lambda few: pd.Series(numbered(few), dtype="Int64").replace(-1, pd.NA), [0, 1, 2]),
        (lambda few: np.where(np.array(numbered(few)) < 0, np.nan, numbered(few)), [0.0, 1.0, 2.0]),
        (lambda few: [index == 1 if index >= 0 else None for index in numbered(few)], [False, True]),
        (lambda few: [label[:-1] + " " if label else None for label in few], ["alarm_se ", "door_loc ", "music_pla "]),
    ],
    ids=["int", "int8", "int or None", "int or NA", "Int64", "float or NaN", "bool or None", "padded str"],
)
def test_classes_keep_the_type_of_the_labels(rows, few, y_of, classes):
    model = make().fit(rows[0], y_of(few))
    assert model.classes_.tolist() == classes
    assert {type(label) for label in model.classes_.tolist()} == {type(classes[0])}
    predicted = model.predict(rows[0][:3]).tolist()
    assert {type(label) for label in predicted + model.transduction_.tolist()} == {type(classes[0])}


def test_numbers_are_in_numeric_order_and_named_without_a_fraction(rows, tmp_path):
    y = np.array([(2.0, 10.0, 1.0)[CLASSES.index(label)] for label in rows[1]])
    model = make().fit(rows[0], y)
    assert model.classes_.tolist() == [1.0, 2.0, 10.0]
    model.save(tmp_path / "model.pgb")
    assert projgraph.load(tmp_path / "model.pgb").classes == ("1", "2", "10")
    assert model.score(rows[0], y) >= 0.9


def test_scores_leave_unlabelled_rows_out(taught, rows):
    right = taught.predict(rows[0])
    wrong = [CLASSES[(CLASSES.index(label) + 1) % 3] for label in right]
    y = [right[0], wrong[1], *[None] * 57, right[-1]]
    assert taught.score(rows[0], y) == pytest.approx(2 / 3)
    weights = np.array([1.0, 2.0, *[9.0] * 57, 3.0])
    assert taught.score(rows[0], y, sample_weight=weights) == pytest.approx(4 / 6)
    with pytest.raises(InputError, match=r"y has no label in its 60 rows; .* at least one label to score by"):
        taught.score(rows[0], [-1] * 60)


# Wrong labels


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, r"requires y to be passed, but the target y is None; expected one label a row"),
        ("abc", r"y is str 'abc'; expected one label a row"),
        ({"a", "b"}, r"y is of type set; expected one label"),
        (3, r"y is int 3; expected one label"),
        (sparse.csr_array(np.eye(3)), r"y is of type csr_array and shape \(3, 3\); expected one label"),
        (["a", "b"], r"X has 3 rows and y 2: inconsistent numbers of samples; expected a label for each row"),
        ([["a", "b"]] * 3, r"y has the shape \(3, 2\); expected one label a row"),
        (["a", None, ""], r"y has one class, 'a', in its 1 labelled rows; expected two classes or more"),
        ([7, -1, 7], r"y has one class, 7, in its 2 labelled rows"),
        ([None, "", -1], r"y has no label in its 3 rows; .* at least one label of each class"),
        ([0.5, 1.0, -1], r"Unknown label type: continuous\. y holds 0\.5; expected one label a row"),
        ([np.inf, 1.0, -1], r"Unknown label type: continuous\. y holds inf"),
        (["a", 1, None], r"y holds labels of type int and str; expected one label a row, all of them strings"),
        ([True, 1, None], r"y holds labels of type bool and int; expected"),
        ([b"a", b"b", None], r"y holds labels of type bytes; expected"),
        (["a", "b\0", None], r"y holds the label 'b\\x00' with a NUL character; expected text without one"),
        (["a", "\ud800", None], r"y holds the label '\\ud800', which has no UTF-8 form; expected valid Unicode"),
    ],
)
def test_wrong_labels_are_refused_before_any_work(y, message):
    with pytest.raises(ValueError, match=message):
        make().fit(["one", "two", "three"], y)


def test_too_many_classes_are_refused():
    texts = [f"text {number}" for number in range(4097)]
    with pytest.raises(InputError, match="y has 4,097 different labels; expected at most 4,096"):
        make().fit(texts, list(range(4097)))


def test_a_column_of_labels_is_taken_with_a_warning(taught, rows, few):
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed when a 1d array was expected") as seen:
        again = make().fit(rows[0], np.array(few)[:, None])
    assert seen[0].filename == __file__
    assert again._model_bytes == taught._model_bytes


# Texts


@pytest.mark.parametrize(
    "container",
    [
        tuple,
        np.array,
        lambda texts: np.array(texts, dtype=object),
        lambda texts: np.array(texts, dtype=object)[:, None],
        lambda texts: [[text] for text in texts],
        pd.Series,
        lambda texts: pd.Series(texts, dtype="string", index=range(100, 160)),
        lambda texts: pd.Series(texts, dtype="category"),
        lambda texts: pd.DataFrame({"text": texts}),
    ],
    ids=["tuple", "array", "objects", "column", "rows", "Series", "string Series", "categories", "DataFrame"],
)
def test_every_container_of_texts_gives_the_same(taught, rows, few, container):
    texts = container(rows[0])
    np.testing.assert_array_equal(taught.predict_proba(texts), taught.predict_proba(rows[0]))
    np.testing.assert_array_equal(taught.predict(texts), taught.predict(rows[0]))
    assert taught.score(texts, rows[1]) == taught.score(*rows)
    assert make().fit(texts, pd.Series(few))._model_bytes == taught._model_bytes


TABLE = "a list, array or Series of str, or a table of one such column"


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("turn it on", rf"X is str 'turn it on'; expected texts: {TABLE}: wrap a single text in a list, \[X\]"),
        (b"turn it on", r"X is bytes b'turn it on'; expected texts"),
        (None, r"X is NoneType None; expected texts"),
        (7, r"X is int 7; expected texts"),
        ({"text": ["a"]}, r"X is of type dict; expected texts"),
        (iter(["a"]), r"X is of type list_iterator; expected texts"),
        ([], r"X has 0 rows; expected at least one text"),
        (np.empty((0, 1), dtype=object), r"X has 0 rows"),
        (np.array("a"), r"X has the shape \(\); expected texts"),
        (np.array([["a", 3.0], ["b", 4.0]], dtype=object), r"X has the shape \(2, 2\); expected texts"),
        (np.array([["a", "b"]]), r"X has the shape \(1, 2\); expected texts"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), r"X has the shape \(1, 2\); expected texts"),
        (np.empty((2, 1, 1), dtype=object), r"X has the shape \(2, 1, 1\)"),
        (["a", None], r"row 1 of X is NoneType None; expected str: replace missing texts by ''"),
        (["a", float("nan")], r"row 1 of X is float nan; expected str: replace missing texts by ''"),
        (pd.Series(["a", pd.NA]), r"row 1 of X is .*; expected str: replace missing texts by ''"),
        ([b"a"], r"row 0 of X is bytes b'a'; expected str: decode it, for example with value\.decode\('utf-8'\)"),
        (["a", 3], r"row 1 of X is int 3; expected texts"),
        ([["a"], ["b", "c"]], r"row 0 of X is of type list; expected texts"),
    ],
)
def test_wrong_texts_are_refused(taught, X, message):
    def fit(given):
        make().fit(given, [0, 1])

    for use in (fit, taught.predict, taught.predict_proba, lambda given: taught.score(given, [0, 1])):
        with pytest.raises(ValueError, match=message):
            use(X)


@pytest.mark.parametrize(
    ("X", "given"),
    [
        (np.ones((2, 3)), r"ndarray and shape \(2, 3\)"),
        (np.ones((2, 1)), r"ndarray and shape \(2, 1\)"),
        (np.ones(2), r"ndarray and shape \(2,\)"),
        (sparse.csr_array(np.eye(2)), r"csr_array and shape \(2, 2\)"),
        (pd.DataFrame({"a": [1, 2]}), r"DataFrame and shape \(2, 1\)"),
        ([[1.0, 2.0], [3.0, 4.0]], "list"),
    ],
)
def test_a_model_of_texts_refuses_numbers(taught, X, given):
    for use in (taught.predict, taught.predict_proba, lambda X: taught.score(X, [0, 1])):
        with pytest.raises(InputError, match=f"X holds numbers, of type {given}; texts were fitted: expected texts"):
            use(X)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score", "save"])
def test_an_unfitted_classifier_says_so(method, tmp_path):
    arguments = {"score": (["a"], ["b"]), "save": (tmp_path / "model.pgb",)}.get(method, (["a"],))
    with pytest.raises(NotFittedError, match="This ProjectionClassifier instance is not fitted yet"):
        getattr(make(), method)(*arguments)
    assert list(tmp_path.iterdir()) == []


# Parameters


def test_parameters_are_kept_as_they_are_given(rows, few):
    settings = {"student": {"epochs": 2}, "student.min_steps": 20, "trainer.rounds": 0, "features.min_texts": 1000}
    before = repr(settings)
    model = ProjectionClassifier(budget="4KB", settings=settings, random_state=np.int64(3))
    assert model.settings is settings
    model.fit(rows[0], few)
    assert model.settings is settings
    assert repr(settings) == before
    assert model.get_params() == {
        "budget": "4KB",
        "encoder": None,
        "graph": "knn",
        "settings": settings,
        "random_state": 3,
        "verbose": False,
    }


def test_a_budget_of_time_is_kept_and_words_without_room_are_told(rows, few):
    free = {name: value for name, value in QUICK.items() if name not in ("projection.bits", "student.units")}
    settings = free | {"projection.words.dimensions": 64}
    told = "words of 64 signs .* are left out: .* and 1500 ns: give --budget "
    with pytest.warns(UserWarning, match=told):
        one = make(budget="64KB,1.5us", settings=settings).fit(rows[0], few)
    with pytest.warns(UserWarning, match=told):
        other = make(budget=65536, settings=settings | {"time_budget": 1500}).fit(rows[0], few)
    assert one._model_bytes == other._model_bytes
    free_of_time = make(budget=65536, settings=free).fit(rows[0], few)
    assert len(free_of_time._model_bytes) > len(one._model_bytes)


def test_set_params_and_clone():
    model = make().set_params(budget=9000, random_state=7)
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert copied is not model
    assert not hasattr(copied, "classes_")
    assert repr(ProjectionClassifier(budget="64KB")) == "ProjectionClassifier(budget='64KB')"
    with pytest.raises(ValueError, match="Invalid parameter 'epochs'"):
        model.set_params(epochs=3)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"budget": "a lot"}, ConfigError, "'a lot' is not a size; expected bytes such as 65536, 64KB"),
        ({"budget": "8KB,5"}, ConfigError, "time_budget: '5' is not a time; expected one such as 5us"),
        ({"budget": "8KB,9ns"}, BudgetError, "a budget of 9 ns a text is too small for 2 classes"),
        ({"budget": 200}, BudgetError, "a budget of 200 bytes is too small for 2 classes"),
        ({"settings": {"student.epoch": 3}}, ConfigError, "student.epoch is unknown; expected one of"),
        ({"settings": {"student.epochs": 0, "graph.neighbours": 0}}, ConfigError, "neighbours is 0.*epochs is 0"),
        ({"settings": [("student.epochs", 3)]}, ConfigError, "settings is list; expected a dictionary by dotted name"),
        ({"settings": {"seed": 3}}, ConfigError, "settings holds 'seed'; give it as the parameter random_state"),
        ({"settings": {"budget": 3}}, ConfigError, "settings holds 'budget'; give it as the parameter budget"),
        ({"graph": "radius"}, ConfigError, "graph is 'radius'; expected 'knn' or 'precomputed'"),
        ({"random_state": -1}, ConfigError, r"random_state is -1; expected 0 to 2\*\*32 - 1, a RandomState or None"),
        ({"random_state": "one"}, ValueError, "'one' cannot be used to seed"),
    ],
)
def test_wrong_parameters_are_refused_in_fit(parameters, error, message):
    model = make(**parameters)
    with pytest.raises(error, match=message):
        model.fit(["one", "two"], ["a", "b"])
    with pytest.raises(NotFittedError):
        model.predict(["one"])


def test_a_failed_fit_leaves_the_fitted_model_alone(rows):
    model = make().fit(*rows)
    before = model._model_bytes
    with pytest.raises(InputError):
        model.fit(rows[0], [None] * 60)
    assert model._model_bytes == before
    assert model.score(*rows) >= 0.9


def test_the_same_seed_gives_the_same_bytes(taught, rows, few):
    again = clone(taught).fit(rows[0], few)
    assert again._model_bytes == taught._model_bytes
    np.testing.assert_array_equal(again.label_distributions_, taught.label_distributions_)
    assert again.fit(rows[0], few)._model_bytes == taught._model_bytes
    assert make(random_state=1).fit(rows[0], few)._model_bytes != taught._model_bytes


def test_the_same_seed_gives_the_same_bytes_with_hidden_units(rows):
    model = make(budget="64KB", settings=QUICK | {"student.units": 16, "projection.bits": 512, "student.dropout": 0.5})
    first = model.fit(*rows)._model_bytes
    assert clone(model).fit(*rows)._model_bytes == first


def test_a_generator_draws_a_seed_at_each_fit(rows):
    model = make(random_state=np.random.RandomState(5))
    first, second = model.fit(*rows)._model_bytes, model.fit(*rows)._model_bytes
    assert first != second
    assert make(random_state=np.random.RandomState(5)).fit(*rows)._model_bytes == first
    fresh = make(random_state=None)
    assert fresh.fit(*rows)._model_bytes != fresh.fit(*rows)._model_bytes


def test_verbose_names_the_stages_on_standard_error(rows, capsys):
    make(verbose=True).fit(*rows)
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.startswith("bits: 60 rows x ")
    make().fit(*rows)
    assert capsys.readouterr().err == ""


# Files and pickles


def test_the_saved_file_predicts_the_same(taught, rows, tmp_path):
    path = tmp_path / "model.pgb"
    size = taught.save(path)
    assert size == path.stat().st_size <= 8192
    assert [found.name for found in tmp_path.iterdir()] == ["model.pgb"]
    with projgraph.load(path) as model:
        assert model.predict(rows[0]) == taught.predict(rows[0]).tolist()
        np.testing.assert_array_equal(model.predict_proba(rows[0]), taught.predict_proba(rows[0]))
        assert model.provenance["rows"] == 60
        assert model.provenance["labelled"] == 30
        assert model.provenance["seed"] == 0
    with pytest.raises(OutputError, match=r"the folder .* does not exist"):
        taught.save(tmp_path / "none" / "model.pgb")


def test_the_command_makes_the_same_file(taught, rows, few, tmp_path):
    with (tmp_path / "train.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *zip(rows[0], few, strict=True)])
    config = load_config(given=QUICK | {"budget": 8192})
    job = TrainJob(train=tmp_path / "train.csv", out=tmp_path / "model.pgb", track=False)
    run_training(job, config, lambda line: None)
    assert (tmp_path / "model.pgb").read_bytes() == taught._model_bytes


@pytest.mark.parametrize("through", ["pickle", "joblib", "deepcopy"])
def test_a_copy_predicts_the_same_and_can_be_saved(taught, rows, tmp_path, through):
    if through == "pickle":
        copied = pickle.loads(pickle.dumps(taught))
    elif through == "joblib":
        joblib.dump(taught, tmp_path / "model.joblib")
        copied = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    else:
        copied = copy.deepcopy(taught)
    np.testing.assert_array_equal(copied.predict_proba(rows[0]), taught.predict_proba(rows[0]))
    np.testing.assert_array_equal(copied.transduction_, taught.transduction_)
    assert copied.save(tmp_path / "copy.pgb") == len(taught._model_bytes)
    assert (tmp_path / "copy.pgb").read_bytes() == taught._model_bytes


def test_an_unfitted_classifier_can_be_pickled():
    assert pickle.loads(pickle.dumps(make())).get_params() == make().get_params()


def test_a_pickle_holds_the_bytes_and_predicts_without_torch(taught, rows, tmp_path):
    stream = io.BytesIO()
    pickle.dump(taught, stream)
    (tmp_path / "model.pickle").write_bytes(stream.getvalue())
    assert taught._model_bytes in stream.getvalue()
    script = (
        "import pickle, sys, pathlib\n"
        "model = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "print(model.predict([sys.argv[2]])[0])\n"
        "print(sorted({'torch', 'faiss', 'mlflow'} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "model.pickle"), rows[0][0]]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert answer == [str(taught.predict(rows[0][:1])[0]), "[]"]


# Company


def test_tags_say_texts_matrices_and_classifier():
    tags = get_tags(make())
    assert is_classifier(make())
    assert all((tags.input_tags.string, tags.input_tags.two_d_array, tags.input_tags.sparse))
    assert not any((tags.input_tags.allow_nan, tags.input_tags.pairwise, tags.input_tags.positive_only))
    assert tags.target_tags.required
    assert tags.classifier_tags.multi_class
    assert not any((tags.classifier_tags.multi_label, tags.target_tags.multi_output, tags.non_deterministic))
    of_graphs = get_tags(make(graph="precomputed"))
    assert all((of_graphs.input_tags.pairwise, of_graphs.input_tags.positive_only))


def shout(texts):
    return [text.upper() for text in texts]


def test_a_pipeline(rows, few):
    pipeline = Pipeline([("shout", FunctionTransformer(shout)), ("model", make())]).fit(rows[0], few)
    assert pipeline.classes_.tolist() == list(CLASSES)
    assert pipeline.score(*rows) >= 0.9
    np.testing.assert_array_equal(pipeline.predict(rows[0]), pipeline[-1].predict(shout(rows[0])))
    copied = clone(pipeline).set_params(model__random_state=4)
    assert copied.get_params()["model__random_state"] == 4


def test_cross_validation_of_lists_and_arrays(rows):
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    scores = cross_val_score(make(), *rows, cv=folds)
    assert scores.shape == (2,)
    assert scores.min() >= 0.6
    again = cross_val_score(make(), np.array(rows[0], dtype=object), np.array(rows[1]), cv=folds, scoring="accuracy")
    np.testing.assert_array_equal(again, scores)


def test_grid_search_over_parameters_and_settings(rows):
    grid = {"budget": ["2KB", "8KB"], "settings": [QUICK, QUICK | {"student.rate": 1e-9}]}
    search = GridSearchCV(make(), grid, cv=2).fit(*rows)
    expected = [cross_val_score(make(**chosen), *rows, cv=2).mean() for chosen in search.cv_results_["params"]]
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], expected)
    assert search.best_score_ == max(expected) >= 0.6
    assert search.best_estimator_.classes_.tolist() == list(CLASSES)
    assert search.best_estimator_._model_bytes == make(**search.best_params_).fit(*rows)._model_bytes


def test_grid_search_with_unlabelled_rows_scores_labelled_ones(rows, few):
    search = GridSearchCV(make(), {"random_state": [0, 1]}, cv=2).fit(rows[0], few)
    assert search.best_estimator_.classes_.tolist() == list(CLASSES)
    # Half of the rows have no label: counted as errors they would hold the score below one half.
    assert search.best_score_ > 0.5


def test_it_is_public():
    assert projgraph.ProjectionClassifier is ProjectionClassifier


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"encoder": 5}, "encoder is int 5; expected a name, a folder or None"),
        ({"graph": np.array(["knn", "x"])}, "expected 'knn' or 'precomputed'"),
        ({"settings": {1: 2}}, "settings holds the name 1; expected dotted names"),
    ],
)
def test_parameters_of_another_type_are_settings_that_are_wrong(parameters, message):
    with pytest.raises(ConfigError, match=message):
        ProjectionClassifier(**parameters).fit(["a", "b"], ["x", "y"])
