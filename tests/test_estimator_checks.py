"""scikit-learn's own estimator checks; they speak in matrices of numbers, which are written as words here."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import SkipTestWarning
from sklearn.utils.estimator_checks import check_classifiers_classes, check_estimator, parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from projgraph import ProjectionClassifier

WIDTHS = (0.125, 0.5, 1.0)
QUICK = {"student.epochs": 6, "student.min_steps": 40, "student.held_out": 0}

MINUS_ONE = "-1 means unlabelled; scikit-learn excepts its own semi-supervised classifiers by name"
EXPECTED_TO_FAIL = {"check_classifiers_classes": MINUS_ONE}
"""Its other half is run below, under such a name."""


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """The matrices here are tiny: threads only wait for each other, on a busy machine for most of the time."""
    with threadpool_limits(1):
        yield


def words(X: np.ndarray) -> list[str]:
    """Every number as the words of the intervals it lies in."""
    intervals = [np.floor(X / width).astype(np.int64) for width in WIDTHS]
    return [
        " ".join(f"f{column}w{size}n{part[column]}" for size, part in enumerate(parts) for column in range(X.shape[1]))
        for parts in zip(*intervals, strict=True)
    ]


class NumbersAsWords(ProjectionClassifier):
    """The classifier under test, behind scikit-learn's validation of matrices."""

    def fit(self, X, y):
        X = validate_data(self, X)
        super().fit(words(X), y)
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        return super().predict(self._words(X))

    def predict_proba(self, X):
        return super().predict_proba(self._words(X))

    def score(self, X, y, sample_weight=None):
        return super().score(self._words(X), y, sample_weight)

    def _words(self, X):
        check_is_fitted(self)
        return words(validate_data(self, X, reset=False))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array, tags.input_tags.two_d_array = False, True
        return tags


NUMBERS = NumbersAsWords(budget="4KB", settings=QUICK)


@parametrize_with_checks([NUMBERS], expected_failed_checks=lambda estimator: EXPECTED_TO_FAIL, xfail_strict=True)
def test_scikit_learn_check(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks provoke warnings of scikit-learn itself
        check(estimator)


def test_classes_of_a_semi_supervised_classifier():
    check_classifiers_classes("SelfTrainingClassifier", NUMBERS)


def test_for_text_itself_scikit_learn_has_one_check():
    with pytest.warns(SkipTestWarning, match="Can't test estimator ProjectionClassifier which requires input"):
        results = check_estimator(ProjectionClassifier())
    assert [(found["check_name"], found["status"]) for found in results] == [("check_estimator_cloneable", "passed")]
