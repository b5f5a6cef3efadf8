"""scikit-learn's own estimator checks, on matrices of numbers and on precomputed graphs."""

from __future__ import annotations

import warnings

import pytest
from sklearn.utils.estimator_checks import check_classifiers_classes, parametrize_with_checks
from threadpoolctl import threadpool_limits

from projgraph import ProjectionClassifier

QUICK = {
    "student.epochs": 6,
    "student.min_steps": 40,
    "student.held_out": 0,
    "trainer.rounds": 0,
    "projection.bits": 256,
}
MATRICES = ProjectionClassifier(budget="8KB", settings=QUICK)
GRAPHS = ProjectionClassifier(graph="precomputed")

MINUS_ONE = "-1 means unlabelled; scikit-learn excepts its own semi-supervised classifiers by name"
"""The other half of that check is run below, under such a name."""
NO_MODEL = "a graph leaves no model: predict, predict_proba and score have nothing to say of other rows"
EXPECTED_TO_FAIL = {
    MATRICES: {"check_classifiers_classes": MINUS_ONE},
    GRAPHS: dict.fromkeys(
        (
            "check_classifier_data_not_an_array",
            "check_classifiers_classes",
            "check_classifiers_train",
            "check_dict_unchanged",
            "check_dtype_object",
            "check_estimator_sparse_array",
            "check_estimator_sparse_matrix",
            "check_estimators_dtypes",
            "check_estimators_nan_inf",
            "check_estimators_pickle",
            "check_f_contiguous_array_estimator",
            "check_fit2d_predict1d",
            "check_fit_idempotent",
            "check_fit_score_takes_y",
            "check_methods_sample_order_invariance",
            "check_methods_subset_invariance",
            "check_n_features_in_after_fitting",
            "check_pipeline_consistency",
            "check_supervised_y_2d",
        ),
        NO_MODEL,
    )
    | {
        "check_fit2d_1feature": "its labels are of one class, which is refused in other words",
        "check_positive_only_tag_during_fit": "the message names the edge in other words than scikit-learn's",
    },
}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """The matrices here are tiny: threads only wait for each other, on a busy machine for most of the time."""
    with threadpool_limits(1):
        yield


@parametrize_with_checks(list(EXPECTED_TO_FAIL), expected_failed_checks=EXPECTED_TO_FAIL.get, xfail_strict=True)
def test_scikit_learn_check(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks provoke warnings of scikit-learn itself
        check(estimator)


def test_classes_of_a_semi_supervised_classifier():
    check_classifiers_classes("SelfTrainingClassifier", MATRICES)
