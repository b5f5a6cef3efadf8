import numpy as np
import pytest
from sklearn.metrics import confusion_matrix as peer_confusion
from sklearn.metrics import f1_score, precision_recall_fscore_support, roc_auc_score, top_k_accuracy_score

from projgraph.errors import InputError
from projgraph.evaluate import metrics
from projgraph.evaluate.bit_use import bit_use
from projgraph.evaluate.out_of_scope import out_of_scope_auroc
from projgraph.records import Bits


def random_case(n=400, c=7, seed=0):
    random = np.random.default_rng(seed)
    scores = random.permuted(np.tile(np.arange(c, dtype=np.int32), (n, 1)), axis=1)
    return scores, random.integers(0, c, n)


def test_decisions_by_hand_with_ties_for_the_lowest_index():
    scores = np.array([[5, 9, 9], [9, 5, 9], [1, 2, 3], [4, 4, 4], [4, 4, 4]], dtype=np.int32)
    decisions = metrics.decide(scores, np.array([2, 2, 0, 0, 1]))
    assert decisions.predicted.tolist() == [1, 0, 2, 0, 0]
    assert decisions.ranks.tolist() == [1, 1, 2, 0, 1]


def test_rank_zero_is_the_same_as_being_right():
    random = np.random.default_rng(1)
    scores = random.integers(0, 3, (500, 5)).astype(np.int32)
    labels = random.integers(0, 5, 500)
    decisions = metrics.decide(scores, labels)
    assert np.array_equal(decisions.ranks == 0, decisions.predicted == labels)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_at_k_like_sklearn(k):
    scores, labels = random_case()
    decisions = metrics.decide(scores, labels)
    assert metrics.precision_at(decisions.ranks, labels, k) == pytest.approx(
        top_k_accuracy_score(labels, scores, k=k, labels=np.arange(7))
    )


def test_confusion_and_macro_f1_like_sklearn():
    scores, labels = random_case()
    labels[labels == 6] = 5  # a class that is predicted and never true
    predicted = metrics.decide(scores, labels).predicted
    assert np.array_equal(metrics.confusion_matrix(predicted, labels, 7), peer_confusion(labels, predicted))
    assert metrics.macro_f1(predicted, labels, 7) == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert metrics.accuracy(predicted, labels) == np.mean(predicted == labels)


def test_a_class_that_does_not_occur_takes_no_part_in_macro_f1():
    labels = np.array([0, 0, 1])
    assert metrics.macro_f1(labels, labels, 5) == 1.0


def test_class_scores_like_sklearn():
    scores, labels = random_case()
    predicted = metrics.decide(scores, labels).predicted
    ours = metrics.class_scores(predicted, labels, "abcdefg")
    precision, recall, f1, support = precision_recall_fscore_support(labels, predicted)
    assert [row.name for row in ours] == list("abcdefg")
    assert [row.n for row in ours] == support.tolist()
    assert np.allclose([row.precision for row in ours], precision)
    assert np.allclose([row.recall for row in ours], recall)
    assert np.allclose([row.f1 for row in ours], f1)


def test_unknown_labels_count_as_wrong_and_absent_ones_not_at_all():
    scores = np.array([[3, 1], [3, 1], [1, 3], [1, 3]], dtype=np.int32)
    labels = np.array([0, metrics.UNKNOWN, -1, 1])
    decisions = metrics.decide(scores, labels)
    assert metrics.accuracy(decisions.predicted, labels) == pytest.approx(2 / 3)
    assert metrics.precision_at(decisions.ranks, labels, 5) == pytest.approx(2 / 3)  # 5 is above the two classes
    assert metrics.confusion_matrix(decisions.predicted, labels, 2).tolist() == [[1, 0], [0, 1]]
    first, second = metrics.class_scores(decisions.predicted, labels, ["a", "b"])
    assert (first.n, first.precision, first.recall) == (1, 0.5, 1.0)
    assert (second.n, second.precision, second.recall) == (1, 1.0, 1.0)
    assert metrics.macro_f1(decisions.predicted, labels, 2) == pytest.approx((2 / 3 + 1) / 2)


def test_permuting_classes_changes_nothing():
    scores, labels = random_case()
    order = np.random.default_rng(5).permutation(7)
    place = np.argsort(order)
    decisions, permuted = metrics.decide(scores, labels), metrics.decide(scores[:, order], place[labels])
    assert np.array_equal(decisions.ranks, permuted.ranks)
    assert metrics.macro_f1(permuted.predicted, place[labels], 7) == pytest.approx(
        metrics.macro_f1(decisions.predicted, labels, 7)
    )


def test_align_labels_by_name():
    aligned = metrics.align_labels(np.array([0, 1, 2, -1, -2, 0]), ["x", "y", "z"], ("z", "x"))
    assert aligned.tolist() == [1, -2, 0, -1, -2, 1]


def test_agreement_leaves_out_rows_on_which_the_trainer_is_silent():
    assert metrics.agreement(np.array([0, 1, 1, 2]), np.array([0, 1, 0, -1])) == pytest.approx(2 / 3)
    assert metrics.agreement(np.array([0]), np.array([-1])) is None


def test_measures_of_no_labelled_row_are_refused():
    with pytest.raises(InputError, match="none of the 2 rows has a label; expected at least one"):
        metrics.accuracy(np.array([0, 1]), np.array([-1, -1]))


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (np.zeros((2, 3)), [0], r"scores of shape \(2, 3\) for 1 labels; expected \(1, classes\)"),
        (np.zeros(2), [0, 0], r"scores of shape \(2,\) for 2 labels"),
        (np.zeros((2, 0)), [-1, -1], r"scores of shape \(2, 0\)"),
        (np.zeros((2, 3)), [0, 3], "labels from 0 to 3 for 3 classes; expected an index below 3"),
        (np.zeros((2, 3)), [-3, 1], "labels from -3 to 1 for 3 classes"),
    ],
)
def test_scores_and_labels_that_do_not_fit_are_refused(scores, labels, message):
    with pytest.raises(InputError, match=message):
        metrics.decide(scores, np.array(labels))


def test_out_of_scope_auroc_like_sklearn():
    random = np.random.default_rng(2)
    known = random.random(300) < 0.7
    confidence = np.round(random.random(300) + 0.3 * known, 1)  # rounded: ties
    assert out_of_scope_auroc(confidence, known) == pytest.approx(roc_auc_score(known, confidence))
    assert out_of_scope_auroc(confidence, np.ones(300, dtype=bool)) is None
    assert out_of_scope_auroc(np.array([0.9, 0.2]), np.array([True, False])) == 1.0


def test_bit_use_counts_every_bit():
    values = np.array([[1, 0, -1, 1, 0, 0, 0, 0, 1], [1, 0, 1, 0, 0, 0, 0, 0, -1]])
    planes = [np.packbits(values == sign, axis=1, bitorder="little") for sign in (1, -1)]
    use = bit_use(Bits(planes[0], planes[1], 9))
    assert use.non_zero.tolist() == [1, 0, 1, 0.5, 0, 0, 0, 0, 1]
    assert use.positive.tolist() == [1, 0, 0.5, 0.5, 0, 0, 0, 0, 0.5]
    assert use.rows == 2
    assert bit_use(Bits(planes[0][:0], planes[1][:0], 9)).non_zero.tolist() == [0] * 9
